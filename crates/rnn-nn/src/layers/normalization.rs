use super::array::{Array, repeated};
use super::axes::sample;
use super::rescaling::{PerFeature, array};
use crate::layer::{Argument, Arguments, Dialect, ForwardContext, Reader, Value, Weight};
use crate::onnx::{ExportError, OnnxContext};
use crate::{ConfigError, Initializer, Layer, LayerError};
use rnn_formats::onnx::ValueName;
use rnn_graph::{GraphError, TensorId};
use rnn_ops::{Binary, InverseRoot};
use serde_json::json;

/// Shifts and scales the input by a mean and a variance that are given, or that a data set had
/// (keras/src/layers/preprocessing/normalization.py). The output has the shape of the input.
///
/// ```text
/// y = (x - mean) / sqrt(variance),  or inverted  y = x sqrt(variance) + mean
/// ```
///
/// There is a mean and a variance for each index along `axis`, of one or more axes; without one they
/// are the same for all elements. A standard deviation below 1e-7 counts as that; of variances that
/// are weights, 1e-14 is added to all. The weights are the mean, the variance and Keras's `count`,
/// which nothing reads; a training does not change them, and unlike in Keras there is no `adapt`. A
/// mask is passed on.
#[derive(Clone, Debug)]
pub struct Normalization {
    axes: Axes,
    given: Option<[Array; 2]>,
    invert: bool,
}

/// The smallest standard deviation.
const EPSILON: f32 = 1e-7;

const EXPECTED: &str = "inputs that have its axes, and as many indices along them as its mean";

impl Normalization {
    /// Creates a layer that has the mean and the variance of each index of the last axis as weights,
    /// 0 and 1 at first.
    pub fn new() -> Self {
        Self { axes: Axes(vec![-1]), given: None, invert: false }
    }

    /// Creates a layer of this mean and this variance, of which both are one number for all
    /// features, or both one for each.
    pub fn given(mean: impl PerFeature, variance: impl PerFeature) -> Self {
        Self { given: Some([array(mean), array(variance)]), ..Self::new() }
    }

    /// Sets the axes along which each index has a mean and a variance of its own, with the batch as
    /// axis 0, which is not among them; -1 is the last. The default is the last axis.
    pub fn axes(mut self, axes: impl Into<Vec<isize>>) -> Self {
        self.axes = Axes(axes.into());
        self
    }

    /// Makes the layer turn what is normalized back: Keras's `invert=True`.
    pub fn invert(mut self) -> Self {
        self.invert = true;
        self
    }

    /// For each axis of an example true if each index has a mean of its own.
    fn kept(&self, example: &[usize]) -> Option<Vec<bool>> {
        let mut kept = vec![false; example.len()];
        for &axis in &self.axes.0 {
            let place = if axis < 0 { axis + example.len() as isize } else { axis - 1 };
            *kept.get_mut(usize::try_from(place).ok()?)? = true;
        }
        Some(kept)
    }

    /// The extents of mean and variance beside those of an example.
    fn extents(&self, example: &[usize]) -> Option<Vec<usize>> {
        let kept = self.kept(example)?;
        Some(kept.iter().zip(example).map(|(&kept, &n)| if kept { n } else { 1 }).collect())
    }

    /// The extents of a mean that is given beside those of an example: its axes are the last of
    /// those that are kept.
    fn beside(&self, array: &Array, example: &[usize]) -> Option<Vec<usize>> {
        let kept = self.kept(example)?;
        let mut given = vec![1; example.len()];
        let mut own = array.shape.iter().rev();
        for axis in (0..example.len()).rev().filter(|&axis| kept[axis]) {
            let Some(&extent) = own.next() else { break };
            if extent != 1 && extent != example[axis] {
                return None;
            }
            given[axis] = extent;
        }
        own.next().is_none().then_some(given)
    }

    /// The mean, and the factor of what is shifted, repeated to the last axes of x.
    fn moments(
        &self,
        cx: &mut ForwardContext<'_>,
        x: TensorId,
        w: &[TensorId],
    ) -> Result<[TensorId; 2], GraphError> {
        let example = sample(cx, x);
        let misfit = || cx.misfit("Normalization", x, EXPECTED);
        if let Some([mean, variance]) = &self.given {
            let given = self.beside(mean, &example).ok_or_else(misfit)?;
            let factor = self.factor(variance);
            let [mean, factor] = [mean.constant(cx)?, factor.constant(cx)?];
            return Ok([repeated(cx, mean, &given, x)?, repeated(cx, factor, &given, x)?]);
        }
        let given = self.extents(&example).ok_or_else(misfit)?;
        let &[mean, variance, ..] = w else { return Err(misfit()) };
        let inverse = InverseRoot { epsilon: EPSILON * EPSILON };
        let mut factor = cx.graph.apply(inverse, &[variance])?;
        if self.invert {
            factor = cx.graph.apply(Binary::Mul, &[variance, factor])?;
        }
        Ok([repeated(cx, mean, &given, x)?, repeated(cx, factor, &given, x)?])
    }

    /// The factor for each of these variances.
    fn factor(&self, variance: &Array) -> Array {
        let factor = |&variance: &f32| {
            let deviation = f64::from(variance).sqrt().max(f64::from(EPSILON));
            (if self.invert { deviation } else { 1.0 / deviation }) as f32
        };
        Array {
            shape: variance.shape.clone(),
            values: variance.values.iter().map(factor).collect(),
        }
    }
}

