//! Ops along the middle axis of `[outer, extent, inner]`, as which any axis can be seen.

use crate::common::{arity, dims, ensure, larger, threads};
use crate::layout::rearrange;
use crate::{Binary, Case, Definition, Sample, SumRows};
use rnn_core::DType;
use rnn_graph::{
    Cost, Graph, GraphError, Io, Launch, Limits, Op, OpError, Operand, Operands, Real, Shader,
    Signature, TensorId, TensorType, Work, iterations,
};
use rnn_shaders::AXIS;
use rnn_shaders::shared::{BITS, ELEMENTWISE};

/// WGSL module of [`Slice`], [`Spread`] and [`Reduce`] (`shaders/axis.wgsl`).
pub static SHADER: Shader = Shader::new("axis", &[ELEMENTWISE, BITS, AXIS]);

/// Extents and places as the kernels of axis.wgsl take them.
fn launch(
    entry: &'static str,
    s: &Signature,
    [x_extent, out_extent, inner]: [usize; 3],
    [start, step, end]: [u32; 3],
) -> Result<Launch, OpError> {
    let count = s.outputs[0].len();
    Ok(Launch::new(&SHADER, entry, threads(count)?)
        .bind("x", Operand::Input(0))
        .bind("out", Operand::Output(0))
        .param("count", count)
        .param("x_extent", x_extent)
        .param("out_extent", out_extent)
        .param("inner", inner)
        .param("start", start)
        .param("step", step)
        .param("end", end))
}

/// Every n-th element along the middle axis:
///
/// ```text
/// y(o, i, n) = x(o, start + step i, n),   i = 0 .. count - 1
/// ```
///
/// A negative step goes backwards; a step of 0 repeats one element, which broadcasts an axis of one.
/// Input: x `[outer, extent, inner]` of f32 or u32, which has all elements that are named. Output: y
/// `[outer, count, inner]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// The place of the first element, from 0 on.
    pub start: usize,
    /// From one element to the next.
    pub step: i32,
    /// The number of elements, 1 or more.
    pub count: usize,
}

impl Slice {
    /// Returns the slice that repeats an axis of one element.
    pub fn repeat(count: usize) -> Self {
        Self { start: 0, step: 0, count }
    }

    fn place(&self, i: usize) -> i64 {
        self.start as i64 + i64::from(self.step) * i as i64
    }

    /// Checks that an axis of this extent has all elements.
    fn check(&self, extent: usize) -> Result<(), OpError> {
        let inside = |place| (0..extent as i64).contains(&place);
        let fits = self.count > 0
            && self.start < 1 << 31
            && inside(self.place(0))
            && inside(self.place(self.count - 1));
        ensure(fits, || format!("{self:?} of an axis of {extent}"))
    }

    fn places(&self) -> [u32; 3] {
        [self.start as u32, self.step.cast_unsigned(), 0]
    }
}

impl Definition for Slice {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let (extent, inner) = (io.dims(0)[1], io.dims(0)[2]);
        let source = |i: usize| {
            let (outer, place) = (i / inner / self.count, self.place(i / inner % self.count));
            (outer * extent + place as usize) * inner + i % inner
        };
        rearrange(io, source);
    }
}

impl Op for Slice {
    fn name(&self) -> &'static str {
        "slice"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [x] = arity(inputs)?;
        let [outer, extent, inner] = dims(x)?;
        ensure(x.dtype != DType::F16, || format!("{x} is of half precision"))?;
        self.check(extent)?;
        Ok(vec![TensorType { shape: [outer, self.count, inner].into(), dtype: x.dtype }])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let [_, extent, inner] = dims(&s.inputs[0])?;
        Ok(launch("slice", s, [extent, self.count, inner], self.places())?.into())
    }

    /// What was repeated is summed, what was left out gets zeros.
    fn backward(
        &self,
        graph: &mut Graph,
        operands: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let Some(g) = gradients[0] else { return Ok(vec![None]) };
        let [_, extent, _] = dims(&graph[operands.inputs[0]].ty)?;
        let (mut g, mut slice) = (g, *self);
        if self.step == 0 {
            g = Reduce::Sum.apply(graph, g)?;
            slice = Self { step: 1, count: 1, ..slice };
        }
        let whole = slice == Self { start: 0, step: 1, count: extent };
        let dx = if whole { g } else { graph.apply(Spread { slice, extent }, &[g])? };
        Ok(vec![Some(dx)])
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 0, bytes: 2 * 4 * s.outputs[0].len() as u64 }
    }
}

