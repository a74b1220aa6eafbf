//! The axes of a model's tensors in a graph: of two and more axes of a sample, the first stands in
//! front of the batch.

use crate::ConfigError;
use crate::layer::{Arguments, ForwardContext, Value};
use rnn_core::DType;
use rnn_graph::{GraphError, TensorId};
use rnn_ops::{Binary, Concat, Fill, TransposeLeading};

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

/// The shape of one example of a tensor in a graph, in Keras's order.
pub(super) fn sample(cx: &ForwardContext<'_>, x: TensorId) -> Vec<usize> {
    match cx.graph.shape(x).dims() {
        [_] => vec![],
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
        let zeros = Fill { shape: [times, outer, inner].into(), value: 0.0 };
        let zeros = cx.graph.apply(zeros, &[])?;
        let once = cx.graph.reshape(result, [outer, inner])?;
        let repeated = cx.graph.apply(Binary::Add, &[zeros, once])?;
        result = cx.graph.apply(TransposeLeading, &[repeated])?;
    }
    cx.graph.reshape(result, dims[leading..].to_vec())
}
