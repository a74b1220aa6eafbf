use super::gamma_beta::{GammaBeta, affine_arguments};
use crate::layer::{Arguments, ForwardContext, Numbers, Value, Weight};
use crate::onnx::{ExportError, OnnxContext, OnnxTensor};
use crate::{ConfigError, Layer, LayerError};
use rnn_formats::onnx::{
    Attribute::{Float, Int},
    ValueName,
};
use rnn_graph::{GraphError, TensorId};
use rnn_ops::Normalize;

/// Layer normalization, zero mean and unit variance over the last axis, then gamma and beta: `[..,
/// F]` -> `[.., F]`.
///
/// ```text
/// y = gamma (x - mean(x)) / sqrt(var(x) + epsilon) + beta,  gamma, beta [F]
/// ```
///
/// var is the biased variance, and epsilon is 0.001 by default, as in Keras
/// (keras/src/layers/normalization/layer_normalization.py). Unlike Keras's, the axis is always the
/// last. A mask is passed on.
#[derive(Clone, Debug)]
pub struct LayerNormalization {
    epsilon: f32,
    affine: GammaBeta,
}

impl LayerNormalization {
    /// Creates a layer with Keras's defaults: an epsilon of 0.001, gamma that begins at 1 and beta
    /// at 0.
    pub fn new() -> Self {
        Self { epsilon: 1e-3, affine: GammaBeta::new() }
    }

    /// Sets the number that is added to the variance, above 0; the default is 0.001.
    pub fn epsilon(mut self, epsilon: f32) -> Self {
        self.epsilon = epsilon;
        self
    }

    affine_arguments!();
}

impl Default for LayerNormalization {
    fn default() -> Self {
        Self::new()
    }
}

impl Layer for LayerNormalization {
    fn class(&self) -> &'static str {
        "LayerNormalization"
    }

    fn weights(&self, input: &[usize]) -> Result<Vec<Weight>, LayerError> {
        Ok(self.affine.weights(self.affine.width(self.class(), input)?))
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        self.affine.width(self.class(), input)?;
        Ok(input.to_vec())
    }

    fn forward(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        w: &[TensorId],
    ) -> Result<Value, GraphError> {
        let normal = cx.graph.push(Normalize { epsilon: self.epsilon }, &[input.tensor])?[0];
        Ok(Value { tensor: self.affine.apply(cx, normal, w)?, ..input })
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let OnnxTensor { value: x, dims } = cx.input()?;
        let width = dims.last().copied().unwrap_or(1);
        let gamma = match self.affine.scale {
            true => cx.constant_weight("gamma")?,
            false => {
                let ones = cx.tensor([width], vec![1.0; width])?;
                cx.graph.tensor("gamma", &ones)
            }
        };
        let mut operands = vec![x, gamma];
        if self.affine.center {
            operands.push(cx.constant_weight("beta")?);
        }
        let operands: Vec<&ValueName> = operands.iter().collect();
        let attributes = [("axis", Int(-1)), ("epsilon", Float(self.epsilon))];
        Ok(vec![cx.node("LayerNormalization", &operands, &attributes)])
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.number("epsilon", &mut self.epsilon, Numbers::NotNegative)?;
        self.affine.arguments(a)
    }
}
