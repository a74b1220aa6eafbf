//! The work of launches, and their division, so that none occupies a device for long.

use crate::{Command, Cost, Dispatch, Recording};

/// Floating-point operations of a unit of [`work`]: what a slow GPU of 100 GFLOP/s computes in a
/// nanosecond.
pub const FLOPS_OF_WORK: u64 = 100;
/// Bytes of a unit of work: what such a GPU moves in a nanosecond.
const BYTES: u64 = 25;
/// Units of work of an iteration of a thread's loops, which wait for memory and for one another
/// however few threads there are.
const ITERATION: u64 = 100;
/// Most pieces of a dispatch.
const MAX_PIECES: u64 = 1024;

/// Returns the axis of the grid, if any, along which the parameter of that name tells how many workgroups
/// run before those of the launch. Kernels that have it may leave it out, and count from 0.
pub(crate) fn divided_axis(param: &str) -> Option<usize> {
    match param {
        "first_tile" => Some(1),
        "first_part" => Some(2),
        _ => None,
    }
}

/// Returns the work of a launch: the nanoseconds that it would take a slow GPU, as its cost and the loop
/// iterations of a thread tell. Devices measure how much faster or slower they are.
pub fn work(cost: Cost, iterations: u64) -> u64 {
    let throughput = (cost.flops / FLOPS_OF_WORK).saturating_add(cost.bytes / BYTES);
    throughput.max(iterations.saturating_mul(ITERATION)).max(1)
}

impl Recording {
    /// Returns the [`work`] of each dispatch, in order. Dispatches whose kernels loop share the cost of
    /// their node by their workgroups and iterations. Those beside them, which copy or convert an operand,
    /// have the cost of its bytes. If none of a node loops, they share its cost by their workgroups.
    pub fn work(&self) -> Vec<u64> {
        let dispatches: Vec<&Dispatch> = self.dispatches().collect();
        dispatches.chunk_by(|a, b| a.node == b.node).flat_map(work_of_node).collect()
    }

    /// Divides each dispatch of more [`work`] than `most` into several over parts of its grid, along the
    /// axes for which its launch has a parameter [`first_tile` or `first_part`](crate::Launch::divisible). The
    /// bits are the same. Variants must have been selected before: pieces have none.
    pub fn divide(&mut self, most: u64) {
        let mut work = self.work().into_iter();
        let commands = std::mem::take(&mut self.commands);
        let pieces = |command: Command| match command {
            Command::Dispatch(dispatch) => {
                let pieces = work.next().unwrap_or(0).div_ceil(most.max(1)).min(MAX_PIECES);
                let divided = if pieces > 1 { dispatch.divided(pieces) } else { vec![*dispatch] };
                divided.into_iter().map(|piece| Command::Dispatch(Box::new(piece))).collect()
            }
            other => vec![other],
        };
        self.commands = commands.into_iter().flat_map(pieces).collect();
    }
}

/// Returns the work of the dispatches of one node.
fn work_of_node(dispatches: &[&Dispatch]) -> Vec<u64> {
    let mut cost = Cost::default();
    dispatches.iter().for_each(|dispatch| cost += dispatch.cost);
    let loops = dispatches.iter().any(|dispatch| dispatch.iterations.is_some());
    let sizes = dispatches.iter().map(|dispatch| {
        let groups: f64 = dispatch.grid.iter().map(|&n| f64::from(n)).product();
        if loops { groups * dispatch.iterations.unwrap_or(0) as f64 } else { groups }
    });
    let sizes: Vec<f64> = sizes.collect();
    let all: f64 = sizes.iter().sum();
    let of_launch = |(dispatch, size): (&&Dispatch, f64)| {
        let share = |whole: u64| (whole as f64 * size / all) as u64;
        let words: usize = dispatch.bindings.iter().map(|binding| binding.region.len).sum();
        let cost = match size > 0.0 {
            true => Cost { flops: share(cost.flops), bytes: share(cost.bytes) },
            false => Cost { flops: 0, bytes: 4 * words as u64 },
        };
        work(cost, dispatch.iterations.unwrap_or(0))
    };
    dispatches.iter().zip(sizes).map(of_launch).collect()
}

impl Dispatch {
    /// Returns about as many dispatches, which together run the workgroups of this one.
    fn divided(&self, pieces: u64) -> Vec<Self> {
        let mut all = vec![Self { variants: vec![], ..self.clone() }];
        for &(axis, at) in &self.divisible {
            let missing = pieces.div_ceil(all.len() as u64).min(self.grid[axis].into()) as u32;
            let width = self.grid[axis].div_ceil(missing.max(1)).max(1);
            let along = |whole: &Self| {
                let piece = |first: u32| {
                    let mut piece = whole.clone();
                    piece.grid[axis] = width.min(whole.grid[axis] - first);
                    if let Some((_, bytes)) = &mut piece.params {
                        bytes[at..at + 4].copy_from_slice(&first.to_le_bytes());
                    }
                    piece
                };
                (0..whole.grid[axis]).step_by(width as usize).map(piece).collect::<Vec<_>>()
            };
            all = all.iter().flat_map(along).collect();
        }
        // The cost of a node stands at its first dispatch.
        all.iter_mut().skip(1).for_each(|piece| piece.cost = Cost::default());
        all
    }
}
