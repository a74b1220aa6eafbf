use crate::dataset::DatasetError;
use crate::tensor_ref::TensorRef;
use rnn_core::{Shape, TensorError};
use rnn_formats::onnx::TooLarge;
use rnn_graph::{DeviceError, GraphError};

/// The error of a layer that does not fit the tensors that it is called on. The message names the
/// layer, the inputs that it takes, and the shapes that were given, without the batch axis.
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
    /// A layer does not fit its inputs.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// An argument of a layer has a value that is not supported, such as 0 units.
    #[error(transparent)]
    Argument(Box<ConfigError>),
    /// The tensor given for a weight, or for a value that the optimizer keeps for it, is missing or
    /// has another shape.
    #[error("weight {name}: the model has {expected:?}, got {found}")]
    Weight {
        /// The name of the weight, such as `lstm/kernel`, or of the optimizer's value, such as
        /// `momentum/lstm/kernel`.
        name: String,
        /// The shape of the weight in the model.
        expected: Vec<usize>,
        /// The shape of the given tensor as a text, or "nothing" if no tensor has the name.
        found: String,
    },
    /// The tensor given for a weight does not hold floats.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// The model has no such tensor. It may belong to another model.
    #[error("{0:?} is not a tensor of this model")]
    UnknownTensor(TensorRef),
    /// A layer was given the name of another layer or of an input.
    #[error("there are two layers or inputs named {0}: each needs a name of its own")]
    Name(String),
    /// A tensor is an input of the model, where an output of a layer is expected.
    #[error("{0:?} is an input of the model: no layer made it")]
    NoLayer(TensorRef),
    /// A tensor has more than 2^31 elements, the most that a device can number.
    #[error("{what} of shape {shape:?} is too large: 2^31 elements are the most")]
    Size {
        /// A description of the tensor for the message, such as "the weight kernel".
        what: String,
        /// The extents of the tensor. Inputs and outputs are without the batch axis.
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
    /// A layer does not fit its inputs, or a tensor of a restored state does not fit a weight.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The graph of a step cannot be built, because an op does not take its operands.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The device cannot run a step, or failed.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// Examples could not be read, or do not belong together.
    #[error(transparent)]
    Data(#[from] DatasetError),
    /// A tensor holds elements of another type, or another number of them, than expected.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// The loss does not depend on the trained weight of this name, so that the weight has no
    /// gradient. Either no output of the model depends on the weight's layer, or the layer does not
    /// use the weight.
    #[error("the loss does not depend on the weight {0}, which therefore cannot be trained")]
    Detached(String),
    /// A token is not in the vocabulary of the layer that looks it up.
    #[error(
        "token {token} in row {row} is beyond the vocabulary of {vocabulary}; load the data with num_words = {vocabulary}"
    )]
    Token {
        /// The token id.
        token: u32,
        /// The number of the example in the batch, from 0 on.
        row: usize,
        /// The number of token ids that exist, which are 0 to `vocabulary` - 1.
        vocabulary: usize,
    },
    /// A label of the sparse categorical cross-entropy is none of the classes of the output.
    #[error(
        "label {class} at {at:?} is none of the {classes} classes of the model's output, 0 to {}",
        classes - 1
    )]
    Class {
        /// The label.
        class: u32,
        /// The indices of the label in the label array `[B, ..]` of the batch, from 0 on.
        at: Vec<usize>,
        /// The number of classes, the extent of the output's last axis.
        classes: usize,
    },
    /// An input of the model has an extent of 0. The shape is that of one example, without the
    /// batch.
    #[error("an input of shape {0} holds nothing: a sequence takes one step at least")]
    Length(Shape),
    /// The loss of a validation is NaN or infinite.
    #[error(
        "the validation loss of epoch {epoch} is {loss}: the examples to validate on hold values that \
         are not finite, or the model's outputs for them are not"
    )]
    ValidationNotFinite {
        /// The loss of the validation.
        loss: f64,
        /// The number of the epoch that the validation ended, from 1 on.
        epoch: usize,
    },
    /// The loss, a weight or another number of the training's state is NaN or infinite.
    #[error("{what} by step {step}; lower the learning rate, or clip gradients")]
    NotFinite {
        /// A description of the number for the message, such as "the loss became NaN".
        what: String,
        /// The number of steps done when the number was seen.
        step: u64,
    },
    /// The labels of an output do not have as many elements as its loss takes.
    #[error("the loss takes labels {expected}, got {found}")]
    Labels {
        /// The shape that the loss takes for this batch.
        expected: Shape,
        /// The shape of the given labels.
        found: Shape,
    },
    /// The weights of examples or steps do not fit an output, as
    /// [`Batch::weights`](crate::Batch::weights) describes.
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
        /// The name of the output.
        output: String,
        /// True if one array of weights was given for several outputs, false if the array is for
        /// this output alone.
        for_all: bool,
        /// The extents `[B, ..]` of the output without its last axis: one loss, and so one weight,
        /// for each element.
        expected: Shape,
        /// The shape of the given weights.
        found: Shape,
    },
    /// A mask of steps arrives at an output that does not have one loss for each step.
    #[error(
        "a mask of {steps} steps arrives at the output {output}, each example of which has losses of shape {values:?}: a mask takes one loss for each step, in Keras too; end it before the output, for instance with a Reshape or Flatten layer"
    )]
    Mask {
        /// The name of the output.
        output: String,
        /// The number of steps of the mask.
        steps: usize,
        /// The extents of the losses of one example: those of the output without the batch and the
        /// last axis.
        values: Vec<usize>,
    },
    /// A layer keeps a tensor from batch to batch that several ranks cannot share, such as a
    /// recurrent state. The text is the name of the tensor.
    #[error("{0} is kept from batch to batch, which several ranks cannot do: train on one")]
    Stateful(String),
    /// A restored state is from within an epoch, and holds another number of metric sums than this
    /// version of the program computes.
    #[error(
        "the state after step {step} is from within an epoch whose metrics another version of this program counts otherwise: go on with that version to the end of the epoch, or from a state between epochs"
    )]
    Sums {
        /// The number of steps done when the state was taken.
        step: u64,
    },
    /// A batch of a stateful model has another number of examples than the batch before.
    #[error(
        "{name} is kept from batch to batch for {kept} rows, and here is a batch of {found}: batches of a stateful model have all the same size, so take one that divides the number of examples, or leave some out"
    )]
    StateRows {
        /// The name of the state, such as `lstm/state`.
        name: String,
        /// The number of examples of the batches until now.
        kept: usize,
        /// The number of examples of this batch.
        found: usize,
    },
    /// A step takes a tensor that was not given. The text is the name of the tensor in the step's
    /// graph, such as `labels_0`.
    #[error("the step takes {0}, which was not given")]
    StepInput(String),
    /// A rank holds other weights, states, data or options than rank 0.
    #[error(
        "after step {step} rank {rank} holds other numbers than rank 0: all ranks need the same program, data, options and kind of device"
    )]
    Apart {
        /// The number of the first rank that differs from rank 0.
        rank: usize,
        /// The number of steps done when the difference was seen.
        step: u64,
    },
    /// A callback failed, or a restored state belongs to another number of callbacks. The text is
    /// the message.
    #[error("{0}")]
    Callback(String),
    /// There is not one array for each input, or not one array of labels, array of weights or loss
    /// for each output.
    #[error("the model has {expected} {ends}, got {found} {given}")]
    Count {
        /// "inputs" or "outputs", whichever the things are given for.
        ends: &'static str,
        /// The number of inputs or outputs of the model.
        expected: usize,
        /// The kind of things that were given, such as "arrays" or "losses".
        given: &'static str,
        /// The number of things that were given.
        found: usize,
    },
    /// The model has no output that labels could be compared with.
    #[error("the model has no output to compare with labels: name one with Model::with_outputs")]
    NoOutput,
    /// A prediction is to be ascribed to tokens, and the model has no Embedding layer on which its
    /// first output depends.
    #[error("the model has no Embedding layer, to whose tokens a prediction could be ascribed")]
    NoEmbedding,
    /// A batch or dataset has no examples.
    #[error("there are no examples to work on")]
    Empty,
}

