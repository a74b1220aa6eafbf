use crate::common::{arity, ensure, threads};
use crate::elementwise::SHADER;
use crate::{Binary, Case, Definition, Sample, SumRows};
use rnn_graph::{
    Cost, Graph, Io, Launch, Limits, Op, OpError, Operand, Operands, Real, Signature, TensorId,
    TensorType, Work,
};

/// y = x a + b, with a and b broadcast over the rows of x. It applies the scale and offset of a
/// normalization layer, and the whole of batch normalization during inference. Inputs: x `[.., F]`,
/// a and b `[F]`. Output: y `[.., F]`.
#[derive(Clone, Debug)]
pub struct Affine;

impl Definition for Affine {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let (x, a, b) = (io.input(0), io.input(1), io.input(2));
        for (y, x) in io.output().chunks_exact_mut(a.len()).zip(x.chunks_exact(a.len())) {
            for (((y, &x), &a), &b) in y.iter_mut().zip(x).zip(a).zip(b) {
                *y = x * a + b;
            }
        }
    }
}

impl Op for Affine {
    fn name(&self) -> &'static str {
        "affine"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [x, a, b] = arity(inputs)?;
        let fits = x.shape.rank() > 0 && a.dims() == [x.shape.last()] && a == b && !a.is_empty();
        ensure(fits, || format!("{x} times {a} plus {b}"))?;
        Ok(vec![x.clone()])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let count = s.outputs[0].len();
        Ok(Launch::new(&SHADER, "affine", threads(count)?)
            .bind("a", Operand::Input(0))
            .bind("b", Operand::Input(1))
            .bind("c", Operand::Input(2))
            .bind("out", Operand::Output(0))
            .param("count", count)
            .param("period", s.inputs[1].len())
            .param("factor", 1.0)
            .into())
    }

    fn backward(
        &self,
        graph: &mut Graph,
        operands: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let Some(g) = gradients[0] else { return Ok(vec![None; 3]) };
        let (x, a) = (operands.inputs[0], operands.inputs[1]);
        let dx = graph.apply(Binary::Mul, &[g, a])?;
        let products = graph.apply(Binary::Mul, &[g, x])?;
        let da = graph.apply(SumRows, &[products])?;
        let db = graph.apply(SumRows, &[g])?;
        Ok(vec![Some(dx), Some(da), Some(db)])
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 2 * s.outputs[0].len() as u64, bytes: s.bytes() }
    }
}

/// Returns the test cases of [`Affine`], for [`suite`](crate::suite).
pub fn cases() -> Vec<Case> {
    let case = |x: &[usize]| {
        let width = x[x.len() - 1];
        let samples = [x, &[width], &[width]].map(|shape| Sample::Normal(shape.to_vec()));
        Case::new(format!("affine {x:?}"), Affine, samples.to_vec()).gradient(&[0, 1, 2])
    };
    vec![case(&[1]), case(&[37, 5]), case(&[3, 50, 40])]
}
