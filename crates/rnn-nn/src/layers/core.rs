use super::OutputActivation;
use super::axes::swap_leading;
use crate::layer::{Arguments, ForwardContext, MaskFlow, Numbers, Value, Weight, WeightArguments};
use crate::{ConfigError, Initializer, Layer, LayerError};
use rnn_graph::{GraphError, TensorId};
use rnn_ops::{self as ops, Binary, MaskItems, Matmul, Penalty, StepMask};

/// Sets a fraction of the elements to zero during training and scales the others up: any shape ->
/// the same.
///
/// ```text
/// y = x m / (1 - rate),  m = 0 with probability rate, else 1     during training
/// y = x                                                          otherwise
/// ```
///
/// Unlike Keras: m is a function of (seed, step, layer, element), the same on every run and device;
/// a rate of 1 is refused; there is no `noise_shape`. A mask is passed on.
#[derive(Clone, Debug)]
pub struct Dropout {
    rate: f32,
}

impl Dropout {
    /// Drops this fraction, in 0..1.
    pub fn new(rate: f32) -> Self {
        Self { rate }
    }
}

impl Layer for Dropout {
    fn class(&self) -> &'static str {
        "Dropout"
    }

    fn weights(&self, _: &[usize]) -> Result<Vec<Weight>, LayerError> {
        Ok(vec![])
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        Ok(input.to_vec())
    }

    fn forward(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        _: &[TensorId],
    ) -> Result<Value, GraphError> {
        Ok(Value { tensor: cx.drop(self.rate, input.tensor)?, ..input })
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.required("rate", &mut self.rate)?;
        a.number("rate", &mut self.rate, Numbers::Rate)?;
        a.ignored(&["seed"]);
        Ok(())
    }
}

/// Drops whole features of a sequence, at every step the same: `[T, F]` -> `[T, F]`.
///
/// ```text
/// y(t, f) = x(t, f) m(f) / (1 - rate)                            during training
/// ```
///
/// m as in [`Dropout`]. A mask is passed on.
#[derive(Clone, Debug)]
pub struct SpatialDropout1D {
    rate: f32,
}

impl SpatialDropout1D {
    /// Drops this fraction of the features, in 0..1.
    pub fn new(rate: f32) -> Self {
        Self { rate }
    }
}

impl Layer for SpatialDropout1D {
    fn class(&self) -> &'static str {
        "SpatialDropout1D"
    }

    fn weights(&self, _: &[usize]) -> Result<Vec<Weight>, LayerError> {
        Ok(vec![])
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        match input {
            [_, _] => Ok(input.to_vec()),
            _ => Err(LayerError::new("SpatialDropout1D", "a sequence [T, F]", input)),
        }
    }

    fn forward(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        _: &[TensorId],
    ) -> Result<Value, GraphError> {
        let step = cx.graph.shape(input.tensor).dims()[1..].to_vec();
        match cx.drop_factors(self.rate, step)? {
            None => Ok(input),
            Some(factors) => {
                let tensor = cx.graph.apply(Binary::Mul, &[input.tensor, factors])?;
                Ok(Value { tensor, ..input })
            }
        }
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.required("rate", &mut self.rate)?;
        a.number("rate", &mut self.rate, Numbers::Rate)?;
        a.ignored(&["seed"]);
        Ok(())
    }
}

/// Skips the steps whose features all equal a value: `[T, F]` -> `[T, F]`, those steps zero.
///
/// ```text
/// mask(t) = any over f of x(t, f) != value,  y(t, f) = x(t, f) mask(t)
/// ```
///
/// Layers behind it skip the steps until one puts out something else than a sequence: recurrent
/// layers keep their state, and [`GlobalAveragePooling1D`](crate::GlobalAveragePooling1D) leaves
/// the steps out of the mean.
#[derive(Clone, Debug)]
pub struct Masking {
    value: f32,
}

impl Masking {
    /// Steps of this value are skipped.
    pub fn new(value: f32) -> Self {
        Self { value }
    }
}

