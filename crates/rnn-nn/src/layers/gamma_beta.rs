use crate::layer::{Arguments, ForwardContext, Weight, WeightArguments};
use crate::{ConfigError, Initializer, LayerError};
use rnn_graph::{GraphError, TensorId};
use rnn_ops::{Affine, Binary, Scale};

/// The scale and shift after a normalization over the last axis: y = x gamma + beta.
#[derive(Clone, Debug)]
pub(super) struct GammaBeta {
    /// The axis: -1, or its number as Keras counts, with the batch as 0. It must be the last.
    pub axis: isize,
    /// True if there is a factor gamma, false if it is left out.
    pub scale: bool,
    /// True if there is a summand beta, false if it is left out.
    pub center: bool,
    /// Initializer, regularizer and constraint of gamma.
    pub gamma: WeightArguments,
    /// Initializer, regularizer and constraint of beta.
    pub beta: WeightArguments,
}

impl GammaBeta {
    /// Creates a scale and a shift over the last axis; gamma begins as ones, beta as zeros.
    pub fn new() -> Self {
        let (gamma, beta) = (Initializer::Ones.into(), Initializer::Zeros.into());
        Self { axis: -1, scale: true, center: true, gamma, beta }
    }

    /// Returns F, the number of features in the last axis of an input `[.., F]`; `class` names the
    /// layer in the error.
    ///
    /// # Errors
    /// Fails if the input has no axis, or the layer's axis is not the last.
    pub fn width(&self, class: &'static str, input: &[usize]) -> Result<usize, LayerError> {
        let last = self.axis == -1 || usize::try_from(self.axis) == Ok(input.len());
        let width = input.last().filter(|_| last);
        width.copied().ok_or_else(|| LayerError::new(class, "[.., F] along the last axis", input))
    }

    /// Returns the weights gamma and beta, each `[width]`, in this order and without those that are
    /// left out.
    pub fn weights(&self, width: usize) -> Vec<Weight> {
        let gamma = self.scale.then(|| Weight::new("gamma", &[width], &self.gamma));
        let beta = self.center.then(|| Weight::new("beta", &[width], &self.beta));
        gamma.into_iter().chain(beta).collect()
    }

    /// Adds y = x gamma + beta to the graph, without the part whose weight is left out. x and y:
    /// `[.., F]`; `w`: the views of the weights of [`Self::weights`], `[F]`.
    ///
    /// # Errors
    /// Fails if the shapes do not agree.
    pub fn apply(
        &self,
        cx: &mut ForwardContext<'_>,
        x: TensorId,
        w: &[TensorId],
    ) -> Result<TensorId, GraphError> {
        match *w {
            [gamma, beta] => cx.graph.apply(Affine, &[x, gamma, beta]),
            [gamma] if self.scale => cx.graph.apply(Binary::Mul, &[x, gamma]),
            [beta] => cx.graph.apply(Binary::Add, &[x, beta]),
            _ => Ok(x),
        }
    }

    /// Adds a normalization with given mean and scale, and then gamma and beta, in one pass: y =
    /// ((x - mean) scale) gamma + beta, computed as x a + b, where a = scale gamma and b = beta -
    /// mean a. x and y: `[.., F]`; all others: `[F]`.
    ///
    /// # Errors
    /// Fails if the shapes do not agree.
    pub fn apply_fixed(
        &self,
        cx: &mut ForwardContext<'_>,
        (x, mean, scale): (TensorId, TensorId, TensorId),
        w: &[TensorId],
    ) -> Result<TensorId, GraphError> {
        let mut shift = cx.graph.apply(Scale(-1.0), &[mean])?;
        let mut factor = scale;
        if let Some(&gamma) = w.first().filter(|_| self.scale) {
            factor = cx.graph.apply(Binary::Mul, &[scale, gamma])?;
        }
        shift = cx.graph.apply(Binary::Mul, &[shift, factor])?;
        if let Some(&beta) = w.last().filter(|_| self.center) {
            shift = cx.graph.apply(Binary::Add, &[shift, beta])?;
        }
        cx.graph.apply(Affine, &[x, factor, shift])
    }

    /// Visits the arguments by Keras's names: `axis`, `scale`, `center`, and those of gamma and
    /// beta.
    ///
    /// # Errors
    /// Fails if the value of an argument is not supported.
    pub fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.optional("axis", &mut self.axis)?;
        a.optional("scale", &mut self.scale)?;
        a.optional("center", &mut self.center)?;
        a.weight("gamma", &mut self.gamma)?;
        a.weight("beta", &mut self.beta)
    }
}

macro_rules! affine_arguments {
    () => {
        /// Leaves out gamma, the factor after the normalization, which the layer has by default:
        /// Keras's `scale=False`.
        pub fn without_scale(mut self) -> Self {
            self.affine.scale = false;
            self
        }

        /// Leaves out beta, the summand after the normalization, which the layer has by default:
        /// Keras's `center=False`.
        pub fn without_center(mut self) -> Self {
            self.affine.center = false;
            self
        }
    };
}

pub(super) use affine_arguments;
