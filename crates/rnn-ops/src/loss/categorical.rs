use crate::common::{arity, dims, ensure, larger, row_iterations};
use crate::{Case, Definition, Sample};
use rnn_core::DType;
use rnn_graph::{
    Cost, Graph, Grid, Io, Launch, Limits, Op, OpError, Operand, Operands, Real, Shader, Signature,
    TensorId, TensorType, Work,
};

/// WGSL module of [`CategoricalCrossEntropy`], [`CategoricalCrossEntropyBackward`] and [`OneHot`]
/// (`shaders/loss/categorical.wgsl`).
pub static SHADER: Shader = Shader::new(
    "categorical",
    &[
        rnn_shaders::shared::ROWWISE,
        rnn_shaders::shared::BITS,
        rnn_shaders::shared::EXPONENTIAL,
        rnn_shaders::loss::CATEGORICAL,
    ],
);

fn launch(entry: &'static str, matrix: &TensorType) -> Result<Launch, OpError> {
    let (rows, columns) = (matrix.shape.rows(), matrix.shape.last());
    Ok(Launch::new(&SHADER, entry, Grid::cover(rows)?)
        .iterations(row_iterations(columns))
        .bind("out", Operand::Output(0))
        .param("rows", rows)
        .param("columns", columns))
}

/// Returns the largest element of a row, and the sum of e^(x - largest).
fn exponentials<F: Real>(row: &[F]) -> (F, F) {
    let highest = row.iter().fold(F::neg_infinity(), |a, &b| larger(a, b));
    (highest, row.iter().map(|&x| (x - highest).exp()).sum())
}

/// Cross-entropy of softmax(x) and the labels y, from the logits x: loss = sum over the classes c
/// of y_c (log(sum over k of e^(x_k)) - x_c) (keras/src/losses/losses.py, `from_logits=True`).
///
/// The largest logit is subtracted from all others before they are added, so that a small loss of
/// large logits keeps its digits. Inputs: x and y `[B, C]`, for B examples of C classes. Output:
/// loss `[B]`. Gradients flow to x alone.
#[derive(Clone, Debug)]
pub struct CategoricalCrossEntropy;

impl Definition for CategoricalCrossEntropy {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let (x, y, classes) = (io.input(0), io.input(1), io.signature.inputs[0].shape.last());
        let rows = x.chunks_exact(classes).zip(y.chunks_exact(classes));
        for (loss, (x, y)) in io.output().iter_mut().zip(rows) {
            let (highest, sum) = exponentials(x);
            *loss = x.iter().zip(y).map(|(&x, &y)| y * (sum.ln() + (highest - x))).sum();
        }
    }
}

impl Op for CategoricalCrossEntropy {
    fn name(&self) -> &'static str {
        "categorical_cross_entropy"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [x, y] = arity(inputs)?;
        let [examples, _] = dims(x)?;
        ensure(x == y && !x.is_empty(), || format!("logits {x}, labels {y}"))?;
        Ok(vec![TensorType::f32([examples])])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let launch = launch("forward", &s.inputs[0])?;
        Ok(launch.bind("logits", Operand::Input(0)).bind("labels", Operand::Input(1)).into())
    }

    fn backward(
        &self,
        graph: &mut Graph,
        operands: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let Some(g) = gradients[0] else { return Ok(vec![None, None]) };
        let inputs = [operands.inputs[0], operands.inputs[1], g];
        let dx = graph.apply(CategoricalCrossEntropyBackward, &inputs)?;
        Ok(vec![Some(dx), None])
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 6 * s.inputs[0].len() as u64, bytes: s.bytes() }
    }
}

/// Gradient of x of a [`CategoricalCrossEntropy`]: dx = (softmax(x) sum(y) - y) d_loss for each
/// example, with the sum over the classes. Inputs: x and y `[B, C]`, d_loss `[B]`. Output: dx
/// `[B, C]`.
#[derive(Clone, Debug)]
pub struct CategoricalCrossEntropyBackward;

