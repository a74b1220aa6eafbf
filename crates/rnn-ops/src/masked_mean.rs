use crate::common::{arity, dims, ensure, pairwise_sum, threads};
use crate::{Case, Definition, Sample};
use rnn_graph::{
    Cost, Graph, Io, Launch, Limits, Op, OpError, Operand, Operands, Real, Shader, Signature,
    TensorId, TensorType, Work, iterations,
};

/// WGSL module of [`MaskedMean`] and [`MaskedMeanBackward`] (`shaders/masked_mean.wgsl`).
pub static SHADER: Shader =
    Shader::new("masked_mean", &[rnn_shaders::shared::ELEMENTWISE, rnn_shaders::MASKED_MEAN]);

/// Mean over the unmasked steps of each row: y(b, c) is the sum of x(t, b, c) over the steps t
/// where m(t, b) is not 0, divided by max(n(b), 1). n(b) is the number of these steps. For a row
/// that is masked at every step y is 0; Keras divides by zero there
/// (keras/src/layers/pooling/global_average_pooling1d.py).
///
/// Inputs: x `[T, B, C]`, mask m u32 `[T, B]`. Outputs: y `[B, C]`; n, as floats, `[B]`. Gradients
/// flow through y.
#[derive(Clone, Debug)]
pub struct MaskedMean;

/// Gradient of x of a [`MaskedMean`]: dx(t, b, c) = dy(b, c) / max(n(b), 1) where m(t, b) is not 0,
/// else 0.
///
/// Inputs: mask m u32 `[T, B]`, n `[B]`, dy `[B, C]`. Output: dx `[T, B, C]`.
#[derive(Clone, Debug)]
pub struct MaskedMeanBackward;

fn launch(
    entry: &'static str,
    [steps, batch, channels]: [usize; 3],
    count: usize,
) -> Result<Launch, OpError> {
    Ok(Launch::new(&SHADER, entry, threads(count)?)
        .bind("out", Operand::Output(0))
        .param("steps", steps)
        .param("batch", batch)
        .param("channels", channels))
}

impl Definition for MaskedMean {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let Ok([steps, batch, channels]) = dims(&io.signature.inputs[0]) else { return };
        let (x, mask) = (io.input(0), io.uints(1));
        let [y, n] = io.outputs();
        for b in 0..batch {
            let unmasked = || (0..steps).filter(|t| mask[t * batch + b] != 0);
            n[b] = F::of(unmasked().count() as f64);
            for c in 0..channels {
                let sum = pairwise_sum(unmasked().map(|t| x[(t * batch + b) * channels + c]));
                y[b * channels + c] = sum / n[b].max(F::one());
            }
        }
    }
}

impl Op for MaskedMean {
    fn name(&self) -> &'static str {
        "masked_mean"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [x, mask] = arity(inputs)?;
        let [steps, batch, channels] = dims(x)?;
        ensure(*mask == TensorType::u32([steps, batch]), || format!("mask {mask} of {x}"))?;
        Ok(vec![TensorType::f32([batch, channels]), TensorType::f32([batch])])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let extents: [usize; 3] = dims(&s.inputs[0])?;
        Ok(launch("forward", extents, s.outputs[0].len())?
            .iterations(iterations(extents[0], 0))
            .bind("x", Operand::Input(0))
            .bind("mask", Operand::Input(1))
            .bind("steps_counted", Operand::Output(1))
            .into())
    }

    fn backward(
        &self,
        graph: &mut Graph,
        operands: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let Some(g) = gradients[0] else { return Ok(vec![None, None]) };
        let inputs = [operands.inputs[1], operands.outputs[1], g];
        Ok(vec![Some(graph.apply(MaskedMeanBackward, &inputs)?), None])
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: s.inputs[0].len() as u64, bytes: s.bytes() }
    }
}

impl Definition for MaskedMeanBackward {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let Ok([batch, channels]) = dims(&io.signature.inputs[2]) else { return };
        let (mask, n, dy) = (io.uints(0), io.input(1), io.input(2));
        for (i, dx) in io.output().iter_mut().enumerate() {
            let (item, b) = (i / channels, i / channels % batch);
            let share = dy[b * channels + i % channels] / n[b].max(F::one());
            *dx = if mask[item] != 0 { share } else { F::zero() };
        }
    }
}

impl Op for MaskedMeanBackward {
    fn name(&self) -> &'static str {
        "masked_mean_backward"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [mask, n, dy] = arity(inputs)?;
        let ([steps, batch], [rows, channels]) = (dims(mask)?, dims(dy)?);
        ensure(rows == batch && n.len() == batch, || format!("mask {mask}, gradient {dy}"))?;
        Ok(vec![TensorType::f32([steps, batch, channels])])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        Ok(launch("backward", dims(&s.outputs[0])?, s.outputs[0].len())?
            .bind("mask", Operand::Input(0))
            .bind("steps_given", Operand::Input(1))
            .bind("x", Operand::Input(2))
            .into())
    }

    not_differentiable!();

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: s.outputs[0].len() as u64, bytes: s.bytes() }
    }
}

/// Returns the test cases of [`MaskedMean`] and [`MaskedMeanBackward`], for
/// [`suite`](crate::suite).
pub fn cases() -> Vec<Case> {
    [(1, 1, 1), (7, 5, 33), (31, 3, 129)]
        .into_iter()
        .flat_map(|(steps, batch, channels)| {
            // The last row is masked at every step.
            let unmasked = (0..steps * batch)
                .map(|i| u32::from(i % 3 != 0 && (batch == 1 || i % batch + 1 < batch)));
            let mask = Sample::Exactly(vec![steps, batch], unmasked.collect());
            let forward = vec![Sample::Normal(vec![steps, batch, channels]), mask.clone()];
            let counts = Sample::Floats(vec![batch], (0..batch).map(|b| b as f32).collect());
            let backward = vec![mask, counts, Sample::Normal(vec![batch, channels])];
            let size = format!("{steps}x{batch}x{channels}");
            [
                Case::new(format!("masked_mean {size}"), MaskedMean, forward)
                    .through(&[0])
                    .gradient(&[0]),
                Case::new(format!("masked_mean backward {size}"), MaskedMeanBackward, backward),
            ]
        })
        .collect()
}
