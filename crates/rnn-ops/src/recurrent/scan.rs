//! Launches of scan.wgsl: all time steps of a cell in one launch, or as few as the device allows.

use crate::common::threads;
use crate::recurrent::Extents;
use crate::recurrent::cell_kernels::{Direction, Scan, ScanKernels};
use rnn_graph::{
    Cost, Grid, Launch, LaunchVariant, Limits, OpError, Operand, Shader, Work, iterations, work,
};
use rnn_shaders::constant;
use rnn_shaders::recurrent::{PACK, ROWS1, ROWS4};
use rnn_shaders::shared::{ELEMENTWISE, STORAGE_F16, STORAGE_F32};

static PACK_SINGLE: Shader = Shader::new("scan_pack", &[STORAGE_F32, ELEMENTWISE, PACK]);
static PACK_HALF: Shader = Shader::new("scan_pack_half", &[STORAGE_F16, ELEMENTWISE, PACK]);

/// Maximum number of hidden units of a scan; wider cells run step by step. Each workgroup of a scan
/// reads all of U at each step, for four rows; step by step, 64 rows share a read, at the price of
/// a launch. The break-even has not been measured on a GPU yet.
const MAX_SCANNED: usize = 256;
/// Maximum number of threads per workgroup, so that each may have 128 registers on all GPUs.
const MAX_THREADS: usize = 512;
/// Maximum number of threads per workgroup that keep weights of four rows in registers.
const MAX_RESIDENT_THREADS: usize = 256;
/// Columns of U in a block.
const COLUMNS: usize = 4;
/// Rows of a thread's weights that are loaded together.
const GROUP: usize = 8;
/// Threads that share a block of four units: each owns two of its elements if there are four rows.
const UNITS_SPLITS: usize = 8;
/// Rows per workgroup, if they fit.
const ROWS: usize = constant(ROWS4, "ROWS");
/// Elements of a thread, at most.
const MAX_OWNED: usize = constant(ROWS4, "MAX_OWNED");
const _: () = assert!(constant(ROWS1, "ROWS") == 1 && MAX_OWNED * UNITS_SPLITS == COLUMNS * ROWS);

/// The division of the product with U among the threads of a workgroup; see scan.wgsl.
#[derive(Clone, Copy)]
struct Division {
    hidden: usize,
    gates: usize,
    /// A block is the gates of a unit, not four units.
    of_gates: bool,
    k_splits: usize,
    blocks: usize,
    /// Rows of U per thread and gate.
    terms: usize,
    /// Copies of h, or of the gradient of a gate, in workgroup memory.
    copies: usize,
}

impl Division {
    /// Returns the division for a scan; `None` if the cell is too wide.
    fn of(scan: &Scan, gates: usize, limits: &Limits) -> Option<Self> {
        let hidden = scan.extents.hidden;
        let most = MAX_THREADS.min(limits.max_invocations as usize);
        let forward = scan.direction == Direction::Forward;
        let of_gates = forward && gates > 1;
        let blocks = if of_gates { hidden } else { hidden.div_ceil(COLUMNS) };
        let splits: &[usize] = if of_gates { &[4, 2] } else { &[UNITS_SPLITS] };
        let k_splits = *splits.iter().find(|&&splits| splits * blocks <= most)?;
        let terms = hidden.div_ceil(k_splits).next_multiple_of(GROUP / 2);
        let copies = if forward && !scan.dropout { 1 } else { gates };
        let fits = hidden <= MAX_SCANNED;
        fits.then_some(Self { hidden, gates, of_gates, k_splits, blocks, terms, copies })
    }

    fn threads(&self) -> usize {
        self.blocks * self.k_splits
    }

    /// Returns the floats of h of `rows` rows in one half of the tile.
    fn half(&self, rows: usize) -> usize {
        self.copies * self.terms * self.k_splits * rows
    }

    /// Returns true if the tile of `rows` rows fits workgroup memory, and the exchanged sums
    /// beside it unless `subgroups` exchange them.
    fn fits(&self, rows: usize, subgroups: bool, limits: &Limits) -> bool {
        let exchanged = if subgroups { 0 } else { COLUMNS * self.threads() };
        4 * (2 * self.half(rows) + exchanged) <= limits.max_workgroup_bytes as usize
    }

    /// Returns the number of gates whose weights a thread reads one after another.
    fn passes(&self, direction: Direction) -> usize {
        if direction == Direction::Backward { self.gates } else { 1 }
    }

    /// Returns the launch that packs `matrix` (U) for the threads, and the words that it writes.
    fn pack(&self, matrix: Operand, scan: &Scan) -> Result<(Launch, usize), OpError> {
        let count = self.passes(scan.direction) * self.terms * self.threads();
        let shader = if scan.half { &PACK_HALF } else { &PACK_SINGLE };
        let launch = Launch::new(shader, "pack", threads(count)?)
            .constant("HIDDEN", self.hidden as u32)
            .constant("GATES", self.gates as u32)
            .constant("OF_GATES", u8::from(self.of_gates))
            .constant("K_SPLITS", self.k_splits as u32)
            .constant("TERMS", self.terms as u32)
            .constant("BLOCKS", self.blocks as u32)
            .param("count", count)
            .bind("recurrent", matrix)
            .bind("packed", Operand::Scratch(0));
        Ok((launch, if scan.half { 2 * count } else { 4 * count }))
    }

