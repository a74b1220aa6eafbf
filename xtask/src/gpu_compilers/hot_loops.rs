//! The innermost loops of NVK's assembly.

use std::collections::{BTreeMap, BTreeSet};

/// The numbers of instructions of a loop, in all and by kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HotLoop {
    /// Number of all instructions.
    pub instructions: usize,
    /// Number of instructions that multiply and add in single precision.
    pub ffma: usize,
    /// Number of loads from memory.
    pub global_loads: usize,
    /// Number of loads from shared memory.
    pub shared_loads: usize,
}

impl HotLoop {
    /// Returns the percentage of FFMA among the instructions, rounded down.
    pub fn share(&self) -> usize {
        100 * self.ffma / self.instructions.max(1)
    }
}

/// A basic block: its instructions, and the blocks that may follow.
#[derive(Debug, Default)]
struct Block<'a> {
    lines: Vec<&'a str>,
    next: Vec<usize>,
}

/// Returns the innermost loop of a kernel, given as NVIDIA's assembly, with the most FFMA; `None`
/// if no loop has one.
pub fn hottest(assembly: &str) -> Option<HotLoop> {
    let blocks = blocks(assembly);
    let all = innermost(&blocks);
    let counted = all.iter().map(|body| {
        let lines = || body.iter().filter_map(|n| blocks.get(n)).flat_map(|block| &block.lines);
        let count = |name: &str| lines().filter(|line| line.contains(name)).count();
        HotLoop {
            instructions: lines().count(),
            ffma: count("ffma"),
            global_loads: count("ld.global"),
            shared_loads: count("ld.shared"),
        }
    });
    counted.filter(|hot| hot.ffma > 0).max_by_key(|hot| (hot.ffma, hot.instructions))
}

fn blocks(assembly: &str) -> BTreeMap<usize, Block<'_>> {
    let mut found: BTreeMap<usize, Block<'_>> = BTreeMap::new();
    let mut current = None;
    for line in assembly.lines().filter(|line| !line.trim().is_empty()) {
        let begun = line.strip_prefix("block.u ").or_else(|| line.strip_prefix("block "));
        let number = begun.and_then(|rest| rest.split(' ').next()?.parse().ok());
        if let Some(number) = number {
            current = Some(number);
            found.entry(number).or_default();
        } else if let Some(block) = current.and_then(|number| found.get_mut(&number)) {
            if let Some(next) = line.strip_prefix("} -> [") {
                let next = next.trim_end().trim_end_matches(']').split(',');
                block.next = next.filter_map(|n| n.trim().parse().ok()).collect();
            } else if !line.starts_with('}') {
                block.lines.push(line);
            }
        }
    }
    found
}

/// The blocks of each loop that has no other in it. A loop is a way back, and all blocks from
/// which it is reached behind its first.
fn innermost(blocks: &BTreeMap<usize, Block<'_>>) -> Vec<BTreeSet<usize>> {
    let mut before: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (&n, block) in blocks {
        block.next.iter().for_each(|&next| before.entry(next).or_default().push(n));
    }
    let mut loops = BTreeSet::new();
    for (&n, block) in blocks {
        for &head in block.next.iter().filter(|&&next| next <= n) {
            let (mut body, mut todo) = (BTreeSet::from([head, n]), vec![n]);
            while let Some(at) = todo.pop() {
                let sources = before.get(&at).into_iter().flatten().filter(|_| at != head);
                todo.extend(sources.filter(|&&source| body.insert(source)));
            }
            loops.insert(body);
        }
    }
    let has_inner = |outer: &BTreeSet<usize>| {
        loops.iter().any(|inner| inner != outer && inner.is_subset(outer))
    };
    loops.iter().filter(|body| !has_inner(body)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::{HotLoop, hottest};

    #[test]
    fn the_inner_loop_is_counted_alone() {
        let text = "block 0 [] {\n  r1 = ffma r2 r3 r4\n} -> [1]\n\
                    block.u 1 [0, 3] {\n  r1 = mov r2\n} -> [2]\n\
                    block 2 [1, 2] {\n  r1 = ld.shared [r2]\n  r4 = ld.global [r3]\n\
                    \x20 r5 = ffma r1 r4 r5\n  bra\n} -> [3, 2]\n\
                    block 3 [2] {\n  r1 = ffma r1 r1 r1\n} -> [1, 4]\nblock 4 [3] {\n  exit\n}\n";
        let want = HotLoop { instructions: 4, ffma: 1, global_loads: 1, shared_loads: 1 };
        assert_eq!(hottest(text), Some(want));
        assert_eq!(want.share(), 25);
        assert_eq!(hottest("block 0 [] {\n  r1 = ffma r1 r1 r1\n}\n"), None);
    }

    #[test]
    fn a_loop_of_several_blocks_is_whole() {
        let text = "block 0 [] {\n} -> [1]\nblock 1 [0, 3] {\n  r1 = ffma r1 r1 r1\n} -> [2, 3]\n\
                    block 2 [1] {\n  r1 = mov r2\n} -> [3]\nblock 3 [1, 2] {\n  bra\n} -> [1, 4]\n\
                    block 4 [3] {\n  exit\n}\n";
        let found = hottest(text).expect("a loop");
        assert_eq!((found.instructions, found.ffma), (3, 1));
    }
}
