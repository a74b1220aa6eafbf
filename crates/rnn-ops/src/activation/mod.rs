mod function;
mod normal;

pub use function::Activation;

use crate::common::{arity, ensure, threads};
use crate::{Case, Definition, Sample};
use rnn_graph::{
    Cost, Graph, Io, Launch, Limits, Op, OpError, Operand, Operands, Real, Shader, Signature,
    TensorId, TensorType, Work,
};

/// WGSL module of [`Activate`] and [`ActivateBackward`] (`shaders/activation.wgsl`).
pub static SHADER: Shader = Shader::new(
    "activation",
    &[
        rnn_shaders::shared::ELEMENTWISE,
        rnn_shaders::shared::BITS,
        rnn_shaders::shared::EXPONENTIAL,
        rnn_shaders::shared::ACTIVATIONS,
        rnn_shaders::ACTIVATION,
    ],
);

/// Magnitude below which gradients inside scans are set to zero: 2^-100, as in
/// `shaders/shared/activations.wgsl`.
///
/// Gradients decay over time, and their products with weights become denormal numbers, which slow
/// many processors down a hundredfold and are set to zero by others. Such a value is added to the
/// gradients of later steps, beside which it is lost in rounding anyway.
pub const FLUSH_THRESHOLD: f32 = 7.888_609e-31;

/// y = activation(x), elementwise (keras/src/activations/activations.py); the field is the
/// activation. Input and output: any shape.
#[derive(Clone, Debug)]
pub struct Activate(pub Activation);

impl Definition for Activate {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let x = io.input(0);
        for (y, &x) in io.output().iter_mut().zip(x) {
            *y = self.0.apply(x);
        }
    }
}

impl Op for Activate {
    fn name(&self) -> &'static str {
        "activation"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [x] = arity(inputs)?;
        Ok(vec![x.clone()])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let count = s.outputs[0].len();
        Ok(Launch::new(&SHADER, "forward", threads(count)?)
            .constant("ACTIVATION", self.0.code())
            .bind("x", Operand::Input(0))
            .bind("out", Operand::Output(0))
            .param("count", count)
            .into())
    }

    fn backward(
        &self,
        graph: &mut Graph,
        operands: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let Some(gradient) = gradients[0] else { return Ok(vec![None]) };
        let kept = self.0.kept(operands.inputs[0], operands.outputs[0]);
        Ok(vec![Some(graph.apply(ActivateBackward(self.0), &[kept, gradient])?)])
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 4 * s.outputs[0].len() as u64, bytes: s.bytes() }
    }
}

/// Gradient of x of an [`Activate`], elementwise: dx = dy activation'(x), computed from y =
/// activation(x), or from x where the activation keeps it ([`Activation::keeps_input`]). Inputs: y
/// or x of any shape, and dy with as many elements. Output: dx, of the first input's shape.
#[derive(Clone, Debug)]
pub struct ActivateBackward(pub Activation);

impl Definition for ActivateBackward {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let (kept, dy) = (io.input(0), io.input(1));
        for (i, dx) in io.output().iter_mut().enumerate() {
            *dx = dy[i] * self.0.slope(kept[i]);
        }
    }
}

impl Op for ActivateBackward {
    fn name(&self) -> &'static str {
        "activation_backward"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [kept, gradient] = arity(inputs)?;
        ensure(kept.len() == gradient.len(), || "the gradient has another shape".into())?;
        Ok(vec![kept.clone()])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let count = s.outputs[0].len();
        Ok(Launch::new(&SHADER, "backward", threads(count)?)
            .constant("ACTIVATION", self.0.code())
            .bind("x", Operand::Input(0))
            .bind("gradient", Operand::Input(1))
            .bind("out", Operand::Output(0))
            .param("count", count)
            .into())
    }

    not_differentiable!();

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 3 * s.outputs[0].len() as u64, bytes: s.bytes() }
    }
}

/// Returns the range of what is kept for the gradient in test cases.
fn kept_range(activation: Activation) -> (f32, f32) {
    match activation {
        kept if kept.keeps_input() => (-8.0, 8.0),
        Activation::Relu6 | Activation::Softplus => (0.0, 8.0),
        Activation::Softsign => (-1.0, 1.0),
        Activation::Elu | Activation::Celu | Activation::Selu => (-1.0, 2.0),
        Activation::LeakyRelu | Activation::HardTanh => (-1.5, 1.5),
        _ => (0.0, 1.0),
    }
}

/// Returns the test cases of [`Activate`] and [`ActivateBackward`], for [`suite`](crate::suite).
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for activation in Activation::ALL {
        let x = Sample::Uniform(vec![3, 257], -8.0, 8.0);
        let name = activation.name();
        cases.push(
            Case::new(format!("activation {name}"), Activate(activation), vec![x]).gradient(&[0]),
        );
        let (low, high) = kept_range(activation);
        let inputs = vec![Sample::Uniform(vec![771], low, high), Sample::Normal(vec![771])];
        let op = ActivateBackward(activation);
        cases.push(Case::new(format!("activation backward {name}"), op, inputs));
    }
    cases
}
