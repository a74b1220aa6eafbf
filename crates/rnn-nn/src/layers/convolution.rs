//! What all layers that convolve have beside their kernels.

use super::OutputActivation;
use super::spatial::{PerAxis, Spatial};
use crate::layer::{Arguments, ForwardContext, Value, Weight, WeightArguments};
use crate::{ConfigError, Initializer, LayerError};
use rnn_graph::{GraphError, TensorId};
use rnn_ops::{Binary, Penalty};

/// The windows of a convolution over N axes, and what follows it: a bias, an activation, and a
/// penalty on the output.
#[derive(Clone, Debug)]
pub(super) struct Convolution<const N: usize> {
    pub spatial: Spatial<N>,
    pub activation: OutputActivation,
    pub use_bias: bool,
    pub bias: WeightArguments,
    pub activity_regularizer: Option<Penalty>,
}

pub(super) const EXPECTED: &str = "as many axes as its windows, as long as they are, and channels";

impl<const N: usize> Convolution<N> {
    /// Creates windows of this size with Keras's defaults: stride 1, dilation 1, valid padding, no
    /// activation and a bias of zeros.
    pub fn new(kernel_size: impl PerAxis<N>) -> Self {
        Self {
            spatial: Spatial::new(kernel_size),
            activation: OutputActivation::default(),
            use_bias: true,
            bias: Initializer::Zeros.into(),
            activity_regularizer: None,
        }
    }

    /// Returns the channels of an input `[A1, .., AN, C]` of the layer `class`, and the shape of the
    /// output, if there are `filters(C)` filters.
    ///
    /// # Errors
    /// Fails if the windows do not fit the input, there are no filters, or the activation does not
    /// take them.
    pub fn shape(
        &self,
        class: &'static str,
        input: &[usize],
        filters: impl FnOnce(usize) -> Option<usize>,
    ) -> Result<(usize, Vec<usize>), LayerError> {
        let misfit = || LayerError::new(class, EXPECTED, input);
        let (&channels, extents) = input.split_last().ok_or_else(misfit)?;
        let results = self.spatial.results(extents).ok_or_else(misfit)?;
        let filters = filters(channels).ok_or_else(misfit)?;
        Ok((channels, self.activation.shape(class, [results, vec![filters]].concat())?))
    }

    /// Returns the shape of a kernel with these extents behind those of a window.
    pub fn kernel_shape(&self, last: [usize; 2]) -> Vec<usize> {
        [&self.spatial.size[..], &last].concat()
    }

    /// Returns the weights of the layer: its kernels, then the bias of `filters` filters, if there
    /// is one.
    pub fn weights(&self, mut kernels: Vec<Weight>, filters: usize) -> Vec<Weight> {
        let bias = || Weight::new("bias", &[filters], &self.bias);
        kernels.extend(self.use_bias.then(bias));
        kernels
    }

    /// Adds the bias to x, if there is one; for an op that does not add it itself.
    pub fn add_bias(
        cx: &mut ForwardContext<'_>,
        x: TensorId,
        bias: Option<&TensorId>,
    ) -> Result<TensorId, GraphError> {
        match bias {
            Some(&bias) => cx.graph.apply(Binary::Add, &[x, bias]),
            None => Ok(x),
        }
    }

    /// Adds the activation of z and the penalty on the output, and returns the output.
    pub fn finish(&self, cx: &mut ForwardContext<'_>, z: TensorId) -> Result<Value, GraphError> {
        let output = self.activation.apply(cx, z)?;
        cx.regularize(output, self.activity_regularizer.as_ref())?;
        Ok(output.into())
    }

    /// Visits the arguments of the output: `activation` and `use_bias`, those of `kernels` by their
    /// names, those of the bias, and `activity_regularizer`.
    pub fn output_arguments(
        &mut self,
        a: &mut Arguments<'_>,
        kernels: &mut [(&str, &mut WeightArguments)],
    ) -> Result<(), ConfigError> {
        a.optional("activation", &mut self.activation)?;
        a.optional("use_bias", &mut self.use_bias)?;
        for (name, kernel) in kernels {
            a.weight(name, kernel)?;
        }
        a.weight("bias", &mut self.bias)?;
        a.in_training("activity_regularizer", &mut self.activity_regularizer)
    }
}

/// The methods that set the fields of a [`Convolution`], for a layer over N axes whose field
/// `common` it is.
macro_rules! convolution_arguments {
    () => {
        /// Sets the distance in pixels between neighbouring windows, along all axes or along each;
        /// the default is 1.
        pub fn strides(mut self, strides: impl PerAxis<N>) -> Self {
            self.common.spatial.strides = strides.per_axis();
            self
        }

        /// Sets the distance in pixels between neighbouring taps of a window, along all axes or
        /// along each; the default is 1.
        pub fn dilation_rate(mut self, dilation_rate: impl PerAxis<N>) -> Self {
            self.common.spatial.dilation_rate = dilation_rate.per_axis();
            self
        }

        /// Sets the padding; the default is [`Padding::Valid`](rnn_ops::Padding::Valid).
        /// [`Padding::Causal`](rnn_ops::Padding::Causal) is for [`Conv1D`](crate::Conv1D) alone,
        /// and is refused for others when a model adds the layer.
        pub fn padding(mut self, padding: rnn_ops::Padding) -> Self {
            self.common.spatial.padding = padding;
            self
        }

        /// Sets the activation of the output, which is linear by default.
        pub fn activation(mut self, activation: impl Into<OutputActivation>) -> Self {
            self.common.activation = activation.into();
            self
        }

        /// Leaves out the bias, which the layer has by default.
        pub fn without_bias(mut self) -> Self {
            self.common.use_bias = false;
            self
        }

        /// Sets the penalty on the output that is added to the loss, in place of an earlier one;
        /// there is none by default.
        pub fn activity_regularizer(mut self, regularizer: rnn_ops::Penalty) -> Self {
            self.common.activity_regularizer = Some(regularizer);
            self
        }

        weight_arguments!(common.bias, bias_initializer, bias_regularizer, bias_constraint);
    };
}

pub(super) use convolution_arguments;
