//! Launches of recurrent cells: all time steps in one launch (a scan), or one launch per step.

use crate::cast::narrow;
use crate::recurrent::Extents;
use rnn_graph::{Grid, Launch, LaunchVariant, Limits, OpError, Operand, Shader, Work, iterations};
use rnn_shaders::constant;
use rnn_shaders::recurrent::{ROWS4, SCAN, STEP_PRODUCT};
use std::ops::Range;

/// Builds [`CellKernels`] from `$cell`, the WGSL text of a cell; `and half` adds the modules for
/// sequences of half precision.
macro_rules! cell_kernels {
    ($name:literal, carry: $carry:literal, $cell:expr) => {
        cell_kernels!(@of None, $name, $carry, $cell)
    };
    ($name:literal and half, carry: $carry:literal, $cell:expr) => {
        cell_kernels!(
            @of Some(cell_kernels!(@schedules concat!($name, "_half"), STORAGE_F16, $cell)),
            $name, $carry, $cell
        )
    };
    (@of $half:expr, $name:literal, $carry:literal, $cell:expr) => {
        $crate::recurrent::cell_kernels::CellKernels {
            single: cell_kernels!(@schedules $name, STORAGE_F32, $cell),
            half: $half,
            gates: rnn_shaders::constant($cell, "GATES"),
            carry: $carry,
        }
    };
    (@schedules $name:expr, $storage:ident, $cell:expr) => {{
        use rnn_shaders::{recurrent, shared};
        $crate::recurrent::cell_kernels::Schedules {
            rows4: cell_kernels!(
                @shader concat!($name, "_rows4"), $storage, $cell, recurrent::ROWS4, recurrent::SCAN
            ),
            rows1: cell_kernels!(
                @shader concat!($name, "_rows1"), $storage, $cell, recurrent::ROWS1, recurrent::SCAN
            ),
            step: cell_kernels!(
                @shader concat!($name, "_step"), $storage, $cell,
                shared::WINDOWS, recurrent::STEP_PRODUCT, recurrent::STEP
            ),
        }
    }};
    (@shader $name:expr, $storage:ident, $cell:expr, $($schedule:path),+) => {
        rnn_graph::Shader::new(
            $name,
            &[
                shared::$storage,
                shared::BITS,
                shared::EXPONENTIAL,
                shared::ACTIVATIONS,
                recurrent::RECURRENCE,
                $($schedule,)+
                $cell,
            ],
        )
    };
}

/// WGSL modules of a recurrent cell, for each precision and schedule.
pub struct CellKernels {
    /// Modules for sequences of single precision.
    pub single: Schedules,
    /// Modules for sequences of half precision, if the cell supports them.
    pub half: Option<Schedules>,
    /// Number of gates of a unit.
    pub gates: usize,
    /// Number of f32 values that a unit carries from step to step.
    pub carry: usize,
}

/// WGSL modules of a recurrent cell for one precision, by schedule.
pub struct Schedules {
    /// All steps in one launch, four batch rows per workgroup.
    pub rows4: Shader,
    /// All steps in one launch, one batch row per workgroup.
    pub rows1: Shader,
    /// One step per launch.
    pub step: Shader,
}

/// Launch parameters for all steps of a dense cell.
#[derive(Clone, Copy, Debug)]
pub struct Scan {
    /// Direction of time.
    pub direction: Direction,
    /// Steps, batch rows and hidden units.
    pub extents: Extents,
    /// True if each gate sees h through dropout factors of its own.
    pub dropout: bool,
    /// True if the sequences have half precision.
    pub half: bool,
}

/// Direction in which a scan runs through time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The forward pass, from the first step to the last.
    Forward,
    /// The backward pass, from the last step's gradients to those of the initial state.
    Backward,
}

/// Maximum number of hidden units of a scan; wider cells run step by step. Each workgroup of a scan
/// reads all of U at each step, for four rows; step by step, 64 rows share a read, at the price of
/// a launch. The break-even has not been measured on a GPU yet.
const MAX_SCANNED: usize = 256;
/// Thread groups of a workgroup, among which the product with U is divided.
const GATE_GROUPS: usize = constant(SCAN, "GATE_GROUPS");
/// Maximum number of elements (row, unit) per thread of a scan.
const MAX_ELEMENTS_PER_THREAD: usize = constant(SCAN, "MAX_ELEMENTS_PER_THREAD");
/// Rows per workgroup of a scan, if they fit.
const ROWS: usize = constant(ROWS4, "ROWS");
/// Columns of a step product's tile.
const COLUMNS: usize = constant(STEP_PRODUCT, "COLUMNS");
/// Terms of a step product's slice.
const SLICE: usize = constant(STEP_PRODUCT, "SLICE");

