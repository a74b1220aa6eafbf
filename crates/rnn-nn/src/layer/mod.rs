//! The trait of layers, their weights and arguments, and the context in which they run forward.

mod arguments;
mod context;
mod dialect;
mod values;
mod weight;
mod weight_values;
mod wrapped;

pub use arguments::{Argument, Arguments, Numbers};
pub use context::{ForwardContext, Value};
pub use dialect::{Dialect, Reader};
pub(crate) use values::{class_and_config, object, same_name, shown};
pub use weight::{Weight, WeightArguments};
pub(crate) use wrapped::{INPUT_ARGUMENTS, check, class_and_arguments, module_of, written};

use crate::onnx::{ExportError, OnnxContext};
use crate::{ConfigError, LayerError};
use dyn_clone::DynClone;
use rnn_formats::onnx::ValueName;
use rnn_graph::{GraphError, TensorId};

/// The way in which the mask of a layer's first output follows from the masks of its inputs
/// (`compute_mask` in Keras 3). The other outputs have no mask.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MaskFlow {
    /// The output has the mask of the first input: `supports_masking` in Keras.
    Passes,
    /// The output has no mask: a layer without `supports_masking` in Keras.
    Ends,
    /// The input holds tokens, and the steps whose token is 0 are masked.
    Tokens,
    /// The steps whose features all equal this number are masked.
    Steps(f32),
    /// A step is unmasked if it is unmasked in at least one input. If an input has no mask, nor has
    /// the output.
    Either,
    /// A step is unmasked if it is unmasked in at least one of the inputs, whose features are
    /// concatenated. In an input without a mask all steps are unmasked. If no input has a mask, nor
    /// has the output.
    ConcatenatedFeatures,
    /// The inputs are concatenated along time, and so are their masks. In an input without a mask
    /// all steps are unmasked. If no input has a mask, nor has the output.
    ConcatenatedSteps,
}

/// One layer of a model. The shapes that its methods take and return are those of one example,
/// without the batch axis and in Keras's order of axes. In the graph, tensors are laid out as
/// [`Value::tensor`] describes.
pub trait Layer: std::fmt::Debug + DynClone + Send + Sync {
    /// Returns Keras's class name, such as `LSTM`.
    fn class(&self) -> &'static str;

    /// Returns the weights of the layer for an input of the shape `input`, the first if it has
    /// several. By default there are none.
    ///
    /// # Errors
    /// Fails if the input does not fit the layer.
    fn weights(&self, _input: &[usize]) -> Result<Vec<Weight>, LayerError> {
        Ok(vec![])
    }

    /// Returns the weights of the layer for inputs of the shapes `inputs`. By default they depend on
    /// the first alone: [`Layer::weights`].
    ///
    /// # Errors
    /// Fails if the inputs do not fit the layer.
    fn weights_of(&self, inputs: &[&[usize]]) -> Result<Vec<Weight>, LayerError> {
        self.weights(inputs.first().copied().unwrap_or_default())
    }

    /// Returns the shape of the output for an input of the shape `input`.
    ///
    /// # Errors
    /// Fails if the input does not fit the layer.
    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError>;

    /// Adds the forward pass of one input to the graph of `cx` and returns the output. `weights`
    /// holds a tensor for each weight of [`Layer::weights`], in that order.
    ///
    /// # Errors
    /// Fails if the input does not fit the layer.
    fn forward(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        weights: &[TensorId],
    ) -> Result<Value, GraphError>;

    /// Returns the shapes of all outputs for inputs of the shapes `inputs`. By default, for a layer
    /// of one input and one output, it is [`Layer::output_shape`].
    ///
    /// # Errors
    /// Fails if the inputs, or their number, do not fit the layer.
    fn output_shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Vec<usize>>, LayerError> {
        match inputs {
            [input] => Ok(vec![self.output_shape(input)?]),
            _ => Err(LayerError::of(self.class(), "one input", inputs)),
        }
    }

