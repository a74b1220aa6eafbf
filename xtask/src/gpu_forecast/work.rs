//! What one thread of a launch does, from the figures of compilers.

use super::inputs::{Kernel, Launches};
use crate::gpu_compilers::table::Table;

/// The card whose assembly is read: its hot loops stand for those of all cards.
const READ: &str = "NVIDIA Ampere";
/// Instructions by which a loop that sums or copies handles a word.
const PER_WORD: f64 = 20.0;
/// Terms between two waits for weights in a scan.
const TERMS_TOGETHER: f64 = 8.0;
/// Multiply-adds of a term and thread in a tile of a product: a block of 4 x 4.
const BLOCK: f64 = 16.0;

/// The loops of a thread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loops {
    /// None that counts.
    None,
    /// Over words, each of which waits for memory.
    Words(f64),
    /// Over slices of a product; two barriers each.
    Slices(f64),
    /// Over time steps, in each of which weights are waited for so many times.
    Steps(f64, f64),
}

/// The work of one thread of a launch.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    /// Instructions of the kernel's text.
    pub text: f64,
    /// Instructions of the hot loop, 0 without.
    pub hot: f64,
    /// Passes of the hot loop.
    pub passes: f64,
    /// Instructions that the thread issues.
    pub instructions: f64,
    /// Words that its hot loop loads from memory or a cache.
    pub loads: f64,
    /// Loads from shared memory in its hot loop.
    pub shared_loads: f64,
    /// Bytes of shared memory of the workgroup.
    pub shared: f64,
    /// The most subgroups in flight, in the driver's terms.
    pub waves: f64,
    /// The loops.
    pub loops: Loops,
}

impl Work {
    /// Returns the work of a thread of `kernel` as the compiler of `card` made it; `None` if the
    /// table lacks the kernel, or it spills.
    pub fn of(launch: &Launches, kernel: &Kernel, card: &str, table: &Table) -> Option<Self> {
        let &[_, waves, spills, _, shared, text, ..] = table.row(&kernel.name, card)? else {
            return None;
        };
        let read = table.row(&kernel.name, READ)?;
        let text = text as f64;
        let threads = (kernel.workgroups * kernel.threads) as f64;
        let mut work = Self {
            text,
            hot: 0.0,
            passes: 0.0,
            instructions: text,
            loads: 0.0,
            shared_loads: 0.0,
            shared: shared as f64,
            waves: waves as f64,
            loops: Loops::None,
        };
        let steps = kernel.steps(launch);
        match read.get(6..) {
            // A loop with one multiply-add or two sums squares.
            Some(&[hot, ffma, loads, shared_loads]) if ffma > 2 => {
                let scale = text / read[5] as f64;
                let each = launch.flops as f64 / 2.0 / threads / ffma as f64;
                work.hot = scale * hot as f64;
                let passes = match (steps, kernel.terms(launch)) {
                    (Some(steps), _) => {
                        let resident = kernel.constant("RESIDENT").unwrap_or(0) as f64;
                        let passes = (each / steps).round() - resident;
                        work.loops = Loops::Steps(steps, passes + resident);
                        steps * passes
                    }
                    (_, Some((terms, blocks))) => {
                        let passes = terms * BLOCK * blocks / ffma as f64;
                        work.loops = Loops::Slices(passes);
                        passes
                    }
                    _ => {
                        work.loops = Loops::Words(each.max(1.0));
                        each.max(1.0)
                    }
                };
                work.passes = passes;
                work.instructions = (text - work.hot) * steps.unwrap_or(1.0) + work.hot * passes;
                work.loads = loads as f64 * passes;
                work.shared_loads = shared_loads as f64 * passes;
            }
            _ if launch.iterations > 0 => {
                let words = launch.read as f64 / 4.0 / threads;
                let words = words.min(launch.iterations as f64).ceil();
                work.instructions += PER_WORD * (words - 1.0).max(0.0);
                work.loops = Loops::Words(words);
            }
            _ => {}
        }
        (spills == 0).then_some(work)
    }
}

impl Kernel {
    /// Returns the time steps of a scan, which one launch runs.
    fn steps(&self, launch: &Launches) -> Option<f64> {
        let scan = self.entry().contains("_rows");
        let range = (launch.params.get("end")?, launch.params.get("step")?);
        scan.then(|| range.0.saturating_sub(*range.1) as f64)
    }

    /// Returns the terms that a thread of a tiled product sums, in whole slices, and its blocks.
    fn terms(&self, launch: &Launches) -> Option<(f64, f64)> {
        let constant = |name, usual| self.constant(name).unwrap_or(usual);
        let taps = ["SIZE_D", "SIZE_H", "SIZE_W"].map(|size| constant(size, 1));
        let taps: u64 = taps.iter().product();
        let (shader, entry) = self.entry().split_once('.')?;
        let (blocks, slice) = match shader.contains("_step") {
            true => (1, constant("DEPTH", TILE_SLICE)),
            false => {
                let rows = constant("ROW_BLOCKS", 1);
                (rows * constant("COLUMN_BLOCKS", 1), constant("COLUMN_THREADS", 16) / rows)
            }
        };
        let whole = |terms: u64| terms.next_multiple_of(slice.max(1)) as f64;
        let terms = match entry {
            "multiply" if shader.starts_with("matmul") => {
                whole(*launch.params.get("k")?.min(launch.params.get("k_part")?))
            }
            "multiply" => whole(taps * constant("TERMS", 1)),
            "multiply_pixels" => whole(*launch.params.get("per_part")?),
            "forward" => whole(taps * constant("HIDDEN", 1)),
            "backward" => whole(taps * constant("HIDDEN", 1)) * constant("GATE_COUNT", 1) as f64,
            _ => return None,
        };
        let tiled = shader.contains("_step") || entry.starts_with("multiply");
        tiled.then_some((terms, blocks as f64))
    }
}

/// Terms of a slice of a step's product.
const TILE_SLICE: u64 = 16;

impl Loops {
    /// Returns the multiply-adds of a step of a scan that wait for each other.
    pub fn chained(waits: f64) -> f64 {
        TERMS_TOGETHER * waits
    }
}
