use crate::layer::{Arguments, ForwardContext, MaskFlow, Value, Weight, WeightArguments};
use crate::onnx::{ExportError, OnnxContext};
use crate::{ConfigError, Initializer, Layer, LayerError};
use rnn_formats::onnx::{Attribute::Int, ValueName};
use rnn_graph::{GraphError, TensorId};
use rnn_ops::{self as ops, StepMask};

/// A table E whose rows are looked up by token: `[..]` -> `[.., width]`, such as `[T]` -> `[T, width]`
/// (keras/src/layers/core/embedding.py). It is called on an input of tokens.
///
/// ```text
/// y(t) = E[token(t)],  E [vocabulary, width]
/// mask(t) = token(t) != 0,  with mask_zero
/// ```
///
/// E is uniform from -0.05 to 0.05 at first. Its gradient is summed in a fixed order of the tokens.
/// Without `mask_zero` token 0 is a token like any other, as in Keras. Unlike in Keras, a token
/// beyond the vocabulary is an error on every device.
#[derive(Clone, Debug)]
pub struct Embedding {
    vocabulary: usize,
    width: usize,
    mask_zero: bool,
    embeddings: WeightArguments,
}

impl Embedding {
    /// Creates a layer with a table `[vocabulary, width]`, uniform from -0.05 to 0.05 at first,
    /// that masks no token. Tokens are 0 to `vocabulary` - 1. If a number is 0, it is refused when
    /// a model adds the layer.
    pub fn new(vocabulary: usize, width: usize) -> Self {
        let embeddings = Initializer::Uniform(-0.05, 0.05).into();
        Self { vocabulary, width, mask_zero: false, embeddings }
    }

    /// Makes the layer mask the steps of token 0, which is padding, for the layers that follow.
    pub fn mask_zero(mut self) -> Self {
        self.mask_zero = true;
        self
    }

    weight_arguments!(
        embeddings,
        embeddings_initializer,
        embeddings_regularizer,
        embeddings_constraint
    );
}

impl Layer for Embedding {
    fn class(&self) -> &'static str {
        "Embedding"
    }

    fn weights(&self, _: &[usize]) -> Result<Vec<Weight>, LayerError> {
        Ok(vec![Weight::new("embeddings", &[self.vocabulary, self.width], &self.embeddings)])
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        Ok([input, &[self.width]].concat())
    }

    fn forward(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        w: &[TensorId],
    ) -> Result<Value, GraphError> {
        let padding = StepMask { padding: 0.0 };
        let mask = self.mask_zero.then(|| cx.graph.apply(padding, &[input.tensor])).transpose()?;
        let tensor = cx.graph.apply(ops::Embedding, &[input.tensor, w[0]])?;
        Ok(Value { tensor, mask })
    }

    fn vocabulary(&self) -> Option<usize> {
        Some(self.vocabulary)
    }

    fn mask_flow(&self) -> MaskFlow {
        if self.mask_zero { MaskFlow::Tokens } else { MaskFlow::Ends }
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let table = cx.constant_weight("embeddings")?;
        let x = cx.x()?;
        Ok(vec![cx.node("Gather", &[&table, &x], &[("axis", Int(0))])])
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.required("input_dim", &mut self.vocabulary)?;
        a.required("output_dim", &mut self.width)?;
        a.optional("mask_zero", &mut self.mask_zero)?;
        a.ignored(&["input_length"]);
        a.weight("embeddings", &mut self.embeddings)
    }
}
