//! The axes of a model's tensors in a graph: of two and more axes of a sample, the first stands in
//! front of the batch.

use super::permute::{inverse, permuted};
use crate::ConfigError;
use crate::layer::{Argument, Arguments, Dialect, ForwardContext, Reader, Value};
use rnn_core::DType;
use rnn_graph::{GraphError, TensorId};
use rnn_ops::{Concat, Slice, TransposeLeading};
use serde_json::json;

/// The place of an axis of an example of `rank` axes, of which the batch is none; a negative axis
/// counts from the last.
pub(super) fn place(axis: isize, rank: usize) -> Option<usize> {
    let place = if axis < 0 { axis + rank as isize } else { axis };
    usize::try_from(place).ok().filter(|&place| place < rank)
}

/// An axis as Keras and ONNX count, which count the batch.
pub(super) struct AxisArgument(pub isize);

impl AxisArgument {
    /// Counts the batch.
    pub fn of(axis: isize) -> Self {
        Self(if axis < 0 { axis } else { axis + 1 })
    }

    /// Does not count the batch; `None` for the batch itself.
    pub fn place(&self) -> Option<isize> {
        match self.0 {
            0 => None,
            axis => Some(if axis < 0 { axis } else { axis - 1 }),
        }
    }

    /// Visits the argument `axis`, whose value does not count the batch.
    ///
    /// # Errors
    /// Fails if it is the batch.
    pub fn visit(a: &mut Arguments<'_>, axis: &mut isize) -> Result<(), ConfigError> {
        let mut counted = Self::of(*axis);
        a.optional("axis", &mut counted.0)?;
        let refuse = || a.refuse("axis", &0.into(), "other axes than the batch".into());
        *axis = counted.place().ok_or_else(refuse)?;
        Ok(())
    }
}

/// What a layer takes whose axes an input lacks.
pub(super) const NO_AXES: &str = "inputs that have its axes, each of which it names once";

/// A set of axes as Keras and ONNX count: the batch is 0, the last axis -1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AxisSet {
    /// Bit i stands for axis i.
    from_first: u32,
    /// Bit i stands for axis -1 - i.
    from_last: u32,
}

impl AxisSet {
    /// The last axis.
    pub const LAST: Self = Self { from_first: 0, from_last: 1 };

    /// Creates a set. An axis beyond what it holds counts as one that no tensor has.
    pub fn of(axes: impl IntoIterator<Item = isize>) -> Self {
        let (mut from_first, mut from_last) = (0, 0);
        for axis in axes {
            match axis.clamp(-32, 31) {
                axis @ 0.. => from_first |= 1 << axis,
                axis => from_last |= 1 << (-1 - axis),
            }
        }
        Self { from_first, from_last }
    }

    /// Iterates over the axes in the order of their numbers.
    pub fn iter(self) -> impl Iterator<Item = isize> {
        let has = |bits: u32, bit: isize| bits >> bit & 1 == 1;
        let last = (0..32).rev().filter(move |&bit| has(self.from_last, bit)).map(|bit| -1 - bit);
        last.chain((0..32).filter(move |&bit| has(self.from_first, bit)))
    }

    /// Returns the one axis of a set of one.
    pub fn single(self) -> Option<isize> {
        let mut axes = self.iter();
        axes.next().filter(|_| axes.next().is_none())
    }

    /// Returns the places of the axes in an example of `rank` axes, in rising order; `None` if it
    /// lacks one, one has two numbers, or the batch is among them.
    pub fn places(self, rank: usize) -> Option<Vec<usize>> {
        let place = |axis: isize| AxisArgument(axis).place().and_then(|axis| place(axis, rank));
        let mut places = self.iter().map(place).collect::<Option<Vec<usize>>>()?;
        places.sort_unstable();
        let once = places.windows(2).all(|pair| pair[0] < pair[1]);
        (once && !places.is_empty()).then_some(places)
    }
}

impl Argument for AxisSet {
    fn supported() -> String {
        "an axis behind the batch, or a list of such".into()
    }

    fn read(value: &serde_json::Value, _: Dialect) -> Option<Self> {
        let axis = |value: &serde_json::Value| {
            value.as_i64().filter(|axis| *axis != 0 && (-32..32).contains(axis))
        };
        let axes = match value.as_array() {
            Some(list) => list.iter().map(axis).collect::<Option<Vec<i64>>>()?,
            None => vec![axis(value)?],
        };
        let set = Self::of(axes.iter().map(|&axis| axis as isize));
        (!axes.is_empty() && set.iter().count() == axes.len()).then_some(set)
    }

    fn write(&self, _: Reader) -> Option<serde_json::Value> {
        Some(match self.single() {
            Some(axis) => json!(axis),
            None => json!(self.iter().collect::<Vec<isize>>()),
        })
    }
}

/// The axis of a tensor in a graph that is the one at `place` in an example of `rank` axes.
pub(super) fn graph_axis(place: usize, rank: usize) -> usize {
    if place == 0 && rank > 1 { 0 } else { place + 1 }
}

/// A tensor whose last axis are the axes of an example that a layer computes over.
pub(super) struct Gathered {
    /// `[.., F]`, where F is the product of the extents of these axes.
    pub tensor: TensorId,
    /// The axis of the tensor before that each axis was.
    order: Vec<usize>,
    /// The extents before the axes became one.
    extents: Vec<usize>,
}

