use crate::{Graph, InPlace, Node, Storage, TensorId, TensorType};

/// The buffer that contains a [`Region`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Space {
    /// The buffer of a resident tensor.
    Resident(TensorId),
    /// The buffer of an input, which the host uploads before a run.
    Input(TensorId),
    /// A block of the arena.
    Arena(Block),
}

/// Index of an arena block: one buffer, used by one transient tensor after another.
///
/// The arena is a list of buffers because WebGPU forbids one dispatch to read and write the same
/// buffer through two bindings, whatever the ranges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Block(pub usize);

/// A range of four-byte words in one buffer, in which a tensor or a scratch buffer lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// The buffer that contains the words.
    pub space: Space,
    /// Index of the first word.
    pub offset: usize,
    /// Number of words.
    pub len: usize,
}

impl Region {
    /// Returns true if the two regions are in the same buffer and have a word in common, or if one
    /// of them is empty and lies strictly inside the other.
    pub fn overlaps(&self, other: &Region) -> bool {
        self.space == other.space
            && self.offset < other.offset + other.len
            && other.offset < self.offset + self.len
    }
}

/// The interval of execution in which an arena block holds a tensor or a scratch buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveRange {
    /// The transient tensor, or `None` for a scratch buffer of the node at `first`. A tensor that
    /// an op overwrites in place ([`InPlace`]) and the output that replaces it share one live
    /// range.
    pub tensor: Option<TensorId>,
    /// The block that holds the values.
    pub block: Block,
    /// Length in words.
    pub len: usize,
    /// Position in [`Plan::order`] of the node that writes the values.
    pub first: usize,
    /// Position in [`Plan::order`] of the last node that reads them; `usize::MAX` for outputs,
    /// which the host reads after the run.
    pub last: usize,
}

/// Memory layout of a graph: the nodes that run, their order, and the region of every tensor.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Indices of the nodes that affect an output or a resident, in order of execution.
    pub order: Vec<usize>,
    /// Length of each arena block, in words.
    pub blocks: Vec<usize>,
    /// Live ranges of all transient tensors and scratch buffers.
    pub live_ranges: Vec<LiveRange>,
    /// For each node in `order`, the regions of its scratch buffers.
    pub scratch: Vec<Vec<Region>>,
    places: Vec<Option<Block>>,
    /// True if two half-precision elements share a word; false if each element has its own.
    packed: bool,
}

impl Plan {
    /// Plans a graph for a device that packs two half-precision elements into a word.
    /// `scratch(node)` returns the lengths of the scratch buffers, in words, of the node of that
    /// index in [`Graph::nodes`].
    ///
    /// A transient tensor occupies its block from the node that writes it to the last node that
    /// reads it. So no two operands of one node share a block, except an input that an output
    /// overwrites ([`Op::in_place`](crate::Op::in_place)). WebGPU's rule against aliasing therefore
    /// holds.
    pub fn new(graph: &Graph, scratch: impl FnMut(usize) -> Vec<usize>) -> Self {
        Self::of(graph, scratch, true)
    }

    /// Plans a graph for a device that needs no scratch buffers and stores each element in a
    /// four-byte word of its own, whatever its precision, as the CPU device does.
    pub fn unpacked(graph: &Graph) -> Self {
        Self::of(graph, |_| vec![], false)
    }

