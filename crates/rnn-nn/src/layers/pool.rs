use super::spatial::{PerAxis, Spatial};
use crate::layer::{Arguments, ForwardContext, MaskFlow, Value};
use crate::onnx::{ExportError, OnnxContext, OnnxTensor};
use crate::{ConfigError, Layer, LayerError};
use rnn_formats::onnx::{
    Attribute::{Int, Ints},
    ValueName,
};
use rnn_graph::{GraphError, TensorId};
use rnn_ops::{AveragePool, MaskedMean, MaxPool, Padding, Windows};

/// The value that a pooling layer takes from a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Max,
    Average,
}

/// A pooling over N axes, which takes one value from each window: `[A1, .., AN, C]` -> `[A1', ..,
/// AN', C]`. A global pooling takes one from all pixels: `[A1, .., AN, C]` -> `[C]`. p is the
/// position of a window, j that of a tap in it; A' is the number of windows along an axis of A
/// pixels with K taps (keras/src/layers/pooling/base_pooling.py).
///
/// ```text
/// y(p, c) = max or mean over taps j of x(p stride + j - before, c)
/// A' = (A - K) / stride + 1, rounded down                       valid: before = 0
/// A' = A / stride, rounded up                                   same: before = P / 2, rounded down
/// ```
///
/// `before` is the number of pixels of padding at the beginning of an axis, and P = max((A' - 1)
/// stride + K - A, 0) the number at both ends. Padding counts in no maximum and no mean. If maxima are equal, the gradient goes to the first. Channels come last. As
/// in Keras, the global mean over time leaves masked steps out; it is 0 if all are masked, where
/// Keras's is 0 / 0. All others ignore a mask. The output has no mask. A global pooling with
/// [`Self::keepdims`] keeps the pooled axes, with an extent of 1 each.
#[derive(Clone, Debug)]
pub struct Pooling<const N: usize> {
    kind: Kind,
    /// None for all pixels.
    spatial: Option<Spatial<N>>,
    /// Of a global pooling.
    keepdims: bool,
}

macro_rules! pooling {
    ($axes:literal, $name:ident, $global:ident, $kind:ident, $what:literal) => {
        #[doc = concat!("Creates a layer that outputs ", $what)]
        #[doc = " of each window of `pool_size` pixels. The stride is the window size, and there is no"]
        #[doc = " padding, by default; shapes and equations are those of [`Pooling`]."]
        #[allow(non_snake_case, reason = "named as Keras's layer, which it makes")]
        pub fn $name(pool_size: impl PerAxis<$axes>) -> Pooling<$axes> {
            let mut spatial = Spatial::new(pool_size);
            spatial.strides = spatial.size;
            Pooling { kind: Kind::$kind, spatial: Some(spatial), keepdims: false }
        }

        #[doc = concat!("Creates a layer that outputs ", $what)]
        #[doc = " of all pixels: `[A1, .., AN, C]` -> `[C]`."]
        #[allow(non_snake_case, reason = "named as Keras's layer, which it makes")]
        pub fn $global() -> Pooling<$axes> {
            Pooling { kind: Kind::$kind, spatial: None, keepdims: false }
        }
    };
}

pooling!(1, MaxPooling1D, GlobalMaxPooling1D, Max, "the largest value");
pooling!(2, MaxPooling2D, GlobalMaxPooling2D, Max, "the largest value");
pooling!(3, MaxPooling3D, GlobalMaxPooling3D, Max, "the largest value");
pooling!(1, AveragePooling1D, GlobalAveragePooling1D, Average, "the mean");
pooling!(2, AveragePooling2D, GlobalAveragePooling2D, Average, "the mean");
pooling!(3, AveragePooling3D, GlobalAveragePooling3D, Average, "the mean");

impl<const N: usize> Pooling<N> {
    /// Sets the distance in pixels between neighbouring windows, along all axes or along each; the
    /// default is the window size. It does nothing to a global pooling.
    pub fn strides(mut self, strides: impl PerAxis<N>) -> Self {
        if let Some(spatial) = &mut self.spatial {
            spatial.strides = strides.per_axis();
        }
        self
    }

    /// Sets the padding, whose pixels are left out of maxima and means; the default is
    /// [`Padding::Valid`]. It does nothing to a global pooling.
    pub fn padding(mut self, padding: Padding) -> Self {
        if let Some(spatial) = &mut self.spatial {
            spatial.padding = padding;
        }
        self
    }

