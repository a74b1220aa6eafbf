//! The sets of a user's arrays: examples and labels.

use super::{Splits, weights};
use crate::arrays::{Array, Arrays, ElementKind};
use crate::config::CustomTask;
use anyhow::{Context, Result, bail, ensure};
use rnn::nn::{Architecture, Dataset, Input, Loss, Model};
use rnn_core::HostTensor;

/// The inputs of one part of the data, such as the arrays `x_train`. [`Self::with_labels`] adds the
/// labels.
pub struct SplitArrays {
    suffix: &'static str,
    /// The array of each input of the model, in order.
    pub inputs: Vec<Array>,
}

/// The names that the array of each input or output may have: `x_train`; of several `x_train_NAME`
/// or, where none has its number for a name, `x_train_0`.
pub(super) fn names(letter: &str, suffix: &str, all: &[&str]) -> Vec<Vec<String>> {
    let stem = format!("{letter}{suffix}");
    let of_each = |(index, name): (usize, &&str)| {
        let number = index.to_string();
        let free = !all.contains(&number.as_str());
        let name = format!("{stem}_{name}");
        [name].into_iter().chain(free.then(|| format!("{stem}_{number}"))).collect()
    };
    match all.len() {
        1 => vec![vec![stem]],
        _ => all.iter().enumerate().map(of_each).collect(),
    }
}

pub(super) fn borrowed(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

impl SplitArrays {
    /// Returns true if the data holds an array of inputs, labels or weights for the part with the
    /// suffix `suffix`, such as `_val`.
    pub fn is_in(arrays: &Arrays, suffix: &str, architecture: &Architecture) -> bool {
        let named = architecture.output_names();
        let outputs: Vec<&str> = named.iter().map(String::as_str).collect();
        let inputs: Vec<&str> = architecture.inputs().iter().map(|i| i.name.as_str()).collect();
        let all = [names("x", suffix, &inputs), names("y", suffix, &outputs)];
        all.iter().flatten().flatten().any(|name| arrays.has(name))
            || weights::are_in(arrays, suffix, &named)
    }

    /// Reads the array of each input of the model for the part with the suffix `suffix`, such as
    /// `_train`.
    ///
    /// # Errors
    /// Fails if an array is missing or cannot be read, or its elements are of another kind than the
    /// input takes.
    pub fn read(
        arrays: &mut Arrays,
        suffix: &'static str,
        architecture: &Architecture,
    ) -> Result<Self> {
        let read = |(names, input): (Vec<String>, &Input)| arrays.input(&borrowed(&names), input);
        let inputs = inputs(architecture, suffix).map(read).collect::<Result<_>>()?;
        Ok(Self { suffix, inputs })
    }

    /// Returns the examples with their labels, in the shape that each loss takes, and with their
    /// weights if the data has some. `architecture` and `losses` are those of `model`; there is a
    /// loss for each output.
    ///
    /// # Errors
    /// Fails if an array is missing, has another number of examples, or does not fit the model's
    /// output and its loss, or if the examples are of another shape than the model takes.
    ///
    /// # Panics
    /// Panics if the part has no input.
    pub fn with_labels(
        self,
        arrays: &mut Arrays,
        model: &Model,
        architecture: &Architecture,
        losses: &[(Loss, f32)],
    ) -> Result<Dataset> {
        for ((names, _), ((_, input, _), array)) in
            inputs(architecture, self.suffix).zip(model.inputs().zip(&self.inputs))
        {
            let (found, wanted) = (&array.shape().dims()[1..], input.shape());
            ensure!(
                found == wanted,
                "the examples of {} are of shape {found:?}; the model takes {wanted:?}, as it is \
                 trained on",
                names[0]
            );
        }
        let outputs = architecture.output_names();
        let count = self.inputs[0].shape().dims().first().copied().unwrap_or(0);
        let shapes = model.output_shapes(count);
        let mut labels = Vec::new();
        let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
        let names = names("y", self.suffix, &outputs);
        for ((names, shape), (loss, _)) in names.iter().zip(&shapes).zip(losses) {
            let names = borrowed(names);
            labels.push(
                labels_for(arrays, &names, *loss, shape)
                    .with_context(|| format!("labels {} do not fit", names[0]))?,
            );
        }
        let shared =
            |arrays: Vec<Array>| arrays.into_iter().map(Array::examples).collect::<Vec<_>>();
        let set = Dataset::of(shared(self.inputs), shared(labels))?;
        let weights = weights::read(arrays, self.suffix, (&outputs, &shapes))?;
        Ok(if weights.is_empty() { set } else { set.sample_weights_of(weights)? })
    }
}

/// The names that the array of each input may have.
fn inputs<'a>(
    architecture: &'a Architecture,
    suffix: &str,
) -> impl Iterator<Item = (Vec<String>, &'a Input)> {
    let inputs = architecture.inputs();
    let all: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
    names("x", suffix, &all).into_iter().zip(inputs)
}

/// Returns the extents of one training example for each input of the model, in order and without
/// the axis of examples.
///
/// # Errors
/// Fails if an array is missing or cannot be read.
pub fn samples(arrays: &mut Arrays, architecture: &Architecture) -> Result<Vec<Vec<usize>>> {
    let all = inputs(architecture, "_train");
    all.map(|(names, input)| arrays.sample(&borrowed(&names), input)).collect()
}