    /// Adds the forward pass of all inputs and returns all outputs. By default it is
    /// [`Layer::forward`] of each input. `weights` are as there.
    ///
    /// # Errors
    /// Fails if the inputs do not fit the layer.
    fn forward_all(
        &self,
        cx: &mut ForwardContext<'_>,
        inputs: &[Value],
        weights: &[TensorId],
    ) -> Result<Vec<Value>, GraphError> {
        inputs.iter().map(|&input| self.forward(cx, input, weights)).collect()
    }

    /// Returns the number of token ids that the layer accepts, 0 to this number - 1; `None` if it
    /// takes no tokens.
    fn vocabulary(&self) -> Option<usize> {
        None
    }

    /// Adds the forward pass of each step of `input`, `[T, B, ..]`, as a batch of its own, and
    /// returns the output, `[T, B, ..]`. [`TimeDistributed`](crate::TimeDistributed) calls it.
    /// `None` if all steps together, as one batch of B T examples, give the same result, as by
    /// default.
    ///
    /// # Errors
    /// Fails if the input does not fit the layer.
    fn steps(
        &self,
        _: &mut ForwardContext<'_>,
        _: Value,
        _: &[TensorId],
    ) -> Result<Option<Value>, GraphError> {
        Ok(None)
    }

    /// Returns true if, in training, the output for an example depends on the other examples of the
    /// batch. The default is false.
    fn sees_batch(&self) -> bool {
        false
    }

    /// Returns the way in which the mask of the first output follows from the masks of the inputs;
    /// the default is [`MaskFlow::Passes`]. The masks that the forward pass returns must agree with
    /// it.
    fn mask_flow(&self) -> MaskFlow {
        MaskFlow::Passes
    }

    /// Returns true if Keras's layer takes its inputs as one argument, a list. The default is
    /// false.
    fn merges(&self) -> bool {
        false
    }

    /// Returns true if Keras's layer takes each input as an argument of its own, in order. The
    /// default is false: those behind the first are states.
    fn separates(&self) -> bool {
        false
    }

    /// Returns the switches that are on in Keras's calls of the layer, such as `use_causal_mask`.
    /// Keras keeps them beside the inputs of a call; [`Arguments::switch`] reads them. By default
    /// there are none.
    fn switches(&self) -> Vec<&'static str> {
        vec![]
    }

    /// Returns true if, at inference, the layer's outputs depend on the mask of its input. The
    /// default is false.
    fn uses_mask(&self) -> bool {
        false
    }

    /// Returns Keras's module of the class if it is an operation of `keras.ops` and not a layer. The
    /// default is `None`. An operation has no weights, no mask and no `trainable`, and its argument
    /// `operands` is what it is called on.
    fn operation(&self) -> Option<&'static str> {
        None
    }

    /// Returns the numbers that the graph keeps for the layer; none by default.
    fn constants(&self) -> Vec<f32> {
        vec![]
    }

    /// Returns true if the layer can be called on an input of tokens. By default it is one that has
    /// a [`Layer::vocabulary`].
    fn takes_tokens(&self) -> bool {
        self.vocabulary().is_some()
    }

    /// Adds ONNX operators that compute the layer at inference to the graph of `cx`, and returns
    /// the names of its outputs.
    ///
    /// # Errors
    /// Fails if ONNX has no counterpart of the layer. The default always fails.
    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        Err(cx.refuse("this layer has none"))
    }

    /// Passes each argument of the layer to `arguments`, by Keras's name. This one method serves to
    /// read, write and check descriptions.
    ///
    /// # Errors
    /// Fails with the error of an argument. The default always fails, with
    /// [`ConfigError::Foreign`].
    fn arguments(&mut self, arguments: &mut Arguments<'_>) -> Result<(), ConfigError> {
        Err(ConfigError::Foreign {
            owner: arguments.owner().to_owned(),
            what: format!("{} does not say its arguments", self.class()),
        })
    }
}

dyn_clone::clone_trait_object!(Layer);
