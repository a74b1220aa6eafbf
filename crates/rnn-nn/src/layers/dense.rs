use super::OutputActivation;
use crate::layer::{Arguments, ForwardContext, Value, Weight, WeightArguments};
use crate::onnx::{ExportError, OnnxContext};
use crate::{ConfigError, Initializer, Layer, LayerError};
use rnn_formats::onnx::ValueName;
use rnn_graph::{GraphError, TensorId};
use rnn_ops::{Matmul, Penalty};

/// A fully connected layer over the last axis: `[.., F]` -> `[.., units]`
/// (keras/src/layers/core/dense.py).
///
/// ```text
/// y = activation(x W + b),  W [F, units], b [units]
/// ```
///
/// W is Glorot-uniform and b zeros at first, as in Keras. The activation may be
/// [`Softmax`](crate::Softmax). A mask of steps is passed on.
#[derive(Clone, Debug)]
pub struct Dense {
    units: usize,
    activation: OutputActivation,
    use_bias: bool,
    kernel: WeightArguments,
    bias: WeightArguments,
    activity_regularizer: Option<Penalty>,
}

impl Dense {
    /// Creates a layer of `units` units, at least 1, with the activation `activation`, a
    /// Glorot-uniform kernel and a bias of zeros; 0 is refused when a model adds the layer.
    pub fn new(units: usize, activation: impl Into<OutputActivation>) -> Self {
        Self {
            units,
            activation: activation.into(),
            use_bias: true,
            kernel: Initializer::GlorotUniform.into(),
            bias: Initializer::Zeros.into(),
            activity_regularizer: None,
        }
    }

    /// Leaves out the bias, which the layer has by default.
    pub fn without_bias(mut self) -> Self {
        self.use_bias = false;
        self
    }

    /// Sets the penalty on the output that is added to the loss, in place of an earlier one; there
    /// is none by default.
    pub fn activity_regularizer(mut self, regularizer: Penalty) -> Self {
        self.activity_regularizer = Some(regularizer);
        self
    }

    weight_arguments!(kernel, kernel_initializer, kernel_regularizer, kernel_constraint);
    weight_arguments!(bias, bias_initializer, bias_regularizer, bias_constraint);
}

/// Adds x W + b, or x W without a bias.
pub(super) fn project(
    cx: &mut ForwardContext<'_>,
    x: TensorId,
    w: TensorId,
    bias: Option<TensorId>,
) -> Result<TensorId, GraphError> {
    let mut operands = vec![x, w];
    operands.extend(bias);
    cx.graph.apply(Matmul { bias: bias.is_some(), ..Matmul::default() }, &operands)
}

impl Layer for Dense {
    fn class(&self) -> &'static str {
        "Dense"
    }

    fn weights(&self, input: &[usize]) -> Result<Vec<Weight>, LayerError> {
        self.output_shape(input)?;
        let width = input.last().copied().unwrap_or(0);
        let mut all = vec![Weight::new("kernel", &[width, self.units], &self.kernel)];
        let bias = || Weight::new("bias", &[self.units], &self.bias);
        all.extend(self.use_bias.then(bias));
        Ok(all)
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        match input.split_last() {
            Some((_, rest)) => self.activation.shape("Dense", [rest, &[self.units]].concat()),
            None => Err(LayerError::new("Dense", "[.., F]", &[])),
        }
    }

    fn forward(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        w: &[TensorId],
    ) -> Result<Value, GraphError> {
        let z = project(cx, input.tensor, w[0], w.get(1).copied())?;
        let tensor = self.activation.apply(cx, z)?;
        cx.regularize(tensor, self.activity_regularizer.as_ref())?;
        Ok(Value { tensor, ..input })
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let kernel = cx.constant_weight("kernel")?;
        let x = cx.x()?;
        let product = cx.node("MatMul", &[&x, &kernel], &[]);
        let biased = cx.add_bias(product, self.use_bias)?;
        Ok(vec![self.activation.apply_onnx(cx, &biased)])
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.required("units", &mut self.units)?;
        a.optional("activation", &mut self.activation)?;
        a.optional("use_bias", &mut self.use_bias)?;
        a.weight("kernel", &mut self.kernel)?;
        a.weight("bias", &mut self.bias)?;
        a.in_training("activity_regularizer", &mut self.activity_regularizer)
    }
}
