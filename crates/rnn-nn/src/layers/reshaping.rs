use super::axes::{reshape, sample};
use super::spatial::{PerAxis, Spatial};
use crate::layer::{Argument, Arguments, Dialect, ForwardContext, MaskFlow, Reader, Value};
use crate::onnx::{ExportError, OnnxContext};
use crate::{ConfigError, Layer, LayerError};
use rnn_formats::onnx::{Attribute::Text, ValueName};
use rnn_graph::{GraphError, TensorId};
use rnn_ops::{AveragePoolBackward, Interpolate, Scale};
use serde_json::json;

/// Puts all elements of an example in one axis, row-major: `[A, B, ..]` -> `[A B ..]`
/// (keras/src/layers/reshaping/flatten.py). A mask ends here.
#[derive(Clone, Debug)]
pub struct Flatten;

impl Layer for Flatten {
    fn class(&self) -> &'static str {
        "Flatten"
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        Ok(vec![input.iter().product()])
    }

    fn forward(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        _: &[TensorId],
    ) -> Result<Value, GraphError> {
        let sample = sample(cx, input.tensor).iter().product();
        Ok(reshape(cx, input.tensor, &[sample])?.into())
    }

    fn mask_flow(&self) -> MaskFlow {
        MaskFlow::Ends
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let x = cx.x()?;
        let output = cx.output().to_vec();
        Ok(vec![cx.reshape(&x, &output)])
    }

    fn arguments(&mut self, _: &mut Arguments<'_>) -> Result<(), ConfigError> {
        Ok(())
    }
}

/// Gives the elements of an example other extents, row-major: `[A, B, ..]` -> the target
/// (keras/src/layers/reshaping/reshape.py). A mask ends here.
#[derive(Clone, Debug)]
pub struct Reshape {
    target: Vec<isize>,
}

impl Reshape {
    /// Creates a layer that reshapes examples to the extents `target`, without the batch. One of
    /// them may be -1, and is then computed from the others. A target with another number of
    /// elements than the input is refused when a model calls the layer.
    pub fn new(target: impl Into<Vec<isize>>) -> Self {
        Self { target: target.into() }
    }

    fn of(&self, input: &[usize]) -> Option<Vec<usize>> {
        let elements: usize = input.iter().product();
        let mut given = self.target.iter().filter_map(|&n| usize::try_from(n).ok());
        let known = given.try_fold(1usize, |known, n| known.checked_mul(n))?;
        let free = self.target.iter().filter(|&&n| n < 0).count();
        let rest = elements.checked_div(known).unwrap_or(0);
        let extent = |&n: &isize| usize::try_from(n).unwrap_or(rest);
        let shape: Vec<usize> = self.target.iter().map(extent).collect();
        (free < 2 && !shape.is_empty() && shape.iter().product::<usize>() == elements)
            .then_some(shape)
    }
}

impl Layer for Reshape {
    fn class(&self) -> &'static str {
        "Reshape"
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        let expected = "as many elements as its target shape has";
        self.of(input).ok_or_else(|| LayerError::new("Reshape", expected, input))
    }

    fn forward(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        _: &[TensorId],
    ) -> Result<Value, GraphError> {
        let misfit = || cx.misfit("Reshape", input.tensor, "as many elements as its target has");
        let target = self.of(&sample(cx, input.tensor)).ok_or_else(misfit)?;
        Ok(reshape(cx, input.tensor, &target)?.into())
    }

    fn mask_flow(&self) -> MaskFlow {
        MaskFlow::Ends
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let x = cx.x()?;
        let output = cx.output().to_vec();
        Ok(vec![cx.reshape(&x, &output)])
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.required("target_shape", &mut self.target)
    }
}

/// Repeats each pixel along N axes: `[A1, .., AN, C]` -> `[S1 A1, .., SN AN, C]`, where S1 to SN
/// are the numbers of repetitions (keras/src/layers/reshaping/up_sampling2d.py).
///
/// ```text
/// y(p, c) = x(p / S, c),  rounded down
/// ```
///
/// This is Keras's `interpolation="nearest"`. With [`Self::bilinear`] the pixels between are those of
/// [`Interpolate`]; Keras's other interpolations are not supported. Channels come last. A mask ends
/// here.
#[derive(Clone, Debug)]
pub struct UpSampling<const N: usize> {
    size: [usize; N],
    interpolation: Interpolation,
}

/// What stands between the pixels of an image that is enlarged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interpolation {
    Nearest,
    Bilinear,
}

impl Argument for Interpolation {
    fn supported() -> String {
        "nearest, bilinear".into()
    }

    fn read(value: &serde_json::Value, _: Dialect) -> Option<Self> {
        match value.as_str()?.to_ascii_lowercase().as_str() {
            "nearest" => Some(Self::Nearest),
            "bilinear" => Some(Self::Bilinear),
            _ => None,
        }
    }

