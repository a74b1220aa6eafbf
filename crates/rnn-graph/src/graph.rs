use crate::{Op, OpError, Operands, Signature, TensorType};
use rnn_core::{DType, Shape};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

/// A tensor of one [`Graph`]. Ids grow in the order of creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TensorId(pub(crate) u32);

impl TensorId {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// Where a tensor's values live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Storage {
    /// Written by a node, dead after its last use: the planner finds it a place in the arena.
    Transient,
    /// Uploaded from the host before each run.
    Input,
    /// On the device for as long as the session live_ranges; shared by name among its programs.
    Resident,
    /// A contiguous part of another tensor, from an element offset on. Costs nothing.
    View {
        /// The tensor looked at, itself perhaps a view: gradients follow the chain.
        base: TensorId,
        /// The first element.
        offset: usize,
    },
}

/// One value in the graph.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// What it is called in dumps; residents and inputs are found by it.
    pub name: String,
    /// Shape and element type.
    pub ty: TensorType,
    /// Where it live_ranges.
    pub storage: Storage,
    /// The node that writes it.
    pub producer: Option<usize>,
}

/// One use of an op.
#[derive(Clone, Debug)]
pub struct Node {
    /// What is done.
    pub op: Arc<dyn Op>,
    /// To which tensors.
    pub operands: Operands,
}

/// A node that cannot be: which, on what, why.
#[derive(Debug, thiserror::Error)]
#[error("{op}({operands}): {reason}")]
pub struct GraphError {
    /// The op's name.
    pub op: &'static str,
    /// Its operand types.
    pub operands: String,
    /// Why.
    pub reason: OpError,
}

/// Ops over tensors, in the order in which they run.
///
/// A node only reads tensors that exist when it is pushed, so the order of creation is an order
/// of execution; nodes whose results nobody needs are dropped by the planner.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    tensors: Vec<Tensor>,
    nodes: Vec<Node>,
    inputs: Vec<TensorId>,
    outputs: Vec<TensorId>,
    residents: HashMap<String, TensorId>,
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// A tensor that the host uploads before each run, in the order of these calls.
    pub fn input(&mut self, name: impl Into<String>, ty: TensorType) -> TensorId {
        let id = self.add(name.into(), ty, Storage::Input, None);
        self.inputs.push(id);
        id
    }

    /// A tensor that stays on the device; the same name is the same tensor in every program of a
    /// session. The first call decides its type.
    pub fn resident(&mut self, name: &str, ty: TensorType) -> TensorId {
        if let Some(&id) = self.residents.get(name) {
            return id;
        }
        let id = self.add(name.into(), ty, Storage::Resident, None);
        self.residents.insert(name.into(), id);
        id
    }

    /// The elements of `base` from `offset` on, as a tensor of shape `shape`.
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

    /// The same elements under another shape.
    pub fn reshape(
        &mut self,
        tensor: TensorId,
        shape: impl Into<Shape>,
    ) -> Result<TensorId, GraphError> {
        self.view(tensor, 0, shape)
    }

    /// Adds a node and returns its outputs.
    pub fn push(&mut self, op: impl Op, inputs: &[TensorId]) -> Result<Vec<TensorId>, GraphError> {
        self.push_node(Arc::new(op), inputs, &[])
    }

    /// Adds a node with a single output.
    pub fn apply(&mut self, op: impl Op, inputs: &[TensorId]) -> Result<TensorId, GraphError> {
        Ok(self.push(op, inputs)?[0])
    }

    /// Adds a node that changes `updates` in place besides writing outputs.
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

    /// Names a tensor whose values the host reads after a run.
    pub fn output(&mut self, tensor: TensorId) {
        self.outputs.push(tensor);
    }

    /// Makes the node that produces `tensor` write straight into `base` at `offset`.
    ///
    /// Returns false, changing nothing, when the tensor is no transient of its own (an input, a
    /// view, already placed), or would begin within a word: the caller copies instead.
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

    /// The same graph without the nodes whose results no output depends on, those that change
    /// residents among them: running it leaves everything on the device as it was, unless an output
    /// comes from what a node has changed.
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

    /// Replaces pairs of nodes by one. `fuse` is asked of each node and of the one that makes its
    /// first input; the op that it returns takes the inputs of the latter in that input's place. A
    /// pair stays where others read that input, too. The planner drops the nodes left over.
    ///
    /// # Errors
    /// A fused op whose outputs are not those of the op that it replaces.
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

    /// Whether a tensor is read once, by a node, and holds values of its own.
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

    /// Whether some of the nodes write what holds one of these tensors.
    fn changes(&self, nodes: std::ops::Range<usize>, tensors: &[TensorId]) -> bool {
        let roots: Vec<TensorId> = tensors.iter().map(|&t| self.root(t).0).collect();
        let written = |node: &Node| [&node.operands.updates[..], &node.operands.outputs].concat();
        self.nodes[nodes].iter().flat_map(written).any(|t| roots.contains(&self.root(t).0))
    }

    /// The tensors uploaded before a run, in order.
    pub fn inputs(&self) -> &[TensorId] {
        &self.inputs
    }

    /// The tensors read back after a run, in order.
    pub fn outputs(&self) -> &[TensorId] {
        &self.outputs
    }

    /// An error if a tensor is of half precision and the device has none.
    ///
    /// # Errors
    /// Which node puts it out.
    pub fn check_storage(&self, half: bool) -> Result<(), GraphError> {
        let narrow = self.tensors.iter().filter(|t| !half && t.ty.dtype == DType::F16);
        let Some(node) = narrow.filter_map(|t| t.producer).next().map(|n| &self.nodes[n]) else {
            return Ok(());
        };
        let reason = OpError::Limit("the device has no half precision".into());
        Err(GraphError { op: node.op.name(), operands: self.describe(node), reason })
    }

    /// All nodes in order of execution.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// All tensors with their ids.
    pub fn tensors(&self) -> impl Iterator<Item = (TensorId, &Tensor)> {
        self.tensors.iter().enumerate().map(|(i, t)| (TensorId(i as u32), t))
    }

    /// The shape of a tensor.
    pub fn shape(&self, tensor: TensorId) -> &Shape {
        &self[tensor].ty.shape
    }

    /// The op that writes `tensor` and what it reads.
    pub fn producer(&self, tensor: TensorId) -> Option<&Node> {
        self[tensor].producer.map(|n| &self.nodes[n])
    }

    /// The tensor that holds the values (the base of a view) and the element offset in it.
    pub fn root(&self, tensor: TensorId) -> (TensorId, usize) {
        match self[tensor].storage {
            Storage::View { base, offset } => {
                let (root, inner) = self.root(base);
                (root, inner + offset)
            }
            _ => (tensor, 0),
        }
    }

    /// The types of all operands of a node.
    pub fn signature(&self, node: &Node) -> Signature {
        let types = |ids: &[TensorId]| ids.iter().map(|&t| self[t].ty.clone()).collect();
        Signature {
            inputs: types(&node.operands.inputs),
            updates: types(&node.operands.updates),
            outputs: types(&node.operands.outputs),
        }
    }

    /// The node with its operand types, as errors and dumps show it.
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
