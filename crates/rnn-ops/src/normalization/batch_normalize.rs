use crate::common::{ensure, pairwise_sum, threads};
use crate::{Case, Definition, Sample};
use rnn_core::DType;
use rnn_graph::{
    Cost, Graph, Grid, Io, Launch, Limits, Op, OpError, Operand, Operands, Real, Shader, Signature,
    TensorId, TensorType, Work, iterations,
};
use rnn_shaders::normalization::BATCH_NORMALIZE;

/// WGSL module of [`BatchNormalize`] and [`BatchNormalizeBackward`]
/// (`shaders/normalization/batch_normalize.wgsl`).
pub static SHADER: Shader =
    Shader::new("batch_normalize", &[rnn_shaders::shared::ELEMENTWISE, BATCH_NORMALIZE]);
/// Columns per workgroup of a sum.
const COLUMNS: usize = rnn_shaders::constant(BATCH_NORMALIZE, "COLUMNS");

/// y = (x - m) s with s = 1 / sqrt(v + epsilon), where m and v are the mean and the variance of a
/// column over all rows (keras/src/layers/normalization/batch_normalization.py).
///
/// Input: x `[.., F]`. Outputs: y `[.., F]`; s, m and v, each `[F]`. Gradients flow through y.
///
/// A mask u32 `[N, G]`, as an optional second input, excludes rows from m and v. It divides the
/// rows into N items of consecutive rows, and the columns into G groups of consecutive columns. For
/// each column let w = 1 at the rows whose mask is not 0, else 0, and let n = sum(w) + 1e-7 over
/// the rows:
///
/// ```text
/// m = sum(w x) / n,  v = sum(w (x - m)^2) / n,  y = (x - m) s also where w is 0
/// ```
///
/// n `[G]` is then a fifth output.
#[derive(Clone, Debug)]
pub struct BatchNormalize {
    /// Added to the variance, so that s stays finite.
    pub epsilon: f32,
}

/// Gradient of x of a [`BatchNormalize`]: dx = s (dy - mean(dy) - y mean(dy y)), with means over
/// all rows of a column. Inputs: y and dy `[.., F]`, s `[F]`. Output: dx `[.., F]`.
///
/// Optional fourth and fifth inputs are the mask u32 `[N, G]` and n `[G]` of [`BatchNormalize`].
/// Then a mean is the sum over all rows divided by n, and dx = s (dy - w (mean(dy) + y mean(dy
/// y))). The mean of w (x - m) is m 1e-7 / n instead of 0; its effect on dx is neglected.
#[derive(Clone, Debug)]
pub struct BatchNormalizeBackward;

/// Returns the rows of one part of a sum: about the square root of their number, so that there are
/// as many parts.
fn rows_per_part(rows: usize) -> usize {
    (rows as f64).sqrt().ceil().max(1.0) as usize
}

/// Added to the number of unmasked rows, as Keras's backend adds its epsilon to a divisor.
const COUNT_EPSILON: f64 = 1e-7;

/// The items and groups into which a mask divides rows and columns.
#[derive(Clone, Copy)]
struct Items {
    groups: usize,
    rows_of_item: usize,
    columns_of_group: usize,
}

impl Items {
    /// Derives the division from a mask `[N, G]` over x; without a mask there is one group.
    fn of(x: &TensorType, mask: Option<&TensorType>) -> Option<Self> {
        let (rows, columns) = (x.shape.rows(), x.shape.last());
        let Some(mask) = mask else {
            return Some(Self { groups: 1, rows_of_item: 1, columns_of_group: columns });
        };
        let [items, groups] = *mask.dims() else { return None };
        let whole = |n: usize, parts: usize| parts > 0 && n.is_multiple_of(parts);
        let fits = mask.dtype == DType::U32 && whole(rows, items) && whole(columns, groups);
        let (rows_of_item, columns_of_group) = (rows / items.max(1), columns / groups.max(1));
        fits.then_some(Self { groups, rows_of_item, columns_of_group })
    }