/// Puts elements apart along the middle axis, with zeros elsewhere: the reverse of a [`Slice`] whose
/// step is not 0, and its gradient.
///
/// ```text
/// y(o, start + step i, n) = x(o, i, n),   else 0
/// ```
///
/// Input: x `[outer, count, inner]`. Output: y `[outer, extent, inner]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    /// The places of the elements.
    pub slice: Slice,
    /// The extent of the output.
    pub extent: usize,
}

impl Definition for Spread {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let (x, count, inner) = (io.input(0), io.dims(0)[1], io.dims(0)[2]);
        let y = io.output();
        y.fill(F::zero());
        for (i, &x) in x.iter().enumerate() {
            let place = self.slice.place(i / inner % count) as usize;
            y[(i / inner / count * self.extent + place) * inner + i % inner] = x;
        }
    }
}

impl Op for Spread {
    fn name(&self) -> &'static str {
        "spread"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [x] = arity(inputs)?;
        let [outer, count, inner] = dims(x)?;
        self.slice.check(self.extent)?;
        let fits = self.slice.step != 0 && count == self.slice.count && self.extent < 1 << 31;
        ensure(fits, || format!("{self:?} of {x}"))?;
        Ok(vec![TensorType::f32([outer, self.extent, inner])])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let [_, count, inner] = dims(&s.inputs[0])?;
        Ok(launch("spread", s, [count, self.extent, inner], self.slice.places())?.into())
    }

    fn backward(
        &self,
        graph: &mut Graph,
        _: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let Some(g) = gradients[0] else { return Ok(vec![None]) };
        Ok(vec![Some(graph.apply(self.slice, &[g])?)])
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 0, bytes: s.bytes() }
    }
}

/// Combines all elements along the middle axis: `[outer, extent, inner]` -> `[outer, 1, inner]`.
///
/// ```text
/// y(o, n) = sum over i of x(o, i, n), or the largest x(o, i, n)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduce {
    /// The sum.
    Sum,
    /// The largest; NaN if one is NaN. Equal ones share the gradient evenly, as in TensorFlow.
    Max,
}

impl Reduce {
    /// Adds the op to a graph; a sum of all rows by [`SumRows`], in which more threads take part.
    ///
    /// # Errors
    /// Fails if x is not of the shape `[outer, extent, inner]`.
    pub fn apply(self, graph: &mut Graph, x: TensorId) -> Result<TensorId, GraphError> {
        match (self, graph.shape(x).dims()) {
            (Self::Sum, &[1, extent, inner]) => {
                let rows = graph.reshape(x, [extent, inner])?;
                let sum = graph.apply(SumRows, &[rows])?;
                graph.reshape(sum, [1, 1, inner])
            }
            _ => graph.apply(self, &[x]),
        }
    }
}

impl Definition for Reduce {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let (x, extent, inner) = (io.input(0), io.dims(0)[1], io.dims(0)[2]);
        for (i, y) in io.output().iter_mut().enumerate() {
            let terms = x[i / inner * extent * inner + i % inner..].iter().step_by(inner);
            let terms = terms.take(extent).copied();
            *y = match self {
                Self::Sum => terms.sum(),
                Self::Max => terms.reduce(larger).unwrap_or_else(F::nan),
            };
        }
    }
}

