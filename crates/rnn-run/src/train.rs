//! Training a run.

mod described;
mod keeper;
mod progress;
mod recovery;
mod trained;

use self::keeper::Keeper;
pub use progress::{Attempt, Progress};
pub use recovery::Stopped;
pub use trained::Trained;

use self::progress::Interruptible;
use self::recovery::{Recovery, Remedy};
use crate::checkpoint::{Checkpoint, CheckpointOptions, RunLock, Store};
use crate::config::{Config, Task, check_precision};
use crate::error::RunError;
use crate::fit::States;
use crate::host::{Guard, Host};
use crate::measure::{Measured, RunResult};
use crate::measure::{measure, time_step};
use crate::memory::{self, Footprint};
use crate::run::RunFolder;
use crate::splits::{self, Splits};
use crate::world::{self, World};
use anyhow::{Result, anyhow, bail, ensure};
use rnn::device::Opened;
use rnn::nn::{
    Callback, Checkpoints, FitOptions, History, Model, TerminateOnNan, TrainError, Trainer,
    TrainerState,
};
use rnn_graph::Device;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

/// Options of a training that do not change its result. [`Default`] is one process with default
/// checkpoints, without op times, and with a host that prints nothing.
#[derive(Clone, Debug)]
pub struct TrainOptions {
    /// When checkpoints are taken, how many are kept, and whether an earlier run is replaced.
    pub checkpoints: CheckpointOptions,
    /// True to measure the time of each op and print the times after the training.
    pub profile: bool,
    /// The ranks that train together, seen from rank 0; `None` for one process.
    pub world: Option<Rc<dyn World>>,
    /// The program that the training is part of.
    pub host: Arc<dyn Host>,
}

impl Default for TrainOptions {
    fn default() -> Self {
        let checkpoints = CheckpointOptions::default();
        Self { checkpoints, profile: false, world: None, host: Arc::new(()) }
    }
}

impl TrainOptions {
    /// Returns the number of processes that train together; 1 if [`TrainOptions::world`] is `None`.
    pub fn ranks(&self) -> usize {
        self.world.as_ref().map_or(1, |world| world.size())
    }

    /// Returns the name of the device and, if there are several ranks, their number, for
    /// [`Config::device`].
    pub fn place(&self, device: &dyn Device) -> String {
        match self.ranks() {
            1 => device.info().to_string(),
            ranks => format!("{ranks} ranks of {}", device.info()),
        }
    }
}

/// The state in which a training begins.
#[derive(Clone, Debug)]
enum Start {
    /// With first weights.
    Anew,
    /// With weights that there are already.
    From(Box<TrainerState>),
    /// The state of this checkpoint.
    At(Box<Checkpoint>),
}

/// Trains the model of `config` into the folder `out` and evaluates it. Training begins with the
/// state `first`, or with weights drawn from the seed if that is `None`. `options` are the choices
/// that are not part of the configuration, and `progress` is called at each event. The result holds
/// the folder's lock until [`Trained::finish`] writes the run.
///
/// # Errors
/// Fails if the data cannot be read or does not fit the model, the folder cannot be written or
/// holds something that may not be replaced, another process trains into it ([`RunError::Locked`]),
/// the step does not fit on the device ([`RunError::StepTooLarge`]), the device fails and does not
/// recover ([`Stopped`]) or lacks the precision, the loss or a prediction is not finite, or the host requests a stop
/// ([`RunError::Interrupted`], [`RunError::InterruptedAtStart`]).
pub fn train(
    config: &Config,
    first: Option<TrainerState>,
    device: &mut Opened,
    out: &Path,
    (options, progress): (&TrainOptions, &mut dyn Progress),
) -> Result<Trained> {
    let there = out.exists();
    let folder = RunFolder::begin(out, options.checkpoints.overwrite)?;
    let _empty = (!there).then(|| {
        let folder = folder.clone();
        options.host.at_end(Box::new(move || folder.abandon()))
    });
    let trained = RunLock::acquire(out, &*options.host).and_then(|lock| {
        if !options.checkpoints.overwrite {
            folder.check_unfinished()?;
        }
        let start = first.map_or(Start::Anew, |state| Start::From(Box::new(state)));
        Run::prepare((&folder, lock), config, device.device(), options)?
            .train(start, device, progress)
    });
    if trained.is_err() && !there {
        folder.abandon();
    }
    trained
}

