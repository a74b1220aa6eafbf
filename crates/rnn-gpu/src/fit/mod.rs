//! Models of the user's on arrays of the user's.

mod data;
mod options;
mod states;
mod weights;

pub use data::splits;
pub use options::{FitOptions, Stopping};
pub use states::{States, batch_for};

use self::data::Part;
use crate::arrays::{Array, Arrays};
use crate::finite;
use crate::model_file::{Compiled, ModelFile};
use crate::nn::{Precision, Trainer, TrainerState};
use crate::predict::samples;
use crate::report::describe;
use crate::run::{Config, Own, Part as Judged, Task};
use anyhow::{Context, Result};
use rnn_graph::Device;
use std::path::{Path, PathBuf};

/// What `train --model` is told.
#[derive(Clone, Debug, Default)]
pub struct FitArgs {
    /// The model: a run folder, .keras, .h5 or model.toml.
    pub model: PathBuf,
    /// The arrays: x_train, y_train, and perhaps x_test, y_test.
    pub data: PathBuf,
    /// Leave them in their files.
    pub stream: bool,
    /// `fit.toml`.
    pub fit: Option<PathBuf>,
    /// In place of what `fit.toml` says.
    pub epochs: Option<usize>,
    /// The same.
    pub batch_size: Option<usize>,
    /// The same.
    pub seed: Option<u64>,
    /// The same.
    pub shuffle: Option<bool>,
    /// What it is trained with.
    pub precision: Precision,
    /// At most so many examples of each set.
    pub limit: Option<usize>,
    /// How many train it together.
    pub ranks: usize,
    /// What trains it.
    pub device: String,
}

/// What a run is to do, and what it begins with where the model has weights.
///
/// # Errors
/// If model, data or options cannot be read or do not fit together.
pub fn prepare(args: &FitArgs) -> Result<(Config, Option<TrainerState>)> {
    let options =
        args.fit.as_deref().map_or_else(|| Ok(FitOptions::default()), FitOptions::read)?;
    let file = ModelFile::open(&args.model)?;
    let compile = options.compile(file.compile.as_ref(), &file.architecture)?;
    let samples = data::samples(&mut Arrays::open(&args.data, args.stream)?, &file.architecture)?;
    let seed = args.seed.unwrap_or(options.seed);
    let borrowed: Vec<&[usize]> = samples.iter().map(Vec::as_slice).collect();
    let model = file.model(Some(&borrowed), seed)?;
    let states = States::of(&model, &file.architecture)?;
    let kept = file.optimizer_state(&model)?;
    let kept = kept.filter(|kept| {
        let goes_on = kept.optimizer == compile.optimizer.class();
        match goes_on {
            true => {
                println!("going on with what {} keeps after {} steps", kept.optimizer, kept.step)
            }
            false => println!(
                "what {} kept is of no use to {}",
                kept.optimizer,
                compile.optimizer.class()
            ),
        }
        goes_on
    });
    let first = file
        .has_weights()
        .then(|| TrainerState::beginning(&model, &compile.optimizer, kept.as_ref(), seed));
    let name = args.model.file_stem().unwrap_or(args.model.as_os_str());
    let own = Own {
        name: name.to_string_lossy().into_owned(),
        arrays: args.data.clone(),
        stream: args.stream,
        validation: options.validation,
        class_weights: options.class_weights,
        early_stopping: options.early_stopping,
        shuffle: args.shuffle.or(options.shuffle).unwrap_or(!states.kept()),
        samples,
        model: Compiled { architecture: file.architecture, compile },
    };
    let config = Config {
        task: Task::Own(Box::new(own)),
        batch_size: states.batch(args.batch_size.or(options.batch_size)),
        ranks: args.ranks,
        epochs: args.epochs.unwrap_or(options.epochs),
        seed,
        precision: args.precision,
        limit: args.limit,
        device: args.device.clone(),
    };
    Ok((config, first.transpose()?))
}

/// Measures a trained model on arrays.
///
/// # Errors
/// If the model or the data cannot be read or do not fit together, or the device fails.
pub fn evaluate(
    model: &Path,
    (data, stream): (&Path, bool),
    fit: Option<&Path>,
    device: &dyn Device,
) -> Result<()> {
    let options = fit.map_or_else(|| Ok(FitOptions::default()), FitOptions::read)?;
    let file = ModelFile::open(model)?;
    let compile = options.compile(file.compile.as_ref(), &file.architecture)?;
    let mut arrays = Arrays::open(data, stream)?;
    let suffix = if Part::is_in(&arrays, "_test") { "_test" } else { "" };
    let part = Part::read(&mut arrays, suffix, &file.architecture)
        .context("evaluation takes x_test and y_test, or x and y")?;
    let model = file.trained_model(Some(&samples(part.inputs.iter().map(Array::shape))))?;
    let test = part.with_labels(&mut arrays, &model, &file.architecture, &compile.losses)?;
    let batch = batch_for(&file, &model, options.batch_size, test.len())?;
    let tally = compile.tally();
    let mut trainer = Trainer::new(model, device, compile.optimizer, 0).losses(compile.losses);
    let metrics = trainer.evaluate(&test, batch)?;
    println!("{}", describe(Judged::Test, &metrics, tally));
    finite::warn_of(&mut trainer, &test, options.batch_size, metrics.loss)
}
