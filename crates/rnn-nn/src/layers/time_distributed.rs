use super::axes::swap_leading;
use super::inner_model::is_model;
use super::softmax::NO_MASK;
use crate::layer::{Arguments, ForwardContext, Value, Weight};
use crate::onnx::{ExportError, OnnxContext, OnnxTensor};
use crate::{ConfigError, Layer, LayerError};
use rnn_formats::onnx::ValueName;
use rnn_graph::{GraphError, TensorId};
use rnn_ops::{self as ops};

/// A layer that applies the layer within it, or an [`InnerModel`](crate::InnerModel), to every step,
/// with the same weights: `[T, ..]` -> `[T, ..]`.
///
/// ```text
/// y(t) = layer(x(t))
/// ```
///
/// All steps are one batch of B T examples for the inner layer. A layer whose result depends on the
/// batch, such as [`BatchNormalization`](crate::BatchNormalization) in training, takes each step as
/// a batch of its own, and is given the mask too. The mask is passed on; one of tokens within steps,
/// `[T, N]`, goes into the layer, and ends where the layer ends it. As in Keras
/// (keras/src/layers/rnn/time_distributed.py) an `activity_regularizer` of the inner layer does not
/// act, but those within a [`Bidirectional`](crate::Bidirectional) do.
#[derive(Clone, Debug)]
pub struct TimeDistributed<L>(pub L);

impl<L: Layer + Clone + 'static> Layer for TimeDistributed<L> {
    fn class(&self) -> &'static str {
        "TimeDistributed"
    }

    fn weights(&self, input: &[usize]) -> Result<Vec<Weight>, LayerError> {
        let weights = self.0.weights(input.get(1..).unwrap_or_default())?;
        Ok(weights.into_iter().map(|weight| weight.of("layer")).collect())
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        match input.split_first() {
            Some((&steps, step)) => Ok([&[steps], &self.0.output_shape(step)?[..]].concat()),
            None => Err(LayerError::new("TimeDistributed", "a sequence [T, ..]", input)),
        }
    }

    fn vocabulary(&self) -> Option<usize> {
        self.0.vocabulary()
    }

    fn forward(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        w: &[TensorId],
    ) -> Result<Value, GraphError> {
        if let Some(steps) = self.0.steps(cx, input, w)? {
            return Ok(steps);
        }
        if input.mask.is_some() && self.0.class() == "Softmax" {
            return Err(cx.misfit("Softmax", input.tensor, NO_MASK));
        }
        let axes = cx.graph.shape(input.tensor).dims().to_vec();
        let penalties = cx.penalties.len();
        // Only of tokens within steps is there a mask that says something of a step's parts.
        let parts = input.mask.filter(|&mask| cx.graph.shape(mask).rank() > 2);
        // A step may have several axes itself, of which the first stands in front of the examples.
        let mut in_rows = |x: TensorId| {
            let dims = cx.graph.shape(x).dims();
            let rows = [&[dims[0] * dims[1]], &dims[2..]].concat();
            let rows = cx.graph.reshape(x, rows)?;
            swap_leading(cx, rows)
        };
        let tensor = in_rows(input.tensor)?;
        let parts = parts.map(&mut in_rows).transpose()?;
        let Value { tensor: output, mask: left } =
            self.0.forward(cx, Value { tensor, mask: parts }, w)?;
        let mask = input.mask.filter(|_| parts.is_none() || left.is_some());
        // The layers within another have theirs at every step, each a mean over B examples.
        match self.0.class() {
            class if class == "Bidirectional" || is_model(class) => {
                for penalty in penalties..cx.penalties.len() {
                    let mean = cx.penalties[penalty];
                    cx.penalties[penalty] = cx.graph.apply(ops::Scale(axes[0] as f32), &[mean])?;
                }
            }
            _ => cx.penalties.truncate(penalties),
        }
        let output = swap_leading(cx, output)?;
        let step = cx.graph.shape(output).dims()[1..].to_vec();
        let tensor = cx.graph.reshape(output, [&axes[..2], &step].concat())?;
        Ok(Value { tensor, mask })
    }

    fn steps(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        w: &[TensorId],
    ) -> Result<Option<Value>, GraphError> {
        step_by_step(self, cx, input, w)
    }

    fn sees_batch(&self) -> bool {
        self.0.sees_batch()
    }

    fn uses_mask(&self) -> bool {
        self.0.uses_mask()
    }

    /// Steps become examples of the layer within.
    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let OnnxTensor { value: x, dims } = cx.input()?;
        let (step, output) = (dims.get(1..).unwrap_or_default(), cx.output().to_vec());
        let value = cx.reshape(&x, step);
        let mut inner = cx.within(self.0.class(), "");
        inner.inputs = vec![OnnxTensor { value, dims: step.to_vec() }];
        inner.outputs = vec![output.get(1..).unwrap_or_default().to_vec()];
        let made = self.0.onnx(&mut inner)?;
        Ok(made.first().map(|value| cx.reshape(value, &output)).into_iter().collect())
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        let given = a.layer("layer", &mut self.0)?;
        if !given {
            return Err(a.missing("layer"));
        }
        Ok(())
    }
}

/// [`Layer::steps`] of a layer within which another takes each step as a batch of its own: one call
/// of the layer for each step of `[T, B, ..]`.
///
/// # Errors
/// Fails if the input has a mask or does not fit the layer.
pub(super) fn step_by_step(
    layer: &dyn Layer,
    cx: &mut ForwardContext<'_>,
    input: Value,
    w: &[TensorId],
) -> Result<Option<Value>, GraphError> {
    if !cx.trains() || !layer.sees_batch() {
        return Ok(None);
    }
    if input.mask.is_some() {
        let wanted = "no mask around a layer that normalizes batches, as in Keras";
        return Err(cx.misfit("TimeDistributed", input.tensor, wanted));
    }
    let axes = cx.graph.shape(input.tensor).dims().to_vec();
    let step: usize = axes[1..].iter().product();
    let (mut rows, mut shape) = (Vec::new(), vec![]);
    for at in 0..axes[0] {
        let x = cx.graph.view(input.tensor, at * step, &axes[1..])?;
        let x = swap_leading(cx, x)?;
        let y = layer.forward(cx, x.into(), w)?.tensor;
        let y = swap_leading(cx, y)?;
        shape = cx.graph.shape(y).dims().to_vec();
        rows.push(cx.graph.reshape(y, [1, shape.iter().product::<usize>()])?);
    }
    let all = cx.graph.apply(ops::Concat, &rows)?;
    let tensor = cx.graph.reshape(all, [&axes[..1], &shape].concat())?;
    Ok(Some(Value { tensor, ..input }))
}