/// Resumes the run in the folder `run` from its newest checkpoint and trains until it has `epochs`
/// epochs; `None` keeps the number that it was begun with. `data` and `words` are new paths of its
/// data and word list; `None` if not moved.
///
/// # Errors
/// Fails as [`train`], if there is no such folder or no sound checkpoint, if the run is finished
/// and has all epochs ([`RunError::Finished`]), or if the data is other data
/// ([`RunError::ResumedOnOtherData`]).
pub fn resume(
    run: &Path,
    epochs: Option<usize>,
    [data, words]: [Option<PathBuf>; 2],
    device: &mut Opened,
    (options, progress): (&TrainOptions, &mut dyn Progress),
) -> Result<Trained> {
    ensure!(run.is_dir(), "there is no folder {}", run.display());
    let (folder, store) = (RunFolder::create(run)?, Store::of(run));
    let lock = RunLock::acquire(run, &*options.host)?;
    let checkpoint = store.recover(&*options.host, &lock)?;
    let mut config = checkpoint.config.clone();
    let done = checkpoint.state.progress.history.epochs.len();
    config.epochs = epochs.unwrap_or(config.epochs);
    ensure!(
        !store.is_finished()? || done < config.epochs,
        RunError::Finished { run: run.to_owned(), epochs: done }
    );
    config.replace_data([data, words])?;
    config.check_data()?;
    let here = options.place(device.device());
    if here != config.device {
        options.host.tell(format_args!(
            "so far it was trained on {}: elsewhere sums are rounded differently",
            config.device
        ));
        config.device = here;
    }
    options.host.tell(format_args!("data: {}", config.data()));
    let start = Start::At(Box::new(checkpoint));
    Run::prepare((&folder, lock), &config, device.device(), options)?.train(start, device, progress)
}

/// A run at work: what stays the same from attempt to attempt.
struct Run<'a> {
    folder: RunFolder,
    store: Store,
    lock: RunLock,
    /// With the fingerprint of the data.
    config: Config,
    model: Model,
    splits: Splits,
    /// Fingerprint of the data.
    data: String,
    options: &'a TrainOptions,
}

/// A trainer that is ready to go.
struct Ready {
    trainer: Trainer,
    memory: Footprint,
    /// The state in which it begins.
    origin: TrainerState,
    /// The steps and epochs of a training that goes on.
    done: Option<[usize; 2]>,
}

impl<'a> Run<'a> {
    /// Reads the data, and says what is trained on what.
    fn prepare(
        (folder, lock): (&RunFolder, RunLock),
        config: &Config,
        device: &dyn Device,
        options: &'a TrainOptions,
    ) -> Result<Self> {
        check_precision(device, config.precision)?;
        config.check_paths(folder.path())?;
        let model = config.model()?;
        let splits = splits::load(config, &model, None)?;
        let host = &*options.host;
        splits.remarks.iter().for_each(|line| host.warn(format_args!("{line}")));
        if let Task::Custom(own) = &config.task {
            let sets = [
                ("to train on", splits.train.len()),
                ("to validate", splits.validation.len()),
                ("to test", splits.test.len()),
            ];
            States::of(&model, &own.model.architecture)?.check(config.batch_size, &sets)?;
        }
        let data = splits.fingerprint()?;
        let config = Config { fingerprint: Some(data.clone()), ..config.clone() };
        described::tell(host, &config, &model, &splits);
        let (folder, store) = (folder.clone(), Store::of(folder.path()));
        Ok(Self { folder, store, lock, config, model, splits, data, options })
    }

    /// Attempts it until it succeeds or there is no remedy.
    fn train(
        self,
        mut start: Start,
        device: &mut Opened,
        progress: &mut dyn Progress,
    ) -> Result<Trained> {
        let goes_on = matches!(start, Start::At(_));
        let of = (&self.store, &self.config, self.data.clone());
        let mut keeper = Keeper::new(of, &self.options.checkpoints, goes_on, self.host());
        let mut recovery = Recovery::default();
        let (ready, history) = loop {
            let mut ready = self.ready(start, device.device())?;
            match self.attempt(&mut ready, &mut keeper, progress)? {
                Ok(history) => break (ready, history),
                Err(error) => {
                    start = self.recover(error, ready, &keeper, (&mut recovery, device))?;
                }
            }
        };
        let saved = keeper.saved();
        let run = self.folder.path();
        if self.host().stop_requested() {
            bail!(match saved {
                Some(step) => RunError::Interrupted { step, run: run.to_owned() },
                None => RunError::InterruptedAtStart,
            });
        }
        let resumable = saved.map(|_| self.host().resumable(run));
        if history.epochs.len() < self.config.epochs {
            self.host().tell(format_args!("stopped after epoch {}", history.epochs.len()));
        }
        keeper.clear()?;
        self.finish(ready, history, resumable)
    }

