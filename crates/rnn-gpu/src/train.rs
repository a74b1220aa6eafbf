//! Training and evaluating an experiment, with progress for people.

use crate::checkpoint::{Checkpoint, CheckpointArgs, Keeper, RunLock, Store};
use crate::device::Opened;
use crate::distributed::{self, World};
use crate::experiment::Experiment;
use crate::finite;
use crate::fit::States;
use crate::interrupt;
use crate::memory;
use crate::nn::{
    Callback, Checkpoints, Compile, FitOptions, History, TerminateOnNan, TrainError, Trainer,
    TrainerState,
};
use crate::progress::{Figures, Watch, WatchArgs};
use crate::report::{self, Measured};
use crate::rollout::{RolloutOptions, rollout};
use crate::run::{Config, RunFolder, Task, Tutorial, check_precision};
use crate::splits::{self, Splits};
use anyhow::{Result, anyhow, bail, ensure};
use rnn_graph::{Device, DeviceError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// How often a run goes on with a new device after the old one failed.
const MAX_DEVICE_FAULTS: usize = 2;

/// How a run is carried out: nothing of it changes what comes out.
#[derive(Clone, Debug, Default)]
pub struct TrainOptions {
    /// What happens with checkpoints.
    pub checkpoints: CheckpointArgs,
    /// How it is watched.
    pub watch: WatchArgs,
    /// Print the time that each op took.
    pub profile: bool,
    /// The ranks that train together; this is the first of them.
    pub world: Option<Rc<dyn World>>,
}

impl TrainOptions {
    /// How many processes train together.
    pub fn ranks(&self) -> usize {
        self.world.as_ref().map_or(1, |world| world.size())
    }

    /// What trains, for the configuration of a run.
    pub fn place(&self, device: &dyn Device) -> String {
        match self.ranks() {
            1 => device.info().to_string(),
            ranks => format!("{ranks} ranks of {}", device.info()),
        }
    }
}

/// Where a training begins.
#[derive(Clone, Debug)]
enum Start {
    /// With first weights.
    Anew,
    /// With weights that there are already.
    From(Box<TrainerState>),
    /// Where it was when this was taken.
    At(Box<Checkpoint>),
}

/// Trains what `config` says and writes the run folder. It begins with `first`, or with weights
/// that the seed decides.
///
/// # Errors
/// If the data cannot be read, the folder not be written or holds something else, or a run that is
/// not to be replaced, the device fails, or it is interrupted.
pub fn train(
    config: &Config,
    first: Option<TrainerState>,
    device: &mut Opened,
    out: &Path,
    options: &TrainOptions,
) -> Result<()> {
    let there = out.exists();
    let folder = RunFolder::begin(out, options.checkpoints.overwrite)?;
    let _empty = (!there).then(|| {
        let folder = folder.clone();
        interrupt::at_end(move || folder.abandon())
    });
    let result = RunLock::acquire(out).and_then(|lock| {
        let store = Store::of(out);
        if !options.checkpoints.overwrite {
            folder.check_unfinished()?;
        }
        let start = first.map_or(Start::Anew, |state| Start::From(Box::new(state)));
        Run { folder: &folder, store: &store, config, options }.train(device, start)?;
        drop(lock);
        Ok(())
    });
    if result.is_err() && !there {
        folder.abandon();
    }
    result
}

/// Goes on with a run from its last checkpoint, until as many epochs are over as it was begun
/// with, or as `epochs` says, on the same data and list of words, which may lie elsewhere now.
///
/// # Errors
/// As [`train`], and if there is nothing to go on from.
pub fn resume(
    run: &Path,
    epochs: Option<usize>,
    [data, words]: [Option<PathBuf>; 2],
    device: &mut Opened,
    options: &TrainOptions,
) -> Result<()> {
    ensure!(run.is_dir(), "there is no folder {}", run.display());
    let (folder, store) = (RunFolder::create(run)?, Store::of(run));
    let _lock = RunLock::acquire(run)?;
    let checkpoint = store.newest()?;
    let mut config = checkpoint.config.clone();
    let done = checkpoint.state.course.history.epochs.len();
    config.epochs = epochs.unwrap_or(config.epochs);
    ensure!(
        !store.is_finished() || done < config.epochs,
        "{} is finished: to go on with it, ask for more than {done} --epochs",
        run.display()
    );
    config.replace_data([data, words])?;
    config.check_data()?;
    let here = options.place(device.device());
    if here != config.device {
        println!(
            "so far it was trained on {}: elsewhere sums are rounded differently",
            config.device
        );
        config.device = here;
    }
    println!("data: {}", config.data());
    let start = Start::At(Box::new(checkpoint));
    Run { folder: &folder, store: &store, config: &config, options }.train(device, start)
}

/// A run at work.
struct Run<'a> {
    folder: &'a RunFolder,
    store: &'a Store,
    config: &'a Config,
    options: &'a TrainOptions,
}

