use crate::common::{dims, ensure, sum_iterations, threads};
use crate::{Case, Definition, Sample};
use rnn_core::DType;
use rnn_graph::{
    Cost, Grid, Io, Launch, Limits, Op, OpError, Operand, Real, Shader, Signature, TensorType, Work,
};

/// WGSL module of [`MaskedWeights`] (`shaders/loss/masked_weights.wgsl`).
pub static SHADER: Shader = Shader::new(
    "masked_weights",
    &[
        rnn_shaders::shared::ELEMENTWISE,
        rnn_shaders::shared::TREE_SUM,
        rnn_shaders::loss::MASKED_WEIGHTS,
    ],
);

/// Weights v that turn the mean over all B T losses of a masked sequence into the sum of the
/// unmasked losses, each times its weight w, divided by the number V of unmasked steps
/// (keras/src/losses/loss.py, `apply_mask`). For the mask m,
///
/// ```text
/// v(b, t) = w(b, t) T B / V  where m(t, b) is not 0, else 0;  V = number of m(t, b) that are not 0
/// ```
///
/// If V is 0, v is 0. Without the input w, w is 1.
///
/// Inputs: mask m u32 `[T, B]`; w `[B T]`, with all steps of an example together, if `weighted`; V
/// `[1]` if `given`, which may then count the steps of other ranks too. Output: v `[B T]`, a
/// constant of the loss: no gradient flows through it.
#[derive(Clone, Copy, Debug)]
pub struct MaskedWeights {
    /// True if the weights w are the second input; if not, they are 1.
    pub weighted: bool,
    /// True if V is the last input; if not, it is counted from the mask.
    pub given: bool,
}

impl MaskedWeights {
    /// Returns the input indices of w and V; `None` for those that are absent.
    fn places(self) -> [Option<usize>; 2] {
        let given = 1 + usize::from(self.weighted);
        [self.weighted.then_some(1), self.given.then_some(given)]
    }
}

impl Definition for MaskedWeights {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let mask = io.uints(0);
        let Ok([steps, batch]) = dims(&io.signature.inputs[0]) else { return };
        let [weights, valid] = self.places().map(|place| place.map(|place| io.input(place)));
        let counted = mask.iter().filter(|&&m| m != 0).count();
        let valid = valid.map_or(F::of(counted as f64), |valid| valid[0]);
        let total = F::of(mask.len() as f64);
        for (i, v) in io.output().iter_mut().enumerate() {
            let (b, t) = (i / steps, i % steps);
            let unmasked = mask[t * batch + b] != 0 && valid > F::zero();
            let weight = weights.map_or(F::one(), |weights| weights[i]);
            *v = if unmasked { weight * (total / valid) } else { F::zero() };
        }
    }
}

impl Op for MaskedWeights {
    fn name(&self) -> &'static str {
        "masked_weights"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let wanted = 1 + usize::from(self.weighted) + usize::from(self.given);
        ensure(inputs.len() == wanted, || format!("{} operands, it takes {wanted}", inputs.len()))?;
        let mask = &inputs[0];
        let [steps, batch] = dims(mask)?;
        ensure(mask.dtype == DType::U32, || format!("{mask} is no mask"))?;
        let [weights, valid] = self.places().map(|place| place.map(|place| &inputs[place]));
        let fits = weights.is_none_or(|w| *w == TensorType::f32([batch * steps]));
        let one = valid.is_none_or(|valid| *valid == TensorType::f32([1]));
        ensure(fits && one, || format!("{:?} for mask {mask}", &inputs[1..]))?;
        Ok(vec![TensorType::f32([batch * steps])])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let [steps, batch] = dims(&s.inputs[0])?;
        let [weights, given] = self.places();
        let launch = |entry, grid| {
            Launch::new(&SHADER, entry, grid)
                .iterations(sum_iterations(steps * batch))
                .bind("mask", Operand::Input(0))
                .param("steps", steps)
                .param("batch", batch)
        };
        let valid = given.map_or(Operand::Scratch(0), Operand::Input);
        // Absent weights are never read; any tensor can be bound in their place.
        let weigh = launch("weigh", threads(steps * batch)?)
            .constant("HAS_WEIGHTS", u8::from(self.weighted))
            .bind("weights", Operand::Input(weights.unwrap_or(0)))
            .bind("valid", valid)
            .bind("out", Operand::Output(0));
        if given.is_some() {
            return Ok(weigh.into());
        }
        let count = launch("count", Grid::new(1, 1, 1)?).bind("out", Operand::Scratch(0));
        Ok(Work { scratch: vec![1], launches: vec![count, weigh] })
    }

    no_gradient!();

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 2 * s.outputs[0].len() as u64, bytes: s.bytes() }
    }
}

/// Returns the test cases of [`MaskedWeights`], for [`suite`](crate::suite).
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (steps, batch) in [(1, 1), (7, 5), (31, 40)] {
        for (weighted, given) in [(false, false), (true, false), (false, true), (true, true)] {
            let mask = (0..steps * batch).map(|i| u32::from(i % 3 != 1)).collect();
            let mut inputs = vec![Sample::Exactly(vec![steps, batch], mask)];
            inputs.extend(weighted.then(|| Sample::Uniform(vec![steps * batch], 0.0, 2.0)));
            inputs.extend(given.then(|| Sample::Floats(vec![1], vec![17.0])));
            let mut name = format!("masked_weights {steps}x{batch}");
            for (so, what) in [(weighted, " weighted"), (given, " given")] {
                name += if so { what } else { "" };
            }
            cases.push(Case::new(name, MaskedWeights { weighted, given }, inputs));
        }
    }
    let nobody = vec![Sample::Exactly(vec![3, 2], vec![0; 6])];
    let op = MaskedWeights { weighted: false, given: false };
    cases.push(Case::new("masked_weights of no step", op, nobody));
    cases
}
