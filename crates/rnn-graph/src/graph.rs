use crate::{Op, OpError, Operands, Signature, Storage, Tensor, TensorId, TensorType};
use rnn_core::{DType, Shape};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

/// One application of an op to tensors, as [`Graph::push_node`] adds it.
#[derive(Clone, Debug)]
pub struct Node {
    /// The operation.
    pub op: Arc<dyn Op>,
    /// The tensors that it reads, changes and writes.
    pub operands: Operands,
}

/// The reason for which an op could not be applied to tensors, with the op and the tensors' types.
#[derive(Debug, thiserror::Error)]
#[error("{op}({operands}): {reason}")]
pub struct GraphError {
    /// Name of the op; `view` for [`Graph::view`].
    pub op: &'static str,
    /// Types of its operands, as a comma-separated list.
    pub operands: String,
    /// The reason.
    pub reason: OpError,
}

/// A list of ops over typed tensors, in the order of execution.
///
/// A node may only read tensors that exist when it is pushed, so the order of creation is an order
/// of execution. The planner drops nodes that affect no output and no resident. A method that looks
/// up a [`TensorId`] panics if the graph has no tensor of that id.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    tensors: Vec<Tensor>,
    nodes: Vec<Node>,
    inputs: Vec<TensorId>,
    outputs: Vec<TensorId>,
    residents: HashMap<String, TensorId>,
}

impl Graph {
    /// Creates a graph without tensors and nodes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Declares a tensor of type `ty` that the host uploads before each run. A run takes its inputs
    /// in the order of these calls. `name` appears in dumps and errors and need not be unique.
    pub fn input(&mut self, name: impl Into<String>, ty: TensorType) -> TensorId {
        let id = self.add(name.into(), ty, Storage::Input, None);
        self.inputs.push(id);
        id
    }

    /// Returns the resident tensor of that name. The first call for a name declares the tensor with
    /// type `ty`; later calls ignore `ty`. All programs of a session that declare the name share
    /// its memory.
    pub fn resident(&mut self, name: &str, ty: TensorType) -> TensorId {
        if let Some(&id) = self.residents.get(name) {
            return id;
        }
        let id = self.add(name.into(), ty, Storage::Resident, None);
        self.residents.insert(name.into(), id);
        id
    }

    /// Returns a view of the elements of `base` from `offset` on, row-major, in the given shape.
    /// Nothing is copied.
    ///
    /// # Errors
    /// Fails with [`OpError::Shape`] if the view reaches beyond the end of `base`, or begins in the
    /// middle of a four-byte word.
    pub fn view(
        &mut self,
        base: TensorId,
        offset: usize,
        shape: impl Into<Shape>,
    ) -> Result<TensorId, GraphError> {
        let shape = shape.into();
        let of = &self[base];
        if offset + shape.len() > of.ty.len() {
            return Err(GraphError {
                op: "view",
                operands: of.ty.to_string(),
                reason: OpError::shape(format!(
                    "elements {offset}..{} asked for as {shape}",
                    offset + shape.len()
                )),
            });
        }
        if shape == of.ty.shape {
            return Ok(base);
        }
        if !(offset * of.ty.dtype.bytes()).is_multiple_of(4) {
            let reason = OpError::shape(format!("a view from element {offset} splits a word"));
            return Err(GraphError { op: "view", operands: of.ty.to_string(), reason });
        }
        let ty = TensorType { shape, dtype: of.ty.dtype };
        Ok(self.add(
            format!("{}[{offset}..]", self[base].name),
            ty,
            Storage::View { base, offset },
            None,
        ))
    }

    /// Returns a view of the first elements of `tensor` in the given shape: of all, unless `shape`
    /// has fewer. Nothing is copied.
    ///
    /// # Errors
    /// Fails with [`OpError::Shape`] if `shape` has more elements than `tensor`.
    pub fn reshape(
        &mut self,
        tensor: TensorId,
        shape: impl Into<Shape>,
    ) -> Result<TensorId, GraphError> {
        self.view(tensor, 0, shape)
    }

