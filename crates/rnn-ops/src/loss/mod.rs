pub mod categorical;
pub mod ctc;
mod element;
pub mod hinge_labels;
pub mod log_odds;
pub mod masked_weights;
pub mod metric_sums;
pub mod row;

pub use element::ElementLoss;

use crate::common::{clip, ensure, pairwise_sum, sum_iterations, threads};
use crate::{Case, Definition, Sample};
use rnn_graph::{
    Cost, Graph, Grid, Io, Launch, Limits, Op, OpError, Operand, Operands, Real, Shader, Signature,
    TensorId, TensorType, Work,
};

/// WGSL module of [`Loss`] and [`LossBackward`] (`shaders/loss/loss.wgsl`).
pub static SHADER: Shader = Shader::new(
    "loss",
    &[
        rnn_shaders::shared::ELEMENTWISE,
        rnn_shaders::shared::BITS,
        rnn_shaders::shared::EXPONENTIAL,
        rnn_shaders::shared::LOGARITHM,
        rnn_shaders::shared::ACTIVATIONS,
        rnn_shaders::shared::TREE_SUM,
        rnn_shaders::loss::LOSS,
    ],
);

/// The least probability of which Keras takes a logarithm (`keras.config.epsilon`).
pub(crate) const EPSILON: f32 = 1e-7;

/// Returns a probability between [`EPSILON`] and 1 - [`EPSILON`], which Keras rounds to single
/// precision.
fn inside<F: Real>(p: F) -> F {
    clip(p, F::of(EPSILON.into()), F::of((1.0 - EPSILON).into()))
}

/// Returns the slope of [`inside`].
fn slope_inside<F: Real>(p: F) -> F {
    if inside(p) == p { F::one() } else { F::zero() }
}

/// Returns x^exponent for x >= 0, and 0^exponent for x < 0.
fn power<F: Real>(x: F, exponent: f32) -> F {
    if x < F::zero() {
        F::zero().powf(F::of(exponent.into()))
    } else {
        x.powf(F::of(exponent.into()))
    }
}

/// Weighted mean of the losses l of all predictions x with labels y: loss = sum of w l(x, y) /
/// count. w is the weight of the example to which x belongs, and count is the number of
/// predictions, not the sum of the weights.
///
/// Inputs: predictions and labels, both `[B, ..]`; w `[B]` if `weighted`. Output: loss `[1]`.
/// Gradients flow to the predictions alone.
#[derive(Clone, Debug)]
pub struct Loss {
    /// l, the loss of one prediction.
    pub of: ElementLoss,
    /// True if the weights w of the examples are the third input; if not, they are 1.
    pub weighted: bool,
}

/// Gradient of the predictions x of a [`Loss`]: dx = w l'(x, y) d_loss / count, where l' is the
/// derivative of l with respect to x. Inputs: predictions and labels `[B, ..]`, d_loss `[1]`, and w
/// `[B]` if the loss is weighted. Output: dx, of the predictions' shape. The field is the forward
/// op.
#[derive(Clone, Debug)]
pub struct LossBackward(pub Loss);

impl Loss {
    /// Checks predictions, labels and weights.
    fn check(&self, inputs: &[&TensorType]) -> Result<(), OpError> {
        let wanted = 2 + usize::from(self.weighted);
        ensure(inputs.len() == wanted, || format!("{} operands, it takes {wanted}", inputs.len()))?;
        let (x, y) = (inputs[0], inputs[1]);
        ensure(x == y && !x.is_empty(), || format!("predictions {x}, labels {y}"))?;
        let examples = x.dims().first().copied().unwrap_or(1);
        let fits = inputs.get(2).is_none_or(|w| w.dims() == [examples]);
        ensure(fits, || format!("{} for {examples} examples", inputs[2]))
    }