    fn group(&self, column: usize) -> usize {
        column / self.columns_of_group
    }

    fn counts(&self, mask: Option<&[u32]>, row: usize, column: usize) -> bool {
        let at = row / self.rows_of_item * self.groups + self.group(column);
        mask.is_none_or(|mask| mask[at] != 0)
    }
}

fn misfit(x: &TensorType, mask: Option<&TensorType>) -> OpError {
    OpError::shape(match mask {
        Some(mask) => format!("mask {mask} of {x}"),
        None => format!("{x} has no rows"),
    })
}

/// Returns a launch that sums over parts of the rows, and one that adds the parts.
fn sums(
    (entry, finish): (&'static str, &'static str),
    s: &Signature,
    (mask, epsilon): (Option<&TensorType>, f32),
) -> Result<[Launch; 2], OpError> {
    let x = &s.inputs[0];
    let (rows, columns) = (x.shape.rows(), x.shape.last());
    let per_part = rows_per_part(rows);
    // With a mask, the numbers of unmasked rows follow the columns.
    let width = columns + mask.map_or(0, |_| groups(x, mask));
    let grid = Grid::new(width.div_ceil(COLUMNS), rows.div_ceil(per_part), 1)?;
    let launch = |entry, grid| describe(Launch::new(&SHADER, entry, grid), x, (mask, epsilon));
    Ok([launch(entry, grid), launch(finish, Grid::new(width.div_ceil(COLUMNS), 1, 1)?)])
}

fn groups(x: &TensorType, mask: Option<&TensorType>) -> usize {
    Items::of(x, mask).map_or(0, |items| items.groups)
}

/// Returns a launch of an entry point of batch_normalize.wgsl with its parameters for x and the
/// mask.
pub(crate) fn describe(
    launch: Launch,
    x: &TensorType,
    (mask, epsilon): (Option<&TensorType>, f32),
) -> Launch {
    let rows = x.shape.rows();
    let items = Items::of(x, mask);
    let per_part = rows_per_part(rows);
    // A thread sums unmasked rows, or their elements; then at most three sums of parts.
    let sums = 2 * iterations(per_part, 0) + 3 * iterations(rows.div_ceil(per_part), 0);
    launch
        .iterations(sums)
        .param("rows", rows)
        .param("columns", x.shape.last())
        .param("per_part", per_part)
        .param("epsilon", epsilon)
        .param("groups", items.map_or(1, |items| items.groups))
        .param("rows_of_item", items.map_or(1, |items| items.rows_of_item))
        .param("columns_of_group", items.map_or(1, |items| items.columns_of_group))
        .constant("MASKED", u8::from(mask.is_some()))
}

impl Definition for BatchNormalize {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let types = &io.signature.inputs;
        let Some(items) = Items::of(&types[0], types.get(1)) else { return };
        let (x, width) = (io.input(0), types[0].shape.last());
        let mask = (types.len() > 1).then(|| io.uints(1));
        let rows = x.len() / width;
        let weight = |row, c| if items.counts(mask, row, c) { F::one() } else { F::zero() };
        let count_epsilon = F::of(if mask.is_some() { COUNT_EPSILON } else { 0.0 });
        let mut unasked = vec![F::zero(); items.groups];
        let [y, scale, mean, variance, counts] = match mask {
            Some(_) => io.outputs(),
            None => {
                let [y, scale, mean, variance] = io.outputs();
                [y, scale, mean, variance, &mut unasked]
            }
        };
        for c in 0..width {
            let column = || x.iter().skip(c).step_by(width).copied().enumerate();
            let count = pairwise_sum((0..rows).map(|row| weight(row, c))) + count_epsilon;
            let m = pairwise_sum(column().map(|(row, x)| weight(row, c) * x)) / count;
            let square = |(row, x)| weight(row, c) * (x - m) * (x - m);
            let v = pairwise_sum(column().map(square)) / count;
            let s = (v + F::of(self.epsilon.into())).sqrt().recip();
            (mean[c], variance[c], scale[c]) = (m, v, s);
            counts[items.group(c)] = count;
            let ys = y.iter_mut().skip(c).step_by(width);
            ys.zip(column()).for_each(|(y, (_, x))| *y = (x - m) * s);
        }
    }
}

