use crate::common::{arity, clip, ensure, larger, threads};
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

/// An elementwise activation function, with Keras's names (keras/src/activations/activations.py).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Activation {
    /// The identity: x.
    #[default]
    Linear,
    /// Rectified linear unit: max(x, 0).
    Relu,
    /// Logistic function: 1 / (1 + e^-x).
    Sigmoid,
    /// Hyperbolic tangent: tanh x.
    Tanh,
    /// Keras 3's piecewise linear sigmoid: clip(x / 6 + 0.5, 0, 1).
    HardSigmoid,
    /// The piecewise linear sigmoid of Keras up to 2.15: clip(0.2 x + 0.5, 0, 1).
    HardSigmoid2018,
}

impl Activation {
    /// All activation functions, in the order of their codes ([`Self::code`]).
    pub const ALL: [Self; 6] = [
        Self::Linear,
        Self::Relu,
        Self::Sigmoid,
        Self::Tanh,
        Self::HardSigmoid,
        Self::HardSigmoid2018,
    ];

    /// Returns the name in model files and tables: Keras's name, except for `hard_sigmoid_2018`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Relu => "relu",
            Self::Sigmoid => "sigmoid",
            Self::Tanh => "tanh",
            Self::HardSigmoid => "hard_sigmoid",
            Self::HardSigmoid2018 => "hard_sigmoid_2018",
        }
    }

    /// Returns the value of the WGSL constant `ACTIVATION` that selects the function; see
    /// `shaders/shared/activations.wgsl`.
    pub fn code(self) -> u32 {
        self as u32
    }

    /// Returns the function's value at `x`, by the formula of its variant; NaN stays NaN.
    pub fn apply<F: Real>(self, x: F) -> F {
        let clip = |y: F| clip(y, F::zero(), F::one());
        match self {
            Self::Linear => x,
            Self::Relu => larger(x, F::zero()),
            Self::Sigmoid => F::one() / (F::one() + (-x).exp()),
            Self::Tanh => x.tanh(),
            Self::HardSigmoid => clip(x / F::of(6.0) + F::of(0.5)),
            Self::HardSigmoid2018 => clip(F::of(0.2) * x + F::of(0.5)),
        }
    }

    /// Returns the derivative of the function at x, computed from the function's value `y` at x.
    /// All six functions permit this. At the kinks of the piecewise linear functions the derivative
    /// is 0.
    pub fn slope<F: Real>(self, y: F) -> F {
        let inside = |slope: f64| {
            if y > F::zero() && y < F::one() { F::of(slope) } else { F::zero() }
        };
        match self {
            Self::Linear => F::one(),
            Self::Relu if y > F::zero() => F::one(),
            Self::Relu => F::zero(),
            Self::Sigmoid => y * (F::one() - y),
            Self::Tanh => F::one() - y * y,
            Self::HardSigmoid => inside(1.0 / 6.0),
            Self::HardSigmoid2018 => inside(0.2),
        }
    }
}

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
        let inputs = [operands.outputs[0], gradient];
        Ok(vec![Some(graph.apply(ActivateBackward(self.0), &inputs)?)])
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 4 * s.outputs[0].len() as u64, bytes: s.bytes() }
    }
}

/// Gradient of x of an [`Activate`], elementwise: dx = dy activation'(x), computed from y =
/// activation(x). Inputs: y of any shape, and dy with as many elements. Output: dx, of y's shape.
#[derive(Clone, Debug)]
pub struct ActivateBackward(pub Activation);

impl Definition for ActivateBackward {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let (y, dy) = (io.input(0), io.input(1));
        for (i, dx) in io.output().iter_mut().enumerate() {
            *dx = dy[i] * self.0.slope(y[i]);
        }
    }
}

impl Op for ActivateBackward {
    fn name(&self) -> &'static str {
        "activation_backward"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [y, gradient] = arity(inputs)?;
        ensure(y.len() == gradient.len(), || "the gradient has another shape".into())?;
        Ok(vec![y.clone()])
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

/// Returns the test cases of [`Activate`] and [`ActivateBackward`], for [`suite`](crate::suite).
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for activation in Activation::ALL {
        let x = Sample::Uniform(vec![3, 257], -8.0, 8.0);
        let name = activation.name();
        cases.push(
            Case::new(format!("activation {name}"), Activate(activation), vec![x]).gradient(&[0]),
        );
        let inputs = vec![Sample::Uniform(vec![771], 0.0, 1.0), Sample::Normal(vec![771])];
        let op = ActivateBackward(activation);
        cases.push(Case::new(format!("activation backward {name}"), op, inputs));
    }
    cases
}
