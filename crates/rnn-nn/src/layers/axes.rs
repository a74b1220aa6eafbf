//! The axes of a model's tensors in a graph: of two and more axes of a sample, the first stands in
//! front of the batch.

use crate::layer::{ForwardContext, Value};
use rnn_graph::{GraphError, TensorId};
use rnn_ops::{Concat, TransposeLeading};

/// The shape of one example of a tensor in a graph, in Keras's order.
pub(super) fn sample(cx: &ForwardContext<'_>, x: TensorId) -> Vec<usize> {
    match cx.graph.shape(x).dims() {
        [_, features] => vec![*features],
        axes => [&axes[..1], &axes[2..]].concat(),
    }
}

/// Swaps the batch axis and the first axis after it, which leads in a graph; a batch of features is
/// left as it is.
pub(super) fn swap_leading(
    cx: &mut ForwardContext<'_>,
    x: TensorId,
) -> Result<TensorId, GraphError> {
    match cx.graph.shape(x).rank() {
        0..=2 => Ok(x),
        _ => cx.graph.apply(TransposeLeading, &[x]),
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
