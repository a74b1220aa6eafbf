//! Training and evaluation of a user's model on a user's arrays.

mod options;
mod states;

pub use options::FitOptions;
pub use states::{States, batch_for};

use crate::arrays::{Array, Arrays, ColumnChoice, Columns, Table, samples};
use crate::config::{Config, CustomTask, Task};
use crate::error::RunError;
use crate::finite::{self, FiniteRows};
use crate::host::Host;
use crate::run::{ModelPath, SavedModel};
use crate::splits::arrays::{self, SplitArrays};
use anyhow::{Context, Result, ensure};
use rnn::model_file::{Compiled, ModelFile};
use rnn::nn::{Compile, MetricSums, Metrics, Precision, TrainerState, metrics_not_computed};
use rnn_graph::Device;
use std::path::{Path, PathBuf, absolute};
use std::sync::Arc;

/// Examples of a batch of `evaluate`, unless `fit.toml` says otherwise or the model keeps states. It
/// needs less memory than training does, and a loss that a mask reaches, a mean of the batches' means,
/// comes nearer to the mean over all steps.
const EVALUATION_BATCH: usize = 128;

/// The arguments of a training of a user's model.
#[derive(Clone, Debug, Default)]
pub struct FitArgs {
    /// Path of the model: a run folder, `.keras`, `.h5`, `.onnx` or `model.toml`.
    pub model: ModelPath,
    /// Path of the data: an `.npz` or a folder of `.npy` with `x_train`, `y_train` and optionally
    /// `x_val`, `y_val`, `x_test`, `y_test`, or a `.csv`.
    pub data: PathBuf,
    /// The columns of a `.csv` that are labels and features; empty for other data.
    pub columns: ColumnChoice,
    /// True to leave all arrays in their files; false to do so only with those that are large for
    /// the free memory.
    pub stream: bool,
    /// Path of a `fit.toml`; `None` for the defaults of all its settings.
    pub fit: Option<PathBuf>,
    /// Passes over the training data; `None` for the number in `fit.toml`.
    pub epochs: Option<usize>,
    /// Examples in a step of one rank; `None` for the number in `fit.toml`.
    pub batch_size: Option<usize>,
    /// Seed; `None` for that in `fit.toml`.
    pub seed: Option<u64>,
    /// True to shuffle the examples in each epoch, false to keep their order; `None` for what
    /// `fit.toml` says.
    pub shuffle: Option<bool>,
    /// Precision of the training.
    pub precision: Precision,
    /// The most examples that each set has; `None` for no limit.
    pub limit: Option<usize>,
    /// Number of processes that train together, at least 1; 0 in [`Default`], to be replaced.
    pub ranks: usize,
    /// Name of the device, which the configuration records.
    pub device: String,
}

/// Returns the configuration of a run of the user's model. If the model's file holds weights,
/// returns also the state in which the training begins, with these weights; it includes the saved
/// state of the optimizer if the training uses the same optimizer. `host` is told what is used and
/// what is not.
///
/// # Errors
/// Fails if the model, the data or `fit.toml` cannot be read, no loss is given
/// ([`RunError::NoLoss`]), the columns cannot be used ([`RunError::NoTarget`] and others), or the
/// data does not fit the model.
pub fn prepare(args: &FitArgs, host: &Arc<dyn Host>) -> Result<(Config, Option<TrainerState>)> {
    let options =
        args.fit.as_deref().map_or_else(|| Ok(FitOptions::default()), FitOptions::read)?;
    let SavedModel { file, .. } = SavedModel::open(&args.model, host)?;
    file.check_trainable()?;
    let compile = options.compile(&file)?;
    let columns = columns(&args.data, &args.columns, None, &**host)?;
    let mut arrays = Arrays::labelled(&args.data, args.stream, columns.as_ref())?;
    let samples = arrays::samples(&mut arrays, &file.architecture)?;
    if options.validation.is_some() && SplitArrays::is_in(&arrays, "_val", &file.architecture) {
        let unused = "not used: validation of fit.toml, because the data has x_val and y_val";
        host.warn(format_args!("{unused}"));
    }
    let seed = args.seed.unwrap_or(options.seed);
    let borrowed: Vec<&[usize]> = samples.iter().map(Vec::as_slice).collect();
    let model = file.model(Some(&borrowed), seed)?;
    options.check_class_weights(&model, &compile)?;
    let states = States::of(&model, &file.architecture)?;
    tell_of_metrics(&file, &compile, &model.output_shapes(1), &**host);
    let kept = file.optimizer_state(&model)?;
    let kept = kept.filter(|kept| {
        let goes_on = kept.optimizer == compile.optimizer.class();
        match goes_on {
            true => host.tell(format_args!(
                "going on with what {} keeps after {} steps",
                kept.optimizer, kept.step
            )),
            false => host.tell(format_args!(
                "what {} kept is of no use to {}",
                kept.optimizer,
                compile.optimizer.class()
            )),
        }
        goes_on
    });
    let first = file
        .has_weights()
        .then(|| TrainerState::beginning(&model, &compile.optimizer, kept.as_ref(), seed));
    let model = &args.model.path;
    let name = model.file_stem().unwrap_or(model.as_os_str());
    let own = CustomTask {
        name: name.to_string_lossy().into_owned(),
        // Whoever goes on with the run may stand elsewhere.
        arrays: absolute(&args.data).unwrap_or_else(|_| args.data.clone()),
        stream: args.stream,
        validation: options.validation(),
        columns,
        class_weights: options.class_weights,
        early_stopping: options.early_stopping,
        shuffle: args.shuffle.or(options.shuffle).unwrap_or(!states.kept()),
        samples,
        model: Compiled { architecture: file.architecture, compile },
        forecast: None,
    };
    let config = Config {
        task: Task::Custom(Box::new(own)),
        batch_size: states.batch(args.batch_size.or(options.batch_size)),
        ranks: args.ranks,
        epochs: args.epochs.unwrap_or(options.epochs),
        seed,
        precision: args.precision,
        limit: args.limit,
        device: args.device.clone(),
        fingerprint: None,
    };
    Ok((config, first.transpose()?))
}

