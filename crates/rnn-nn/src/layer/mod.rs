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
pub(crate) use wrapped::{INPUT_ARGUMENTS, check, class_and_arguments, written};

use crate::onnx::{ExportError, OnnxContext};
use crate::{ConfigError, LayerError};
use dyn_clone::DynClone;
use rnn_formats::onnx::ValueName;
use rnn_graph::{GraphError, TensorId};

/// The mask of a layer's first output as a function of those of its inputs (`compute_mask` in Keras
/// 3).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MaskFlow {
    /// The mask of the first input.
    Passes,
    /// No mask.
    Ends,
    /// A mask of the steps whose token is 0.
    Tokens,
    /// A mask of the steps whose features all equal this number.
    Steps(f32),
    /// A step is unmasked if it is in one of the inputs; no mask, if an input has none.
    Either,
    /// A step is unmasked if it is in one of the inputs, whose features are concatenated; an input
    /// without a mask leaves all steps unmasked.
    ConcatenatedFeatures,
    /// The masks of sequences that are concatenated along time.
    ConcatenatedSteps,
}

/// One layer of a model. Shapes are without the batch axis and in Keras's order; inside the graph
/// a sequence is time-major, `[T, B, F]`.
pub trait Layer: std::fmt::Debug + DynClone + Send + Sync {
    /// Keras's class name.
    fn class(&self) -> &'static str;

    /// The weights for an input of this shape, the first of several inputs; none, unless the layer
    /// says otherwise.
    ///
    /// # Errors
    /// Fails if the input does not fit.
    fn weights(&self, _input: &[usize]) -> Result<Vec<Weight>, LayerError> {
        Ok(vec![])
    }

    /// The shape of the output for an input of this shape.
    ///
    /// # Errors
    /// Fails if the input does not fit.
    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError>;

    /// Adds the forward pass of one input; `weights` are in the order of [`Layer::weights`].
    ///
    /// # Errors
    /// Fails if the input does not fit.
    fn forward(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        weights: &[TensorId],
    ) -> Result<Value, GraphError>;

    /// The shapes of all outputs for all inputs; a layer of one input and one output leaves it as
    /// it is.
    ///
    /// # Errors
    /// Fails if the inputs do not fit.
    fn output_shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Vec<usize>>, LayerError> {
        match inputs {
            [input] => Ok(vec![self.output_shape(input)?]),
            _ => Err(LayerError::of(self.class(), "one input", inputs)),
        }
    }

    /// Adds the forward pass of all inputs and returns all outputs.
    ///
    /// # Errors
    /// Fails if the inputs do not fit.
    fn forward_all(
        &self,
        cx: &mut ForwardContext<'_>,
        inputs: &[Value],
        weights: &[TensorId],
    ) -> Result<Vec<Value>, GraphError> {
        inputs.iter().map(|&input| self.forward(cx, input, weights)).collect()
    }

    /// The number of token ids that the layer accepts, if it takes token ids.
    fn vocabulary(&self) -> Option<usize> {
        None
    }

    /// Adds the forward pass of each step of a sequence `[T, B, ..]` by itself, for a layer within
    /// TimeDistributed whose result differs from that of all steps as one batch; `None` for all
    /// others.
    ///
    /// # Errors
    /// Fails if the input does not fit.
    fn steps(
        &self,
        _: &mut ForwardContext<'_>,
        _: Value,
        _: &[TensorId],
    ) -> Result<Option<Value>, GraphError> {
        Ok(None)
    }

    /// Returns true if the output of an example in training depends on the other examples.
    fn sees_batch(&self) -> bool {
        false
    }

    /// Says what becomes of the mask of the input; by default it is the mask of the first output, as
    /// in Keras's layers that support masking and compute none. [`Self::forward`] must treat the
    /// mask as this says.
    fn mask_flow(&self) -> MaskFlow {
        MaskFlow::Passes
    }

    /// Returns true if Keras takes several inputs as one argument, a list.
    fn merges(&self) -> bool {
        false
    }

    /// Returns true if the layer computes masked steps differently at inference, beyond what
    /// [`Layer::mask_flow`] says.
    fn uses_mask(&self) -> bool {
        false
    }

    /// Adds ONNX operators that compute the layer at inference, and returns its outputs.
    ///
    /// # Errors
    /// Fails if ONNX has no counterpart; without this method, always.
    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        Err(cx.refuse("this layer has none"))
    }

    /// Visits the layer's arguments by Keras's names, which serves reading, writing and checking of
    /// descriptions.
    ///
    /// # Errors
    /// Fails if an argument is not supported; without this method, always.
    fn arguments(&mut self, arguments: &mut Arguments<'_>) -> Result<(), ConfigError> {
        Err(ConfigError::Foreign {
            owner: arguments.owner().to_owned(),
            what: format!("{} does not say its arguments", self.class()),
        })
    }
}

dyn_clone::clone_trait_object!(Layer);