impl Run<'_> {
    fn train(&self, device: &mut Opened, mut start: Start) -> Result<()> {
        let &Run { folder, store, config, options } = self;
        check_precision(device.device(), config.precision)?;
        let model = config.model()?;
        let splits = splits::load(config, &model, None)?;
        if let Task::Own(own) = &config.task {
            let sets = [
                ("to train on", splits.train.len()),
                ("to validate", splits.validation.len()),
                ("to test", splits.test.len()),
            ];
            States::of(&model, &own.model.architecture)?.check(config.batch_size, &sets)?;
        }
        let data = fingerprint(&splits)?;
        let config = &Config { fingerprint: Some(data.clone()), ..config.clone() };
        print!("{}", model.summary());
        println!("{}", described(&config.compile(), &model.output_names()));
        if !splits.unused.is_empty() {
            eprintln!("not used: the arrays {} of the data", splits.unused.join(", "));
        }
        println!(
            "{} {what} to train on, {} to validate, {} to test",
            splits.train.len(),
            splits.validation.len(),
            splits.test.len(),
            what = config.examples()
        );
        let goes_on = matches!(start, Start::At(_));
        let mut keeper = Keeper::new((store, config, data.clone()), &options.checkpoints, goes_on);
        let mut faults = 0;
        let (mut trainer, history, memory) = loop {
            let mut trainer = config.trainer(model.clone(), device.device())?;
            let part = config.step_size().div_ceil(options.ranks());
            let memory =
                memory::check(&mut trainer, (part, splits.train.is_weighted()), device.device())?;
            println!("memory: {memory}");
            if options.profile {
                trainer.enable_profile();
            }
            let continued = matches!(start, Start::At(_));
            let state = match std::mem::replace(&mut start, Start::Anew) {
                Start::Anew => trainer.state()?,
                Start::From(state) => *state,
                Start::At(checkpoint) => {
                    let Checkpoint { state, data: then, .. } = *checkpoint;
                    ensure!(
                        then == data,
                        "{} is not the data that the run was trained on until now: give that with \
                         --data, or begin another run",
                        config.data()
                    );
                    let epoch = state.course.history.epochs.len() + 1;
                    println!("going on after step {}, in epoch {epoch}", state.step);
                    state
                }
            };
            if let Some(world) = &options.world {
                let (config, data, state) = (config.clone(), data.clone(), state.clone());
                distributed::send(&**world, Checkpoint { config, data, state })?;
                trainer = trainer.distributed(world.clone());
            }
            let course = state.course.clone();
            let per_epoch = splits.train.len().div_ceil(config.step_size());
            let epochs = course.history.epochs.len();
            let behind = [epochs * per_epoch + course.steps, epochs];
            trainer.restore(state)?;
            let origin = trainer.state()?;
            let examples = [splits.train.len(), splits.validation.len()];
            let figures = Figures::new(config, examples, &memory);
            let mut watch =
                Watch::new(figures, &options.watch, folder, continued.then_some(behind))?;
            let fitted = fit(config, &mut trainer, &splits, &mut keeper, &mut watch);
            drop(watch);
            trainer.leave();
            match fitted {
                Ok(history) => break (trainer, history, memory),
                // The other ranks do not go back.
                Err(error) if options.world.is_some() => {
                    return Err(self.stopped(error.into(), &keeper));
                }
                Err(TrainError::Device(error)) if device_may_recover(&error) => {
                    faults += 1;
                    if faults > MAX_DEVICE_FAULTS || keeper.saved().is_none() {
                        return Err(self.stopped(error.into(), &keeper));
                    }
                    eprintln!(
                        "{error}\nopening the device again ({faults} of {MAX_DEVICE_FAULTS})"
                    );
                    drop(trainer);
                    device.reopen()?;
                    start = Start::At(Box::new(store.newest()?));
                }
                Err(error @ TrainError::NotFinite { step, .. }) => {
                    let good = match keeper.saved() {
                        Some(_) => store.newest()?.state,
                        None => TrainerState { course, ..origin },
                    };
                    let kept = good.step;
                    println!("looking for the cause in the steps from {kept} on");
                    let (device, size) = (device.device(), config.step_size());
                    let cause =
                        trainer.trace_not_finite(device, (good, step), &splits.train, size)?;
                    let cause = cause.map_or("when repeated, it stayed finite".into(), |cause| {
                        format!("{cause}; the state after step {kept} was the last one kept")
                    });
                    return Err(anyhow!(cause).context(error));
                }
                Err(error) => return Err(self.stopped(error.into(), &keeper)),
            }
        };
        if interrupt::requested().is_some() {
            match keeper.saved() {
                Some(step) => bail!(
                    "interrupted after step {step}; go on with: rnn-gpu train --resume {}",
                    folder.path().display()
                ),
                None => bail!("interrupted; nothing was written"),
            }
        }
        let path = folder.path().display().to_string();
        let _advice = keeper.saved().map(|_| {
            interrupt::at_end(move || {
                let advice =
                    format!("the training is kept; go on with: rnn-gpu train --resume {path}\n");
                let _ = io::stderr().write_all(advice.as_bytes());
            })
        });
        if history.epochs.len() < config.epochs {
            println!("stopped after epoch {}", history.epochs.len());
        }
        keeper.clear()?;
        folder.save(config, &mut trainer)?;
        folder.save_vocabulary(splits.vocabulary.as_ref())?;
        folder.save_history(config, &history)?;
        if options.profile {
            println!("{}", trainer.profile()?);
        }
        let measured = report::measure(&mut trainer, &splits, config, folder)?;
        let ops = report::time_step(&mut trainer, &splits.train, config.batch_size)?;
        folder.save_measured(&Measured { memory: Some(memory), ops, ..measured })?;
        if let Task::Tutorial(Tutorial { experiment: Experiment::NextFrame, .. }) = config.task {
            rollout(folder, config, RolloutOptions::default(), device.device())?;
        }
        report::write(folder, config)?;
        store.finish()
    }

    /// What ended the run, and how to go on.
    fn stopped(&self, error: anyhow::Error, keeper: &Keeper<'_>) -> anyhow::Error {
        match keeper.saved() {
            Some(step) => anyhow!(
                "{error:#}; the checkpoint after step {step} is kept: rnn-gpu train --resume {}",
                self.folder.path().display()
            ),
            None => error,
        }
    }
}