/// Reads the arrays of a run. If the data has no arrays for validation, the last of the training
/// examples are held out for it, the fraction [`CustomTask::validation`] of them. If it has no
/// arrays for testing, that set is empty.
///
/// # Errors
/// Fails if the arrays cannot be read or do not fit the model and its losses, no training example
/// is left, or class weights are given for labels that are not one class each or beside weights of
/// examples.
pub fn splits(own: &CustomTask, model: &Model) -> Result<Splits> {
    let CustomTask { arrays, stream, validation, class_weights, model: described, columns, .. } =
        own;
    let mut arrays = Arrays::labelled(arrays, *stream, columns.as_ref())?;
    let [validated, tested] =
        ["_val", "_test"].map(|part| SplitArrays::is_in(&arrays, part, &described.architecture));
    let outputs = described.architecture.output_names();
    let weighed = weights::are_in(&arrays, "_train", &outputs);
    let mut read = |suffix| -> Result<Dataset> {
        let part = SplitArrays::read(&mut arrays, suffix, &described.architecture)?;
        let losses = &described.compile.losses;
        part.with_labels(&mut arrays, model, &described.architecture, losses)
    };
    let all = read("_train")?;
    let given = validated.then(|| read("_val")).transpose()?;
    let test = tested.then(|| read("_test")).transpose()?;
    let share = if given.is_some() { 0.0 } else { *validation };
    let at = all.len() - (all.len() as f64 * share).round() as usize;
    ensure!(at > 0, "validation leaves none of the {} examples to train on", all.len());
    let train = match class_weights.as_slice() {
        [] => all.range(0..at),
        weights => {
            let one = described.compile.losses.len() == 1
                && all.label_shapes().next().is_some_and(|shape| shape.len() == all.len());
            ensure!(one, "class_weights take labels that are one class for each example");
            ensure!(
                !weighed,
                "the data has weights, w_train, beside which class_weights are too many"
            );
            all.range(0..at).class_weights(weights)?
        }
    };
    Ok(Splits {
        vocabulary: None,
        train,
        validation: given.unwrap_or_else(|| all.range(at..all.len())),
        test: test.unwrap_or_else(|| all.range(0..0)),
        unused: arrays.unused(),
        remarks: arrays.take_remarks(),
        windows: None,
    })
}

/// The labels of an output of this shape.
fn labels_for(arrays: &mut Arrays, names: &[&str], loss: Loss, shape: &[usize]) -> Result<Array> {
    let sparse = loss.takes_classes();
    let kind = if sparse { ElementKind::Whole } else { ElementKind::Floats };
    let labels = arrays.array(names, kind)?;
    let mut wanted = if sparse { &shape[..shape.len() - 1] } else { shape }.to_vec();
    let axes = labels.shape().dims();
    if let (Loss::Ctc, [_, steps], [_, length]) = (loss, &mut wanted[..], axes) {
        // The trainer pads shorter labels.
        *steps = (*length).min(*steps);
    }
    let trimmed = |axes: &[usize]| -> Vec<usize> {
        axes.iter().enumerate().filter(|&(i, &n)| i == 0 || n != 1).map(|(_, &n)| n).collect()
    };
    ensure!(
        trimmed(axes) == trimmed(&wanted),
        "the model's output {shape:?} takes {} of shape {wanted:?}, got {axes:?}{}",
        if sparse { "classes" } else { "labels" },
        hint(loss, axes, shape)
    );
    let classes = shape.last().copied().unwrap_or(0);
    labels.reshape(wanted)?.checked(move |labels| check(labels, loss, classes))
}

/// Whether labels are among the classes, or probabilities, where the loss takes such.
fn check(labels: &HostTensor, loss: Loss, classes: usize) -> Result<()> {
    match loss {
        loss if loss.takes_classes() => {
            let labels = labels.as_u32()?;
            if let Some(at) = labels.iter().position(|&class| class as usize >= classes) {
                bail!(
                    "element {at} is class {}; the model has {classes} classes, 0 to {}",
                    labels[at],
                    classes.saturating_sub(1)
                );
            }
        }
        Loss::BinaryCrossentropy(_)
        | Loss::CategoricalCrossentropy(_)
        | Loss::BinaryFocalCrossentropy { .. }
        | Loss::CategoricalFocalCrossentropy { .. } => {
            let mut labels = labels.as_f32()?.iter();
            if let Some(odd) = labels.find(|label| !(0.0..=1.0).contains(*label)) {
                bail!("a label is {odd}; the loss takes probabilities, from 0 to 1");
            }
        }
        _ => {}
    }
    Ok(())
}

/// A hint at a frequent mistake.
fn hint(loss: Loss, axes: &[usize], shape: &[usize]) -> &'static str {
    match loss {
        Loss::CategoricalCrossentropy(_) | Loss::CategoricalFocalCrossentropy { .. }
            if axes.len() < shape.len() =>
        {
            "; of classes by number the loss is \"sparse_categorical_crossentropy\""
        }
        Loss::SparseCategoricalCrossentropy { .. } if axes == shape => {
            "; of probabilities the loss is \"categorical_crossentropy\""
        }
        _ => "",
    }
}
