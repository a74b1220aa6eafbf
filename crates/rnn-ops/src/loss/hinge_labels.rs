use crate::common::{arity, ensure, sum_iterations, threads};
use crate::{Case, Definition, Sample};
use rnn_graph::{
    Cost, Grid, Io, Launch, Limits, Op, OpError, Operand, Real, Shader, Signature, TensorType, Work,
};

/// WGSL module of [`HingeLabels`] (`shaders/loss/hinge_labels.wgsl`).
pub static SHADER: Shader = Shader::new(
    "hinge_labels",
    &[
        rnn_shaders::shared::ELEMENTWISE,
        rnn_shaders::shared::TREE_SUM,
        rnn_shaders::loss::HINGE_LABELS,
    ],
);

/// The labels of a hinge loss: 2 y - 1 if all labels y of the batch are 0 or 1, else y
/// (`convert_binary_labels_to_hinge` of keras/src/losses/losses.py). Input: y of any shape. Output:
/// of the same shape. No gradient flows.
#[derive(Clone, Copy, Debug)]
pub struct HingeLabels;

impl Definition for HingeLabels {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let y = io.input(0);
        let binary = y.iter().all(|&y| y == F::zero() || y == F::one());
        for (out, &y) in io.output().iter_mut().zip(y) {
            *out = if binary { y + y - F::one() } else { y };
        }
    }
}

impl Op for HingeLabels {
    fn name(&self) -> &'static str {
        "hinge_labels"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [y] = arity(inputs)?;
        ensure(!y.is_empty(), || "there are no labels".into())?;
        Ok(vec![y.clone()])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let count = s.outputs[0].len();
        let launch = |entry, grid| {
            Launch::new(&SHADER, entry, grid)
                .bind("labels", Operand::Input(0))
                .param("count", count)
        };
        let counted = launch("count", Grid::new(1, 1, 1)?)
            .iterations(sum_iterations(count))
            .bind("out", Operand::Scratch(0));
        let convert = launch("convert", threads(count)?)
            .bind("others", Operand::Scratch(0))
            .bind("out", Operand::Output(0));
        Ok(Work { scratch: vec![1], launches: vec![counted, convert] })
    }

    not_differentiable!();

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 2 * s.inputs[0].len() as u64, bytes: s.bytes() }
    }
}

/// Returns the test cases of [`HingeLabels`], for [`suite`](crate::suite).
pub fn cases() -> Vec<Case> {
    let case = |name: &str, odd: f32| {
        let mut labels: Vec<f32> = (0..900).map(|i| (i * i % 7 % 2) as f32).collect();
        labels[700] = odd;
        let name = format!("hinge_labels {name}");
        Case::new(name, HingeLabels, vec![Sample::Floats(vec![300, 3], labels)])
    };
    vec![case("of zeros and ones", 1.0), case("of others", -1.0), case("of fractions", 0.5)]
}