impl CellKernels {
    /// Returns the work of a scan: with half-precision sequences the rounding of `matrix` (U), then
    /// the launches. `bind` adds all bindings but `recurrent`.
    ///
    /// # Errors
    /// Fails as [`Self::launches`].
    pub fn work(
        &'static self,
        scan: Scan,
        matrix: Operand,
        limits: &Limits,
        bind: impl Fn(Launch) -> Launch,
    ) -> Result<Work, OpError> {
        let count = self.gates * scan.extents.hidden * scan.extents.hidden;
        let launches = self.launches(scan, limits)?.into_iter().map(bind);
        with_matrix(launches, (matrix, count), scan.half)
    }

    /// Returns the modules for sequences of half or single precision.
    ///
    /// # Errors
    /// Fails if the cell has no half-precision modules.
    pub fn of(&'static self, half: bool) -> Result<&'static Schedules, OpError> {
        let kernels = if half { self.half.as_ref() } else { Some(&self.single) };
        kernels.ok_or_else(|| OpError::shape("it takes no half precision"))
    }

    /// Returns the launches of a scan: one for all steps if the device allows it, else one per
    /// step. The caller adds bindings.
    ///
    /// # Errors
    /// Fails if the cell has no half-precision modules, or a grid exceeds WebGPU's limits.
    pub fn launches(&'static self, scan: Scan, limits: &Limits) -> Result<Vec<Launch>, OpError> {
        let Scan { direction, extents: e, dropout, half } = scan;
        let kernels = self.of(half)?;
        if let Some(launches) = self.whole(kernels, scan, limits)? {
            return Ok(launches);
        }
        let step = Step::dense(&kernels.step, e);
        let gates = 0..self.gates;
        match direction {
            Direction::Forward => {
                (0..e.steps).map(|t| step.forward(gates.clone(), t, dropout)).collect()
            }
            Direction::Backward => {
                (0..=e.steps).rev().map(|t| step.backward(gates.clone(), t)).collect()
            }
        }
    }

    /// Returns the launches of scan.wgsl: one, or as few as the device's loop limit allows. `None`
    /// if the state is too wide or its tiles exceed workgroup memory.
    fn whole(
        &self,
        kernels: &'static Schedules,
        Scan { direction, extents, dropout, .. }: Scan,
        limits: &Limits,
    ) -> Result<Option<Vec<Launch>>, OpError> {
        let Extents { steps, batch, hidden } = extents;
        let (entry, hidden_copies) = match direction {
            Direction::Forward if !dropout => ("forward", 1),
            Direction::Forward => ("forward", self.gates),
            Direction::Backward => ("backward", self.gates),
        };
        let lanes = hidden.next_multiple_of(32).min(limits.max_invocations as usize / GATE_GROUPS);
        let fits = |rows: usize| {
            let words = (hidden_copies + GATE_GROUPS + self.carry) * rows * hidden;
            4 * words <= limits.max_workgroup_bytes as usize
                && rows * hidden <= MAX_ELEMENTS_PER_THREAD * GATE_GROUPS * lanes
        };
        let rows1 = LaunchVariant {
            shader: &kernels.rows1,
            constants: vec![],
            grid: Grid::new(batch, 1, 1)?,
        };
        let launch = match () {
            _ if hidden > MAX_SCANNED => return Ok(None),
            _ if batch >= ROWS && fits(ROWS) => {
                let grid = Grid::new(batch.div_ceil(ROWS), 1, 1)?;
                Launch::new(&kernels.rows4, entry, grid).or(rows1)
            }
            _ if fits(1) => Launch::new(rows1.shader, entry, rows1.grid),
            _ => return Ok(None),
        };
        let launch = launch
            .constant("HIDDEN", hidden as u32)
            .constant("LANES", lanes as u32)
            .constant("HIDDEN_COPIES", hidden_copies as u32)
            .param("items", batch)
            .param("steps", steps);
        let per_step = self.step_iterations(hidden, lanes, hidden_copies);
        // The start and end of a launch take fewer iterations than a step.
        let most = (limits.loop_iterations / (1 + per_step)).saturating_sub(2);
        let most = usize::try_from(most).unwrap_or(usize::MAX).min(steps);
        if most == 0 {
            return Ok(None);
        }
        let range = |first: usize| {
            let end = steps.min(first + most);
            let launch = launch.clone().iterations(iterations(end - first + 1, per_step));
            launch.param("step", first).param("end", end)
        };
        let mut launches: Vec<_> = (0..steps).step_by(most).map(range).collect();
        if direction == Direction::Backward {
            launches.reverse();
        }
        Ok(Some(launches))
    }

    /// Returns the loop iterations of a scan's thread per step, for four rows per workgroup; see
    /// scan.wgsl.
    fn step_iterations(&self, hidden: usize, lanes: usize, hidden_copies: usize) -> u64 {
        let k_splits = GATE_GROUPS / self.gates;
        let elements = (ROWS * hidden).div_ceil(GATE_GROUPS * lanes);
        let terms = iterations(hidden.div_ceil(k_splits), 0) + iterations(ROWS, 0);
        let cell =
            iterations(self.gates * k_splits, 0) + iterations(hidden_copies.max(self.gates), 0);
        iterations(hidden.div_ceil(lanes), terms)
            + iterations(elements, 0)
            + iterations(elements, cell)
    }
}

/// Binds `matrix` (U), of `count` elements, to `recurrent` in all launches; for sequences of half
/// precision it is rounded to half precision first.
///
/// # Errors
/// Fails if `matrix` has too many elements for one launch.
pub fn with_matrix(
    launches: impl Iterator<Item = Launch>,
    (matrix, count): (Operand, usize),
    half: bool,
) -> Result<Work, OpError> {
    let (mut work, mut recurrent) = (Work::default(), matrix);
    if half {
        recurrent = Operand::Scratch(0);
        work.scratch.push(count.div_ceil(2));
        work.launches.push(narrow(matrix, recurrent, count)?);
    }
    work.launches.extend(launches.map(|launch| launch.bind("recurrent", recurrent)));
    Ok(work)
}

/// Launch parameters for one time step of a cell; see step_product.wgsl.
pub struct Step {
    /// The WGSL module.
    pub shader: &'static Shader,
    /// Steps, batch items and hidden units; an item has one row per pixel.
    pub extents: Extents,
    /// Number of rows, that is of pixels of all items.
    pub rows: usize,
    /// Terms of each sum: hidden units times taps of a window.
    pub terms: usize,
    /// True if the backward pass is given U transposed.
    pub transposed: bool,
}

/// Loop iterations in which a thread clears or stores its block of 4 x 4.
const AROUND: u64 = iterations(4, iterations(4, 0)) + iterations(4, 0);

impl Step {
    /// Returns the parameters of a dense cell, which has one row per item and one tap.
    pub fn dense(shader: &'static Shader, extents: Extents) -> Self {
        let Extents { batch, hidden, .. } = extents;
        Self { shader, extents, rows: batch, terms: hidden, transposed: true }
    }

