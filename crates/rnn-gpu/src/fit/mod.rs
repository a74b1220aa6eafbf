//! Training and measuring a model of the user's on arrays of the user's.

mod data;
mod options;

pub use options::FitOptions;

use self::data::Part;
use crate::arrays::Arrays;
use crate::model_file::{self, ModelFile};
use crate::nn::{
    Callback, Compile, Dataset, EpochLog, Metrics, Model, Tally, TerminateOnNan, Trainer,
};
use crate::plot::{Series, curves};
use crate::predict::samples;
use crate::progress::{Figures, Watch, WatchArgs, Watched};
use crate::run::RunFolder;
use crate::train::INTERRUPTED;
use crate::{device, memory};
use anyhow::{Context, Result, bail, ensure};
use rnn_graph::Device;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

/// What `train --model` is told.
#[derive(Clone, Debug, Default)]
pub struct FitArgs {
    /// The model: a run folder, .keras, .h5 or model.toml.
    pub model: PathBuf,
    /// The arrays: x_train, y_train, and perhaps x_test, y_test.
    pub data: PathBuf,
    /// `fit.toml`.
    pub fit: Option<PathBuf>,
    /// In place of what `fit.toml` says.
    pub epochs: Option<usize>,
    /// The same.
    pub batch_size: Option<usize>,
    /// The same.
    pub seed: Option<u64>,
    /// The device.
    pub device: String,
    /// How it is watched.
    pub watch: WatchArgs,
    /// The folder to write.
    pub out: PathBuf,
}

/// Trains a model and writes its run folder.
///
/// # Errors
/// If model, data or options cannot be read or do not fit together, the folder cannot be written,
/// the device fails, or it is interrupted.
pub fn fit(args: &FitArgs) -> Result<()> {
    let mut options = match &args.fit {
        Some(path) => FitOptions::read(path)?,
        None => FitOptions::default(),
    };
    options.epochs = args.epochs.unwrap_or(options.epochs);
    options.batch_size = args.batch_size.unwrap_or(options.batch_size);
    options.seed = args.seed.unwrap_or(options.seed);
    let file = ModelFile::open(&args.model)?;
    let compile = options.compile(file.compile.as_ref(), &file.architecture)?;
    let mut arrays = Arrays::open(&args.data)?;
    let outputs = file.architecture.output_names();
    let part = Part::read(&mut arrays, "_train", &file.architecture)?;
    let model = file.model(Some(&samples(&part.inputs)), options.seed)?;
    let all = part.with_labels(&mut arrays, &model, &outputs, &compile.losses)?;
    let test = match Part::is_in(&arrays, "_test") {
        true => {
            let part = Part::read(&mut arrays, "_test", &file.architecture)?;
            Some(part.with_labels(&mut arrays, &model, &outputs, &compile.losses)?)
        }
        false => None,
    };
    let held_back = (all.len() as f64 * options.validation).round() as usize;
    let at = all.len() - held_back;
    ensure!(at > 0, "validation leaves none of the {} examples to train on", all.len());
    let (train, validation) = (all.range(0..at), all.range(at..all.len()));
    let (device, why) = device::open(&args.device)?;
    println!("device: {}: {why}", device.info());
    print!("{}", model.summary());
    let tested = test.as_ref().map_or(0, Dataset::len);
    println!("{at} examples to train on, {held_back} to validate, {tested} to test");
    let folder = RunFolder::create(&args.out)?;
    let fitting = Fitting {
        folder: &folder,
        file: &file,
        compile: &compile,
        options: &options,
        watch: &args.watch,
    };
    let result = fitting.run(model, [&train, &validation], test.as_ref(), &*device);
    if result.is_err() {
        folder.abandon();
    } else {
        println!("wrote {}", args.out.display());
    }
    result
}

/// A training at work.
struct Fitting<'a> {
    folder: &'a RunFolder,
    file: &'a ModelFile,
    compile: &'a Compile,
    options: &'a FitOptions,
    watch: &'a WatchArgs,
}

