use crate::common::{arity, ensure};
use crate::{Case, Definition, Matmul, Sample, SumRows};
use rnn_graph::{Cost, Io, Limits, Op, OpError, Operand, Real, Signature, TensorType, Work};

/// Gradients of B and of the bias of a [`Matmul`] whose operands are not stored transposed: dB =
/// A^T dy, and d_bias is the sum of the rows of dy. dy is the gradient before the activation.
///
/// Inputs: A `[.., K]`, dy `[.., N]`, with equal numbers of rows. Outputs: dB `[K, N]` and d_bias
/// `[N]`, in single precision.
#[derive(Clone, Debug)]
pub struct MatmulWeights;

impl MatmulWeights {
    fn product() -> Matmul {
        Matmul { transpose_a: true, ..Matmul::default() }
    }
}

/// Returns the signature of the sum of the rows of dy alone.
fn of_sum(s: &Signature) -> Signature {
    Signature { inputs: s.inputs[1..].to_vec(), updates: vec![], outputs: s.outputs[1..].to_vec() }
}

impl Definition for MatmulWeights {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let s = io.signature;
        let (m, n) = (s.inputs[0].shape.last(), s.inputs[1].shape.last());
        let (a, dy) = (io.input(0), io.input(1));
        let [db, d_bias] = io.outputs();
        db.fill(F::zero());
        d_bias.fill(F::zero());
        for (a, dy) in a.chunks_exact(m).zip(dy.chunks_exact(n)) {
            for (sums, &a) in db.chunks_exact_mut(n).zip(a) {
                sums.iter_mut().zip(dy).for_each(|(sum, &dy)| *sum = *sum + a * dy);
            }
            d_bias.iter_mut().zip(dy).for_each(|(sum, &dy)| *sum = *sum + dy);
        }
    }
}

impl Op for MatmulWeights {
    fn name(&self) -> &'static str {
        "matmul_weights"
    }

    fn takes_half(&self) -> bool {
        true
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [a, dy] = arity(inputs)?;
        ensure(a.shape.rank() >= 1 && dy.shape.rank() >= 1, || "an operand is a scalar".into())?;
        ensure(a.shape.rows() == dy.shape.rows(), || format!("{a} and {dy} differ in rows"))?;
        let n = dy.shape.last();
        Ok(vec![TensorType::f32([a.shape.last(), n]), TensorType::f32([n])])
    }

    fn record(&self, s: &Signature, limits: &Limits) -> Result<Work, OpError> {
        let sum = SumRows.record(&of_sum(s), limits)?.over(|operand| match operand {
            Operand::Input(_) => Operand::Input(1),
            Operand::Output(_) => Operand::Output(1),
            other => other,
        });
        Ok(Self::product().record(s, limits)?.then(sum))
    }

    not_differentiable!();

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        let dy = s.inputs[1].len() as u64;
        Cost { flops: 2 * s.inputs[0].shape.last() as u64 * dy + dy, bytes: s.bytes() }
    }
}

/// Returns the test cases of [`MatmulWeights`], for [`suite`](crate::suite).
pub fn cases() -> Vec<Case> {
    let inputs = |rows: usize, k: usize, n: usize| {
        vec![Sample::Normal(vec![rows, k]), Sample::Normal(vec![rows, n])]
    };
    let mut cases: Vec<Case> = [(1, 1, 1), (130, 7, 33), (2099, 33, 40)]
        .map(|(rows, k, n)| {
            let name = format!("matmul_weights {rows} of {k}x{n}");
            Case::new(name, MatmulWeights, inputs(rows, k, n)).tolerance(5e-6)
        })
        .into();
    let halves = Case::new("matmul_weights halves", MatmulWeights, inputs(300, 6, 34));
    cases.push(halves.half(&[0, 1]).tolerance(5e-6));
    cases
}
