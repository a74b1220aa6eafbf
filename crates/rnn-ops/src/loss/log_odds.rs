use super::inside;
use crate::common::{arity, threads};
use crate::{Case, Definition, Sample};
use rnn_graph::{
    Cost, Io, Launch, Limits, Op, OpError, Operand, Real, Shader, Signature, TensorType, Work,
};

/// WGSL module of [`LogOdds`] (`shaders/loss/log_odds.wgsl`).
pub static SHADER: Shader = Shader::new(
    "log_odds",
    &[
        rnn_shaders::shared::ELEMENTWISE,
        rnn_shaders::shared::BITS,
        rnn_shaders::shared::EXPONENTIAL,
        rnn_shaders::shared::LOGARITHM,
        rnn_shaders::loss::LOG_ODDS,
    ],
);

/// The logits of probabilities p, which metrics compare with 0: log(q / (1 - q)), where q is p
/// between Keras's epsilon of 1e-7 and 1 - epsilon. Input: p of any shape. Output: of the same
/// shape. No gradient flows.
#[derive(Clone, Copy, Debug)]
pub struct LogOdds;

impl Definition for LogOdds {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let p = io.input(0);
        for (out, &p) in io.output().iter_mut().zip(p) {
            let q = inside(p);
            *out = (q / (F::one() - q)).ln();
        }
    }
}

impl Op for LogOdds {
    fn name(&self) -> &'static str {
        "log_odds"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [p] = arity(inputs)?;
        Ok(vec![p.clone()])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let count = s.outputs[0].len();
        Ok(Launch::new(&SHADER, "log_odds", threads(count)?)
            .bind("probabilities", Operand::Input(0))
            .bind("out", Operand::Output(0))
            .param("count", count)
            .into())
    }

    not_differentiable!();

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 12 * s.inputs[0].len() as u64, bytes: s.bytes() }
    }
}

/// Returns the test cases of [`LogOdds`], for [`suite`](crate::suite).
pub fn cases() -> Vec<Case> {
    let edges = Sample::Floats(vec![5], vec![0.0, 1.0, -2.0, 3.0, 1e-7]);
    vec![
        Case::new("log_odds 3x100", LogOdds, vec![Sample::Uniform(vec![3, 100], 0.0, 1.0)]),
        Case::new("log_odds of edges", LogOdds, vec![edges]),
    ]
}
