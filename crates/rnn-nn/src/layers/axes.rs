//! The axes of a model's tensors in a graph: of two and more axes of a sample, the first stands in
//! front of the batch.

use super::{Build, Value};
use rnn_graph::{GraphError, TensorId};
use rnn_ops::{Concat, TransposeLeading};

/// The extents of a sample of a tensor in a graph.
pub(super) fn sample(b: &Build<'_>, x: TensorId) -> Vec<usize> {
    match b.graph.shape(x).dims() {
        [_, features] => vec![*features],
        axes => [&axes[..1], &axes[2..]].concat(),
    }
}

/// Batch-major to a model's order of axes and back; a batch of features stays as it is.
pub(super) fn swap_leading(b: &mut Build<'_>, x: TensorId) -> Result<TensorId, GraphError> {
    match b.graph.shape(x).rank() {
        0..=2 => Ok(x),
        _ => b.graph.apply(TransposeLeading, &[x]),
    }
}

/// Gives each sample other extents; while the first of several stays, nothing is moved.
pub(super) fn reshape(
    b: &mut Build<'_>,
    x: TensorId,
    target: &[usize],
) -> Result<TensorId, GraphError> {
    let given = sample(b, x);
    let batch = b.graph.shape(x).dims()[usize::from(given.len() > 1)];
    if given.len() > 1 && target.len() > 1 && given[0] == target[0] {
        return b.graph.reshape(x, [&[target[0], batch], &target[1..]].concat());
    }
    let rows = swap_leading(b, x)?;
    let rows = b.graph.reshape(rows, [&[batch], target].concat())?;
    swap_leading(b, rows)
}

/// States of one shape as one batch-major tensor `[STATES, B, ..]`.
pub(super) fn stack(b: &mut Build<'_>, states: &[Value]) -> Result<TensorId, GraphError> {
    let mut rows = Vec::new();
    let mut shape = vec![states.len()];
    for state in states {
        let state = swap_leading(b, state.tensor)?;
        let axes = b.graph.shape(state).clone();
        rows.push(b.graph.reshape(state, [1, axes.len()])?);
        shape.truncate(1);
        shape.extend(axes.dims());
    }
    let all = b.graph.apply(Concat, &rows)?;
    b.graph.reshape(all, shape)
}
