use super::axes::{AxisSet, Gathered, graph_axis, sample};
use super::gamma_beta::{GammaBeta, affine_arguments};
use super::permute::{inverse, permuted};
use crate::layer::{Argument, Arguments, Dialect, ForwardContext, Numbers, Reader, Value, Weight};
use crate::onnx::{ExportError, OnnxContext, OnnxTensor};
use crate::{ConfigError, Layer, LayerError};
use rnn_formats::onnx::Attribute::Float;
use rnn_formats::onnx::ValueName;
use rnn_graph::{GraphError, TensorId};
use rnn_ops::Normalize;
use serde_json::json;

/// Group normalization (Wu and He, 2018; keras/src/layers/normalization/group_normalization.py): the
/// channels are cut into groups of equal size; each group of an example gets zero mean and unit
/// variance over its channels and all other axes, then gamma and beta act. The output has the shape
/// of the input.
///
/// ```text
/// y = gamma (x - mean) / sqrt(var + epsilon) + beta,  gamma, beta [C]
/// ```
///
/// var is the biased variance. A mask is passed on, and masked steps count.
#[derive(Clone, Debug)]
pub struct GroupNormalization {
    groups: Groups,
    epsilon: f32,
    affine: GammaBeta,
}

const EXPECTED: &str = "channels that its groups divide";

impl GroupNormalization {
    /// Creates a layer of `groups` groups of channels, the last axis, with Keras's defaults: an
    /// epsilon of 0.001, gamma that begins at 1 and beta at 0. Groups that do not divide the
    /// channels are refused when a model adds the layer.
    pub fn new(groups: usize) -> Self {
        Self { groups: Groups(Some(groups)), epsilon: 1e-3, affine: GammaBeta::new() }
    }

    /// Creates a layer with a group for each channel, Keras's `groups=-1`: instance normalization.
    pub fn of_instances() -> Self {
        Self { groups: Groups(None), ..Self::new(1) }
    }

    /// Sets the axis of the channels, with the batch as axis 0, which it is not; -1 is the last,
    /// and the default.
    pub fn axis(mut self, axis: isize) -> Self {
        self.affine.axes = AxisSet::of([axis]);
        self
    }

    /// Sets the number that is added to the variance, above 0; the default is 0.001.
    pub fn epsilon(mut self, epsilon: f32) -> Self {
        self.epsilon = epsilon;
        self
    }

    affine_arguments!();

    /// The place of the channels in an example, their number, and that of the groups.
    fn channels(&self, example: &[usize]) -> Option<(usize, usize, usize)> {
        let place = *self.affine.axes.places(example.len())?.first()?;
        let channels = example[place];
        let groups = self.groups.0.unwrap_or(channels);
        (groups > 0 && channels.is_multiple_of(groups)).then_some((place, channels, groups))
    }

    /// x with each group of each example of zero mean and unit variance.
    fn normalize(&self, cx: &mut ForwardContext<'_>, x: TensorId) -> Result<TensorId, GraphError> {
        let shape = cx.graph.shape(x).clone();
        let example = sample(cx, x);
        let misfit = || cx.misfit(self.class(), x, EXPECTED);
        let (place, channels, groups) = self.channels(&example).ok_or_else(misfit)?;
        let axis = graph_axis(place, example.len());
        let batch = usize::from(example.len() > 1);
        // The groups and their channels are axes of their own.
        let mut axes = shape.dims().to_vec();
        axes.splice(axis..=axis, [groups, channels / groups]);
        let parts = cx.graph.reshape(x, axes.clone())?;
        let batch = if axis < batch { batch + 1 } else { batch };
        let others = (0..axes.len()).filter(|&other| other != batch && other != axis);
        let order: Vec<usize> = [batch, axis].into_iter().chain(others).collect();
        let moved = permuted(cx, parts, &order)?;
        let of_moved = cx.graph.shape(moved).clone();
        let rows = axes[batch] * groups;
        let rows = cx.graph.reshape(moved, [rows, of_moved.len() / rows])?;
        let normal = cx.graph.push(Normalize { epsilon: self.epsilon }, &[rows])?[0];
        let normal = cx.graph.reshape(normal, of_moved)?;
        let normal = permuted(cx, normal, &inverse(&order))?;
        cx.graph.reshape(normal, shape)
    }
}

