//! Evaluation of a trained model, and the time of a training step.

mod classification;
mod histogram;
mod result;

pub use classification::{ClassificationReport, Scores};
pub use histogram::{BINS, Histogram};
pub use result::{Classes, Measured, OpTime, Results, RunResult};

use crate::config::Config;
use crate::forecast;
use crate::splits::{Split, Splits};
use anyhow::Result;
use rnn::nn::{Dataset, History, MetricSums, Metrics, TrainError, Trainer};
use rnn_core::DType;
use rnn_graph::DeviceError;

/// The most classes that are told of one by one.
const MOST_CLASSES: usize = 20;
/// Batches of which predictions are kept at once.
const BATCHES: usize = 64;

/// Evaluates a model after the training that `history` records, and returns its metrics and the
/// further measurements, without the memory and the op times of a step. The model is evaluated on
/// the test data, or if that is empty on the validation data, or else on the training data.
/// Classifiers of up to 20 classes also get scores by class. The states of a stateful model are
/// reset before each pass over the data.
///
/// # Errors
/// Fails if there are no examples, the data cannot be read, or the device fails.
pub fn measure(
    trainer: &mut Trainer,
    splits: &Splits,
    config: &Config,
    history: &History,
) -> Result<(Results, Measured)> {
    let (evaluated_on, set) = splits.held_out();
    // What is measured does not depend on what the model saw before.
    trainer.reset_states()?;
    let metrics = trainer.evaluate(set, config.batch_size)?;
    let classes = match config.metric_sums() {
        MetricSums::Binary => Some(two_classes(trainer, [&splits.train, set], config)?),
        MetricSums::Categorical => many_classes(trainer, set, config)?,
        MetricSums::Regression => None,
    };
    let forecast = match (config.forecast(), splits.windows(evaluated_on)) {
        (Some(of), Some(windows)) => {
            Some(forecast::report(trainer, of, (set, windows), config.batch_size)?)
        }
        _ => None,
    };
    let seconds: f64 = history.epochs.iter().map(|e| e.seconds).sum();
    let model = trainer.model()?;
    let results = Results {
        parameters: model.count_params(),
        evaluated_on,
        metrics,
        seconds_per_epoch: seconds / history.epochs.len().max(1) as f64,
    };
    let measured = Measured {
        layers: model.summary_rows(),
        examples: [&splits.train, &splits.validation, &splits.test].map(Dataset::len),
        classes,
        forecast,
        ..Measured::default()
    };
    Ok((results, measured))
}

fn two_classes(
    trainer: &mut Trainer,
    [train, test]: [&Dataset; 2],
    config: &Config,
) -> Result<Classes> {
    let logits = config.compile().losses.first().is_some_and(|(loss, _)| loss.from_logits());
    let probability = |x: f32| if logits { 1.0 / (1.0 + (-x).exp()) } else { x };
    let mut pairs = |set: &Dataset| -> Result<Vec<(f32, bool)>> {
        let mut all = Vec::new();
        trainer.reset_states()?;
        let predictions = trainer.predict(set, config.batch_size)?;
        let rows = Rows::of(trainer, set, config.batch_size)?;
        for (probabilities, labels) in predictions.iter().zip(&set.labels()?).take(1) {
            let positive = labels.as_f32()?.iter().map(|&label| label > 0.5);
            let pairs = probabilities.as_f32()?.iter().map(|&x| probability(x)).zip(positive);
            let width = probabilities.shape().last();
            let counted = pairs.enumerate().filter(|(i, _)| rows.counts(i / width.max(1)));
            all.extend(counted.map(|(_, pair)| pair));
        }
        Ok(all)
    };
    let (train, test) = (pairs(train)?, pairs(test)?);
    let labels: Vec<f32> =
        test.iter().map(|&(_, positive)| f32::from(u8::from(positive))).collect();
    let probabilities: Vec<f32> = test.iter().map(|&(probability, _)| probability).collect();
    Ok(Classes {
        report: ClassificationReport::from_predictions(&probabilities, &labels),
        probabilities: Some([Histogram::new(&train), Histogram::new(&test)]),
    })
}

/// The rows of the first output, examples or their steps, that metrics count: those that its mask
/// leaves.
struct Rows(Option<Vec<bool>>);