    /// Returns a launch of step `step` for the columns of `gates`.
    ///
    /// # Errors
    /// Fails if the grid exceeds WebGPU's limits.
    pub fn forward(
        &self,
        gates: Range<usize>,
        step: usize,
        dropout: bool,
    ) -> Result<Launch, OpError> {
        // The tile's 64 columns are units of a single gate, or divided among four gates.
        let units = if gates.len() == 1 { COLUMNS } else { COLUMNS / 4 };
        let (hidden_copies, depth) =
            if dropout && gates.len() > 1 { (4u32, 8u32) } else { (1, 16) };
        let launch = self.launch("forward", units, gates, step)?;
        let (hidden_copies, depth) = (hidden_copies as usize, depth as usize);
        // Loops: each of `depth / 4` rows is stored in all copies of h; at least 64 threads load a
        // slice's weights; the terms are summed.
        let slice = iterations(depth / 4, iterations(hidden_copies, 0)) + 2 * iterations(depth, 0);
        let most = iterations(self.terms.div_ceil(depth), slice) + AROUND;
        Ok(launch
            .constant("HIDDEN_COPIES", hidden_copies as u32)
            .constant("DEPTH", depth as u32)
            .iterations(most))
    }

    /// Returns a launch of the backward pass: gradients flow from `gates` of step `step` to all
    /// units of the step before.
    ///
    /// # Errors
    /// Fails if the grid exceeds WebGPU's limits.
    pub fn backward(&self, gates: Range<usize>, step: usize) -> Result<Launch, OpError> {
        let slice = iterations(4, 0) + 2 * iterations(SLICE, 0);
        let gate = iterations(self.terms.div_ceil(SLICE), slice) + AROUND;
        let most = iterations(gates.len(), gate) + AROUND;
        let launch = self.launch("backward", COLUMNS, gates, step)?;
        Ok(launch.constant("TRANSPOSED", u8::from(self.transposed)).iterations(most))
    }

    fn launch(
        &self,
        entry: &'static str,
        units: usize,
        gates: Range<usize>,
        step: usize,
    ) -> Result<Launch, OpError> {
        let Extents { steps, batch, hidden } = self.extents;
        // Fewer rows per workgroup occupy more processors.
        let [usual, half, quarter] =
            [16, 8, 4].map(|threads| self.variant(threads, hidden.div_ceil(units)));
        let launch = Launch::new(self.shader, entry, usual?.grid);
        Ok([half?, quarter?]
            .into_iter()
            .fold(launch, Launch::or)
            .constant("HIDDEN", hidden as u32)
            .constant("FIRST_GATE", gates.start as u32)
            .constant("GATE_COUNT", gates.len() as u32)
            .param("items", batch)
            .param("steps", steps)
            .param("step", step)
            .param("end", step + 1))
    }

    /// Returns the variant with `row_threads` threads down a tile, each of which computes four
    /// rows; see step_product.wgsl.
    fn variant(&self, row_threads: usize, columns: usize) -> Result<LaunchVariant, OpError> {
        let grid = Grid::new(columns, self.rows.div_ceil(4 * row_threads), 1)?;
        let constants = vec![("ROW_THREADS", row_threads as f64)];
        Ok(LaunchVariant { shader: self.shader, constants, grid })
    }
}