/// The results of an evaluation on the user's arrays.
#[derive(Clone, Copy, Debug)]
pub struct ArrayResults {
    /// Loss and metrics.
    pub metrics: Metrics,
    /// The sums that apply to the model, which decide which of `metrics` have a meaning.
    pub metric_sums: MetricSums,
    /// The counts of rows that are not finite: among the inputs, then among the outputs.
    pub rows: [FiniteRows; 2],
}

/// Evaluates the trained model at `model` on the arrays in `data`: on `x_test` and `y_test`, or if
/// there are none on `x` and `y`, or on the columns `asked` of a `.csv`, by default those of the
/// training. If `stream` is true, all arrays stay in their files. `fit` is the path of a
/// `fit.toml`, which may replace the loss and the batch size; without it, batches have 128 examples
/// unless the model is stateful.
///
/// # Errors
/// Fails if the model or the data cannot be read or do not fit together, the model has no weights
/// or no loss ([`RunError::NoLoss`]), the device lacks the precision of the run, or the device
/// fails.
pub fn evaluate(
    model: &ModelPath,
    (data, stream, asked): (&Path, bool, &ColumnChoice),
    fit: Option<&Path>,
    device: &dyn Device,
    host: &Arc<dyn Host>,
) -> Result<ArrayResults> {
    let options = fit.map_or_else(|| Ok(FitOptions::default()), FitOptions::read)?;
    let saved = SavedModel::open(model, host)?;
    let file = &saved.file;
    let compile = options.compile(file)?;
    let columns = columns(data, asked, saved.columns.as_ref(), &**host)?;
    let mut arrays = Arrays::labelled(data, stream, columns.as_ref())?;
    let tested = SplitArrays::is_in(&arrays, "_test", &file.architecture);
    let suffix = if tested { "_test" } else { "" };
    let part = SplitArrays::read(&mut arrays, suffix, &file.architecture)
        .context("evaluation takes x_test and y_test, or x and y")?;
    let model = file.trained_model(Some(&samples(part.inputs.iter().map(Array::shape))))?;
    let test = part.with_labels(&mut arrays, &model, &file.architecture, &compile.losses)?;
    let asked = options.batch_size.or((!model.is_stateful()?).then_some(EVALUATION_BATCH));
    let batch = batch_for(file, &model, asked, test.len())?;
    arrays.take_remarks().iter().for_each(|line| host.warn(format_args!("{line}")));
    tell_of_metrics(file, &compile, &model.output_shapes(1), &**host);
    saved.tell_precision(&**host);
    let metric_sums = compile.metric_sums();
    let mut trainer = saved.trainer(model, device, compile.optimizer)?.losses(compile.losses);
    let metrics = trainer.evaluate(&test, batch)?;
    let rows = finite::count(&mut trainer, &test, batch, metrics.loss)?;
    Ok(ArrayResults { metrics, metric_sums, rows })
}

/// The columns of a table: those that are asked for, else those that the model was trained
/// on; none, if the data is no table.
fn columns(
    data: &Path,
    asked: &ColumnChoice,
    trained: Option<&Columns>,
    host: &dyn Host,
) -> Result<Option<Columns>> {
    let is_table = data.extension().is_some_and(|extension| extension == "csv") && !data.is_dir();
    ensure!(is_table || asked.target.is_empty(), RunError::NoTable { path: data.to_owned() });
    if !is_table || asked.target.is_empty() && trained.is_some() {
        return Ok(trained.cloned());
    }
    let columns = Table::open(data, asked)?.choose(asked)?;
    host.tell(format_args!(
        "features: {}; target: {}",
        columns.features.join(", "),
        columns.targets.join(", ")
    ));
    Ok(Some(columns))
}

/// Names the metrics that a file of Keras's asks for and no figure here is.
fn tell_of_metrics(file: &ModelFile, compile: &Compile, shapes: &[Vec<usize>], host: &dyn Host) {
    let outputs = file.architecture.output_names();
    let width = shapes.first().and_then(|shape| shape.last()).copied().unwrap_or(1);
    for metric in metrics_not_computed(&file.stated, compile, (&outputs[..], width)) {
        host.warn(format_args!("not computed: the metric {metric}"));
    }
}