impl Rows {
    fn of(trainer: &mut Trainer, set: &Dataset, batch: usize) -> Result<Self> {
        Ok(Self(trainer.output_masks(set, batch)?.into_iter().next().flatten()))
    }

    fn counts(&self, row: usize) -> bool {
        self.0.as_ref().is_none_or(|mask| mask.get(row) == Some(&true))
    }
}

/// Computes the scores by class of the first output; `None` if it has too many classes.
fn many_classes(trainer: &mut Trainer, set: &Dataset, config: &Config) -> Result<Option<Classes>> {
    let mut confusion: Vec<Vec<usize>> = Vec::new();
    let part = BATCHES * config.batch_size;
    trainer.reset_states()?;
    for first in (0..set.len()).step_by(part) {
        let part = set.range(first..set.len().min(first + part));
        let (predictions, labels) = (trainer.predict(&part, config.batch_size)?, part.labels()?);
        let (Some(scores), Some(labels)) = (predictions.first(), labels.first()) else { continue };
        let count = scores.shape().last();
        if count > MOST_CLASSES {
            return Ok(None);
        }
        let rows = Rows::of(trainer, &part, config.batch_size)?;
        confusion.resize_with(count, || vec![0; count]);
        let taken_for = scores.as_f32()?.chunks_exact(count).map(highest);
        let labels: Vec<usize> = match labels.dtype() {
            DType::U32 => labels.as_u32()?.iter().map(|&class| class as usize).collect(),
            _ => labels.as_f32()?.chunks_exact(count).map(highest).collect(),
        };
        let pairs = labels.into_iter().zip(taken_for).enumerate();
        let counted = pairs.filter(|(row, _)| rows.counts(*row));
        counted.for_each(|(_, (class, taken))| confusion[class][taken] += 1);
    }
    let names = (0..confusion.len()).map(|class| class.to_string()).collect();
    let report = ClassificationReport::from_counts(names, confusion);
    Ok(Some(Classes { report, probabilities: None }))
}

/// The place of the highest number, the first of equals.
fn highest(scores: &[f32]) -> usize {
    let higher = |best: usize, i: usize| if scores[i] > scores[best] { i } else { best };
    (0..scores.len()).fold(0, higher)
}

/// Returns the metrics `m` of a model on a part of the data as a line of text. For
/// [`MetricSums::Regression`] it has the loss alone. Otherwise it has the loss, accuracy,
/// precision, recall and F1, and for [`MetricSums::Binary`] also the area under the ROC curve.
pub fn describe(part: Split, m: &Metrics, metric_sums: MetricSums) -> String {
    let mut line = format!("{} loss ", part.name());
    line += &match metric_sums {
        MetricSums::Regression => format!("{:.3e}", m.loss),
        _ => format!(
            "{:.4}, accuracy {:.4}, precision {:.4}, recall {:.4}, F1 {:.4}",
            m.loss, m.accuracy, m.precision, m.recall, m.f1
        ),
    };
    if metric_sums == MetricSums::Binary {
        line += &format!(", AUC {:.4}", m.auc);
    }
    line
}

/// Times each op of one training step on the first `batch` examples of `set`. Afterwards the
/// trainer has its earlier state again, but profiling stays enabled. The list is empty if there are
/// no examples or the device cannot measure time.
///
/// # Errors
/// Fails if the device fails, or the data cannot be read or does not fit the model.
pub fn time_step(trainer: &mut Trainer, set: &Dataset, batch: usize) -> Result<Vec<OpTime>> {
    let Some(batch) = set.batches(batch).next().transpose()? else { return Ok(vec![]) };
    let state = trainer.state()?;
    trainer.enable_profile();
    trainer.train_batch(&batch)?;
    let profile = trainer.profile();
    trainer.restore(state)?;
    let profile = match profile {
        Err(TrainError::Device(DeviceError::Missing { .. })) => return Ok(vec![]),
        profile => profile?,
    };
    let time = |row: rnn_graph::ProfileRow| OpTime {
        op: row.op,
        calls: row.calls,
        seconds: row.time.as_secs_f64(),
        flops: row.cost.flops,
        bytes: row.cost.bytes,
    };
    Ok(profile.rows.into_iter().map(time).collect())
}
