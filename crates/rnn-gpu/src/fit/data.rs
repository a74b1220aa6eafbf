//! Examples and labels of the user's.

use crate::arrays::{Arrays, Kind};
use crate::nn::{Architecture, Dataset, Loss, Model};
use anyhow::{Context, Result, ensure};
use rnn_core::HostTensor;

/// Arrays of one part of the data: `x_train` and `y_train`, or those of another suffix.
pub struct Part {
    suffix: &'static str,
    pub inputs: Vec<HostTensor>,
}

/// `x_train`; of several inputs `x_train_NAME` or `x_train_0`.
fn names(letter: &str, suffix: &str, (index, name): (usize, &str), count: usize) -> Vec<String> {
    let stem = format!("{letter}{suffix}");
    match count {
        1 => vec![stem],
        _ => vec![format!("{stem}_{name}"), format!("{stem}_{index}")],
    }
}

fn borrowed(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

impl Part {
    /// Whether the file holds such a part.
    pub fn is_in(arrays: &Arrays, suffix: &str) -> bool {
        ["", "_0"].iter().any(|end| arrays.has(&format!("y{suffix}{end}")))
            || arrays.has(&format!("x{suffix}"))
    }

    /// Reads what the model is fed.
    ///
    /// # Errors
    /// If an array is missing, or of another kind.
    pub fn read(
        arrays: &mut Arrays,
        suffix: &'static str,
        architecture: &Architecture,
    ) -> Result<Self> {
        let inputs = architecture.inputs();
        let read = |(index, input): (usize, &crate::nn::Input)| {
            let names = names("x", suffix, (index, &input.name), inputs.len());
            arrays.input(&borrowed(&names), input)
        };
        let inputs = inputs.iter().enumerate().map(read).collect::<Result<_>>()?;
        Ok(Self { suffix, inputs })
    }

    /// With labels as the losses take them.
    ///
    /// # Errors
    /// If an array is missing or does not fit the model's output.
    pub fn with_labels(
        self,
        arrays: &mut Arrays,
        model: &Model,
        outputs: &[&str],
        losses: &[(Loss, f32)],
    ) -> Result<Dataset> {
        let count = self.inputs[0].shape().dims().first().copied().unwrap_or(0);
        let shapes = model.output_shapes(count);
        let mut labels = Vec::new();
        let ends = outputs.iter().zip(&shapes).zip(losses).enumerate();
        for (index, ((name, shape), (loss, _))) in ends {
            let names = names("y", self.suffix, (index, name), outputs.len());
            let names = borrowed(&names);
            labels.push(
                labels_for(arrays, &names, *loss, shape)
                    .with_context(|| format!("labels {} do not fit", names[0]))?,
            );
        }
        Ok(Dataset::new(self.inputs, labels)?)
    }
}

/// The labels of an output of this shape.
fn labels_for(
    arrays: &mut Arrays,
    names: &[&str],
    loss: Loss,
    shape: &[usize],
) -> Result<HostTensor> {
    let sparse = loss == Loss::SparseCategoricalCrossentropy;
    let kind = if sparse { Kind::Whole } else { Kind::Floats };
    let labels = arrays.get(names, kind)?;
    let wanted = if sparse { &shape[..shape.len() - 1] } else { shape };
    let axes = labels.shape().dims();
    let trimmed = |axes: &[usize]| -> Vec<usize> {
        axes.iter().enumerate().filter(|&(i, &n)| i == 0 || n != 1).map(|(_, &n)| n).collect()
    };
    ensure!(
        trimmed(axes) == trimmed(wanted),
        "the model's output {shape:?} takes {} of shape {wanted:?}, got {axes:?}{}",
        if sparse { "classes" } else { "labels" },
        hint(loss, axes, shape)
    );
    let labels = labels.clone().reshape(wanted)?;
    if sparse {
        let classes = shape.last().copied().unwrap_or(0);
        if let Some(at) = labels.as_u32()?.iter().position(|&class| class as usize >= classes) {
            let class = labels.as_u32()?[at];
            anyhow::bail!(
                "element {at} is class {class}; the model has {classes} classes, 0 to {}",
                classes.saturating_sub(1)
            );
        }
    }
    let probabilities = [Loss::BinaryCrossentropy, Loss::CategoricalCrossentropy];
    if probabilities.contains(&loss)
        && let Some(odd) = labels.as_f32()?.iter().find(|label| !(0.0..=1.0).contains(*label))
    {
        anyhow::bail!("a label is {odd}; the loss takes probabilities, from 0 to 1");
    }
    Ok(labels)
}

/// What is often mistaken.
fn hint(loss: Loss, axes: &[usize], shape: &[usize]) -> &'static str {
    match loss {
        Loss::CategoricalCrossentropy if axes.len() < shape.len() => {
            "; of classes by number the loss is \"sparse_categorical_crossentropy\""
        }
        Loss::SparseCategoricalCrossentropy if axes == shape => {
            "; of probabilities the loss is \"categorical_crossentropy\""
        }
        _ => "",
    }
}
