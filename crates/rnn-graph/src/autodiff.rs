use crate::{Graph, GraphError, Op, OpError, Storage, TensorId};
use rnn_core::Shape;
use std::collections::HashMap;
use std::sync::Arc;

/// The two ops that [`gradients`] itself adds to a graph. The op library supplies them.
pub trait Algebra {
    /// Returns the op that computes `a + b` for equal shapes. It sums the gradients of a tensor
    /// that is read several times.
    fn add(&self) -> Arc<dyn Op>;
    /// Returns the op that computes the gradient of a view. Its output has the shape `full` of the
    /// viewed tensor; it holds the input's elements from element `offset` on, row-major, and zeros
    /// elsewhere.
    fn pad(&self, offset: usize, full: Shape) -> Arc<dyn Op>;
}

/// Adds the nodes that compute the gradient of `sum(seed * tensor)`, over all `(tensor, seed)` in
/// `seeds`, with respect to each tensor of `wrt`. Each seed has the shape of its tensor.
///
/// This is reverse-mode differentiation: it calls [`Op::backward`] for each node that a gradient
/// reaches, in the reverse order of the graph. Contributions to one gradient are added in that
/// order too, so the result has the same bits on every run. `algebra` supplies the ops that sum
/// gradients and differentiate views.
///
/// Returns one gradient for each tensor of `wrt`, of its shape; `None` where no seed depends on the
/// tensor.
///
/// # Errors
/// Fails with the error of [`Op::backward`], such as [`OpError::NotDifferentiable`], if a gradient
/// flows into an op that has none. Fails with [`OpError::Shape`] if an op returns a gradient of the
/// wrong shape.
pub fn gradients(
    graph: &mut Graph,
    seeds: &[(TensorId, TensorId)],
    wrt: &[TensorId],
    algebra: &dyn Algebra,
) -> Result<Vec<Option<TensorId>>, GraphError> {
    let count = graph.tensors().count();
    let relevant = depends_on(graph, wrt);
    let mut backward = Backward { algebra, parts: HashMap::new() };
    for &(tensor, seed) in seeds {
        backward.contribute(tensor, seed);
    }
    for id in (0..count as u32).rev().map(TensorId) {
        if !relevant[id.index()] {
            continue;
        }
        if let Storage::View { base, offset } = graph[id].storage {
            if relevant[base.index()]
                && let Some(gradient) = backward.total(graph, id)?
            {
                let full = graph.shape(base).clone();
                let pad = if full.len() == graph.shape(id).len() {
                    graph.reshape(gradient, full)?
                } else {
                    graph.push_node(algebra.pad(offset, full), &[gradient], &[])?[0]
                };
                backward.contribute(base, pad);
            }
            continue;
        }
        let Some(index) = graph[id].producer else { continue };
        let node = graph.nodes()[index].clone();
        // Once all outputs of a node have been seen: their ids are consecutive.
        if node.operands.outputs.first() != Some(&id) {
            continue;
        }
        let mut output_gradients = Vec::new();
        for &output in &node.operands.outputs {
            output_gradients.push(backward.total(graph, output)?);
        }
        if output_gradients.iter().all(Option::is_none) {
            continue;
        }
        let explain = |graph: &Graph, reason: OpError| GraphError {
            op: node.op.name(),
            operands: graph.describe(&node),
            reason,
        };
        let input_gradients = node
            .op
            .backward(graph, &node.operands, &output_gradients)
            .map_err(|reason| explain(graph, reason))?;
        for (&input, gradient) in node.operands.inputs.iter().zip(input_gradients) {
            let Some(gradient) = gradient.filter(|_| relevant[input.index()]) else { continue };
            if graph.shape(gradient) != graph.shape(input) {
                let found = graph.shape(gradient);
                let message = format!("gradient of shape {found} for {}", graph.shape(input));
                return Err(explain(graph, OpError::shape(message)));
            }
            backward.contribute(input, gradient);
        }
    }
    wrt.iter().map(|&tensor| backward.total(graph, tensor)).collect()
}

/// Returns, for each tensor of the graph, whether it is one of `sources` or is computed from one.
fn depends_on(graph: &Graph, sources: &[TensorId]) -> Vec<bool> {
    let mut depends = Vec::with_capacity(graph.tensors().count());
    for (id, tensor) in graph.tensors() {
        let inherited = match (&tensor.storage, tensor.producer) {
            (Storage::View { base, .. }, None) => depends[base.index()],
            (_, Some(node)) => {
                graph.nodes()[node].operands.inputs.iter().any(|t| depends[t.index()])
            }
            _ => false,
        };
        depends.push(inherited || sources.contains(&id));
    }
    depends
}

struct Backward<'a> {
    algebra: &'a dyn Algebra,
    parts: HashMap<TensorId, Vec<TensorId>>,
}

impl Backward<'_> {
    fn contribute(&mut self, tensor: TensorId, gradient: TensorId) {
        self.parts.entry(tensor).or_default().push(gradient);
    }

    /// Adds up all contributions so far and keeps the sum as the only one.
    fn total(
        &mut self,
        graph: &mut Graph,
        tensor: TensorId,
    ) -> Result<Option<TensorId>, GraphError> {
        let Some(parts) = self.parts.get_mut(&tensor) else { return Ok(None) };
        while parts.len() > 1 {
            let (a, b) = (parts[0], parts.remove(1));
            parts[0] = graph.push_node(self.algebra.add(), &[a, b], &[])?[0];
        }
        Ok(parts.first().copied())
    }
}
