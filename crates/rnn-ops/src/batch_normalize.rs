use crate::common::{arity, ensure, nested, threads};
use crate::{Case, Definition, Sample};
use rnn_graph::{
    Cost, Graph, Grid, Io, Launch, Limits, Op, OpError, Operand, Operands, Real, Shader, Signature,
    TensorId, TensorType, Work,
};

pub static SHADER: Shader = Shader::new(
    "batch_normalize",
    &[
        include_str!("../../../shaders/flat.wgsl"),
        include_str!("../../../shaders/batch_normalize.wgsl"),
    ],
);

/// y = (x - m) s, s = 1 / sqrt(v + epsilon), mean m and variance v of each column over all rows
/// (keras/src/layers/normalization/batch_normalization.py).
///
/// Input: x `[.., F]`. Outputs: y `[.., F]`, s, m and v `[F]`. Gradients flow through y.
#[derive(Clone, Debug)]
pub struct BatchNormalize {
    /// Keeps s finite.
    pub epsilon: f32,
}

/// dx = s (dy - mean(dy) - y mean(dy y)), means over all rows. Inputs: y, dy `[.., F]`, s `[F]`.
/// Output `[.., F]`.
#[derive(Clone, Debug)]
pub struct BatchNormalizeBackward;

/// a becomes momentum a + (1 - momentum) factor x. Input: x. Update: a.
///
/// With a second input w `[1]`, a becomes (1 - r) a + r factor x, r = (1 - momentum) / w. If w is
/// the moving average of ones, which began at zero and has followed this step already, so that it
/// is 1 - momentum^t after t steps, then a is a moving average that began at zero, divided by w:
/// that of Adam's paper, section 3, and of TensorFlow's `assign_moving_average` with `zero_debias`.
#[derive(Clone, Debug)]
pub struct MovingAverage {
    /// What is kept.
    pub momentum: f32,
    /// What x is multiplied by.
    pub factor: f32,
}

/// Rows of a part of a sum: as many as there are parts, nearly.
fn rows_per_part(rows: usize) -> usize {
    (rows as f64).sqrt().ceil().max(1.0) as usize
}

/// A launch that sums over parts of the rows, and one that adds the parts.
fn sums(
    (entry, finish): (&'static str, &'static str),
    x: &TensorType,
    epsilon: f32,
) -> Result<[Launch; 2], OpError> {
    let (rows, columns) = (x.shape.rows(), x.shape.last());
    let per_part = rows_per_part(rows);
    let grid = Grid::new(columns.div_ceil(64), rows.div_ceil(per_part), 1)?;
    let launch = |entry, grid| describe(Launch::new(&SHADER, entry, grid), x, epsilon);
    Ok([launch(entry, grid), launch(finish, Grid::new(columns.div_ceil(64), 1, 1)?)])
}

fn describe(launch: Launch, x: &TensorType, epsilon: f32) -> Launch {
    let rows = x.shape.rows();
    launch
        .param("rows", rows)
        .param("columns", x.shape.last())
        .param("per_part", rows_per_part(rows))
        .param("epsilon", epsilon)
}

impl Definition for BatchNormalize {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let (x, width) = (io.input(0), io.signature.inputs[0].shape.last());
        let count = F::of((x.len() / width) as f64);
        let [y, scale, mean, variance] = io.outputs();
        for c in 0..width {
            let column = || x.iter().skip(c).step_by(width).copied();
            let m = column().sum::<F>() / count;
            let v = column().map(|x| (x - m) * (x - m)).sum::<F>() / count;
            let s = (v + F::of(self.epsilon.into())).sqrt().recip();
            (mean[c], variance[c], scale[c]) = (m, v, s);
            let ys = y.iter_mut().skip(c).step_by(width);
            ys.zip(column()).for_each(|(y, x)| *y = (x - m) * s);
        }
    }
}

impl Op for BatchNormalize {
    fn name(&self) -> &'static str {
        "batch_normalize"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [x] = arity(inputs)?;
        ensure(x.shape.rank() > 1 && !x.is_empty(), || format!("{x} has no rows"))?;
        let column = TensorType::f32([x.shape.last()]);
        Ok(vec![x.clone(), column.clone(), column.clone(), column])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let x = &s.inputs[0];
        let (read, y, parts) = (Operand::Input(0), Operand::Output(0), Operand::Scratch(0));
        let (scale, mean, variance) = (Operand::Output(1), Operand::Output(2), Operand::Output(3));
        let [sum, finish_mean] = sums(("sum", "finish_mean"), x, self.epsilon)?;
        let [squares, finish_scale] = sums(("squares", "finish_scale"), x, self.epsilon)?;
        let normalize = Launch::new(&SHADER, "normalize", threads(x.len())?);
        let launches = vec![
            sum.bind("x", read).bind("out", parts),
            finish_mean.bind("x", parts).bind("out", mean),
            squares.bind("x", read).bind("mean", mean).bind("out", parts),
            finish_scale.bind("x", parts).bind("out", variance).bind("scale_out", scale),
            describe(normalize, x, self.epsilon)
                .bind("x", read)
                .bind("mean", mean)
                .bind("scale", scale)
                .bind("out", y),
        ];
        let rows = x.shape.rows();
        let parts = rows.div_ceil(rows_per_part(rows));
        Ok(Work { scratch: vec![parts * x.shape.last()], launches })
    }

    fn backward(
        &self,
        graph: &mut Graph,
        operands: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let &[g, None, None, None] = gradients else { return Err(OpError::NotDifferentiable) };
        let Some(g) = g else { return Ok(vec![None]) };
        let inputs = [operands.outputs[0], g, operands.outputs[1]];
        Ok(vec![Some(graph.apply(BatchNormalizeBackward, &inputs).map_err(nested)?)])
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 6 * s.inputs[0].len() as u64, bytes: s.bytes() }
    }
}

