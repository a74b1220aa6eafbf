use crate::Loss;
use crate::dataset::DatasetError;
use crate::tensor_ref::TensorRef;
use rnn_core::{Shape, TensorError};
use rnn_formats::onnx::TooLarge;
use rnn_graph::{DeviceError, GraphError};

/// The error of a layer that cannot take the inputs that it is called on. Its text names the layer,
/// what it takes, and the shapes that it got, without the batch axis.
#[derive(Debug, thiserror::Error)]
#[error("{layer} takes {expected}, got {found} (without the batch axis)")]
pub struct LayerError {
    pub(crate) layer: &'static str,
    pub(crate) expected: &'static str,
    pub(crate) found: String,
}

impl LayerError {
    pub(crate) fn new(layer: &'static str, expected: &'static str, found: &[usize]) -> Self {
        Self { layer, expected, found: format!("{found:?}") }
    }

    /// The error of a layer of several inputs.
    pub(crate) fn of(layer: &'static str, expected: &'static str, found: &[&[usize]]) -> Self {
        Self { layer, expected, found: format!("{found:?}") }
    }
}

/// The reason why a model cannot be built or loaded.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A layer that does not fit its inputs.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// An argument of a layer has a value that is out of its range.
    #[error(transparent)]
    Argument(Box<ConfigError>),
    /// Weights from elsewhere do not fit.
    #[error("weight {name}: the model has {expected:?}, got {found}")]
    Weight {
        /// Its name.
        name: String,
        /// The model's shape.
        expected: Vec<usize>,
        /// The shape that was given, or "nothing".
        found: String,
    },
    /// A weight is not of floats.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// A tensor that the model does not have, such as one of another model.
    #[error("{0:?} is not a tensor of this model")]
    UnknownTensor(TensorRef),
    /// Two layers or inputs of one name.
    #[error("there are two layers or inputs named {0}: each needs a name of its own")]
    Name(String),
    /// An input where an output of a layer is expected.
    #[error("{0:?} is an input of the model: no layer made it")]
    NoLayer(TensorRef),
    /// Elements that a device could not number.
    #[error("{what} of shape {shape:?} is too large: 2^31 elements are the most")]
    Size {
        /// The tensor that has them.
        what: String,
        /// The shape.
        shape: Vec<usize>,
    },
}

/// The most elements of a tensor of one example, and of all weights.
const MAX_ELEMENTS: usize = 1 << 31;

/// The number of elements of a shape.
///
/// # Errors
/// Fails if a device could not number them.
pub(crate) fn elements(what: &str, shape: &[usize]) -> Result<usize, ModelError> {
    let elements = shape.iter().try_fold(1usize, |n, &extent| n.checked_mul(extent));
    let size = || ModelError::Size { what: what.to_owned(), shape: shape.to_vec() };
    elements.filter(|&n| n <= MAX_ELEMENTS).ok_or_else(size)
}

