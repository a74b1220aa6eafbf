use super::axes::{AxisSet, NO_AXES};
use crate::layer::{Argument, Arguments, ForwardContext, Reader, Weight, WeightArguments};
use crate::{ConfigError, Initializer, LayerError};
use rnn_graph::{GraphError, TensorId};
use rnn_ops::{Affine, Binary, Scale};

/// The scale and shift after a normalization, which have the extents of some axes of an example: y =
/// x gamma + beta.
#[derive(Clone, Debug)]
pub(super) struct GammaBeta {
    /// The axes of gamma and beta.
    pub axes: AxisSet,
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
        Self { axes: AxisSet::LAST, scale: true, center: true, gamma, beta }
    }

    /// Returns the places of the axes in an example `input`, in rising order; `class` names the layer
    /// in the error.
    ///
    /// # Errors
    /// Fails if the input lacks one of the axes.
    pub fn places(&self, class: &'static str, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        self.axes.places(input.len()).ok_or_else(|| LayerError::new(class, NO_AXES, input))
    }

    /// Returns the shape of gamma and beta for an example `input`: the extents of the axes, sorted by
    /// their numbers as in Keras.
    ///
    /// # Errors
    /// Fails as [`Self::places`].
    pub fn shape(&self, class: &'static str, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        self.places(class, input)?;
        let extent = |axis: isize| AxisSet::of([axis]).places(input.len()).map(|at| input[at[0]]);
        Ok(self.axes.iter().filter_map(extent).collect())
    }

    /// Returns the weights gamma and beta for an example `input`, each of [`Self::shape`], in this
    /// order and without those that are left out.
    ///
    /// # Errors
    /// Fails as [`Self::places`].
    pub fn weights(&self, class: &'static str, input: &[usize]) -> Result<Vec<Weight>, LayerError> {
        let shape = self.shape(class, input)?;
        let gamma = self.scale.then(|| Weight::new("gamma", &shape, &self.gamma));
        let beta = self.center.then(|| Weight::new("beta", &shape, &self.beta));
        Ok(gamma.into_iter().chain(beta).collect())
    }

    /// Adds y = x gamma + beta to the graph, without the part whose weight is left out. x and y:
    /// `[.., F]`, the axes of the weights being the last; `w`: the views of the weights of
    /// [`Self::weights`], of F elements.
    ///
    /// # Errors
    /// Fails if the shapes do not agree.
    pub fn apply(
        &self,
        cx: &mut ForwardContext<'_>,
        x: TensorId,
        w: &[TensorId],
    ) -> Result<TensorId, GraphError> {
        let width = cx.graph.shape(x).last();
        let flat = w.iter().map(|&w| match cx.graph.shape(w).rank() {
            1 => Ok(w),
            _ => cx.graph.reshape(w, [width]),
        });
        match flat.collect::<Result<Vec<_>, _>>()?[..] {
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
        a.optional("axis", &mut self.axes)?;
        a.optional("scale", &mut self.scale)?;
        a.optional("center", &mut self.center)?;
        a.weight("gamma", &mut self.gamma)?;
        a.weight("beta", &mut self.beta)
    }

    /// Visits the arguments as [`Self::arguments`], of a layer that has one axis.
    ///
    /// # Errors
    /// Fails as [`Self::arguments`], and if there are several axes.
    pub fn arguments_of_one_axis(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        self.arguments(a)?;
        match self.axes.single() {
            Some(_) => Ok(()),
            None => {
                let axes = self.axes.write(Reader::Ours).unwrap_or_default();
                Err(a.refuse("axis", &axes, "one axis behind the batch".into()))
            }
        }
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