impl Definition for CategoricalCrossEntropyBackward {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let classes = io.signature.inputs[0].shape.last();
        let (x, y, d_loss) = (io.input(0), io.input(1), io.input(2));
        for (r, dx) in io.output().chunks_exact_mut(classes).enumerate() {
            let row = r * classes..(r + 1) * classes;
            let (highest, sum) = exponentials(&x[row.clone()]);
            let mass: F = y[row.clone()].iter().copied().sum();
            for (dx, i) in dx.iter_mut().zip(row) {
                *dx = ((x[i] - highest).exp() / sum * mass - y[i]) * d_loss[r];
            }
        }
    }
}

impl Op for CategoricalCrossEntropyBackward {
    fn name(&self) -> &'static str {
        "categorical_cross_entropy_backward"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [x, y, d_loss] = arity(inputs)?;
        ensure(x == y && d_loss.len() == x.shape.rows(), || {
            format!("logits {x}, labels {y}, gradient {d_loss}")
        })?;
        Ok(vec![x.clone()])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        Ok(launch("backward", &s.inputs[0])?
            .bind("logits", Operand::Input(0))
            .bind("labels", Operand::Input(1))
            .bind("d_loss", Operand::Input(2))
            .into())
    }

    not_differentiable!();

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 8 * s.inputs[0].len() as u64, bytes: s.bytes() }
    }
}

/// y[b, c] = 1 if c is the class of example b, else 0. Input: classes u32 `[B]`. Output: y
/// `[B, C]`. The row of a class of C or above is all 0.
#[derive(Clone, Debug)]
pub struct OneHot {
    /// C, the number of classes.
    pub classes: usize,
}

impl Definition for OneHot {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let class = io.uints(0);
        for (i, y) in io.output().iter_mut().enumerate() {
            let (row, c) = (i / self.classes, i % self.classes);
            *y = if class[row] as usize == c { F::one() } else { F::zero() };
        }
    }
}

impl Op for OneHot {
    fn name(&self) -> &'static str {
        "one_hot"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [class] = arity(inputs)?;
        ensure(class.dtype == DType::U32 && self.classes > 0, || {
            format!("classes are {class}, of {}", self.classes)
        })?;
        Ok(vec![TensorType::f32([class.len(), self.classes])])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        Ok(launch("one_hot", &s.outputs[0])?.bind("classes", Operand::Input(0)).into())
    }

    no_gradient!();

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 0, bytes: s.bytes() }
    }
}

/// Returns the test cases of [`CategoricalCrossEntropy`], [`CategoricalCrossEntropyBackward`] and
/// [`OneHot`], for [`suite`](crate::suite).
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (examples, classes) in [(1, 2), (33, 5), (3, 129)] {
        let shape = || vec![examples, classes];
        let both = vec![Sample::Uniform(shape(), -20.0, 20.0), Sample::Uniform(shape(), 0.0, 1.0)];
        let all = [both.clone(), vec![Sample::Normal(vec![examples])]].concat();
        let name = format!("categorical {examples}x{classes}");
        cases.push(Case::new(name, CategoricalCrossEntropy, both).gradient(&[0]));
        let name = format!("categorical backward {examples}x{classes}");
        cases.push(Case::new(name, CategoricalCrossEntropyBackward, all));
        let class = Sample::Below(vec![examples], classes as u32);
        let name = format!("one_hot {examples}x{classes}");
        cases.push(Case::new(name, OneHot { classes }, vec![class]));
    }
    let logits = vec![1000.0, 999.0, -998.0, -1000.0];
    let labels = vec![1.0, 0.0, 0.0, 1.0];
    let large = [logits, labels].map(|values| Sample::Floats(vec![2, 2], values)).to_vec();
    // Not differentiated: the step of finite differences is lost in the rounding of such logits.
    cases.push(Case::new("categorical of large logits", CategoricalCrossEntropy, large));
    cases
}