/// The reason why a training, an evaluation or a prediction stopped.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The model does not fit together.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The model cannot be turned into a graph.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The device failed.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// Examples could not be read.
    #[error(transparent)]
    Data(#[from] DatasetError),
    /// A tensor is of the wrong kind.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// The model's last layer is not one that the loss can be computed for.
    #[error("{} needs a model that ends in {}, or from_logits = true", loss.name(), ending(*loss))]
    Output {
        /// The loss.
        loss: Loss,
    },
    /// A weight without a gradient; always a mistake in a layer.
    #[error("the loss does not depend on the weight {0}, which therefore cannot be trained")]
    Detached(String),
    /// A token is not in the vocabulary.
    #[error(
        "token {token} in row {row} is beyond the vocabulary of {vocabulary}; load the data with num_words = {vocabulary}"
    )]
    Token {
        /// The token id.
        token: u32,
        /// The row of the batch.
        row: usize,
        /// The first id that does not exist.
        vocabulary: usize,
    },
    /// A label is none of the classes.
    #[error(
        "label {class} in row {row} is none of the {classes} classes of the model's output, 0 to {}",
        classes - 1
    )]
    Class {
        /// The label.
        class: u32,
        /// The row of the batch.
        row: usize,
        /// The number that was given.
        classes: usize,
    },
    /// The model's input holds nothing.
    #[error("an input of shape {0} holds nothing: a sequence takes one step at least")]
    Length(Shape),
    /// The loss of a validation is not finite.
    #[error(
        "the validation loss of epoch {epoch} is {loss}: the examples to validate on hold values that \
         are not finite, or the model's outputs for them are not"
    )]
    ValidationNotFinite {
        /// The loss.
        loss: f64,
        /// The epoch, from 1 on.
        epoch: usize,
    },
    /// The loss or a weight is not a finite number any more.
    #[error("{what} by step {step}; lower the learning rate, or clip gradients")]
    NotFinite {
        /// The quantity that is not finite.
        what: String,
        /// The steps done when that was seen.
        step: u64,
    },
    /// Labels that the loss cannot compare with the output.
    #[error("the loss takes labels {expected}, got {found}")]
    Labels {
        /// The shape for this batch.
        expected: Shape,
        /// The shape given.
        found: Shape,
    },
    /// Weights of examples or steps that do not fit an output.
    #[error(
        "weights of shape {found} do not fit the output {output}{}: it takes one number for each example, {}{}",
        if *for_all { ", one array being for all outputs" } else { "" },
        Shape::from([expected.dims().first().copied().unwrap_or(0)]),
        if *for_all || expected.dims().len() < 2 {
            String::new()
        } else {
            format!(", or for each step, {expected}")
        }
    )]
    Weights {
        /// The output's name.
        output: String,
        /// They are those of all outputs.
        for_all: bool,
        /// The axes of the positions that have a loss of their own.
        expected: Shape,
        /// The shape given.
        found: Shape,
    },
    /// A mask that does not fit the losses of an output.
    #[error(
        "a mask of {steps} steps arrives at the output {output}, each example of which has losses of shape {values:?}: a mask takes one loss for each step, in Keras too; end it before the output, for instance with a Reshape or Flatten layer"
    )]
    Mask {
        /// The output's name.
        output: String,
        /// The mask's steps.
        steps: usize,
        /// The extents of the losses of an example.
        values: Vec<usize>,
    },
    /// A layer whose state belongs to the examples of one rank.
    #[error("{0} is kept from batch to batch, which several ranks cannot do: train on one")]
    Stateful(String),
    /// The middle of an epoch of which a version of this program counted something else.
    #[error(
        "the state after step {step} is from within an epoch whose metrics another version of this program counts otherwise: go on with that version to the end of the epoch, or from a state between epochs"
    )]
    Sums {
        /// The steps done when it was taken.
        step: u64,
    },
    /// A batch whose rows are not those of which layers keep the states.
    #[error(
        "{name} is kept from batch to batch for {kept} rows, and here is a batch of {found}: batches of a stateful model have all the same size, so take one that divides the number of examples, or leave some out"
    )]
    StateRows {
        /// Whose state.
        name: String,
        /// The rows of the batches until now.
        kept: usize,
        /// The rows of this batch.
        found: usize,
    },
    /// A tensor that a step takes and was not given.
    #[error("the step takes {0}, which was not given")]
    StepInput(String),
    /// Ranks do not hold the same.
    #[error(
        "after step {step} rank {rank} holds other numbers than rank 0: all ranks need the same program, data, options and kind of device"
    )]
    Apart {
        /// The first that is apart.
        rank: usize,
        /// The steps done when that was seen.
        step: u64,
    },
    /// A callback could not do its work.
    #[error("{0}")]
    Callback(String),
    /// Not one array for each input, or not labels or a loss for each output.
    #[error("the model has {expected} {ends}, got {found} {given}")]
    Count {
        /// "inputs" or "outputs".
        ends: &'static str,
        /// The number that the model has.
        expected: usize,
        /// The things that were given.
        given: &'static str,
        /// The number that was given.
        found: usize,
    },
    /// A model without an output.
    #[error("the model has no output to compare with labels: name one with Model::with_outputs")]
    NoOutput,
    /// A prediction that cannot be ascribed to tokens.
    #[error("the model has no Embedding layer, to whose tokens a prediction could be ascribed")]
    NoEmbedding,
    /// A batch or data set without examples.
    #[error("there are no examples to work on")]
    Empty,
}

fn ending(loss: Loss) -> &'static str {
    match loss {
        Loss::BinaryCrossentropy(_) => "a sigmoid",
        _ => "a Softmax layer",
    }
}

/// The reason why a description is not one of a model that can be computed.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// An argument has a value that is not supported.
    #[error("{owner}: {argument} = {value} is not supported; supported: {supported}")]
    Argument {
        /// Whose argument.
        owner: String,
        /// Its name.
        argument: String,
        /// The value that was given.
        value: String,
        /// The values that may be given.
        supported: String,
    },
    /// An argument without a default is not there.
    #[error("{owner}: the argument {argument} is missing")]
    Missing {
        /// Whose argument.
        owner: String,
        /// Its name.
        argument: String,
    },
    /// A layer, optimizer or loss of a kind that does not exist here.
    #[error("{owner}: {class} is not supported; supported: {supported}")]
    Class {
        /// Where it stands.
        owner: String,
        /// Keras's class name.
        class: String,
        /// Those that exist.
        supported: String,
    },
    /// A model that cannot be described in Keras's terms.
    #[error("{owner} cannot be written for Keras: {what}")]
    Foreign {
        /// The layer.
        owner: String,
        /// The property that Keras does not have.
        what: String,
    },
    /// A description that hangs together wrongly.
    #[error("{0}")]
    Structure(String),
    /// A layer does not fit what stands before it.
    #[error("layer {name}")]
    Layer {
        /// Its name.
        name: String,
        /// Why.
        source: Box<ModelError>,
    },
}

impl ConfigError {
    pub(crate) fn structure(message: impl Into<String>) -> Self {
        Self::Structure(message.into())
    }
}

/// The reason why a model cannot be exported to ONNX.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A layer, or what it is asked to do, has no counterpart.
    #[error("layer {layer} ({class}) has no counterpart in ONNX: {what}")]
    Layer {
        /// Its name.
        layer: String,
        /// Its class.
        class: &'static str,
        /// The missing counterpart, and what to do.
        what: String,
    },
    /// A weight cannot be read.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The file would be too large.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
}