    /// Returns a variant of the kernel.
    fn variant(
        &self,
        shader: &'static Shader,
        (rows, batch): (usize, usize),
        resident: bool,
    ) -> Result<LaunchVariant, OpError> {
        let owned = match () {
            _ if rows == 1 => 1,
            _ if self.of_gates => ROWS / self.k_splits,
            _ => MAX_OWNED,
        };
        let constants = vec![("OWNED", owned as f64), ("RESIDENT", f64::from(u8::from(resident)))];
        Ok(LaunchVariant { shader, constants, grid: Grid::new(batch.div_ceil(rows), 1, 1)? })
    }

    /// Returns the work of a step; see [`work`].
    fn work_of_step(&self, scan: &Scan) -> u64 {
        let weights = self.gates * self.hidden * self.hidden;
        let flops = 2 * (weights * scan.extents.batch) as u64;
        work(Cost { flops, bytes: 0 }, self.iterations(scan.direction).0)
    }

    /// Returns upper bounds on the loop iterations of a thread: those of a step, and those around
    /// all steps.
    fn iterations(&self, direction: Direction) -> (u64, u64) {
        let own = |inner| iterations(MAX_OWNED, inner);
        let terms = iterations(self.terms / GROUP, 0);
        let product = iterations(self.passes(direction), terms + own(0));
        let published = own(iterations(self.copies, 0));
        let cleared = iterations((2 * self.half(ROWS)).div_ceil(self.threads()), 0);
        (product + 3 * own(0) + published, cleared + own(0) + published)
    }
}

/// Returns the work of a scan: a launch that packs `matrix` (U), then one launch for all steps, or
/// as few launches as the device's limits of loops and of work allow. `bind` adds all bindings except `recurrent`.
/// `None` if the cell is too wide or its state exceeds workgroup memory.
///
/// # Errors
/// Fails with [`OpError::Limit`] if a grid exceeds WebGPU's limits.
pub fn whole(
    kernels: &'static ScanKernels,
    gates: usize,
    scan: &Scan,
    matrix: Operand,
    limits: &Limits,
    bind: impl Fn(Launch) -> Launch,
) -> Result<Option<Work>, OpError> {
    let Scan { direction, extents: Extents { steps, batch, .. }, .. } = *scan;
    let Some(division) = Division::of(scan, gates, limits) else { return Ok(None) };
    let subgroups = limits.subgroup_lanes as usize >= division.k_splits;
    let [rows4, rows1] = kernels.by_rows(subgroups);
    let fits = |rows| division.fits(rows, subgroups, limits);
    let (per_step, around) = division.iterations(direction);
    let most = limits.loop_iterations.saturating_sub(around + 1) / (1 + per_step);
    let of_work = (limits.launch_work / division.work_of_step(scan)).max(1);
    let most = usize::try_from(most.min(of_work)).unwrap_or(usize::MAX).min(steps);
    if most == 0 || !fits(1) {
        return Ok(None);
    }
    // Backward, the first weights are an eighth of a thread's at most.
    let has_group = direction == Direction::Forward && division.terms >= GROUP;
    let mut variants = Vec::new();
    if batch >= ROWS && fits(ROWS) {
        variants.push(division.variant(rows4, (ROWS, batch), false)?);
        if has_group && division.threads() <= MAX_RESIDENT_THREADS {
            variants.push(division.variant(rows4, (ROWS, batch), true)?);
        }
    }
    variants.push(division.variant(rows1, (1, batch), false)?);
    if has_group {
        variants.push(division.variant(rows1, (1, batch), true)?);
    }
    let entry = match direction {
        Direction::Forward => "forward",
        Direction::Backward => "backward",
    };
    let mut variants = variants.into_iter();
    let Some(first) = variants.next() else { return Ok(None) };
    let launch =
        Launch { constants: first.constants, ..Launch::new(first.shader, entry, first.grid) };
    let launch = variants
        .fold(launch, Launch::or)
        .constant("HIDDEN", division.hidden as u32)
        .constant("K_SPLITS", division.k_splits as u32)
        .constant("BLOCKS", division.blocks as u32)
        .constant("TERMS", division.terms as u32)
        .constant("HIDDEN_COPIES", division.copies as u32)
        .param("terms", division.terms)
        .param("items", batch)
        .param("steps", steps)
        .bind("recurrent", Operand::Scratch(0));
    let range = |first: usize| {
        let end = steps.min(first + most);
        let launch = launch.clone().iterations(around + iterations(end - first, per_step));
        bind(launch.param("step", first).param("end", end))
    };
    let (pack, words) = division.pack(matrix, scan)?;
    let mut launches: Vec<Launch> = (0..steps).step_by(most).map(range).collect();
    if direction == Direction::Backward {
        launches.reverse();
    }
    launches.insert(0, pack);
    Ok(Some(Work { scratch: vec![words], launches }))
}