impl Layer for Masking {
    fn class(&self) -> &'static str {
        "Masking"
    }

    fn weights(&self, _: &[usize]) -> Result<Vec<Weight>, LayerError> {
        Ok(vec![])
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        match input {
            [_, _] => Ok(input.to_vec()),
            _ => Err(LayerError::new("Masking", "a sequence [T, F]", input)),
        }
    }

    fn forward(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        _: &[TensorId],
    ) -> Result<Value, GraphError> {
        let mask = cx.graph.apply(StepMask { padding: self.value }, &[input.tensor])?;
        let tensor = cx.graph.apply(MaskItems, &[input.tensor, mask])?;
        Ok(Value { tensor, mask: Some(mask) })
    }

    fn mask_flow(&self) -> MaskFlow {
        MaskFlow::Steps(self.value)
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.optional("mask_value", &mut self.value)
    }
}

/// A product over the last axis: `[.., F]` -> `[.., units]`.
///
/// ```text
/// y = activation(x W + b),  W [F, units], b [units]
/// ```
///
/// Begins with Glorot-uniform W and b = 0, as in Keras. The activation is given with the units, and
/// may be [`Softmax`]. Of a sequence a mask is passed on.
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
    /// A layer of this width.
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

    /// Without cx.
    pub fn without_bias(mut self) -> Self {
        self.use_bias = false;
        self
    }

    /// Adds the size of the output to the loss.
    pub fn activity_regularizer(mut self, regularizer: Penalty) -> Self {
        self.activity_regularizer = Some(regularizer);
        self
    }

    weight_arguments!(kernel, kernel_initializer, kernel_regularizer, kernel_constraint);
    weight_arguments!(bias, bias_initializer, bias_regularizer, bias_constraint);
}

/// x W + b with the weights of a layer that may have no bias.
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
            Some((_, rest)) => Ok([rest, &[self.units]].concat()),
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

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.required("units", &mut self.units)?;
        a.optional("activation", &mut self.activation)?;
        a.optional("use_bias", &mut self.use_bias)?;
        a.weight("kernel", &mut self.kernel)?;
        a.weight("bias", &mut self.bias)?;
        a.optional("activity_regularizer", &mut self.activity_regularizer)
    }
}

/// Probabilities over the last axis, `[.., C]` -> `[.., C]`; also an activation of [`Dense`]:
/// `Dense::new(3, Softmax)`.
///
/// ```text
/// y_c = exp(x_c - max x) / sum over k of exp(x_k - max x)
/// ```
///
/// Unlike Keras's layer it takes no other axis. Keras applies a mask to that axis, which a mask of
/// steps does not fit: it is refused, as there. A cross-entropy takes x itself, not y.
#[derive(Clone, Copy, Debug)]
pub struct Softmax;

/// Keras's `Softmax` layer takes a mask of features, as which it takes one of steps, too.
const NO_MASK: &str = "no mask of steps; the layer Activation(\"softmax\") passes one on";

impl Layer for Softmax {
    fn class(&self) -> &'static str {
        "Softmax"
    }

    fn weights(&self, _: &[usize]) -> Result<Vec<Weight>, LayerError> {
        Ok(vec![])
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        Ok(input.to_vec())
    }

    fn forward(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        _: &[TensorId],
    ) -> Result<Value, GraphError> {
        if input.mask.is_some() {
            return Err(cx.misfit("Softmax", input.tensor, NO_MASK));
        }
        Ok(cx.graph.apply(ops::Softmax, &[input.tensor])?.into())
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.fixed("axis", -1)
    }
}

/// A layer applied to every step with the same weights: `[T, ..]` -> `[T, ..]`.
///
/// ```text
/// y(t) = layer(x(t))
/// ```
///
/// All steps are computed at once, as a batch of B T examples; where they are not alike to the
/// layer, as to [`BatchNormalization`](crate::BatchNormalization) in training, each is a batch of
/// its own. A mask is passed on, and shown to such a layer alone. As in Keras
/// (keras/src/layers/rnn/time_distributed.py) an `activity_regularizer` of the layer does not act.
#[derive(Clone, Debug)]
pub struct TimeDistributed<L>(pub L);