/// The reason why a model, layer, optimizer or loss cannot be read from Keras's JSON, written to
/// it, or built from it.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// An argument has a value that is not supported.
    #[error("{owner}: {argument} = {value} is not supported; supported: {supported}")]
    Argument {
        /// The layer, optimizer or loss that has the argument, such as `layer lstm (LSTM)`.
        owner: String,
        /// Keras's name of the argument.
        argument: String,
        /// The given value as JSON, cut after 160 characters.
        value: String,
        /// A text that lists the supported values.
        supported: String,
    },
    /// An argument that has no default is missing.
    #[error("{owner}: the argument {argument} is missing")]
    Missing {
        /// The layer, optimizer or loss that lacks the argument.
        owner: String,
        /// Keras's name of the argument.
        argument: String,
    },
    /// The class of a model, layer, optimizer or loss is not supported.
    #[error("{owner}: {class} is not supported; supported: {supported}")]
    Class {
        /// The object that should be of the class, such as `optimizer` or `layer lstm (LSTM)`.
        owner: String,
        /// Keras's class name.
        class: String,
        /// The names of the supported classes, separated by commas.
        supported: String,
    },
    /// A layer or optimizer cannot be described in Keras's terms.
    #[error("{owner} cannot be written for Keras: {what}")]
    Foreign {
        /// The layer or optimizer, such as `layer lstm (LSTM)`.
        owner: String,
        /// A description of the property that Keras does not have.
        what: String,
    },
    /// The parts of a description do not fit together, or one has an unknown form. The text is the
    /// message.
    #[error("{0}")]
    Structure(String),
    /// A layer does not fit the tensors that it is called on.
    #[error("layer {name}")]
    Layer {
        /// The name of the layer.
        name: String,
        /// The reason why the layer does not fit.
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
    /// A layer, or the way in which it is used, has no counterpart in ONNX.
    #[error("layer {layer} ({class}) has no counterpart in ONNX: {what}")]
    Layer {
        /// The name of the layer.
        layer: String,
        /// Keras's class name of the layer.
        class: &'static str,
        /// A description of the counterpart that is missing, or of the reason.
        what: String,
    },
    /// A weight cannot be read, or an output is no tensor of the model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The file would take 2 GiB or more.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
}