    /// Adds a node that applies `op` to `inputs` and changes no tensor in place. Returns the node's
    /// outputs in the order of [`Op::infer`].
    ///
    /// # Errors
    /// Fails as [`Graph::push_node`] does.
    pub fn push(&mut self, op: impl Op, inputs: &[TensorId]) -> Result<Vec<TensorId>, GraphError> {
        self.push_node(Arc::new(op), inputs, &[])
    }

    /// Adds a node that applies `op` to `inputs`. Returns the node's first output.
    ///
    /// # Errors
    /// Fails as [`Graph::push_node`] does.
    ///
    /// # Panics
    /// Panics if the op has no output.
    pub fn apply(&mut self, op: impl Op, inputs: &[TensorId]) -> Result<TensorId, GraphError> {
        Ok(self.push(op, inputs)?[0])
    }

    /// Adds a node that applies `op` to `inputs` and changes `updates` in place. Returns the node's
    /// outputs.
    ///
    /// # Errors
    /// Fails with the error of [`Op::infer`] if the types violate the op's shape rule, and with
    /// [`OpError::Shape`] if an input has half precision and [`Op::takes_half`] is false. The graph
    /// is then unchanged.
    pub fn push_node(
        &mut self,
        op: Arc<dyn Op>,
        inputs: &[TensorId],
        updates: &[TensorId],
    ) -> Result<Vec<TensorId>, GraphError> {
        let types = |ids: &[TensorId]| ids.iter().map(|&t| self[t].ty.clone()).collect::<Vec<_>>();
        let (input_types, update_types) = (types(inputs), types(updates));
        let explain = |reason| {
            let all: Vec<_> =
                input_types.iter().chain(&update_types).map(|t| t.to_string()).collect();
            GraphError { op: op.name(), operands: all.join(", "), reason }
        };
        if !op.takes_half() && input_types.iter().any(|ty| ty.dtype == DType::F16) {
            return Err(explain(OpError::shape("it takes no half precision")));
        }
        let output_types = op.infer(&input_types, &update_types).map_err(explain)?;
        let node = self.nodes.len();
        let name = op.name();
        let outputs: Vec<_> = output_types
            .into_iter()
            .enumerate()
            .map(|(i, ty)| {
                self.add(format!("{name}#{node}.{i}"), ty, Storage::Transient, Some(node))
            })
            .collect();
        self.nodes.push(Node {
            op,
            operands: Operands {
                inputs: inputs.to_vec(),
                updates: updates.to_vec(),
                outputs: outputs.clone(),
            },
        });
        Ok(outputs)
    }

    /// Marks a tensor as an output: the host reads its values after each run, in the order of these
    /// calls. A tensor that is marked twice is listed twice.
    pub fn output(&mut self, tensor: TensorId) {
        self.outputs.push(tensor);
    }

    /// Makes the node that produces `tensor` write directly into `base`, from element `offset` on.
    /// The caller must make sure that `base` has the same element type and room for the elements.
    ///
    /// Returns false and changes nothing if `tensor` is an input, a resident or a view, has views
    /// of its own or is already placed, or if `offset` is in the middle of a four-byte word.
    pub fn place(&mut self, tensor: TensorId, base: TensorId, offset: usize) -> bool {
        let viewed = self
            .tensors
            .iter()
            .any(|t| matches!(t.storage, Storage::View { base, .. } if base == tensor));
        let slot = &mut self.tensors[tensor.index()];
        let splits = !(offset * slot.ty.dtype.bytes()).is_multiple_of(4);
        if slot.storage != Storage::Transient || slot.producer.is_none() || viewed || splits {
            return false;
        }
        slot.storage = Storage::View { base, offset };
        true
    }