impl Default for GroupNormalization {
    /// A layer of 32 groups, as in Keras.
    fn default() -> Self {
        Self::new(32)
    }
}

impl Layer for GroupNormalization {
    fn class(&self) -> &'static str {
        "GroupNormalization"
    }

    fn weights(&self, input: &[usize]) -> Result<Vec<Weight>, LayerError> {
        self.output_shape(input)?;
        self.affine.weights(self.class(), input)
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        self.affine.places(self.class(), input)?;
        let fits = self.channels(input);
        fits.map(|_| input.to_vec()).ok_or_else(|| LayerError::new(self.class(), EXPECTED, input))
    }

    fn forward(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        w: &[TensorId],
    ) -> Result<Value, GraphError> {
        let normal = self.normalize(cx, input.tensor)?;
        let normal = Gathered::new(cx, self.class(), normal, self.affine.axes)?;
        let scaled = self.affine.apply(cx, normal.tensor, w)?;
        Ok(Value { tensor: normal.back(cx, scaled)?, ..input })
    }

    /// ONNX normalizes each of the channels `[B, G, ..]` of an instance.
    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let OnnxTensor { value, dims } = cx.input()?;
        let refuse = || cx.refuse(format!("it takes {EXPECTED}"));
        let (place, channels, groups) = self.channels(&dims).ok_or_else(refuse)?;
        let rank = dims.len();
        let others: Vec<usize> = (0..rank).filter(|&other| other != place).collect();
        let (x, moved) = cx.axes_last(&value, &dims, &others);
        let elements: usize = dims.iter().product();
        let x = cx.reshape(&x, &[groups, elements / groups]);
        let mut constant = |name: &str, value: f32| {
            let values = cx.tensor([groups], vec![value; groups])?;
            Ok::<_, ExportError>(cx.graph.tensor(name, &values))
        };
        let (ones, zeros) = (constant("ones", 1.0)?, constant("zeros", 0.0)?);
        let epsilon = [("epsilon", Float(self.epsilon))];
        let normal = cx.node("InstanceNormalization", &[&x, &ones, &zeros], &epsilon);
        let mut y = cx.reshape(&normal, &moved);
        let shape = [&[channels][..], &vec![1; rank - 1]].concat();
        for (there, operator, name) in
            [(self.affine.scale, "Mul", "gamma"), (self.affine.center, "Add", "beta")]
        {
            if there {
                let weight = cx.tensor(shape.clone(), cx.floats(cx.weight(name)?)?.to_vec())?;
                let weight = cx.graph.tensor(name, &weight);
                y = cx.node(operator, &[&y, &weight], &[]);
            }
        }
        Ok(vec![cx.axes_back(&y, rank, &others)])
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.optional("groups", &mut self.groups)?;
        a.number("epsilon", &mut self.epsilon, Numbers::NotNegative)?;
        self.affine.arguments_of_one_axis(a)
    }
}

/// A number of groups; `None`, in Keras -1, for one for each channel.
#[derive(Clone, Copy, Debug)]
struct Groups(Option<usize>);

impl Argument for Groups {
    fn supported() -> String {
        format!("-1, {}", usize::supported())
    }

    fn read(value: &serde_json::Value, dialect: Dialect) -> Option<Self> {
        match value.as_i64() {
            Some(-1) => Some(Self(None)),
            _ => usize::read(value, dialect).map(|groups| Self(Some(groups))),
        }
    }

    fn write(&self, _: Reader) -> Option<serde_json::Value> {
        Some(self.0.map_or(json!(-1), |groups| json!(groups)))
    }
}