    fn host(&self) -> &'a dyn Host {
        &*self.options.host
    }

    /// Takes the trainer to where the training begins.
    fn ready(&self, start: Start, device: &dyn Device) -> Result<Ready> {
        let Self { config, splits, data, options, .. } = self;
        let mut trainer = config.trainer(self.model.clone(), device)?;
        let part = config.step_size().div_ceil(options.ranks());
        let memory = memory::check(&mut trainer, (part, splits.train.is_weighted()), device)?;
        self.host().tell(format_args!("memory: {memory}"));
        if options.profile {
            trainer.enable_profile();
        }
        let goes_on = matches!(start, Start::At(_));
        let origin = match start {
            Start::Anew => trainer.state()?,
            Start::From(state) => *state,
            Start::At(checkpoint) => {
                let Checkpoint { state, data: then, .. } = *checkpoint;
                if let Some(set) = splits.changed(&then, data, self.host())? {
                    bail!(RunError::ResumedOnOtherData { data: config.data(), set });
                }
                let epoch = state.progress.history.epochs.len() + 1;
                let step = state.step;
                self.host().tell(format_args!("going on after step {step}, in epoch {epoch}"));
                state
            }
        };
        if let Some(world) = &options.world {
            let (config, data, state) = (config.clone(), data.clone(), origin.clone());
            world::send(&**world, Checkpoint { config, data, state })?;
            trainer = trainer.distributed(world.clone());
        }
        let per_epoch = splits.train.len().div_ceil(config.step_size());
        let epochs = origin.progress.history.epochs.len();
        let done = goes_on.then(|| [epochs * per_epoch + origin.progress.steps, epochs]);
        trainer.restore(origin.clone())?;
        Ok(Ready { trainer, memory, origin, done })
    }

    /// Trains to the end, or until it fails.
    fn attempt(
        &self,
        Ready { trainer, memory, done, .. }: &mut Ready,
        keeper: &mut Keeper<'_>,
        progress: &mut dyn Progress,
    ) -> Result<Result<History, TrainError>> {
        let Self { config, splits, folder, .. } = self;
        let examples = [splits.train.len(), splits.validation.len()];
        let shown = progress.begin(&Attempt { config, examples, memory, folder, done: *done })?;
        let mut watch = Interruptible::new(shown, self.host());
        let fitted = fit(config, trainer, splits, keeper, &mut watch);
        drop(watch);
        trainer.leave();
        Ok(fitted)
    }

    /// Returns the state to begin again from after an error, if that may help; else the error.
    fn recover(
        &self,
        error: TrainError,
        Ready { trainer, origin, .. }: Ready,
        keeper: &Keeper<'_>,
        (recovery, device): (&mut Recovery, &mut Opened),
    ) -> Result<Start> {
        let saved = keeper.saved();
        match recovery.remedy(&error, self.options.world.is_some(), saved.is_some()) {
            Remedy::Reopen => {
                self.host().warn(format_args!("{error}\nopening the device again ({recovery})"));
                drop(trainer);
                device.reopen()?;
                Ok(Start::At(Box::new(self.store.recover(self.host(), &self.lock)?)))
            }
            Remedy::Explain { step } => {
                let good = match saved {
                    Some(_) => self.store.recover(self.host(), &self.lock)?.state,
                    None => origin,
                };
                let kept = good.step;
                let host = self.host();
                host.tell(format_args!("looking for the cause in the steps from {kept} on"));
                let (train, size) = (&self.splits.train, self.config.step_size());
                let cause = trainer.trace_not_finite(device.device(), (good, step), train, size)?;
                let cause = cause.map_or("when repeated, it stayed finite".into(), |cause| {
                    format!("{cause}; the state after step {kept} was the last one kept")
                });
                Err(anyhow!(cause).context(error))
            }
            Remedy::None => Err(match saved {
                Some(step) => Stopped { error, step, run: self.folder.path().to_owned() }.into(),
                None => error.into(),
            }),
        }
    }

    /// Writes the model first: measuring it may fail.
    fn finish(self, ready: Ready, history: History, resumable: Option<Guard>) -> Result<Trained> {
        let Self { folder, store, lock, config, splits, options, .. } = self;
        let Ready { mut trainer, memory, .. } = ready;
        store.with_room(|| folder.save(&config, &mut trainer))?;
        folder.save_vocabulary(splits.vocabulary.as_ref())?;
        folder.save_history(&history)?;
        if options.profile {
            options.host.tell(format_args!("{}", trainer.profile()?));
        }
        let (results, measured) = measure(&mut trainer, &splits, &config, &history)?;
        let ops = time_step(&mut trainer, &splits.train, config.batch_size)?;
        let measured = Measured { memory: Some(memory), ops, ..measured };
        let result = RunResult { history, results, measured };
        folder.save_result(&result)?;
        Ok(Trained { folder, config, result, store, _resumable: resumable, _lock: lock })
    }
}

/// Trains on this rank, as every rank does; `watch` may end the training.
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