impl Op for BatchNormalize {
    fn name(&self) -> &'static str {
        "batch_normalize"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let ([x] | [x, _]) = inputs else { return Err(OpError::shape("one input or two")) };
        let items = Items::of(x, inputs.get(1)).filter(|_| x.shape.rank() > 1 && !x.is_empty());
        let items = items.ok_or_else(|| misfit(x, inputs.get(1)))?;
        let column = TensorType::f32([x.shape.last()]);
        let mut outputs = vec![x.clone(), column.clone(), column.clone(), column];
        outputs.extend(inputs.get(1).map(|_| TensorType::f32([items.groups])));
        Ok(outputs)
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let (x, mask) = (&s.inputs[0], s.inputs.get(1));
        let (read, y, parts) = (Operand::Input(0), Operand::Output(0), Operand::Scratch(0));
        let (scale, mean, variance) = (Operand::Output(1), Operand::Output(2), Operand::Output(3));
        let [sum, finish_mean] = sums(("sum", "finish_mean"), s, (mask, self.epsilon))?;
        let [squares, finish_scale] = sums(("squares", "finish_scale"), s, (mask, self.epsilon))?;
        let normalize = Launch::new(&SHADER, "normalize", threads(x.len())?);
        // Not read without a mask.
        let (weights, counts) = match mask {
            Some(_) => (Operand::Input(1), Operand::Output(4)),
            None => (Operand::Input(0), Operand::Output(1)),
        };
        let launches = vec![
            sum.bind("x", read).bind("mask", weights).bind("out", parts),
            finish_mean.bind("x", parts).bind("out", mean).bind("scale_out", counts),
            squares.bind("x", read).bind("mask", weights).bind("mean", mean).bind("out", parts),
            finish_scale
                .bind("x", parts)
                .bind("scale", if mask.is_some() { counts } else { mean })
                .bind("out", variance)
                .bind("scale_out", scale),
            describe(normalize, x, (mask, self.epsilon))
                .bind("x", read)
                .bind("mean", mean)
                .bind("scale", scale)
                .bind("out", y),
        ];
        let rows = x.shape.rows();
        let parts = rows.div_ceil(rows_per_part(rows));
        let width = x.shape.last() + mask.map_or(0, |_| groups(x, mask));
        Ok(Work { scratch: vec![parts * width], launches })
    }

    fn backward(
        &self,
        graph: &mut Graph,
        operands: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let Some((&g, others)) = gradients.split_first() else { return Ok(vec![]) };
        if others.iter().any(Option::is_some) {
            return Err(OpError::NotDifferentiable);
        }
        let mut all = vec![None; operands.inputs.len()];
        let Some(g) = g else { return Ok(all) };
        let mut inputs = vec![operands.outputs[0], g, operands.outputs[1]];
        if let [_, mask] = operands.inputs[..] {
            inputs.extend([mask, operands.outputs[4]]);
        }
        all[0] = Some(graph.apply(BatchNormalizeBackward, &inputs)?);
        Ok(all)
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 6 * s.inputs[0].len() as u64, bytes: s.bytes() }
    }
}

