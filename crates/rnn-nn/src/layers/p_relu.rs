use super::axes::{sample, spread, swap_leading};
use crate::layer::{Arguments, ForwardContext, Value, Weight, WeightArguments};
use crate::onnx::{ExportError, OnnxContext};
use crate::{ConfigError, Initializer, Layer, LayerError};
use rnn_formats::onnx::ValueName;
use rnn_graph::{GraphError, TensorId};
use rnn_ops::{Activate, Activation, Binary, Scale};

/// A rectified linear unit whose slopes below 0 are learnt (He et al., 2015;
/// keras/src/layers/activations/prelu.py): `[A1, .., AN]` -> `[A1, .., AN]`.
///
/// ```text
/// y = max(x, 0) - alpha max(-x, 0),  alpha [A1, .., AN]
/// ```
///
/// Along the axes `shared_axes` alpha has one element instead. It begins as zeros, as in Keras. A
/// mask is passed on.
#[derive(Clone, Debug)]
pub struct PRelu {
    shared_axes: Option<Vec<usize>>,
    alpha: WeightArguments,
}

impl PRelu {
    /// Creates a layer that has an element of alpha for each element of an example.
    pub fn new() -> Self {
        Self { shared_axes: None, alpha: Initializer::Zeros.into() }
    }

    /// Sets the axes along which one element of alpha serves all, counted from 1 on as in Keras,
    /// because the batch is axis 0: `[1, 2]` leaves the channels of a picture. An axis that an
    /// input does not have is refused when a model adds the layer.
    pub fn shared_axes(mut self, axes: impl Into<Vec<usize>>) -> Self {
        self.shared_axes = Some(axes.into());
        self
    }

    weight_arguments!(alpha, alpha_initializer, alpha_regularizer, alpha_constraint);

    /// The extents of alpha for an input of these.
    fn extents(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        let mut extents = input.to_vec();
        for axis in self.shared_axes.iter().flatten() {
            match axis.checked_sub(1).and_then(|place| extents.get_mut(place)) {
                Some(extent) => *extent = 1,
                None => return Err(LayerError::new("PReLU", "the axes that it shares", input)),
            }
        }
        match input {
            [] => Err(LayerError::new("PReLU", "[.., F]", input)),
            _ => Ok(extents),
        }
    }
}

impl Default for PRelu {
    fn default() -> Self {
        Self::new()
    }
}

impl Layer for PRelu {
    fn class(&self) -> &'static str {
        "PReLU"
    }

    fn weights(&self, input: &[usize]) -> Result<Vec<Weight>, LayerError> {
        Ok(vec![Weight::new("alpha", &self.extents(input)?, &self.alpha)])
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        self.extents(input)?;
        Ok(input.to_vec())
    }

    fn forward(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        w: &[TensorId],
    ) -> Result<Value, GraphError> {
        let (x, alpha) = (input.tensor, w[0]);
        let extents = sample(cx, x);
        let of_alpha = cx.graph.shape(alpha).dims().to_vec();
        let relu = Activate(Activation::Relu);
        let above = cx.graph.apply(relu.clone(), &[x])?;
        let negated = cx.graph.apply(Scale(-1.0), &[x])?;
        let mut below = cx.graph.apply(relu, &[negated])?;
        // The batch stands behind the first of several axes, which alpha may have.
        let last = extents.len() - 1;
        let leading = of_alpha.iter().take_while(|&&extent| extent == 1).count().min(last);
        let behind = leading > 0 || last == 0;
        if !behind {
            below = swap_leading(cx, below)?;
        }
        let alpha = spread(cx, alpha, &of_alpha[leading..], &extents[leading..])?;
        below = cx.graph.apply(Binary::Mul, &[below, alpha])?;
        if !behind {
            below = swap_leading(cx, below)?;
        }
        let tensor = cx.graph.apply(Binary::Sub, &[above, below])?;
        Ok(Value { tensor, ..input })
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let (x, alpha) = (cx.x()?, cx.constant_weight("alpha")?);
        Ok(vec![cx.node("PRelu", &[&x, &alpha], &[])])
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.weight("alpha", &mut self.alpha)?;
        a.optional("shared_axes", &mut self.shared_axes)
    }
}