/// What tells the examples to train on from others.
fn fingerprint(splits: &Splits) -> Result<String> {
    Ok(format!("{:016x}", splits.train.fingerprint()?))
}

/// What every rank does alike; `watch` may break off.
pub(crate) fn fit(
    config: &Config,
    trainer: &mut Trainer,
    splits: &Splits,
    checkpoints: &mut dyn Checkpoints,
    watch: &mut dyn Callback,
) -> Result<History, TrainError> {
    let mut stopping = config.early_stopping();
    let (mut nan, data) = (TerminateOnNan, (&splits.train, Some(&splits.validation)));
    let mut callbacks: Vec<&mut dyn Callback> = vec![watch, &mut nan];
    callbacks.extend(stopping.as_mut().map(|stopping| stopping as &mut dyn Callback));
    let options = FitOptions { epochs: config.epochs, batch_size: config.step_size() };
    trainer.fit_with_checkpoints(data, options, &mut callbacks, checkpoints)
}

/// Whether a device that is opened again may do better: one that refuses a command will not.
fn device_may_recover(error: &DeviceError) -> bool {
    matches!(error, DeviceError::Lost { .. } | DeviceError::OutOfMemory { .. })
}

/// What trains a model and what it makes small, as a line.
fn described(Compile { optimizer, losses }: &Compile, outputs: &[String]) -> String {
    let all = losses.iter().zip(outputs).map(|((loss, weight), output)| {
        let of = if losses.len() > 1 { format!(" of {output}") } else { String::new() };
        let times = if *weight == 1.0 { String::new() } else { format!("{weight} x ") };
        format!("{times}{}{of}", loss.name())
    });
    format!("optimizer: {optimizer}; loss: {}", all.collect::<Vec<_>>().join(" + "))
}

/// Evaluates a finished run and writes its results and report anew.
///
/// # Errors
/// If the run cannot be read, the data neither or is other data, the device fails, or a file cannot
/// be written.
pub fn evaluate(path: &Path, device: &dyn Device) -> Result<()> {
    let (folder, mut config) = RunFolder::open(path)?;
    if matches!(config.task, Task::Own(_)) {
        config.check_data()?;
    }
    let mut model = config.model()?;
    folder.load_weights(&mut model)?;
    let splits = splits::load(&config, &model, folder.vocabulary()?)?;
    if let (Task::Own(_), Some(then)) = (&config.task, &config.fingerprint) {
        ensure!(
            *then == fingerprint(&splits)?,
            "{} is not the data that the run was trained on: to judge the run by it, give --data",
            config.data()
        );
    }
    println!("precision: {}, as it was trained", config.precision);
    let mut trainer = config.trainer(model, device)?;
    let measured = report::measure(&mut trainer, &splits, &config, &folder)?;
    let loss = folder.results()?.test.loss;
    finite::warn_of(&mut trainer, splits.judge().1, config.batch_size, loss)?;
    // What a step of the training cost stays what it was.
    let Measured { memory, ops, .. } = folder.measured()?;
    folder.save_measured(&Measured { memory, ops, ..measured })?;
    report::write(&folder, &config)
}