    fn launch(&self, entry: &'static str, grid: Grid, x: &TensorType, weights: usize) -> Launch {
        // Absent weights are never read; any tensor can be bound in their place.
        let weights = Operand::Input(if self.weighted { weights } else { 0 });
        Launch::new(&SHADER, entry, grid)
            .iterations(sum_iterations(x.len().div_ceil(parts(x))))
            .constant("KIND", self.of.code())
            .constant("HAS_WEIGHTS", u8::from(self.weighted))
            .bind("predictions", Operand::Input(0))
            .bind("labels", Operand::Input(1))
            .bind("weights", weights)
            .param("count", x.len())
            .param("examples", x.dims().first().copied().unwrap_or(1))
            .param("delta", self.of.delta())
            .param("gamma", self.of.gamma())
            .param("alpha", self.of.alpha())
            .param("parts", parts(x))
    }
}

/// Returns the number of workgroups that share the sum over all predictions. It depends on the
/// shape alone, so that results repeat bit by bit.
fn parts(x: &TensorType) -> usize {
    (x.len() / 4096).clamp(1, 256)
}

/// Returns a function from the index of a prediction to its weight.
fn weight<'a, F: Real>(io: &Io<'a, F>, place: Option<usize>) -> impl Fn(usize) -> F + use<'a, F> {
    let weights = place.map(|p| io.input(p));
    let count = io.input(0).len();
    move |i| weights.map_or(F::one(), |w| w[i / (count / w.len())])
}

impl Definition for Loss {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let (x, y) = (io.input(0), io.input(1));
        let weight = weight(io, self.weighted.then_some(2));
        let sum = pairwise_sum((0..x.len()).map(|i| weight(i) * self.of.apply(x[i], y[i])));
        io.output()[0] = sum / F::of(x.len() as f64);
    }
}

impl Op for Loss {
    fn name(&self) -> &'static str {
        "loss"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        self.check(&inputs.iter().collect::<Vec<_>>())?;
        Ok(vec![TensorType::f32([1])])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let x = &s.inputs[0];
        let parts = parts(x);
        let sum = self.launch("forward", Grid::new(parts, 1, 1)?, x, 2);
        if parts == 1 {
            return Ok(sum.bind("out", Operand::Output(0)).into());
        }
        let add = Launch::new(&SHADER, "add_parts", Grid::new(1, 1, 1)?)
            .iterations(sum_iterations(parts))
            .bind("predictions", Operand::Scratch(0))
            .bind("out", Operand::Output(0))
            .param("count", x.len())
            .param("examples", 0usize)
            .param("delta", 0.0)
            .param("gamma", 0.0)
            .param("alpha", 0.0)
            .param("parts", parts);
        let launches = vec![sum.bind("out", Operand::Scratch(0)), add];
        Ok(Work { scratch: vec![parts], launches })
    }

    fn backward(
        &self,
        graph: &mut Graph,
        operands: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let mut all = vec![None; operands.inputs.len()];
        let Some(g) = gradients[0] else { return Ok(all) };
        let mut inputs = vec![operands.inputs[0], operands.inputs[1], g];
        inputs.extend(operands.inputs.get(2));
        all[0] = Some(graph.apply(LossBackward(self.clone()), &inputs)?);
        Ok(all)
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 8 * s.inputs[0].len() as u64, bytes: s.bytes() }
    }
}

impl Definition for LossBackward {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let (x, y, d_loss) = (io.input(0), io.input(1), io.input(2)[0]);
        let weight = weight(io, self.0.weighted.then_some(3));
        let count = F::of(x.len() as f64);
        for (i, d) in io.output().iter_mut().enumerate() {
            *d = weight(i) * self.0.of.slope(x[i], y[i]) * d_loss / count;
        }
    }
}

impl Op for LossBackward {
    fn name(&self) -> &'static str {
        "loss_backward"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        ensure(inputs.len() >= 3 && inputs[2].len() == 1, || "no gradient of the loss".into())?;
        let others = inputs.iter().enumerate().filter(|(i, _)| *i != 2).map(|(_, ty)| ty);
        self.0.check(&others.collect::<Vec<_>>())?;
        Ok(vec![inputs[0].clone()])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let grid = threads(s.outputs[0].len())?;
        let launch = self.0.launch("backward", grid, &s.inputs[0], 3);
        Ok(launch.bind("d_loss", Operand::Input(2)).bind("out", Operand::Output(0)).into())
    }

    not_differentiable!();

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 6 * s.outputs[0].len() as u64, bytes: s.bytes() }
    }
}