impl<L: Layer + Clone + 'static> Layer for TimeDistributed<L> {
    fn class(&self) -> &'static str {
        "TimeDistributed"
    }

    fn weights(&self, input: &[usize]) -> Result<Vec<Weight>, LayerError> {
        let weights = self.0.weights(input.get(1..).unwrap_or_default())?;
        Ok(weights.into_iter().map(|weight| weight.of("layer")).collect())
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        match input.split_first() {
            Some((&steps, step)) => Ok([&[steps], &self.0.output_shape(step)?[..]].concat()),
            None => Err(LayerError::new("TimeDistributed", "a sequence [T, ..]", input)),
        }
    }

    fn vocabulary(&self) -> Option<usize> {
        self.0.vocabulary()
    }

    fn forward(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        w: &[TensorId],
    ) -> Result<Value, GraphError> {
        if let Some(steps) = self.0.steps(cx, input, w)? {
            return Ok(steps);
        }
        if input.mask.is_some() && self.0.class() == "Softmax" {
            return Err(cx.misfit("Softmax", input.tensor, NO_MASK));
        }
        let axes = cx.graph.shape(input.tensor).dims().to_vec();
        let penalties = cx.penalties.len();
        let rows = cx.graph.reshape(input.tensor, [&[axes[0] * axes[1]], &axes[2..]].concat())?;
        // A step may have several axes itself, of which the first stands in front of the examples.
        let rows = swap_leading(cx, rows)?;
        let output = self.0.forward(cx, rows.into(), w)?.tensor;
        // The layers within a Bidirectional have theirs at every step, each a mean over B examples.
        match self.0.class() {
            "Bidirectional" => {
                for penalty in penalties..cx.penalties.len() {
                    let mean = cx.penalties[penalty];
                    cx.penalties[penalty] = cx.graph.apply(ops::Scale(axes[0] as f32), &[mean])?;
                }
            }
            _ => cx.penalties.truncate(penalties),
        }
        let output = swap_leading(cx, output)?;
        let step = cx.graph.shape(output).dims()[1..].to_vec();
        let tensor = cx.graph.reshape(output, [&axes[..2], &step].concat())?;
        Ok(Value { tensor, ..input })
    }

    fn steps(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        w: &[TensorId],
    ) -> Result<Option<Value>, GraphError> {
        if !cx.trains() || !self.0.sees_batch() {
            return Ok(None);
        }
        if input.mask.is_some() {
            let wanted = "no mask within another TimeDistributed, as in Keras";
            return Err(cx.misfit("TimeDistributed", input.tensor, wanted));
        }
        let axes = cx.graph.shape(input.tensor).dims().to_vec();
        let step: usize = axes[1..].iter().product();
        let (mut rows, mut shape) = (Vec::new(), vec![]);
        for at in 0..axes[0] {
            let x = cx.graph.view(input.tensor, at * step, &axes[1..])?;
            let x = swap_leading(cx, x)?;
            let y = self.forward(cx, x.into(), w)?.tensor;
            let y = swap_leading(cx, y)?;
            shape = cx.graph.shape(y).dims().to_vec();
            rows.push(cx.graph.reshape(y, [1, shape.iter().product::<usize>()])?);
        }
        let all = cx.graph.apply(ops::Concat, &rows)?;
        let tensor = cx.graph.reshape(all, [&axes[..1], &shape].concat())?;
        Ok(Some(Value { tensor, ..input }))
    }

    fn sees_batch(&self) -> bool {
        self.0.sees_batch()
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        let given = a.layer("layer", &mut self.0)?;
        if !given {
            return Err(a.missing("layer"));
        }
        Ok(())
    }
}