impl Fitting<'_> {
    fn run(
        &self,
        model: Model,
        [train, validation]: [&Dataset; 2],
        test: Option<&Dataset>,
        device: &dyn Device,
    ) -> Result<()> {
        let Self { folder, file, compile, options, watch } = self;
        let size = options.batch_size;
        let mut trainer = Trainer::new(model, device, compile.optimizer, options.seed)
            .losses(compile.losses.clone());
        let memory = memory::check(&trainer, size, device)?;
        println!("memory: {memory}");
        let tally = tally(compile);
        let watched = Watched {
            title: "your model on your data".into(),
            device: device.info().to_string(),
            epochs: options.epochs,
            batch_size: size,
            classes: tally != Tally::Regression,
        };
        let figures = Figures::new(watched, [train.len(), validation.len()], &memory);
        let mut watch = Watch::new(figures, watch, folder.path())?;
        let mut stopping = options.early_stopping();
        let mut callbacks: Vec<&mut dyn Callback> = vec![&mut watch];
        let mut nan = TerminateOnNan;
        callbacks.push(&mut nan);
        callbacks.extend(stopping.as_mut().map(|stopping| stopping as &mut dyn Callback));
        let course = crate::nn::FitOptions { epochs: options.epochs, batch_size: size };
        let history = trainer.fit(train, Some(validation), course, &mut callbacks)?;
        drop(watch);
        if INTERRUPTED.load(Ordering::Relaxed) {
            bail!("interrupted; nothing was written");
        }
        if stopping.is_some_and(|stopping| stopping.stopped()) {
            println!("stopped after epoch {}", history.epochs.len());
        }
        model_file::save(folder, &file.architecture, Some(compile), trainer.model()?)?;
        folder.write_text("history.json", &serde_json::to_string_pretty(&history)?)?;
        let lines: String = history.epochs.iter().map(EpochLog::csv).collect();
        folder.write_text("history.csv", &format!("{}{lines}", EpochLog::CSV_NAMES))?;
        let series = |name: &str, epochs| Series { name: name.into(), epochs };
        let mut all = vec![series("train", history.epochs.iter().map(|e| e.train).collect())];
        let validated: Vec<Metrics> = history.epochs.iter().filter_map(|e| e.validation).collect();
        all.extend((!validated.is_empty()).then(|| series("validation", validated)));
        let classes = tally != Tally::Regression;
        curves(&folder.file("curves.png"), "loss by epoch", classes, &all)?;
        if let Some(test) = test {
            let line = describe(&trainer.evaluate(test, size)?, tally);
            println!("{line}");
            folder.write_text("report.txt", &format!("{line}\n"))?;
        }
        Ok(())
    }
}

/// Measures a trained model on arrays.
///
/// # Errors
/// If the model or the data cannot be read or do not fit together, or the device fails.
pub fn evaluate(model: &Path, data: &Path, fit: Option<&Path>, device: &dyn Device) -> Result<()> {
    let options = fit.map_or_else(|| Ok(FitOptions::default()), FitOptions::read)?;
    let file = ModelFile::open(model)?;
    let compile = options.compile(file.compile.as_ref(), &file.architecture)?;
    let mut arrays = Arrays::open(data)?;
    let suffix = if Part::is_in(&arrays, "_test") { "_test" } else { "" };
    let part = Part::read(&mut arrays, suffix, &file.architecture)
        .context("evaluation takes x_test and y_test, or x and y")?;
    let model = file.trained_model(Some(&samples(&part.inputs)))?;
    let outputs = file.architecture.output_names();
    let test = part.with_labels(&mut arrays, &model, &outputs, &compile.losses)?;
    let mut trainer =
        Trainer::new(model, device, compile.optimizer, 0).losses(compile.losses.clone());
    let metrics = trainer.evaluate(&test, options.batch_size)?;
    println!("{}", describe(&metrics, tally(&compile)));
    Ok(())
}

/// What the first output is judged by.
fn tally(compile: &Compile) -> Tally {
    compile.losses.first().map_or(Tally::Regression, |(loss, _)| loss.tally())
}

fn describe(m: &Metrics, tally: Tally) -> String {
    match tally {
        Tally::Regression => format!("test loss {:.6}", m.loss),
        _ => format!(
            "test loss {:.4}, accuracy {:.4}, precision {:.4}, recall {:.4}, F1 {:.4}",
            m.loss, m.accuracy, m.precision, m.recall, m.f1
        ),
    }
}
