use crate::common::{arity, ensure, threads};
use crate::normalization::batch_normalize::{SHADER, describe};
use crate::{Case, Definition, Sample};
use rnn_graph::{
    Cost, Io, Launch, Limits, Op, OpError, Operand, Real, Signature, TensorType, Work, iterations,
};

/// Exponential moving average: a = momentum a + (1 - momentum) factor x, once for each row x, in
/// order.
///
/// Input: x `[.., C]`. Update: a `[C]`.
///
/// An optional second input w `[1]` removes the bias of an average that began at zero. w is the
/// moving average of ones over the earlier rows; the op reads it and does not change it. For each
/// row
///
/// ```text
/// w = momentum w + (1 - momentum),  r = (1 - momentum) / w,  a = (1 - r) a + r factor x
/// ```
///
/// so that w is 1 - momentum^t after t rows. This is the bias correction of Kingma and Ba (2015),
/// section 3, and TensorFlow's `assign_moving_average` with `zero_debias`.
#[derive(Clone, Debug)]
pub struct MovingAverage {
    /// Weight of the old average, in 0..1; the new value has the rest.
    pub momentum: f32,
    /// Number by which x is multiplied.
    pub factor: f32,
}

impl Definition for MovingAverage {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let x = io.input(0);
        let (momentum, factor) = (F::of(self.momentum.into()), F::of(self.factor.into()));
        let mut before = (io.signature.inputs.len() > 1).then(|| io.input(1)[0]);
        let [average] = io.updates();
        for row in x.chunks_exact(average.len()) {
            before = before.map(|w| momentum * w + (F::one() - momentum));
            let rate = (F::one() - momentum) / before.unwrap_or(F::one());
            for (a, &x) in average.iter_mut().zip(row) {
                *a = (F::one() - rate) * *a + rate * factor * x;
            }
        }
    }
}

impl Op for MovingAverage {
    fn name(&self) -> &'static str {
        "moving_average"
    }

    fn infer(
        &self,
        inputs: &[TensorType],
        updates: &[TensorType],
    ) -> Result<Vec<TensorType>, OpError> {
        let [average] = arity(updates)?;
        let ([x] | [x, _]) = inputs else { return Err(OpError::shape("one input or two")) };
        let fits = average.dims() == [x.shape.last()] && !average.is_empty();
        ensure(fits, || format!("{x} for an average of {average}"))?;
        if let [_, weight] = inputs {
            ensure(weight.dims() == [1], || format!("{weight} is no weight of all values"))?;
        }
        Ok(vec![])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let x = &s.inputs[0];
        let launch = match s.inputs.len() {
            1 => Launch::new(&SHADER, "moving_average", threads(x.shape.last())?),
            _ => Launch::new(&SHADER, "moving_average_debiased", threads(x.shape.last())?)
                .bind("mean", Operand::Input(1)),
        };
        Ok(describe(launch, x, (None, 0.0))
            .iterations(iterations(x.shape.rows(), 0))
            .bind("x", Operand::Input(0))
            .bind("out", Operand::Update(0))
            .constant("MOMENTUM", self.momentum)
            .constant("FACTOR", self.factor)
            .into())
    }

    not_differentiable!();

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 4 * s.inputs[0].len() as u64, bytes: s.bytes() }
    }
}

/// Returns the test cases of [`MovingAverage`], for [`suite`](crate::suite).
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (rows, columns) in [(1, 1), (1, 70), (6, 33)] {
        let op = MovingAverage { momentum: 0.9, factor: 1.1 };
        let average = vec![Sample::Uniform(vec![columns], 0.5, 2.0)];
        let x = Sample::Normal(vec![rows, columns]);
        let name = format!("moving_average {rows}x{columns}");
        cases.push(Case::new(name, op.clone(), vec![x.clone()]).updates(average.clone()));
        let name = format!("moving_average without bias to zero {rows}x{columns}");
        let inputs = vec![x, Sample::Uniform(vec![1], 0.0, 0.9)];
        cases.push(Case::new(name, op, inputs).updates(average));
    }
    cases
}