    fn of(graph: &Graph, mut scratch: impl FnMut(usize) -> Vec<usize>, packed: bool) -> Self {
        let words = |t: TensorId| words(&graph[t].ty, packed);
        let order = live_nodes(graph);
        let last_use = last_uses(graph, &order);
        let mut live_ranges: Vec<LiveRange> = Vec::new();
        // Index in `live_ranges` of each transient tensor's range.
        let mut range_of: Vec<Option<usize>> = vec![None; graph.tensors().count()];
        // The live ranges of each step's scratch buffers.
        let mut temporaries = Vec::new();
        for (first, &node) in order.iter().enumerate() {
            let range = |tensor, len, last| LiveRange { tensor, block: Block(0), len, first, last };
            let taken = taken_over(graph, &graph.nodes()[node], words)
                .filter(|(root, _)| last_use[root.index()] == Some(first));
            for &output in &graph.nodes()[node].operands.outputs {
                if graph[output].storage != Storage::Transient {
                    continue;
                }
                let last = last_use[output.index()].unwrap_or(first).max(first);
                let earlier = taken.filter(|&(_, heir)| heir == output);
                let earlier = earlier.and_then(|(root, _)| range_of[root.index()]);
                let index = earlier.unwrap_or(live_ranges.len());
                match earlier {
                    Some(earlier) => live_ranges[earlier].last = last,
                    None => live_ranges.push(range(Some(output), words(output), last)),
                }
                range_of[output.index()] = Some(index);
            }
            let begin = live_ranges.len();
            live_ranges.extend(scratch(node).into_iter().map(|len| range(None, len, first)));
            temporaries.push(begin..live_ranges.len());
        }
        let blocks = assign(&mut live_ranges);
        let places =
            range_of.into_iter().map(|range| range.map(|range| live_ranges[range].block)).collect();
        let region = |range: &LiveRange| Region {
            space: Space::Arena(range.block),
            offset: 0,
            len: range.len,
        };
        let scratch =
            temporaries.into_iter().map(|own| live_ranges[own].iter().map(region).collect());
        let scratch = scratch.collect();
        Plan { order, blocks, live_ranges, scratch, places, packed }
    }

    /// Returns the words that hold a tensor: an operand of a node in [`Plan::order`], an input or a
    /// resident. `graph` must be the graph that was planned.
    ///
    /// # Panics
    /// Panics if the tensor is not part of the plan, because it belongs to a dropped node.
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
        let ty = &graph[tensor].ty;
        let bytes = if self.packed { ty.dtype.bytes() } else { 4 };
        Region { space, offset: offset * bytes / 4, len: words(ty, self.packed) }
    }

    /// Returns the size of the whole arena in bytes: the sum of [`Plan::blocks`], without inputs
    /// and residents.
    pub fn arena_bytes(&self) -> u64 {
        4 * self.blocks.iter().map(|&b| b as u64).sum::<u64>()
    }
}

/// Returns the number of words that a tensor takes.
fn words(ty: &TensorType, packed: bool) -> usize {
    if packed { ty.words() } else { ty.len() }
}

/// Returns the nodes that change a resident or contribute to an output, in order.
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

/// Returns the root of an input and the output that may overwrite it, if the node has such a pair
/// ([`Op::in_place`](crate::Op::in_place)): both are transients of one length, and the node reads
/// the root once.
fn taken_over(
    graph: &Graph,
    node: &Node,
    words: impl Fn(TensorId) -> usize,
) -> Option<(TensorId, TensorId)> {
    let InPlace { input, output } = node.op.in_place()?;
    let (root, _) = graph.root(*node.operands.inputs.get(input)?);
    let output = *node.operands.outputs.get(output)?;
    let transient = |t: TensorId| graph[t].storage == Storage::Transient;
    let reads = node.operands.inputs.iter().filter(|&&t| graph.root(t).0 == root).count();
    let fits = words(root) == words(output);
    (transient(root) && transient(output) && fits && reads == 1).then_some((root, output))
}

/// Returns the position of the last node that reads each root; `usize::MAX` for outputs.
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

/// Assigns a block to every live range so that no two ranges share it at the same time, and returns
/// the blocks' lengths.
///
/// Best fit, longest first: a block is never too small for a later range, and a range takes the
/// smallest block that is free all the time.
fn assign(live_ranges: &mut [LiveRange]) -> Vec<usize> {
    let mut by_length: Vec<usize> = (0..live_ranges.len()).collect();
    by_length.sort_by_key(|&i| std::cmp::Reverse(live_ranges[i].len));
    let mut blocks: Vec<Vec<usize>> = Vec::new();
    for index in by_length {
        let range = &live_ranges[index];
        let meets = |&other: &usize| {
            range.first <= live_ranges[other].last && live_ranges[other].first <= range.last
        };
        // Lengths descend from block to block.
        let block = blocks.iter().rposition(|occupants| !occupants.iter().any(meets));
        let block = block.unwrap_or_else(|| {
            blocks.push(vec![]);
            blocks.len() - 1
        });
        blocks[block].push(index);
        live_ranges[index].block = Block(block);
    }
    blocks.iter().map(|occupants| live_ranges[occupants[0]].len).collect()
}