impl Gathered {
    /// Brings the axes of x to the end, in their order.
    ///
    /// # Errors
    /// Fails if x, which the layer `class` is called on, lacks the axes.
    pub fn new(
        cx: &mut ForwardContext<'_>,
        class: &'static str,
        x: TensorId,
        axes: AxisSet,
    ) -> Result<Self, GraphError> {
        let dims = cx.graph.shape(x).dims().to_vec();
        let rank = dims.len().saturating_sub(1);
        let places = axes.places(rank).ok_or_else(|| cx.misfit(class, x, NO_AXES))?;
        let last: Vec<usize> = places.iter().map(|&place| graph_axis(place, rank)).collect();
        let others = (0..dims.len()).filter(|axis| !last.contains(axis));
        let order: Vec<usize> = others.chain(last.iter().copied()).collect();
        let extents: Vec<usize> = order.iter().map(|&axis| dims[axis]).collect();
        let mut tensor = permuted(cx, x, &order)?;
        if last.len() > 1 {
            let (rows, columns) = extents.split_at(dims.len() - last.len());
            tensor = cx.graph.reshape(tensor, [rows, &[columns.iter().product()]].concat())?;
        }
        Ok(Self { tensor, order, extents })
    }

    /// Gives y, of the shape of [`Self::tensor`], the axes of x.
    pub fn back(&self, cx: &mut ForwardContext<'_>, y: TensorId) -> Result<TensorId, GraphError> {
        let whole = cx.graph.shape(y).rank() == self.extents.len();
        let y = if whole { y } else { cx.graph.reshape(y, self.extents.clone())? };
        permuted(cx, y, &inverse(&self.order))
    }
}

/// The shape of one example of a tensor in a graph, in Keras's order.
pub(super) fn sample(cx: &ForwardContext<'_>, x: TensorId) -> Vec<usize> {
    match cx.graph.shape(x).dims() {
        [] | [_] => vec![],
        [_, features] if !leads(cx, x) => vec![*features],
        axes => [&axes[..1], &axes[2..]].concat(),
    }
}

/// Whether the first axis of an example stands in front of the batch: that of tokens `[T, B]` does,
/// that of features `[B, F]` does not.
fn leads(cx: &ForwardContext<'_>, x: TensorId) -> bool {
    let ty = &cx.graph[x].ty;
    ty.shape.rank() > 2 || ty.shape.rank() == 2 && ty.dtype == DType::U32
}

/// Swaps the batch axis and the first axis after it, which leads in a graph; a batch of features is
/// left as it is.
pub(super) fn swap_leading(
    cx: &mut ForwardContext<'_>,
    x: TensorId,
) -> Result<TensorId, GraphError> {
    match leads(cx, x) {
        true => cx.graph.apply(TransposeLeading, &[x]),
        false => Ok(x),
    }
}

/// Reshapes each example. Nothing is moved, if the first of several axes stays.
pub(super) fn reshape(
    cx: &mut ForwardContext<'_>,
    x: TensorId,
    target: &[usize],
) -> Result<TensorId, GraphError> {
    let given = sample(cx, x);
    let batch = cx.graph.shape(x).dims()[usize::from(given.len() > 1)];
    if given.len() > 1 && target.len() > 1 && given[0] == target[0] {
        return cx.graph.reshape(x, [&[target[0], batch], &target[1..]].concat());
    }
    let rows = swap_leading(cx, x)?;
    let rows = cx.graph.reshape(rows, [&[batch], target].concat())?;
    swap_leading(cx, rows)
}

/// Stacks states of one shape into a batch-major tensor `[STATES, B, ..]`.
pub(super) fn stack(cx: &mut ForwardContext<'_>, states: &[Value]) -> Result<TensorId, GraphError> {
    let mut rows = Vec::new();
    let mut shape = vec![states.len()];
    for state in states {
        let state = swap_leading(cx, state.tensor)?;
        let axes = cx.graph.shape(state).clone();
        rows.push(cx.graph.reshape(state, [1, axes.len()])?);
        shape.truncate(1);
        shape.extend(axes.dims());
    }
    let all = cx.graph.apply(Concat, &rows)?;
    cx.graph.reshape(all, shape)
}

/// Repeats x, whose extents `given` are those of `dims` or 1, along the axes in which it has 1.
/// Leading axes of 1 are dropped, as elementwise ops repeat along those by themselves: the result
/// has the last of `dims`.
pub(super) fn spread(
    cx: &mut ForwardContext<'_>,
    x: TensorId,
    given: &[usize],
    dims: &[usize],
) -> Result<TensorId, GraphError> {
    let leading = given.iter().take_while(|&&extent| extent == 1).count();
    let mut result = x;
    for axis in leading..dims.len() {
        let times = dims[axis];
        if given[axis] == times {
            continue;
        }
        let outer: usize = dims[leading..axis].iter().product();
        let inner: usize = given[axis + 1..].iter().product();
        let once = cx.graph.reshape(result, [outer, 1, inner])?;
        result = cx.graph.apply(Slice::repeat(times), &[once])?;
    }
    cx.graph.reshape(result, dims[leading..].to_vec())
}