/// Losses by name, with the ranges of predictions and of labels that they take.
pub(crate) fn kinds() -> Vec<(&'static str, ElementLoss, [f32; 2], [f32; 2])> {
    let (wide, unit, fraction) = ([-30.0, 30.0], [0.0, 1.0], [0.02, 0.98]);
    let focal = |gamma, alpha| ElementLoss::BinaryFocal { gamma, alpha };
    let of_probabilities = |gamma, alpha| ElementLoss::BinaryFocalOfProbability { gamma, alpha };
    vec![
        ("binary cross-entropy", ElementLoss::BinaryCrossEntropy, wide, unit),
        ("squared error", ElementLoss::SquaredError, wide, unit),
        ("absolute error", ElementLoss::AbsoluteError, wide, unit),
        ("huber", ElementLoss::Huber { delta: 1.5 }, wide, unit),
        ("pinball", ElementLoss::Pinball { quantile: 0.9 }, wide, unit),
        ("probabilities", ElementLoss::BinaryCrossEntropyOfProbability, fraction, unit),
        ("percentage error", ElementLoss::AbsolutePercentageError, wide, [0.5, 2.0]),
        ("logarithmic error", ElementLoss::SquaredLogarithmicError, [0.1, 9.0], unit),
        ("log cosh", ElementLoss::LogCosh, wide, unit),
        ("poisson", ElementLoss::Poisson, [0.1, 9.0], [0.0, 9.0]),
        ("hinge", ElementLoss::Hinge, wide, [-1.0, 1.0]),
        ("squared hinge", ElementLoss::SquaredHinge, wide, [-1.0, 1.0]),
        ("focal", focal(2.0, None), [-12.0, 12.0], unit),
        ("balanced focal", focal(0.5, Some(0.25)), [-12.0, 12.0], unit),
        ("focal of probabilities", of_probabilities(2.5, None), fraction, unit),
        ("unfocused", of_probabilities(0.0, Some(0.3)), fraction, unit),
    ]
}

/// Returns the test cases of [`Loss`] and [`LossBackward`], for [`suite`](crate::suite).
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, of, [low, high], [least, most]) in kinds() {
        // What is left of two logarithms has few digits where they are close.
        let logarithms = of == ElementLoss::SquaredLogarithmicError;
        let tolerance = if logarithms { 1e-4 } else { 2e-6 };
        let sizes = [(1, 1, false), (92, 1, true), (60, 5, true), (10, 1300, true)];
        for (examples, width, weighted) in sizes {
            let op = Loss { of, weighted };
            let shape = vec![examples, width];
            let mut forward = vec![
                Sample::Uniform(shape.clone(), low, high),
                Sample::Uniform(shape, least, most),
            ];
            let mut backward = forward.clone();
            backward.push(Sample::Normal(vec![1]));
            for inputs in [&mut forward, &mut backward] {
                inputs.extend(weighted.then(|| Sample::Uniform(vec![examples], 0.0, 2.0)));
            }
            let size = format!("{examples}x{width}{}", if weighted { " weighted" } else { "" });
            let back = LossBackward(op.clone());
            let forward = Case::new(format!("{name} {size}"), op, forward).gradient(&[0]);
            let backward = Case::new(format!("{name} backward {size}"), back, backward);
            cases.extend([forward, backward].map(|case| case.tolerance(tolerance)));
        }
        // Where functions are clipped or have a kink.
        let x = vec![0.25, 0.0, 1e-9, 1e-7, 0.5, 1.0, 2.0, 0.0, 1.0];
        let y = vec![0.75, 0.0, 1.0, 0.0, 0.5, 0.0, 0.5, 1.0, 1.0];
        let edges = [x, y].map(|values| Sample::Floats(vec![9, 1], values)).to_vec();
        let op = Loss { of, weighted: false };
        let back = [edges.clone(), vec![Sample::Normal(vec![1])]].concat();
        cases.push(Case::new(format!("{name} of edges"), op.clone(), edges));
        cases.push(Case::new(format!("{name} backward of edges"), LossBackward(op), back));
    }
    cases
}
