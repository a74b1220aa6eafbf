use crate::common::{arity, ensure, threads};
use crate::{Case, Definition, Sample};
use rnn_graph::{
    Cost, Graph, Io, Launch, Limits, Op, OpError, Operand, Operands, Real, Shader, Signature,
    TensorId, TensorType, Work,
};

/// WGSL module of [`Rectify`] and [`RectifyBackward`] (`shaders/rectify.wgsl`).
pub static SHADER: Shader = Shader::new(
    "rectify",
    &[
        rnn_shaders::shared::ELEMENTWISE,
        rnn_shaders::shared::BITS,
        rnn_shaders::shared::EXPONENTIAL,
        rnn_shaders::shared::ACTIVATIONS,
        rnn_shaders::RECTIFY,
    ],
);

/// A rectifier with arguments, elementwise (keras/src/layers/activations/relu.py, elu.py):
///
/// ```text
/// y = min(x, highest)            where x > threshold
/// y = slope (x - threshold)      elsewhere; 0 where the slope is 0
/// y = slope (e^x - 1)            elsewhere, if curved
/// ```
///
/// Input and output: any shape. [`Activation`](crate::Activation) has those without arguments.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rectify {
    /// The number above which x passes, 0 or more; 0 if `curved`.
    pub threshold: f32,
    /// The factor of what lies below the threshold.
    pub slope: f32,
    /// The largest value of y, 0 or more; infinity for none.
    pub highest: f32,
    /// True if y bends below the threshold, as that of an exponential linear unit.
    pub curved: bool,
}

impl Default for Rectify {
    /// max(x, 0).
    fn default() -> Self {
        Self { threshold: 0.0, slope: 0.0, highest: f32::INFINITY, curved: false }
    }
}

impl Rectify {
    /// Returns the numbers in the precision of a definition: threshold, slope, highest.
    fn numbers<F: Real>(&self) -> [F; 3] {
        [self.threshold, self.slope, self.highest].map(|number| F::of(f64::from(number)))
    }

    fn launch(&self, entry: &'static str, s: &Signature) -> Result<Launch, OpError> {
        let count = s.outputs[0].len();
        // Infinity is no number that every driver takes.
        Ok(Launch::new(&SHADER, entry, threads(count)?)
            .constant("CURVED", u8::from(self.curved))
            .bind("x", Operand::Input(0))
            .bind("out", Operand::Output(0))
            .param("count", count)
            .param("threshold", self.threshold)
            .param("slope", self.slope)
            .param("highest", self.highest.min(f32::MAX))
            .param("limited", u32::from(self.highest.is_finite())))
    }
}

impl Definition for Rectify {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let [threshold, slope, highest] = self.numbers::<F>();
        let x = io.input(0);
        for (y, &x) in io.output().iter_mut().zip(x) {
            *y = match x > threshold {
                true if x > highest => highest,
                true => x,
                false if self.curved => slope * x.exp_m1(),
                // Not the NaN of 0 times an infinity.
                false if slope == F::zero() && x < threshold => F::zero(),
                false => slope * (x - threshold),
            };
        }
    }
}

impl Op for Rectify {
    fn name(&self) -> &'static str {
        "rectify"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [x] = arity(inputs)?;
        Ok(vec![x.clone()])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        Ok(self.launch("forward", s)?.into())
    }

    fn backward(
        &self,
        graph: &mut Graph,
        operands: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let Some(g) = gradients[0] else { return Ok(vec![None]) };
        let inputs = [operands.inputs[0], g];
        Ok(vec![Some(graph.apply(RectifyBackward(*self), &inputs)?)])
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 3 * s.outputs[0].len() as u64, bytes: s.bytes() }
    }
}

/// Gradient of x of a [`Rectify`], elementwise: dx = dy y'(x), where y'(x) is 1 where x passes, 0
/// where y is the highest, and that of the piece below at the threshold. Inputs: x of any shape, and
/// dy with as many elements. Output: dx, of x's shape.
#[derive(Clone, Debug)]
pub struct RectifyBackward(pub Rectify);

impl Definition for RectifyBackward {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let [threshold, slope, highest] = self.0.numbers::<F>();
        let (x, dy) = (io.input(0), io.input(1));
        for (i, dx) in io.output().iter_mut().enumerate() {
            let derivative = match x[i] > threshold {
                true if x[i] >= highest => F::zero(),
                true => F::one(),
                false if self.0.curved => slope * x[i].exp(),
                false => slope,
            };
            *dx = dy[i] * derivative;
        }
    }
}

impl Op for RectifyBackward {
    fn name(&self) -> &'static str {
        "rectify_backward"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [x, gradient] = arity(inputs)?;
        ensure(x.len() == gradient.len(), || "the gradient has another shape".into())?;
        Ok(vec![x.clone()])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        Ok(self.0.launch("backward", s)?.bind("gradient", Operand::Input(1)).into())
    }

    not_differentiable!();

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 3 * s.outputs[0].len() as u64, bytes: s.bytes() }
    }
}

/// Returns the test cases of [`Rectify`] and [`RectifyBackward`], for [`suite`](crate::suite).
pub fn cases() -> Vec<Case> {
    let plain = Rectify::default();
    let mut cases = Vec::new();
    for (name, op) in [
        ("plain", plain),
        ("leaky", Rectify { slope: 0.3, ..plain }),
        ("of all arguments", Rectify { slope: 0.5, threshold: 0.7, highest: 2.5, ..plain }),
        ("curved", Rectify { slope: 1.7, curved: true, ..plain }),
    ] {
        let x = Sample::Uniform(vec![3, 257], -4.0, 4.0);
        cases.push(Case::new(format!("rectify {name}"), op, vec![x.clone()]).gradient(&[0]));
        let inputs = vec![x, Sample::Normal(vec![3, 257])];
        cases.push(Case::new(format!("rectify backward {name}"), RectifyBackward(op), inputs));
    }
    cases
}
