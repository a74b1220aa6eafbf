use crate::common::{arity, ensure, nested, threads};
use crate::{Activation, Case, Definition, Sample};
use rnn_graph::{
    Cost, Graph, Grid, Io, Launch, Limits, Op, OpError, Operand, Operands, Real, Shader, Signature,
    TensorId, TensorType, Work,
};

pub static SHADER: Shader = Shader::new(
    "binary_cross_entropy",
    &[
        include_str!("../../../shaders/flat.wgsl"),
        include_str!("../../../shaders/activations.wgsl"),
        include_str!("../../../shaders/binary_cross_entropy.wgsl"),
    ],
);

fn same_shape(logits: &TensorType, labels: &TensorType) -> Result<(), OpError> {
    ensure(logits == labels && !logits.is_empty(), || format!("logits {logits}, labels {labels}"))
}

/// loss = mean of max(x, 0) - x y + log(1 + e^-|x|) over all logits x and labels y: the binary
/// cross-entropy of sigmoid(x), without its overflow. logits, labels -> `[1]`.
#[derive(Clone, Debug)]
pub struct BinaryCrossEntropy;

impl Definition for BinaryCrossEntropy {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let (logits, labels) = (io.input(0), io.input(1));
        let sum: F = logits
            .iter()
            .zip(labels)
            .map(|(&x, &y)| x.max(F::zero()) - x * y + (-x.abs()).exp().ln_1p())
            .sum();
        io.output()[0] = sum / F::of(logits.len() as f64);
    }
}

impl Op for BinaryCrossEntropy {
    fn name(&self) -> &'static str {
        "binary_cross_entropy"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [logits, labels] = arity(inputs)?;
        same_shape(logits, labels)?;
        Ok(vec![TensorType::f32([1])])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        Ok(Launch::new(&SHADER, "forward", Grid::new(1, 1, 1)?)
            .bind("logits", Operand::Input(0))
            .bind("labels", Operand::Input(1))
            .bind("out", Operand::Output(0))
            .param("count", s.inputs[0].len())
            .into())
    }

    fn backward(
        &self,
        graph: &mut Graph,
        operands: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let Some(g) = gradients[0] else { return Ok(vec![None, None]) };
        let inputs = [operands.inputs[0], operands.inputs[1], g];
        let d_logits = graph.apply(BinaryCrossEntropyBackward, &inputs).map_err(nested)?;
        Ok(vec![Some(d_logits), None])
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 8 * s.inputs[0].len() as u64, bytes: s.bytes() }
    }
}

/// d_logits = (sigmoid(x) - y) d_loss / count. logits, labels, d_loss `[1]` -> logits' shape.
#[derive(Clone, Debug)]
pub struct BinaryCrossEntropyBackward;

impl Definition for BinaryCrossEntropyBackward {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let (logits, labels, d_loss) = (io.input(0), io.input(1), io.input(2)[0]);
        let count = F::of(logits.len() as f64);
        for (i, d) in io.output().iter_mut().enumerate() {
            *d = (Activation::Sigmoid.apply(logits[i]) - labels[i]) * d_loss / count;
        }
    }
}

impl Op for BinaryCrossEntropyBackward {
    fn name(&self) -> &'static str {
        "binary_cross_entropy_backward"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [logits, labels, d_loss] = arity(inputs)?;
        same_shape(logits, labels)?;
        ensure(d_loss.len() == 1, || format!("the loss has gradient {d_loss}"))?;
        Ok(vec![logits.clone()])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let count = s.outputs[0].len();
        Ok(Launch::new(&SHADER, "backward", threads(count)?)
            .bind("logits", Operand::Input(0))
            .bind("labels", Operand::Input(1))
            .bind("scalar", Operand::Input(2))
            .bind("out", Operand::Output(0))
            .param("count", count)
            .into())
    }

    not_differentiable!();

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 6 * s.outputs[0].len() as u64, bytes: s.bytes() }
    }
}

/// sums += (loss * count, predictions on the right side of 0.5, count). Inputs: logits, labels,
/// loss `[1]`; updates: sums `[3]`. Over an epoch sums[0] / sums[2] is the mean loss, as Keras
/// weighs it, and sums[1] / sums[2] the accuracy.
#[derive(Clone, Debug)]
pub struct BinaryMetrics;

impl Definition for BinaryMetrics {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let (logits, labels, loss) = (io.input(0), io.input(1), io.input(2)[0]);
        let right = |(&x, &y): (&F, &F)| (x > F::zero()) == (y > F::of(0.5));
        let correct = logits.iter().zip(labels).filter(|&(x, y)| right((x, y))).count();
        let count = F::of(logits.len() as f64);
        let [sums] = io.updates();
        sums[0] = sums[0] + loss * count;
        sums[1] = sums[1] + F::of(correct as f64);
        sums[2] = sums[2] + count;
    }
}

impl Op for BinaryMetrics {
    fn name(&self) -> &'static str {
        "binary_metrics"
    }

    fn infer(
        &self,
        inputs: &[TensorType],
        updates: &[TensorType],
    ) -> Result<Vec<TensorType>, OpError> {
        let [logits, labels, loss] = arity(inputs)?;
        let [sums] = arity(updates)?;
        same_shape(logits, labels)?;
        ensure(loss.len() == 1 && sums.len() == 3, || format!("loss {loss}, sums {sums}"))?;
        Ok(vec![])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        Ok(Launch::new(&SHADER, "metrics", Grid::new(1, 1, 1)?)
            .bind("logits", Operand::Input(0))
            .bind("labels", Operand::Input(1))
            .bind("scalar", Operand::Input(2))
            .bind("out", Operand::Update(0))
            .param("count", s.inputs[0].len())
            .into())
    }

    not_differentiable!();

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 2 * s.inputs[0].len() as u64, bytes: s.bytes() }
    }
}

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for n in [1, 92, 300] {
        let logits = Sample::Uniform(vec![n, 1], -30.0, 30.0);
        let labels = Sample::Uniform(vec![n, 1], 0.0, 1.0);
        let two = vec![logits, labels];
        let three = [two.clone(), vec![Sample::Normal(vec![1])]].concat();
        cases.push(
            Case::new(format!("binary cross-entropy {n}"), BinaryCrossEntropy, two).gradient(&[0]),
        );
        let name = format!("binary cross-entropy backward {n}");
        cases.push(Case::new(name, BinaryCrossEntropyBackward, three.clone()));
        let sums = vec![Sample::Uniform(vec![3], 0.0, 9.0)];
        cases.push(Case::new(format!("binary metrics {n}"), BinaryMetrics, three).updates(sums));
    }
    cases
}
