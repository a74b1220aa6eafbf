//! What a trained model does on the test data, and what a step of its training costs.

use super::ClassificationReport;
use crate::data::Splits;
use crate::memory::Footprint;
use crate::nn::{Dataset, MetricSums, Metrics, TrainError, Trainer};
use crate::plot::{Histogram, probability_histogram};
use crate::run::{Config, Part, Results, RunFolder};
use anyhow::Result;
use rnn_core::DType;
use rnn_graph::DeviceError;
use serde::{Deserialize, Serialize};

/// What the page shows of a run beside its other files: `report.json`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Measured {
    /// The rows of the model's summary, of which the first names the columns.
    pub layers: Vec<Vec<String>>,
    /// Examples to train on, to validate, to test.
    pub examples: [usize; 3],
    /// How the model tells classes apart, where there are not too many.
    pub classes: Option<Classes>,
    /// The memory of a training step.
    pub memory: Option<Footprint>,
    /// The time of a training step by op, the most expensive first; none where the device has no
    /// clock.
    pub ops: Vec<OpTime>,
}

/// How a model tells classes apart.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Classes {
    /// Of the test data.
    pub report: ClassificationReport,
    /// Of two classes, the probabilities of the training data and of the test data.
    pub probabilities: Option<[Histogram; 2]>,
}

/// The most classes that are told of one by one.
const MOST_CLASSES: usize = 20;
/// Batches of which predictions are kept at once.
const BATCHES: usize = 64;

/// What one op did in a step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OpTime {
    /// Its name.
    pub op: String,
    /// How often it ran.
    pub calls: u64,
    /// For how long altogether.
    pub seconds: f64,
    /// Floating-point operations altogether.
    pub flops: u64,
    /// Bytes read and written altogether, each tensor once a call.
    pub bytes: u64,
}

/// Measures the model on the test data, or what there is in its place, prints what that came to and
/// writes it to `report.txt`,
/// `results.json` and a histogram of probabilities.
///
/// # Errors
/// If the device fails or a file cannot be written.
pub fn measure(
    trainer: &mut Trainer,
    splits: &Splits,
    config: &Config,
    folder: &RunFolder,
) -> Result<Measured> {
    let (judged_by, set) = splits.judge();
    // What is measured does not depend on what the model saw before.
    trainer.reset_states()?;
    let test = trainer.evaluate(set, config.batch_size)?;
    let classes = match config.tally() {
        MetricSums::Binary => Some(two_classes(trainer, [&splits.train, set], config)?),
        MetricSums::Categorical => many_classes(trainer, set, config)?,
        MetricSums::Regression => None,
    };
    let mut text = format!("{}\n{}", config.title(), describe(judged_by, &test, config.tally()));
    if let Some(classes) = &classes {
        text += &format!("\n\n{}", classes.report);
    }
    println!("{text}");
    folder.write_text("report.txt", &text)?;
    if let Some(Classes { probabilities: Some([train, test]), .. }) = &classes {
        let sets = [("Training", train), (judged_by.title(), test)];
        let (path, title) = (folder.file("histogram.png"), config.title());
        probability_histogram(&path, &title, config.examples(), sets)?;
    }
    let epochs = folder.history()?.epochs;
    let seconds: f64 = epochs.iter().map(|e| e.seconds).sum();
    let model = trainer.model()?;
    folder.save_results(&Results {
        parameters: model.count_params(),
        judged_by,
        test,
        seconds_per_epoch: seconds / epochs.len().max(1) as f64,
    })?;
    Ok(Measured {
        layers: model.summary_rows(),
        examples: [&splits.train, &splits.validation, &splits.test].map(Dataset::len),
        classes,
        ..Measured::default()
    })
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

/// Which rows of the first output, examples or their steps, figures count: those that its mask leaves.
struct Rows(Option<Vec<bool>>);

impl Rows {
    fn of(trainer: &mut Trainer, set: &Dataset, batch: usize) -> Result<Self> {
        Ok(Self(trainer.output_masks(set, batch)?.into_iter().next().flatten()))
    }

    fn counts(&self, row: usize) -> bool {
        self.0.as_ref().is_none_or(|mask| mask.get(row) == Some(&true))
    }
}

/// Of the first output; none if it has too many.
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

/// What a model comes to on a part of the data, as a line.
pub fn describe(part: Part, m: &Metrics, tally: MetricSums) -> String {
    let mut line = format!("{} loss ", part.name());
    line += &match tally {
        MetricSums::Regression => format!("{:.3e}", m.loss),
        _ => format!(
            "{:.4}, accuracy {:.4}, precision {:.4}, recall {:.4}, F1 {:.4}",
            m.loss, m.accuracy, m.precision, m.recall, m.f1
        ),
    };
    if tally == MetricSums::Binary {
        line += &format!(", AUC {:.4}", m.auc);
    }
    line
}

/// Times a training step by op. The weights are moved by it: to be called last. Empty where the
/// device has no clock.
///
/// # Errors
/// If the device fails.
pub fn time_step(trainer: &mut Trainer, set: &Dataset, batch: usize) -> Result<Vec<OpTime>> {
    let Some(batch) = set.batches(batch).next().transpose()? else { return Ok(vec![]) };
    trainer.enable_profile();
    trainer.train_batch(&batch)?;
    let profile = match trainer.profile() {
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