impl Op for Reduce {
    fn name(&self) -> &'static str {
        match self {
            Self::Sum => "reduce_sum",
            Self::Max => "reduce_max",
        }
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [x] = arity(inputs)?;
        let [outer, extent, inner] = dims(x)?;
        ensure(extent > 0, || format!("{x} has no elements to combine"))?;
        Ok(vec![TensorType::f32([outer, 1, inner])])
    }

    fn record(&self, s: &Signature, limits: &Limits) -> Result<Work, OpError> {
        let [_, extent, inner] = dims(&s.inputs[0])?;
        let most = usize::try_from(limits.loop_iterations - 1).unwrap_or(usize::MAX);
        let most = most.clamp(1, extent);
        let launch = |first: usize| {
            let end = extent.min(first + most);
            let launch = launch("reduce", s, [extent, 1, inner], [first as u32, 0, end as u32])?;
            let largest = u8::from(*self == Self::Max);
            Ok(launch.constant("LARGEST", largest).iterations(iterations(end - first, 0)))
        };
        let launches: Result<Vec<_>, OpError> = (0..extent).step_by(most).map(launch).collect();
        Ok(launches?.into())
    }

    fn backward(
        &self,
        graph: &mut Graph,
        operands: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let Some(g) = gradients[0] else { return Ok(vec![None]) };
        let x = operands.inputs[0];
        let [_, count, _] = dims(&graph[x].ty)?;
        let repeat = Slice::repeat(count);
        Ok(vec![Some(match self {
            Self::Sum => graph.apply(repeat, &[g])?,
            Self::Max => {
                let largest = graph.apply(repeat, &[operands.outputs[0]])?;
                let marks = graph.apply(Binary::Equal, &[x, largest])?;
                let equal = Self::Sum.apply(graph, marks)?;
                let share = graph.apply(Binary::Div, &[g, equal])?;
                let share = graph.apply(repeat, &[share])?;
                graph.apply(Binary::Mul, &[marks, share])?
            }
        })])
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: s.inputs[0].len() as u64, bytes: s.bytes() }
    }
}

/// Returns the test cases of [`Slice`], [`Spread`] and [`Reduce`], for [`suite`](crate::suite).
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (shape, start, step, count) in [
        ([1, 1, 1], 0, 1, 1),
        ([3, 7, 5], 1, 2, 3),
        ([3, 7, 5], 6, -3, 3),
        ([2, 9, 33], 4, 1, 5),
        ([2, 1, 33], 0, 0, 9),
        ([1, 3, 7], 2, 0, 40),
    ] {
        let slice = Slice { start, step, count };
        let name = format!("{shape:?} from {start} by {step}, {count}");
        let x = vec![Sample::Normal(shape.to_vec())];
        cases.push(Case::new(format!("slice {name}"), slice, x).gradient(&[0]));
        if step != 0 {
            let op = Spread { slice, extent: shape[1] };
            let x = vec![Sample::Normal(vec![shape[0], count, shape[2]])];
            cases.push(Case::new(format!("spread {name}"), op, x).gradient(&[0]));
        }
    }
    let tokens = Sample::Below(vec![2, 9, 3], 1000);
    let op = Slice { start: 8, step: -2, count: 4 };
    cases.push(Case::new("slice tokens", op, vec![tokens]));
    for shape in [[1, 1, 1], [3, 7, 5], [2, 300, 1], [1, 129, 33]] {
        for op in [Reduce::Sum, Reduce::Max] {
            let x = vec![Sample::Normal(shape.to_vec())];
            let name = format!("{} {shape:?}", op.name());
            cases.push(Case::new(name, op, x).gradient(&[0]));
        }
    }
    let ties = Sample::Floats(vec![1, 4, 2], vec![1.0, 2.0, 3.0, -1.0, 3.0, 2.0, -3.0, 2.0]);
    cases.push(Case::new("reduce_max of equal ones", Reduce::Max, vec![ties]));
    cases
}
