use super::core::{activate, project};
use super::{Build, Layer, LayerError, Value, Weight, WeightArguments};
use crate::Initializer;
use rnn_graph::{GraphError, TensorId};
use rnn_ops::{Activation, AveragePool, MaskedMean, MaxPool, Padding, Penalty, Unfold, Window};

/// A convolution over time: `[T, C]` -> `[T', filters]`, y(t) = activation(sum over j of
/// x(t stride + j dilation - before) W_j + b).
#[derive(Clone, Debug)]
pub struct Conv1D {
    filters: usize,
    kernel_size: usize,
    strides: usize,
    dilation_rate: usize,
    padding: Padding,
    activation: Activation,
    use_bias: bool,
    kernel: WeightArguments,
    bias: WeightArguments,
    activity_regularizer: Option<Penalty>,
}

impl Conv1D {
    /// Filters over so many steps; stride 1, no padding, linear.
    pub fn new(filters: usize, kernel_size: usize) -> Self {
        Self {
            filters,
            kernel_size,
            strides: 1,
            dilation_rate: 1,
            padding: Padding::Valid,
            activation: Activation::Linear,
            use_bias: true,
            kernel: Initializer::GlorotUniform.into(),
            bias: Initializer::Zeros.into(),
            activity_regularizer: None,
        }
    }

    /// Steps from one window to the next.
    pub fn strides(mut self, strides: usize) -> Self {
        self.strides = strides;
        self
    }

    /// Steps from one that a window sees to the next.
    pub fn dilation_rate(mut self, dilation_rate: usize) -> Self {
        self.dilation_rate = dilation_rate;
        self
    }

    /// What lies beyond the ends.
    pub fn padding(mut self, padding: Padding) -> Self {
        self.padding = padding;
        self
    }

    /// Applied at the end.
    pub fn activation(mut self, activation: Activation) -> Self {
        self.activation = activation;
        self
    }

    /// Without b.
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

    fn window(&self, steps: usize) -> Option<Window> {
        Window::over(steps, (self.kernel_size, self.strides, self.dilation_rate), self.padding)
    }
}

impl Layer for Conv1D {
    fn class(&self) -> &'static str {
        "Conv1D"
    }

    fn weights(&self, input: &[usize]) -> Result<Vec<Weight>, LayerError> {
        self.output(input)?;
        let shape = [self.kernel_size, input[1], self.filters];
        let mut all = vec![Weight::new("kernel", &shape, &self.kernel)];
        let bias = || Weight::new("bias", &[self.filters], &self.bias);
        all.extend(self.use_bias.then(bias));
        Ok(all)
    }

    fn output(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        let windows = match *input {
            [steps, _] => self.window(steps).map(|w| w.windows),
            _ => None,
        };
        let too_short = || LayerError::new("Conv1D", "a sequence [T, C] as long as it", input);
        Ok(vec![windows.ok_or_else(too_short)?, self.filters])
    }

    fn build(&self, b: &mut Build<'_>, input: Value, w: &[TensorId]) -> Result<Value, GraphError> {
        let [steps, _, channels] = [0, 1, 2].map(|axis| b.graph.shape(input.tensor).dims()[axis]);
        let taps = match self.window(steps) {
            Some(window) if self.kernel_size > 1 || self.strides > 1 => {
                b.graph.apply(Unfold(window), &[input.tensor])?
            }
            _ => input.tensor,
        };
        let kernel = b.graph.reshape(w[0], [self.kernel_size * channels, self.filters])?;
        let z = project(b, taps, kernel, w.get(1).copied())?;
        let output = activate(b, z, self.activation)?;
        b.regularize(output, self.activity_regularizer.as_ref())?;
        Ok(output.into())
    }
}

/// What a pooling layer keeps of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pooling {
    Max,
    Average,
}

/// One value for the steps of a window: `[T, C]` -> `[T', C]`, or `[C]` of all steps.
#[derive(Clone, Debug)]
pub struct Pooling1D {
    kind: Pooling,
    /// Size and stride; none for all steps.
    window: Option<(usize, usize)>,
    padding: Padding,
}

macro_rules! pooling {
    ($name:ident, $global:ident, $kind:ident, $what:literal) => {
        #[doc = $what]
        #[doc = " of windows of so many steps, one after the other."]
        #[allow(non_snake_case, reason = "named as Keras's layer, which it makes")]
        pub fn $name(pool_size: usize) -> Pooling1D {
            let window = Some((pool_size, pool_size));
            Pooling1D { kind: Pooling::$kind, window, padding: Padding::Valid }
        }

        #[doc = $what]
        #[doc = " of all steps."]
        #[allow(non_snake_case, reason = "named as Keras's layer, which it makes")]
        pub fn $global() -> Pooling1D {
            Pooling1D { kind: Pooling::$kind, window: None, padding: Padding::Valid }
        }
    };
}

pooling!(MaxPooling1D, GlobalMaxPooling1D, Max, "The largest value");
pooling!(AveragePooling1D, GlobalAveragePooling1D, Average, "The mean");

impl Pooling1D {
    /// Steps from one window to the next, if not the window's size.
    pub fn strides(mut self, strides: usize) -> Self {
        if let Some((_, stride)) = &mut self.window {
            *stride = strides;
        }
        self
    }

    /// What lies beyond the ends; it is never counted.
    pub fn padding(mut self, padding: Padding) -> Self {
        self.padding = padding;
        self
    }

    fn over(&self, steps: usize) -> Option<Window> {
        let (size, stride) = self.window.unwrap_or((steps, 1));
        Window::over(steps, (size, stride, 1), self.padding)
    }
}

impl Layer for Pooling1D {
    fn class(&self) -> &'static str {
        match (self.kind, self.window) {
            (Pooling::Max, Some(_)) => "MaxPooling1D",
            (Pooling::Max, None) => "GlobalMaxPooling1D",
            (Pooling::Average, Some(_)) => "AveragePooling1D",
            (Pooling::Average, None) => "GlobalAveragePooling1D",
        }
    }

    fn weights(&self, _: &[usize]) -> Result<Vec<Weight>, LayerError> {
        Ok(vec![])
    }

    fn output(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        let fit = match *input {
            [steps, channels] => self.over(steps).map(|window| (window.windows, channels)),
            _ => None,
        };
        match fit {
            Some((_, channels)) if self.window.is_none() => Ok(vec![channels]),
            Some((windows, channels)) => Ok(vec![windows, channels]),
            None => Err(LayerError::new(self.class(), "a sequence [T, C] as long as it", input)),
        }
    }

    fn build(&self, b: &mut Build<'_>, input: Value, _: &[TensorId]) -> Result<Value, GraphError> {
        let [steps, batch, channels] =
            [0, 1, 2].map(|axis| b.graph.shape(input.tensor).dims()[axis]);
        // The model has checked that it fits; one step alone is its own mean.
        let Some(window) = self.over(steps) else { return Ok(input) };
        if let (Pooling::Average, None, Some(mask)) = (self.kind, self.window, input.mask) {
            return Ok(b.graph.push(MaskedMean, &[input.tensor, mask])?[0].into());
        }
        let pooled = match self.kind {
            Pooling::Max => b.graph.push(MaxPool(window), &[input.tensor])?[0],
            Pooling::Average => b.graph.apply(AveragePool(window), &[input.tensor])?,
        };
        match self.window {
            Some(_) => Ok(pooled.into()),
            None => Ok(b.graph.reshape(pooled, [batch, channels])?.into()),
        }
    }
}
