use crate::{Graph, InPlace, Node, Storage, TensorId, TensorType};

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

/// A range of four-byte words in one space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// The memory.
    pub space: Space,
    /// The first word.
    pub offset: usize,
    /// The number of words.
    pub len: usize,
}

impl Region {
    /// Whether the two share a word.
    pub fn overlaps(&self, other: &Region) -> bool {
        self.space == other.space
            && self.offset < other.offset + other.len
            && other.offset < self.offset + self.len
    }
}

/// What a block holds for some of the steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveRange {
    /// The transient tensor, or none where it is scratch of the node at `first`. Tensors that it
    /// turns into live on in its place.
    pub tensor: Option<TensorId>,
    /// The block that holds it.
    pub block: Block,
    /// Its words.
    pub len: usize,
    /// The position in [`Plan::order`] of the node that writes it.
    pub first: usize,
    /// That of the last one that reads it; `usize::MAX` for what the host reads afterwards.
    pub last: usize,
}

/// Which nodes run, in which order, and where every tensor live_ranges.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Indices of the nodes that matter, in order of execution.
    pub order: Vec<usize>,
    /// The length of each arena block, in words.
    pub blocks: Vec<usize>,
    /// What the blocks hold, and when.
    pub live_ranges: Vec<LiveRange>,
    /// For each node in `order`, the regions of its scratch buffers.
    pub scratch: Vec<Vec<Region>>,
    places: Vec<Option<Block>>,
    /// Whether two elements of half precision share a word.
    packed: bool,
}

impl Plan {
    /// Plans the graph. `scratch` says how many temporary words a node needs.
    ///
    /// A transient occupies a block from the node that writes it to the last that reads it, so no
    /// two operands of one node share a block, but for an input that turns into an output: the
    /// rule against aliasing holds by construction.
    pub fn new(graph: &Graph, scratch: impl FnMut(usize) -> Vec<usize>) -> Self {
        Self::of(graph, scratch, true)
    }

    /// The same for a device that needs no scratch and gives each element a word, whatever its
    /// precision.
    pub fn unpacked(graph: &Graph) -> Self {
        Self::of(graph, |_| vec![], false)
    }

    fn of(graph: &Graph, mut scratch: impl FnMut(usize) -> Vec<usize>, packed: bool) -> Self {
        let words = |t: TensorId| words(&graph[t].ty, packed);
        let order = live_nodes(graph);
        let last_use = last_uses(graph, &order);
        let mut live_ranges: Vec<LiveRange> = Vec::new();
        // The life in which a tensor takes part.
        let mut life_of: Vec<Option<usize>> = vec![None; graph.tensors().count()];
        // Which live_ranges are the scratch buffers of a step.
        let mut temporaries = Vec::new();
        for (first, &node) in order.iter().enumerate() {
            let life = |tensor, len, last| LiveRange { tensor, block: Block(0), len, first, last };
            let taken = taken_over(graph, &graph.nodes()[node], words)
                .filter(|(root, _)| last_use[root.index()] == Some(first));
            for &output in &graph.nodes()[node].operands.outputs {
                if graph[output].storage != Storage::Transient {
                    continue;
                }
                let last = last_use[output.index()].unwrap_or(first).max(first);
                let earlier = taken.filter(|&(_, heir)| heir == output);
                let earlier = earlier.and_then(|(root, _)| life_of[root.index()]);
                let index = earlier.unwrap_or(live_ranges.len());
                match earlier {
                    Some(earlier) => live_ranges[earlier].last = last,
                    None => live_ranges.push(life(Some(output), words(output), last)),
                }
                life_of[output.index()] = Some(index);
            }
            let begin = live_ranges.len();
            live_ranges.extend(scratch(node).into_iter().map(|len| life(None, len, first)));
            temporaries.push(begin..live_ranges.len());
        }
        let blocks = assign(&mut live_ranges);
        let places =
            life_of.into_iter().map(|life| life.map(|life| live_ranges[life].block)).collect();
        let region =
            |life: &LiveRange| Region { space: Space::Arena(life.block), offset: 0, len: life.len };
        let scratch =
            temporaries.into_iter().map(|own| live_ranges[own].iter().map(region).collect());
        let scratch = scratch.collect();
        Plan { order, blocks, live_ranges, scratch, places, packed }
    }

    /// Where a tensor live_ranges. Only valid for tensors of nodes in `order`.
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
        let ty = &graph[tensor].ty;
        let bytes = if self.packed { ty.dtype.bytes() } else { 4 };
        Region { space, offset: offset * bytes / 4, len: words(ty, self.packed) }
    }

    /// Bytes of the whole arena.
    pub fn arena_bytes(&self) -> u64 {
        4 * self.blocks.iter().map(|&b| b as u64).sum::<u64>()
    }
}

/// The words that a tensor takes.
fn words(ty: &TensorType, packed: bool) -> usize {
    if packed { ty.words() } else { ty.len() }
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

/// The root that a node may overwrite with an output, and that output: both are transients of one
/// length, and the node reads the root once.
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

/// Gives every life a block that no other life occupies at the same time, and returns the blocks'
/// lengths. The longest buffers choose first, so that a block is never too small for a later one;
/// of the blocks that are free for its time, a buffer takes the smallest.
fn assign(live_ranges: &mut [LiveRange]) -> Vec<usize> {
    let mut by_length: Vec<usize> = (0..live_ranges.len()).collect();
    by_length.sort_by_key(|&i| std::cmp::Reverse(live_ranges[i].len));
    let mut blocks: Vec<Vec<usize>> = Vec::new();
    for index in by_length {
        let life = &live_ranges[index];
        let meets = |&other: &usize| {
            life.first <= live_ranges[other].last && live_ranges[other].first <= life.last
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
