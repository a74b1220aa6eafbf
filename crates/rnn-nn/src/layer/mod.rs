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

/// What a layer makes of masks, as its `compute_mask` says in Keras 3.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MaskFlow {
    /// That of the first input is that of the first output.
    Passes,
    /// There is none behind it.
    Ends,
    /// Masks tokens 0.
    Tokens,
    /// Masks steps whose features all equal this.
    Steps(f32),
    /// A step takes part where it does in one of the inputs; without a mask if one has none.
    Either,
    /// The same of features that are put side by side, where an input without a mask has all steps.
    SideBySide,
    /// The masks of sequences one behind the other.
    OneBehindTheOther,
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
    /// If the input does not fit.
    fn weights(&self, _input: &[usize]) -> Result<Vec<Weight>, LayerError> {
        Ok(vec![])
    }

    /// The shape of the output.
    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError>;

    /// Adds the layer's nodes; `weights` are in the order of [`Layer::weights`].
    fn forward(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        weights: &[TensorId],
    ) -> Result<Value, GraphError>;

    /// The shapes of all outputs for all inputs: one of each, unless the layer says otherwise.
    fn output_shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Vec<usize>>, LayerError> {
        match inputs {
            [input] => Ok(vec![self.output_shape(input)?]),
            _ => Err(LayerError::of(self.class(), "one input", inputs)),
        }
    }

    /// Adds the layer's nodes for all inputs and returns all outputs.
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

    /// The layer applied to each step of a sequence `[T, B, ..]` by itself, one after the other,
    /// where that is something else than all steps as one batch of examples.
    fn steps(
        &self,
        _: &mut ForwardContext<'_>,
        _: Value,
        _: &[TensorId],
    ) -> Result<Option<Value>, GraphError> {
        Ok(None)
    }

    /// Whether what the layer makes of an example during training depends on the others.
    fn sees_batch(&self) -> bool {
        false
    }

    /// What becomes of the masks of its inputs; nodes that the layer adds do the same.
    fn mask_flow(&self) -> MaskFlow {
        MaskFlow::Passes
    }

    /// Whether several inputs are one argument, a list, to Keras.
    fn merges(&self) -> bool {
        false
    }

    /// True, if the layer computes something else of masked steps than of others at inference,
    /// beyond what [`Layer::mask_flow`] says.
    fn uses_mask(&self) -> bool {
        false
    }

    /// Adds ONNX operators that compute the layer at inference, and returns its outputs.
    ///
    /// # Errors
    /// If ONNX has no counterpart; without this method, always.
    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        Err(cx.refuse("this layer has none"))
    }

    /// Keras's names of the layer's arguments: replaces them by those of a description, or says
    /// what they are.
    ///
    /// # Errors
    /// If one of them is not supported; without this method, always.
    fn arguments(&mut self, arguments: &mut Arguments<'_>) -> Result<(), ConfigError> {
        Err(ConfigError::Foreign {
            owner: arguments.owner().to_owned(),
            what: format!("{} does not say its arguments", self.class()),
        })
    }
}

dyn_clone::clone_trait_object!(Layer);
