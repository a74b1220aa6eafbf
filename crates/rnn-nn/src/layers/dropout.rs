use super::axes::spread;
use crate::layer::{Argument, Arguments, Dialect, ForwardContext, Numbers, Reader, Value};
use crate::onnx::{ExportError, OnnxContext};
use crate::{ConfigError, Layer, LayerError};
use rnn_formats::onnx::ValueName;
use rnn_graph::{GraphError, TensorId};
use rnn_ops::Binary;
use serde_json::json;

/// Sets a fraction of the elements to zero during training and scales the others up
/// (keras/src/layers/regularization/dropout.py). The output has the shape of the input.
///
/// ```text
/// y = x m / (1 - rate),  m = 0 with probability rate, else 1     during training
/// y = x                                                          otherwise
/// ```
///
/// Unlike in Keras, m is a function of the seed, the step, the layer and the element, the same in
/// every run and on every device. A training at a rate of 1 fails, as in Keras. A mask is passed
/// on.
#[derive(Clone, Debug)]
pub struct Dropout {
    rate: f32,
    noise_shape: Option<NoiseShape>,
}

impl Dropout {
    /// Creates a layer that drops the fraction `rate` of the elements, from 0 to 1; another rate is
    /// refused when a model adds the layer.
    pub fn new(rate: f32) -> Self {
        Self { rate, noise_shape: None }
    }

    /// Sets the shape of m, with the batch as axis 0: along an axis of 1, m is the same for all
    /// elements; an axis of `None` is that of x, as all are by default. A shape that x does not fit
    /// ends a training with an error. If the axis of the batch is 1, ranks that train together draw
    /// an m each.
    pub fn noise_shape(mut self, shape: impl Into<Vec<Option<usize>>>) -> Self {
        self.noise_shape = Some(NoiseShape(shape.into()));
        self
    }
}

impl Layer for Dropout {
    fn class(&self) -> &'static str {
        "Dropout"
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
        let x = input.tensor;
        let tensor = match &self.noise_shape {
            None => {
                below_one(cx, self.class(), self.rate, x)?;
                cx.drop(self.rate, x)?
            }
            Some(shape) => match shape.factors(cx, self.class(), self.rate, x)? {
                None => x,
                Some(factors) => cx.graph.apply(Binary::Mul, &[x, factors])?,
            },
        };
        Ok(Value { tensor, ..input })
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let x = cx.x()?;
        Ok(vec![cx.node("Identity", &[&x], &[])])
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.required("rate", &mut self.rate)?;
        a.number("rate", &mut self.rate, Numbers::Fraction)?;
        a.optional("noise_shape", &mut self.noise_shape)?;
        a.ignored(&["seed"]);
        Ok(())
    }
}

/// Drops whole channels, the same at all pixels along N axes: `[A1, .., AN, C]` -> `[A1, .., AN,
/// C]` (keras/src/layers/regularization/spatial_dropout.py).
///
/// ```text
/// y(p, c) = x(p, c) m(c) / (1 - rate)                            during training
/// ```
///
/// y = x otherwise. m is drawn as in [`Dropout`], for each channel of each example. A mask is
/// passed on.
#[derive(Clone, Debug)]
pub struct SpatialDropout<const N: usize> {
    rate: f32,
}

/// Drops whole features of a sequence, the same at all steps; see [`SpatialDropout`].
pub type SpatialDropout1D = SpatialDropout<1>;
/// Drops whole channels of a picture, the same at all pixels; see [`SpatialDropout`].
pub type SpatialDropout2D = SpatialDropout<2>;
/// Drops whole channels of a volume or film, the same at all pixels; see [`SpatialDropout`].
pub type SpatialDropout3D = SpatialDropout<3>;

impl<const N: usize> SpatialDropout<N> {
    /// Creates a layer that drops the fraction `rate` of the channels, from 0 to 1; another rate is
    /// refused when a model adds the layer.
    pub fn new(rate: f32) -> Self {
        Self { rate }
    }
}

impl<const N: usize> Layer for SpatialDropout<N> {
    fn class(&self) -> &'static str {
        ["SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"][N - 1]
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        let expected = ["a sequence [T, F]", "a picture [H, W, C]", "a volume [D, H, W, C]"];
        match input.len() == N + 1 {
            true => Ok(input.to_vec()),
            false => Err(LayerError::new(self.class(), expected[N - 1], input)),
        }
    }

    fn forward(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        _: &[TensorId],
    ) -> Result<Value, GraphError> {
        let shape = [&[None], &[Some(1); N][..], &[None]].concat();
        match NoiseShape(shape).factors(cx, self.class(), self.rate, input.tensor)? {
            None => Ok(input),
            Some(factors) => {
                let tensor = cx.graph.apply(Binary::Mul, &[input.tensor, factors])?;
                Ok(Value { tensor, ..input })
            }
        }
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let x = cx.x()?;
        Ok(vec![cx.node("Identity", &[&x], &[])])
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.required("rate", &mut self.rate)?;
        a.number("rate", &mut self.rate, Numbers::Fraction)?;
        a.ignored(&["seed"]);
        Ok(())
    }
}

/// Fails in training if all would be dropped.
pub(super) fn below_one(
    cx: &ForwardContext<'_>,
    class: &'static str,
    rate: f32,
    x: TensorId,
) -> Result<(), GraphError> {
    match cx.random.is_some() && rate >= 1.0 {
        true => Err(cx.misfit(class, x, "a rate below 1 in training")),
        false => Ok(()),
    }
}

/// The extents of what is drawn, the batch first; `None` is that of the input.
#[derive(Clone, Debug)]
pub(super) struct NoiseShape(pub Vec<Option<usize>>);

impl NoiseShape {
    /// Dropout factors of this shape for x, with the last axes of x; `None` where nothing drops.
    pub fn factors(
        &self,
        cx: &mut ForwardContext<'_>,
        class: &'static str,
        rate: f32,
        x: TensorId,
    ) -> Result<Option<TensorId>, GraphError> {
        below_one(cx, class, rate, x)?;
        let dims = cx.graph.shape(x).dims().to_vec();
        // Axes that are left out stand in front. In a graph the batch is the second of several.
        let missing = dims.len().saturating_sub(self.0.len());
        let mut shape = [&vec![Some(1); missing], &self.0[..]].concat();
        if dims.len() > 2 && shape.len() == dims.len() {
            shape.swap(0, 1);
        }
        let fits = |(&extent, drawn): (&usize, &Option<usize>)| {
            let drawn = drawn.unwrap_or(extent);
            (drawn == 1 || drawn == extent).then_some(drawn)
        };
        let given = dims.iter().zip(&shape).map(fits).collect::<Option<Vec<usize>>>();
        let given = given.filter(|given| given.len() == shape.len());
        if cx.random.is_none() {
            return Ok(None);
        }
        let given = given.ok_or_else(|| cx.misfit(class, x, "an input of its noise_shape"))?;
        let factors = cx.drop_factors(rate, given.clone())?;
        factors.map(|factors| spread(cx, factors, &given, &dims)).transpose()
    }
}

impl Argument for NoiseShape {
    fn supported() -> String {
        "a list of whole numbers from 1 on and nulls".into()
    }

    fn read(value: &serde_json::Value, dialect: Dialect) -> Option<Self> {
        let extent = |value: &serde_json::Value| Option::<usize>::read(value, dialect);
        value.as_array()?.iter().map(extent).collect::<Option<_>>().map(Self)
    }

    fn write(&self, _: Reader) -> Option<serde_json::Value> {
        Some(json!(self.0))
    }
}