    fn write(&self, _: Reader) -> Option<serde_json::Value> {
        Some(match self {
            Self::Nearest => json!("nearest"),
            Self::Bilinear => json!("bilinear"),
        })
    }
}

macro_rules! up_sampling {
    ($axes:literal, $name:ident) => {
        /// Creates a layer that repeats each pixel `size` times along each axis, one number for all
        /// or one for each. The equation is that of [`UpSampling`]. If a number is 0, it is refused
        /// when a model adds the layer.
        #[allow(non_snake_case, reason = "named as Keras's layer, which it makes")]
        pub fn $name(size: impl PerAxis<$axes>) -> UpSampling<$axes> {
            UpSampling { size: size.per_axis(), interpolation: Interpolation::Nearest }
        }
    };
}

up_sampling!(1, UpSampling1D);
up_sampling!(2, UpSampling2D);
up_sampling!(3, UpSampling3D);

impl UpSampling<2> {
    /// Makes the pixels between weighted means of their four neighbours, as
    /// `interpolation="bilinear"` of Keras on TensorFlow.
    pub fn bilinear(mut self) -> Self {
        self.interpolation = Interpolation::Bilinear;
        self
    }
}

impl<const N: usize> UpSampling<N> {
    fn enlarged(&self, extents: &[usize]) -> Vec<usize> {
        extents.iter().zip(self.size).map(|(extent, size)| extent * size).collect()
    }
}

impl<const N: usize> Layer for UpSampling<N> {
    fn class(&self) -> &'static str {
        ["UpSampling1D", "UpSampling2D", "UpSampling3D"][N - 1]
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        match input.split_last() {
            Some((&channels, extents)) if extents.len() == N && !self.size.contains(&0) => {
                Ok([self.enlarged(extents), vec![channels]].concat())
            }
            _ => Err(LayerError::new(
                self.class(),
                "as many axes as it enlarges, and channels",
                input,
            )),
        }
    }

    /// The adjoint of the mean over blocks gives each pixel of a block an equal share.
    fn forward(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        _: &[TensorId],
    ) -> Result<Value, GraphError> {
        let x = input.tensor;
        let enlarged = self.enlarged(&Spatial::<N>::extents(cx, x));
        if self.interpolation == Interpolation::Bilinear {
            let op = Interpolate { factors: Spatial::<N>::placed(&self.size), leading: true };
            return Ok(Spatial::<N>::apply(cx, op, (x, &[]), &enlarged)?.into());
        }
        let mut blocks = Spatial::<N>::new(self.size);
        blocks.strides = self.size;
        let misfit = || cx.misfit(self.class(), x, "blocks of one pixel at least");
        let windows = blocks.over(&enlarged, true).ok_or_else(misfit)?;
        let op = AveragePoolBackward { windows, source: Spatial::<N>::placed(&enlarged) };
        let shares = Spatial::<N>::apply(cx, op, (x, &[]), &enlarged)?;
        Ok(cx.graph.apply(Scale(blocks.taps() as f32), &[shares])?.into())
    }

    fn mask_flow(&self) -> MaskFlow {
        MaskFlow::Ends
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let bilinear = self.interpolation == Interpolation::Bilinear;
        // onnxruntime interpolates over the last axes.
        let others = if bilinear { [2, 0] } else { [1, 1] };
        let scales = vec![1; others[0]].into_iter().chain(self.size).chain(vec![1; others[1]]);
        let scales = cx.tensor([N + 2], scales.map(|scale| scale as f32).collect())?;
        let scales = cx.graph.tensor("scales", &scales);
        if bilinear {
            let x = cx.x()?;
            let x = cx.channels_first(&x, N);
            let attributes = [
                ("mode", Text("linear".into())),
                ("coordinate_transformation_mode", Text("half_pixel".into())),
            ];
            let enlarged = cx.node("Resize", &[&x, &ValueName::none(), &scales], &attributes);
            return Ok(vec![cx.channels_last(&enlarged, N)]);
        }
        let attributes = [
            ("mode", Text("nearest".into())),
            ("coordinate_transformation_mode", Text("asymmetric".into())),
            ("nearest_mode", Text("floor".into())),
        ];
        let x = cx.x()?;
        let enlarged = cx.node("Resize", &[&x, &ValueName::none(), &scales], &attributes);
        let output = cx.output().to_vec();
        Ok(vec![cx.reshape(&enlarged, &output)])
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.optional("size", &mut self.size)?;
        match N {
            2 => a.optional("interpolation", &mut self.interpolation),
            _ => a.fixed("interpolation", "nearest"),
        }
    }
}