    /// Makes a global pooling keep the axes that it pools, with an extent of 1 each: `[A1, .., AN,
    /// C]` -> `[1, .., 1, C]`, Keras's `keepdims=True`. It does nothing to another pooling.
    pub fn keepdims(mut self) -> Self {
        self.keepdims = self.spatial.is_none();
        self
    }

    /// The axes that are left of those that are pooled.
    fn kept(&self, results: Vec<usize>) -> Vec<usize> {
        if self.spatial.is_some() || self.keepdims { results } else { vec![] }
    }

    /// The windows over these extents.
    fn over(&self, extents: &[usize]) -> Option<Spatial<N>> {
        match self.spatial {
            Some(spatial) => Some(spatial),
            None => <[usize; N]>::try_from(extents).ok().map(Spatial::new),
        }
    }
}

impl<const N: usize> Layer for Pooling<N> {
    fn class(&self) -> &'static str {
        let names = match (self.kind, self.spatial) {
            (Kind::Max, Some(_)) => ["MaxPooling1D", "MaxPooling2D", "MaxPooling3D"],
            (Kind::Max, None) => ["GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalMaxPooling3D"],
            (Kind::Average, Some(_)) => {
                ["AveragePooling1D", "AveragePooling2D", "AveragePooling3D"]
            }
            (Kind::Average, None) => {
                ["GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D"]
            }
        };
        names[N - 1]
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        let fit = input.split_last().and_then(|(&channels, extents)| {
            let results = self.over(extents)?.results(extents)?;
            Some([self.kept(results), vec![channels]].concat())
        });
        let expected = "as many axes as its windows, as long as they are, and channels";
        fit.ok_or_else(|| LayerError::new(self.class(), expected, input))
    }

    fn forward(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        _: &[TensorId],
    ) -> Result<Value, GraphError> {
        if let (Kind::Average, None, 1, Some(mask)) = (self.kind, self.spatial, N, input.mask) {
            let mean = cx.graph.push(MaskedMean, &[input.tensor, mask])?[0];
            let shape = cx.graph.shape(mean).dims().to_vec();
            let kept = if self.keepdims { vec![1] } else { vec![] };
            return Ok(cx.graph.reshape(mean, [kept, shape].concat())?.into());
        }
        let x = input.tensor;
        let extents = Spatial::<N>::extents(cx, x);
        let fit =
            self.over(&extents).and_then(|s| Some((s.over(&extents, true)?, s.results(&extents)?)));
        let misfit = || cx.misfit(self.class(), x, "windows that fit");
        let (windows, results): (Windows, Vec<usize>) = fit.ok_or_else(misfit)?;
        let pooled = match self.kind {
            Kind::Max => Spatial::<N>::apply(cx, MaxPool(windows), (x, &[]), &results)?,
            Kind::Average => Spatial::<N>::apply(cx, AveragePool(windows), (x, &[]), &results)?,
        };
        if !self.kept(results).is_empty() {
            return Ok(pooled.into());
        }
        let shape = [cx.graph.shape(x).dims()[1], cx.graph.shape(x).last()];
        Ok(cx.graph.reshape(pooled, shape)?.into())
    }

    fn mask_flow(&self) -> MaskFlow {
        MaskFlow::Ends
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let OnnxTensor { value: x, dims } = cx.input()?;
        let Some(spatial) = &self.spatial else {
            let operator = if self.kind == Kind::Max { "ReduceMax" } else { "ReduceMean" };
            let axes = Ints((1..=N as i64).collect());
            let kept = Int(self.keepdims.into());
            return Ok(vec![cx.node(operator, &[&x], &[("axes", axes), ("keepdims", kept)])]);
        };
        let operator = if self.kind == Kind::Max { "MaxPool" } else { "AveragePool" };
        let extents = dims.split_last().map_or(&[][..], |(_, extents)| extents);
        let x = cx.channels_first(&x, N);
        let pooled = cx.node(operator, &[&x], &spatial.onnx().attributes(extents));
        Ok(vec![cx.channels_last(&pooled, N)])
    }

    /// The global mean over time leaves masked steps out.
    fn uses_mask(&self) -> bool {
        (self.kind, self.spatial.is_none(), N) == (Kind::Average, true, 1)
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        let Some(spatial) = &mut self.spatial else {
            return a.optional("keepdims", &mut self.keepdims);
        };
        a.optional("pool_size", &mut spatial.size)?;
        let mut strides = a.reader().map(|_| spatial.strides);
        a.optional("strides", &mut strides)?;
        spatial.strides = strides.unwrap_or(spatial.size);
        spatial.padding_argument(a)
    }
}