    /// Drops the nodes on which no output depends, including those that change residents. A run of
    /// the resulting graph changes a resident only where an output is computed from the changed
    /// values.
    pub fn for_outputs_alone(mut self) -> Self {
        let root = |graph: &Self, tensor| graph.root(tensor).0.index();
        let mut needed = vec![false; self.tensors.len()];
        self.outputs.iter().for_each(|&output| needed[root(&self, output)] = true);
        let mut kept = vec![false; self.nodes.len()];
        for (kept, node) in kept.iter_mut().zip(&self.nodes).rev() {
            let Operands { inputs, updates, outputs } = &node.operands;
            *kept = updates.iter().chain(outputs).any(|&made| needed[root(&self, made)]);
            if *kept {
                let read = inputs.iter().chain(updates);
                read.for_each(|&read| needed[root(&self, read)] = true);
            }
        }
        let mut next = 0..;
        let place = |&kept: &bool| if kept { next.next() } else { None };
        let places: Vec<Option<usize>> = kept.iter().map(place).collect();
        for tensor in &mut self.tensors {
            tensor.producer = tensor.producer.and_then(|node| places[node]);
        }
        let mut keep = kept.into_iter();
        self.nodes.retain(|_| keep.next().unwrap_or(false));
        self
    }

    /// Returns a copy of the graph in which pairs of nodes are fused into one.
    ///
    /// Calls `fuse(graph, producer, reader)` for each node and the producer of its first input. If
    /// `fuse` returns an op, that op replaces `reader` and takes the inputs of `producer` in place
    /// of the first input. A pair is left alone if the tensor between the two has other uses, or an
    /// input of the producer changes in between. The planner drops producers left without readers.
    ///
    /// # Errors
    /// Fails if the output types of a fused op differ from those of the op that it replaces.
    pub fn fused(
        &self,
        fuse: impl Fn(&Self, &Node, &Node) -> Option<Arc<dyn Op>>,
    ) -> Result<Self, GraphError> {
        let mut graph = self.clone();
        for (at, reader) in self.nodes.iter().enumerate() {
            let Some(&made) = reader.operands.inputs.first() else { continue };
            let Some(from) = self[made].producer else { continue };
            let producer = &self.nodes[from];
            let Some(op) = fuse(self, producer, reader) else { continue };
            if !self.is_private(made) || self.changes(from + 1..at, &producer.operands.inputs) {
                continue;
            }
            let inputs = [&producer.operands.inputs, &reader.operands.inputs[1..]].concat();
            let types =
                |ids: &[TensorId]| ids.iter().map(|&t| self[t].ty.clone()).collect::<Vec<_>>();
            let found = op.infer(&types(&inputs), &types(&reader.operands.updates));
            let fits = found.and_then(|found| match found == types(&reader.operands.outputs) {
                true => Ok(()),
                false => Err(OpError::shape("it has other outputs than the op that it replaces")),
            });
            fits.map_err(|reason| {
                let operands = self.describe(reader);
                GraphError { op: op.name(), operands, reason }
            })?;
            let node = &mut graph.nodes[at];
            node.op = op;
            node.operands.inputs = inputs;
        }
        Ok(graph)
    }

    /// Returns true if exactly one node reads the tensor, nobody else sees it, and it is no view.
    fn is_private(&self, tensor: TensorId) -> bool {
        let read = self.nodes.iter().flat_map(|node| &node.operands.inputs);
        let reads = read.filter(|&&read| read == tensor).count();
        let viewed = self
            .tensors
            .iter()
            .any(|t| matches!(t.storage, Storage::View { base, .. } if base == tensor));
        let stays = self[tensor].storage != Storage::Transient || self.outputs.contains(&tensor);
        let updated = self.nodes.iter().any(|node| node.operands.updates.contains(&tensor));
        reads == 1 && !viewed && !stays && !updated
    }

    /// Returns true if one of the nodes writes the memory of one of the tensors.
    fn changes(&self, nodes: std::ops::Range<usize>, tensors: &[TensorId]) -> bool {
        let roots: Vec<TensorId> = tensors.iter().map(|&t| self.root(t).0).collect();
        let written = |node: &Node| [&node.operands.updates[..], &node.operands.outputs].concat();
        self.nodes[nodes].iter().flat_map(written).any(|t| roots.contains(&self.root(t).0))
    }

