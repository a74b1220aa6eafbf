use super::axes::{AxisSet, Gathered, NO_AXES};
use super::gamma_beta::{GammaBeta, affine_arguments};
use super::unit_normalization::{Measure, divided};
use crate::layer::{Arguments, ForwardContext, Numbers, Value, Weight};
use crate::onnx::{ExportError, OnnxContext, OnnxTensor};
use crate::{ConfigError, Layer, LayerError};
use rnn_formats::onnx::{
    Attribute::{Float, Int, Ints},
    ValueName,
};
use rnn_graph::{GraphError, TensorId};
use rnn_ops::Normalize;

/// Layer normalization, zero mean and unit variance over an axis or several, by default the last,
/// then gamma and beta: `[.., F]` -> `[.., F]`.
///
/// ```text
/// y = gamma (x - mean(x)) / sqrt(var(x) + epsilon) + beta,  gamma, beta [F]
/// y = gamma x / sqrt(var(x) + epsilon)                      with rms_scaling
/// ```
///
/// var is the biased variance, and epsilon is 0.001 by default, as in Keras
/// (keras/src/layers/normalization/layer_normalization.py). Gamma and beta have the extents of the
/// axes. A mask is passed on.
#[derive(Clone, Debug)]
pub struct LayerNormalization {
    epsilon: f32,
    rms_scaling: bool,
    affine: GammaBeta,
}

impl LayerNormalization {
    /// Creates a layer with Keras's defaults: the last axis, an epsilon of 0.001, gamma that begins
    /// at 1 and beta at 0.
    pub fn new() -> Self {
        Self { epsilon: 1e-3, rms_scaling: false, affine: GammaBeta::new() }
    }

    /// Sets the axes that are normalized, with the batch as axis 0, which is not among them; -1 is
    /// the last. The default is the last axis. Axes that an input does not have are refused when a
    /// model adds the layer.
    pub fn axes(mut self, axes: impl Into<Vec<isize>>) -> Self {
        self.affine.axes = AxisSet::of(axes.into());
        self
    }

    /// Sets the number that is added to the variance, above 0; the default is 0.001.
    pub fn epsilon(mut self, epsilon: f32) -> Self {
        self.epsilon = epsilon;
        self
    }

    /// Makes the layer leave the mean in x and add no beta: Keras's deprecated `rms_scaling=True`,
    /// which, unlike its name says, divides by the deviation from the mean.
    pub fn rms_scaling(mut self) -> Self {
        self.rms_scaling = true;
        self
    }

    affine_arguments!();

    /// x gamma / sqrt(var + epsilon) over the last `count` axes.
    fn scaled_onnx(
        &self,
        cx: &mut OnnxContext<'_>,
        operands: &[ValueName],
        count: i64,
    ) -> ValueName {
        let [x, gamma, ..] = operands else { return ValueName::none() };
        let last = [("axes", Ints((-count..0).collect()))];
        let mean = cx.node("ReduceMean", &[x], &last);
        let deviation = cx.node("Sub", &[x, &mean], &[]);
        let square = cx.node("Mul", &[&deviation, &deviation], &[]);
        let variance = cx.node("ReduceMean", &[&square], &last);
        let epsilon = cx.scalar(self.epsilon);
        let variance = cx.node("Add", &[&variance, &epsilon], &[]);
        let deviation = cx.node("Sqrt", &[&variance], &[]);
        let scaled = cx.node("Div", &[x, &deviation], &[]);
        cx.node("Mul", &[&scaled, gamma], &[])
    }

    /// Gamma and beta as far as they are there.
    fn affine(&self) -> GammaBeta {
        let affine = self.affine.clone();
        match self.rms_scaling {
            true => GammaBeta { scale: true, center: false, ..affine },
            false => affine,
        }
    }
}

impl Default for LayerNormalization {
    fn default() -> Self {
        Self::new()
    }
}

impl Layer for LayerNormalization {
    fn class(&self) -> &'static str {
        "LayerNormalization"
    }

    fn weights(&self, input: &[usize]) -> Result<Vec<Weight>, LayerError> {
        self.affine().weights(self.class(), input)
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        self.affine.places(self.class(), input)?;
        Ok(input.to_vec())
    }

    fn forward(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        w: &[TensorId],
    ) -> Result<Value, GraphError> {
        let x = Gathered::new(cx, self.class(), input.tensor, self.affine.axes)?;
        let normal = match self.rms_scaling {
            true => divided(cx, x.tensor, Measure::Variance, self.epsilon)?,
            false => cx.graph.push(Normalize { epsilon: self.epsilon }, &[x.tensor])?[0],
        };
        let scaled = self.affine().apply(cx, normal, w)?;
        Ok(Value { tensor: x.back(cx, scaled)?, ..input })
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let OnnxTensor { value, dims } = cx.input()?;
        let places = self.affine.axes.places(dims.len());
        let places = places.ok_or_else(|| cx.refuse(format!("it takes {NO_AXES}")))?;
        let extents: Vec<usize> = places.iter().map(|&place| dims[place]).collect();
        let affine = self.affine();
        let mut weight = |name: &str, there: bool| -> Result<ValueName, ExportError> {
            let values = match there {
                true => cx.floats(cx.weight(name)?)?.to_vec(),
                false => vec![1.0; extents.iter().product()],
            };
            let values = cx.tensor(extents.clone(), values)?;
            Ok(cx.graph.tensor(name, &values))
        };
        let mut operands = vec![weight("gamma", affine.scale)?];
        if affine.center {
            operands.push(weight("beta", true)?);
        }
        let (x, _) = cx.axes_last(&value, &dims, &places);
        operands.insert(0, x);
        let count = places.len() as i64;
        let y = match self.rms_scaling {
            true => self.scaled_onnx(cx, &operands, count),
            false => {
                let operands: Vec<&ValueName> = operands.iter().collect();
                let attributes = [("axis", Int(-count)), ("epsilon", Float(self.epsilon))];
                cx.node("LayerNormalization", &operands, &attributes)
            }
        };
        Ok(vec![cx.axes_back(&y, dims.len(), &places)])
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.number("epsilon", &mut self.epsilon, Numbers::NotNegative)?;
        a.optional("rms_scaling", &mut self.rms_scaling)?;
        self.affine.arguments(a)
    }
}