impl Definition for BatchNormalizeBackward {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let types = &io.signature.inputs;
        let Some(items) = Items::of(&types[0], types.get(3)) else { return };
        let (y, dy, scale) = (io.input(0), io.input(1), io.input(2));
        let given = (types.len() > 3).then(|| (io.uints(3), io.input(4)));
        let width = scale.len();
        let rows = F::of((y.len() / width) as f64);
        let dx = io.output();
        for (c, &scale) in scale.iter().enumerate() {
            let column = || y.iter().zip(dy).skip(c).step_by(width);
            let count = given.map_or(rows, |(_, counts)| counts[items.group(c)]);
            let mean = pairwise_sum(column().map(|(_, &dy)| dy)) / count;
            let along = pairwise_sum(column().map(|(&y, &dy)| y * dy)) / count;
            let dxs = dx.iter_mut().skip(c).step_by(width);
            for (row, (dx, (&y, &dy))) in dxs.zip(column()).enumerate() {
                let through_mean = match items.counts(given.map(|(mask, _)| mask), row, c) {
                    true => mean + y * along,
                    false => F::zero(),
                };
                *dx = scale * (dy - through_mean);
            }
        }
    }
}

impl Op for BatchNormalizeBackward {
    fn name(&self) -> &'static str {
        "batch_normalize_backward"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let ([y, dy, scale] | [y, dy, scale, _, _]) = inputs else {
            return Err(OpError::shape("three inputs or five"));
        };
        let fits = y == dy && scale.dims() == [y.shape.last()] && !y.is_empty();
        ensure(fits, || format!("{y}, gradient {dy}, scale {scale}"))?;
        let items = Items::of(y, inputs.get(3)).ok_or_else(|| misfit(y, inputs.get(3)))?;
        let counted = inputs.get(4).is_none_or(|counts| counts.dims() == [items.groups]);
        ensure(counted, || format!("{} groups of columns", items.groups))?;
        Ok(vec![y.clone()])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let (y, mask) = (&s.inputs[0], s.inputs.get(3));
        let (rows, columns) = (y.shape.rows(), y.shape.last());
        let [sum, finish] = sums(("gradient_sums", "finish_gradient_means"), s, (mask, 0.0))?;
        let (parts, means) = (Operand::Scratch(0), Operand::Scratch(1));
        let launch = describe(Launch::new(&SHADER, "backward", threads(y.len())?), y, (mask, 0.0));
        // The binding is not read without a mask.
        let given = |masked, other| Operand::Input(if mask.is_some() { masked } else { other });
        let launches = vec![
            sum.bind("x", Operand::Input(0)).bind("gradient", Operand::Input(1)).bind("out", parts),
            finish.bind("x", parts).bind("scale", given(4, 2)).bind("out", means),
            launch
                .bind("x", Operand::Input(0))
                .bind("mask", given(3, 0))
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

/// Returns the test cases of [`BatchNormalize`] and [`BatchNormalizeBackward`], for
/// [`suite`](crate::suite).
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
    }
    // Items of several rows, groups of several columns; one column group is masked throughout.
    for (items, rows, groups, columns) in
        [(2, 1, 1, 1), (7, 5, 2, 3), (300, 1, 1, 70), (3, 4, 5, 1)]
    {
        let x = Sample::Normal(vec![items * rows, groups * columns]);
        let some = (0..items * groups).map(|i| u32::from(i % 3 != 1 && i % groups != 4));
        let mask = Sample::Exactly(vec![items, groups], some.collect());
        let size = format!("{items}x{rows} rows, {groups}x{columns} columns");
        let op = BatchNormalize { epsilon: 1e-2 };
        let name = format!("batch_normalize masked {size}");
        let case = Case::new(name, op, vec![x.clone(), mask.clone()]);
        cases.push(case.through(&[0]).gradient(&[0]));
        let scale = Sample::Uniform(vec![groups * columns], 0.5, 2.0);
        let counts = Sample::Uniform(vec![groups], 1.0, 9.0);
        let inputs = vec![x.clone(), x, scale, mask, counts];
        let name = format!("batch_normalize_backward masked {size}");
        cases.push(Case::new(name, BatchNormalizeBackward, inputs));
    }
    cases
}