impl Default for Normalization {
    fn default() -> Self {
        Self::new()
    }
}

impl Layer for Normalization {
    fn class(&self) -> &'static str {
        "Normalization"
    }

    fn weights(&self, input: &[usize]) -> Result<Vec<Weight>, LayerError> {
        let kept =
            self.kept(input).ok_or_else(|| LayerError::new(self.class(), EXPECTED, input))?;
        if self.given.is_some() {
            return Ok(vec![]);
        }
        let shape: Vec<usize> =
            kept.iter().zip(input).filter(|(kept, _)| **kept).map(|(_, &extent)| extent).collect();
        let weight = |name: &str, shape: &[usize], first: Initializer| {
            Weight::new(name, shape, &first.into()).not_trained()
        };
        Ok(vec![
            weight("mean", &shape, Initializer::Zeros),
            weight("variance", &shape, Initializer::Ones),
            weight("count", &[], Initializer::Zeros),
        ])
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        let given = self.given.as_ref().map(|[mean, _]| self.beside(mean, input));
        let fits = given.unwrap_or_else(|| self.extents(input)).map(|_| input.to_vec());
        fits.ok_or_else(|| LayerError::new(self.class(), EXPECTED, input))
    }

    fn forward(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        w: &[TensorId],
    ) -> Result<Value, GraphError> {
        let x = input.tensor;
        let [mean, factor] = self.moments(cx, x, w)?;
        let tensor = match self.invert {
            false => {
                let shifted = cx.graph.apply(Binary::Sub, &[x, mean])?;
                cx.graph.apply(Binary::Mul, &[shifted, factor])?
            }
            true => {
                let scaled = cx.graph.apply(Binary::Mul, &[x, factor])?;
                cx.graph.apply(Binary::Add, &[scaled, mean])?
            }
        };
        Ok(Value { tensor, ..input })
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let input = cx.input()?;
        let refused = || cx.refuse(format!("it takes {EXPECTED}"));
        let (shape, mean, variance) = match &self.given {
            Some([mean, variance]) => {
                let shape = self.beside(mean, &input.dims).ok_or_else(refused)?;
                (shape, mean.values.clone(), variance.values.clone())
            }
            None => {
                let shape = self.extents(&input.dims).ok_or_else(refused)?;
                let [mean, variance] = ["mean", "variance"]
                    .map(|name| Ok::<_, ExportError>(cx.floats(cx.weight(name)?)?.to_vec()));
                (shape, mean?, variance?)
            }
        };
        let factor = self.factor(&Array::list(variance)).values;
        let mut constant = |name: &str, values: Vec<f32>| {
            let values = cx.tensor(shape.clone(), values)?;
            Ok::<_, ExportError>(cx.graph.tensor(name, &values))
        };
        let (mean, factor) = (constant("mean", mean)?, constant("factor", factor)?);
        let x = input.value;
        Ok(vec![match self.invert {
            false => {
                let shifted = cx.node("Sub", &[&x, &mean], &[]);
                cx.node("Mul", &[&shifted, &factor], &[])
            }
            true => {
                let scaled = cx.node("Mul", &[&x, &factor], &[]);
                cx.node("Add", &[&scaled, &mean], &[])
            }
        }])
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.optional("axis", &mut self.axes)?;
        a.optional("invert", &mut self.invert)?;
        let [mut mean, mut variance] = match self.given.take() {
            Some(given) => given.map(Some),
            None => [None, None],
        };
        a.optional("mean", &mut mean)?;
        a.optional("variance", &mut variance)?;
        self.given = match (mean, variance) {
            (None, None) => None,
            (Some(mean), Some(variance)) if mean.shape == variance.shape => Some([mean, variance]),
            (_, variance) => {
                let given = variance.and_then(|variance| variance.write(Reader::Ours));
                let supported = "as many numbers as the mean has".into();
                return Err(a.refuse("variance", &given.unwrap_or_default(), supported));
            }
        };
        let variances = self.given.iter().flat_map(|[_, variance]| &variance.values);
        match variances.into_iter().find(|variance| **variance < 0.0) {
            Some(odd) => Err(a.refuse("variance", &json!(odd), "numbers from 0 on".into())),
            None => Ok(()),
        }
    }
}

/// Axes that are counted with the batch; null for none.
#[derive(Clone, Debug)]
struct Axes(Vec<isize>);

impl Argument for Axes {
    fn supported() -> String {
        "null, an axis behind the batch, or a list of such".into()
    }

    fn read(value: &serde_json::Value, dialect: Dialect) -> Option<Self> {
        let axis = |value: &serde_json::Value| {
            isize::read(value, dialect).filter(|axis| *axis != 0 && !value.is_array())
        };
        match value {
            serde_json::Value::Null => Some(Self(vec![])),
            serde_json::Value::Array(list) => {
                list.iter().map(axis).collect::<Option<_>>().map(Self)
            }
            one => axis(one).map(|axis| Self(vec![axis])),
        }
    }

    fn write(&self, _: Reader) -> Option<serde_json::Value> {
        Some(json!(self.0))
    }
}