impl Definition for BatchNormalizeBackward {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let (y, dy, scale) = (io.input(0), io.input(1), io.input(2));
        let width = scale.len();
        let count = F::of((y.len() / width) as f64);
        let dx = io.output();
        for (c, &scale) in scale.iter().enumerate() {
            let column = || y.iter().zip(dy).skip(c).step_by(width);
            let mean = column().map(|(_, &dy)| dy).sum::<F>() / count;
            let along = column().map(|(&y, &dy)| y * dy).sum::<F>() / count;
            let dxs = dx.iter_mut().skip(c).step_by(width);
            for (dx, (&y, &dy)) in dxs.zip(column()) {
                *dx = scale * (dy - mean - y * along);
            }
        }
    }
}

impl Op for BatchNormalizeBackward {
    fn name(&self) -> &'static str {
        "batch_normalize_backward"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [y, dy, scale] = arity(inputs)?;
        let fits = y == dy && scale.dims() == [y.shape.last()] && !y.is_empty();
        ensure(fits, || format!("{y}, gradient {dy}, scale {scale}"))?;
        Ok(vec![y.clone()])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let y = &s.inputs[0];
        let (rows, columns) = (y.shape.rows(), y.shape.last());
        let [sum, finish] = sums(("gradient_sums", "finish_gradient_means"), y, 0.0)?;
        let (parts, means) = (Operand::Scratch(0), Operand::Scratch(1));
        let launch = Launch::new(&SHADER, "backward", threads(y.len())?);
        let launches = vec![
            sum.bind("x", Operand::Input(0)).bind("gradient", Operand::Input(1)).bind("out", parts),
            finish.bind("x", parts).bind("out", means),
            describe(launch, y, 0.0)
                .bind("x", Operand::Input(0))
                .bind("gradient", Operand::Input(1))
                .bind("scale", Operand::Input(2))
                .bind("mean", means)
                .bind("out", Operand::Output(0)),
        ];
        let parts = rows.div_ceil(rows_per_part(rows));
        Ok(Work { scratch: vec![2 * parts * columns, 2 * columns], launches })
    }

    not_differentiable!();

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 8 * s.inputs[0].len() as u64, bytes: s.bytes() }
    }
}

impl Definition for MovingAverage {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let x = io.input(0);
        let (momentum, factor) = (F::of(self.momentum.into()), F::of(self.factor.into()));
        let weight = if io.signature.inputs.len() > 1 { io.input(1)[0] } else { F::one() };
        let rate = (F::one() - momentum) / weight;
        let [average] = io.updates();
        for (a, &x) in average.iter_mut().zip(x) {
            *a = (F::one() - rate) * *a + rate * factor * x;
        }
    }
}

impl Op for MovingAverage {
    fn name(&self) -> &'static str {
        "moving_average"
    }

    fn infer(
        &self,
        inputs: &[TensorType],
        updates: &[TensorType],
    ) -> Result<Vec<TensorType>, OpError> {
        let [average] = arity(updates)?;
        let ([x] | [x, _]) = inputs else { return Err(OpError::shape("one input or two")) };
        ensure(x == average, || format!("{x} for an average of {average}"))?;
        if let [_, weight] = inputs {
            ensure(weight.dims() == [1], || format!("{weight} is no weight of all values"))?;
        }
        Ok(vec![])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let count = s.inputs[0].len();
        let (x, average) = (Operand::Input(0), Operand::Update(0));
        let launch = match s.inputs.len() {
            1 => Launch::new(&SHADER, "follow", threads(count)?),
            _ => Launch::new(&SHADER, "follow_debiased", threads(count)?)
                .bind("mean", Operand::Input(1)),
        };
        Ok(launch
            .bind("x", x)
            .bind("out", average)
            .param("rows", 1usize)
            .param("columns", count)
            .param("per_part", 1usize)
            .param("epsilon", 0.0)
            .constant("MOMENTUM", self.momentum)
            .constant("FACTOR", self.factor)
            .into())
    }

    not_differentiable!();

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 4 * s.inputs[0].len() as u64, bytes: s.bytes() }
    }
}

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (rows, columns) in [(1, 1), (37, 5), (300, 70)] {
        let x = Sample::Normal(vec![rows, columns]);
        let size = format!("{rows}x{columns}");
        let op = BatchNormalize { epsilon: 1e-3 };
        let case = Case::new(format!("batch_normalize {size}"), op, vec![x.clone()]);
        cases.push(case.through(&[0]).gradient(&[0]));
        let scale = Sample::Uniform(vec![columns], 0.5, 2.0);
        let inputs = vec![x.clone(), x, scale.clone()];
        let name = format!("batch_normalize_backward {size}");
        cases.push(Case::new(name, BatchNormalizeBackward, inputs));
        let op = MovingAverage { momentum: 0.9, factor: 1.1 };
        let inputs = vec![Sample::Normal(vec![columns])];
        let name = format!("moving_average {columns}");
        cases.push(Case::new(name, op.clone(), inputs.clone()).updates(vec![scale.clone()]));
        let inputs = [inputs, vec![Sample::Uniform(vec![1], 0.1, 1.0)]].concat();
        let name = format!("moving_average without bias to zero {columns}");
        cases.push(Case::new(name, op, inputs).updates(vec![scale]));
    }
    cases
}
