use crate::common::{arity, threads};
use crate::{Binary, Case, Definition, Sample, Scale};
use rnn_graph::{
    Cost, Graph, Io, Launch, Limits, Op, OpError, Operand, Operands, Real, Shader, Signature,
    TensorId, TensorType, Work,
};

/// WGSL module of [`InverseRoot`] (`shaders/normalization/inverse_root.wgsl`).
pub static SHADER: Shader = Shader::new(
    "inverse_root",
    &[rnn_shaders::shared::ELEMENTWISE, rnn_shaders::normalization::INVERSE_ROOT],
);

/// y = 1 / sqrt(x + epsilon), elementwise. Its gradient is dx = -y^3 dy / 2. Input and output: any
/// shape.
#[derive(Clone, Debug)]
pub struct InverseRoot {
    /// Added to x, so that y stays finite where x is 0.
    pub epsilon: f32,
}

impl Definition for InverseRoot {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let x = io.input(0);
        for (y, &x) in io.output().iter_mut().zip(x) {
            *y = (x + F::of(self.epsilon.into())).sqrt().recip();
        }
    }
}

impl Op for InverseRoot {
    fn name(&self) -> &'static str {
        "inverse_root"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [x] = arity(inputs)?;
        Ok(vec![x.clone()])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let count = s.inputs[0].len();
        Ok(Launch::new(&SHADER, "inverse_root", threads(count)?)
            .bind("x", Operand::Input(0))
            .bind("out", Operand::Output(0))
            .param("count", count)
            .param("epsilon", self.epsilon)
            .into())
    }

    fn backward(
        &self,
        graph: &mut Graph,
        operands: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let Some(mut g) = gradients[0] else { return Ok(vec![None]) };
        for _ in 0..3 {
            g = graph.apply(Binary::Mul, &[g, operands.outputs[0]])?;
        }
        Ok(vec![Some(graph.apply(Scale(-0.5), &[g])?)])
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 3 * s.inputs[0].len() as u64, bytes: s.bytes() }
    }
}

/// Returns the test cases of [`InverseRoot`], for [`suite`](crate::suite).
pub fn cases() -> Vec<Case> {
    let x = Sample::Uniform(vec![300], 0.1, 9.0);
    vec![Case::new("inverse_root 300", InverseRoot { epsilon: 1e-3 }, vec![x]).gradient(&[0])]
}