    /// Returns the tensors that the host uploads before a run, in the order of the calls of
    /// [`Graph::input`].
    pub fn inputs(&self) -> &[TensorId] {
        &self.inputs
    }

    /// Returns the tensors that the host reads after a run, in the order of the calls of
    /// [`Graph::output`].
    pub fn outputs(&self) -> &[TensorId] {
        &self.outputs
    }

    /// Checks that no node reads or writes a tensor of half precision, if `half` is false.
    ///
    /// # Errors
    /// Fails with [`OpError::Limit`] for the first node that does.
    pub fn check_storage(&self, half: bool) -> Result<(), GraphError> {
        let is_narrow = |tensor: &TensorId| self[*tensor].ty.dtype == DType::F16;
        let of_node =
            |node: &Node| node.operands.outputs.iter().chain(&node.operands.inputs).any(is_narrow);
        self.nodes.iter().find(|node| !half && of_node(node)).map_or(Ok(()), |node| {
            let reason = OpError::Limit("the device has no half precision".into());
            Err(GraphError { op: node.op.name(), operands: self.describe(node), reason })
        })
    }

    /// Returns all nodes in the order of execution.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Iterates over all tensors with their ids, in the order of creation.
    pub fn tensors(&self) -> impl Iterator<Item = (TensorId, &Tensor)> {
        self.tensors.iter().enumerate().map(|(i, t)| (TensorId(i as u32), t))
    }

    /// Returns the shape of a tensor of this graph.
    pub fn shape(&self, tensor: TensorId) -> &Shape {
        &self[tensor].ty.shape
    }

    /// Returns the node that writes `tensor`; `None` for inputs, residents and the results of
    /// [`Graph::view`]. A tensor moved by [`Graph::place`] keeps its producer.
    pub fn producer(&self, tensor: TensorId) -> Option<&Node> {
        self[tensor].producer.map(|n| &self.nodes[n])
    }

    /// Returns the tensor whose memory holds the values, following views to their base, and the
    /// index in it of the first element; a tensor that is no view is returned itself, with 0.
    ///
    /// # Panics
    /// Panics if the tensor is beyond those of this graph.
    pub fn root(&self, tensor: TensorId) -> (TensorId, usize) {
        match self[tensor].storage {
            Storage::View { base, offset } => {
                let (root, inner) = self.root(base);
                (root, inner + offset)
            }
            _ => (tensor, 0),
        }
    }

    /// Returns the types of all operands of a node, in the order of [`Operands`].
    pub fn signature(&self, node: &Node) -> Signature {
        let types = |ids: &[TensorId]| ids.iter().map(|&t| self[t].ty.clone()).collect();
        Signature {
            inputs: types(&node.operands.inputs),
            updates: types(&node.operands.updates),
            outputs: types(&node.operands.outputs),
        }
    }

    /// Returns the types of a node's inputs, then of its updates, as a comma-separated list for
    /// errors and dumps, such as `f32[2, 3], f32[3]`.
    pub fn describe(&self, node: &Node) -> String {
        let s = self.signature(node);
        let mut text = String::new();
        for (i, ty) in s.inputs.iter().chain(&s.updates).enumerate() {
            let _ = write!(text, "{}{ty}", if i == 0 { "" } else { ", " });
        }
        text
    }

    fn add(
        &mut self,
        name: String,
        ty: TensorType,
        storage: Storage,
        producer: Option<usize>,
    ) -> TensorId {
        let id = TensorId(self.tensors.len() as u32);
        self.tensors.push(Tensor { name, ty, storage, producer });
        id
    }
}

impl std::ops::Index<TensorId> for Graph {
    type Output = Tensor;

    fn index(&self, id: TensorId) -> &Tensor {
        &self.tensors[id.index()]
    }
}
