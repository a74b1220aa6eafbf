use crate::{Graph, Storage, TensorId};

/// Which memory a region is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Space {
    /// A resident tensor.
    Resident(TensorId),
    /// An uploaded tensor.
    Input(TensorId),
    /// A block of the arena.
    Arena(Block),
}

/// A block of the arena: one buffer, lent to one transient tensor after another.
///
/// WebGPU forbids a buffer that one dispatch writes to be read by it through another binding,
/// whatever the ranges; the arena is therefore a list of buffers and not a single one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Block(pub usize);

/// A range of four-byte elements in one space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// The memory.
    pub space: Space,
    /// The first element.
    pub offset: usize,
    /// The number of elements.
    pub len: usize,
}

impl Region {
    /// Whether the two share an element.
    pub fn overlaps(&self, other: &Region) -> bool {
        self.space == other.space
            && self.offset < other.offset + other.len
            && other.offset < self.offset + self.len
    }
}

/// Which nodes run, in which order, and where every tensor lives.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Indices of the nodes that matter, in order of execution.
    pub order: Vec<usize>,
    /// The length of each arena block, in elements.
    pub blocks: Vec<usize>,
    /// For each node in `order`, the regions of its scratch buffers.
    pub scratch: Vec<Vec<Region>>,
    places: Vec<Option<Block>>,
}

impl Plan {
    /// Plans the graph. `scratch` says how many temporary elements a node needs.
    ///
    /// A transient occupies a block from the node that writes it to the last that reads it, so no
    /// two operands of one node share a block: the rule against aliasing holds by construction.
    pub fn new(graph: &Graph, mut scratch: impl FnMut(usize) -> Vec<usize>) -> Self {
        let order = live_nodes(graph);
        let last_use = last_uses(graph, &order);
        let mut arena = Arena::default();
        let mut plan = Plan {
            places: vec![None; graph.tensors().count()],
            blocks: vec![],
            scratch: vec![],
            order,
        };
        let mut expiring: Vec<Vec<Block>> = vec![vec![]; plan.order.len()];
        for (step, &node) in plan.order.iter().enumerate() {
            for &output in &graph.nodes()[node].operands.outputs {
                if graph[output].storage == Storage::Transient {
                    let block = arena.take(graph[output].ty.len());
                    plan.places[output.index()] = Some(block);
                    let last = last_use[output.index()].unwrap_or(step).max(step);
                    if last < usize::MAX {
                        expiring[last].push(block);
                    }
                }
            }
            let temporaries: Vec<Region> = scratch(node)
                .into_iter()
                .map(|len| Region { space: Space::Arena(arena.take(len)), offset: 0, len })
                .collect();
            for region in &temporaries {
                if let Space::Arena(block) = region.space {
                    expiring[step].push(block);
                }
            }
            plan.scratch.push(temporaries);
            for block in std::mem::take(&mut expiring[step]) {
                arena.give_back(block);
            }
        }
        plan.blocks = arena.lengths;
        plan
    }

    /// Where a tensor lives. Only valid for tensors of nodes in `order`.
    ///
    /// # Panics
    /// If the tensor was dropped from the plan, which is a mistake of the caller.
    pub fn region(&self, graph: &Graph, tensor: TensorId) -> Region {
        let (root, offset) = graph.root(tensor);
        let space =
            match graph[root].storage {
                Storage::Resident => Space::Resident(root),
                Storage::Input => Space::Input(root),
                _ => Space::Arena(self.places[root.index()].unwrap_or_else(|| {
                    panic!("tensor {} is not part of the plan", graph[root].name)
                })),
            };
        Region { space, offset, len: graph[tensor].ty.len() }
    }

    /// Bytes of the whole arena.
    pub fn arena_bytes(&self) -> u64 {
        4 * self.blocks.iter().map(|&b| b as u64).sum::<u64>()
    }
}

/// Nodes that change a resident, or feed one that does or an output.
fn live_nodes(graph: &Graph) -> Vec<usize> {
    let mut needed = vec![false; graph.tensors().count()];
    for &output in graph.outputs() {
        needed[graph.root(output).0.index()] = true;
    }
    let mut live = Vec::new();
    for (index, node) in graph.nodes().iter().enumerate().rev() {
        let o = &node.operands;
        let matters = !o.updates.is_empty()
            || o.outputs.iter().any(|&t| {
                let (root, _) = graph.root(t);
                needed[root.index()] || graph[root].storage == Storage::Resident
            });
        if matters {
            live.push(index);
            for &input in o.inputs.iter().chain(&o.updates) {
                needed[graph.root(input).0.index()] = true;
            }
        }
    }
    live.reverse();
    live
}

/// The last step that reads each root; `usize::MAX` for what the host reads afterwards.
fn last_uses(graph: &Graph, order: &[usize]) -> Vec<Option<usize>> {
    let mut last = vec![None; graph.tensors().count()];
    for (step, &node) in order.iter().enumerate() {
        for &input in &graph.nodes()[node].operands.inputs {
            last[graph.root(input).0.index()] = Some(step);
        }
    }
    for &output in graph.outputs() {
        last[graph.root(output).0.index()] = Some(usize::MAX);
    }
    last
}

/// Best-fit allocation of blocks; because everything is planned before anything is allocated, a
/// free block that is too small can still grow.
#[derive(Default)]
struct Arena {
    lengths: Vec<usize>,
    free: Vec<usize>,
}

impl Arena {
    fn take(&mut self, len: usize) -> Block {
        let fits = self.free.iter().enumerate().filter(|&(_, &b)| self.lengths[b] >= len);
        let choice = fits
            .min_by_key(|&(_, &b)| self.lengths[b])
            .or_else(|| self.free.iter().enumerate().max_by_key(|&(_, &b)| self.lengths[b]))
            .map(|(i, _)| i);
        let block = match choice {
            Some(i) => self.free.remove(i),
            None => {
                self.lengths.push(0);
                self.lengths.len() - 1
            }
        };
        self.lengths[block] = self.lengths[block].max(len);
        Block(block)
    }

    fn give_back(&mut self, block: Block) {
        self.free.push(block.0);
        self.free.sort_unstable();
    }
}
