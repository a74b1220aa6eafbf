//! How the kernels of recurrent cells are launched: all steps at once, or step by step.

use crate::cast::narrow;
use crate::recurrent::Extents;
use rnn_graph::{Grid, Launch, LaunchVariant, Limits, OpError, Operand, Shader, Work, iterations};
use rnn_shaders::constant;
use rnn_shaders::recurrent::{ROWS4, SCAN, STEP_PRODUCT};
use std::ops::Range;

/// The kernels of a cell, of which `$cell` is the text: with `and half`, also over sequences of half
/// precision.
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

/// The kernels of a recurrent cell.
pub struct CellKernels {
    pub single: Schedules,
    /// Over sequences of half precision.
    pub half: Option<Schedules>,
    pub gates: usize,
    /// Words that a unit carries from step to step.
    pub carry: usize,
}

/// The kernels of a recurrent cell for one precision of its sequences.
pub struct Schedules {
    /// All steps in one launch, four rows to a workgroup.
    pub rows4: Shader,
    /// All steps in one launch, one row to a workgroup.
    pub rows1: Shader,
    /// One step.
    pub step: Shader,
}

/// All steps of a dense cell.
#[derive(Clone, Copy, Debug)]
pub struct Scan {
    pub direction: Direction,
    pub extents: Extents,
    pub dropout: bool,
    /// The sequences are of half precision.
    pub half: bool,
}

/// With time, or against it, from the last step's gradients to those of the first state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Forward,
    Backward,
}

/// Units up to which all steps are one launch. Each of its workgroups reads all of U at each step,
/// for four rows; step by step, 64 rows share what is read, for the price of a launch. No GPU has
/// measured yet where the two meet.
const MAX_SCANNED: usize = 256;
/// Groups of lanes that share a product with U.
const GATE_GROUPS: usize = constant(SCAN, "GATE_GROUPS");
/// Elements (row, unit) that a thread of a scan may have.
const MAX_ELEMENTS_PER_THREAD: usize = constant(SCAN, "MAX_ELEMENTS_PER_THREAD");
/// Rows to a workgroup of a scan, if they fit.
const ROWS: usize = constant(ROWS4, "ROWS");
/// Columns of a tile of a step's product, and terms of a slice.
const COLUMNS: usize = constant(STEP_PRODUCT, "COLUMNS");
const SLICE: usize = constant(STEP_PRODUCT, "SLICE");

impl CellKernels {
    /// A scan whose bindings but `recurrent` are added by `bind`. Beside sequences of half
    /// precision the matrix is rounded to it first.
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

    /// The kernels for sequences of a precision.
    pub fn of(&'static self, half: bool) -> Result<&'static Schedules, OpError> {
        let kernels = if half { self.half.as_ref() } else { Some(&self.single) };
        kernels.ok_or_else(|| OpError::shape("it takes no half precision"))
    }

    /// A scan; the caller adds bindings.
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

    /// All steps in one launch, if the state is narrow enough and its tiles fit, or in as few as the
    /// device's loops need.
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
        // What begins and ends a launch is less than a step.
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

    /// Iterations of a thread of a scan at each step, four rows to a workgroup; see scan.wgsl.
    fn step_iterations(&self, hidden: usize, lanes: usize, hidden_copies: usize) -> u64 {
        let k_splits = GATE_GROUPS / self.gates;
        let turns = (ROWS * hidden).div_ceil(GATE_GROUPS * lanes);
        let terms = iterations(hidden.div_ceil(k_splits), 0) + iterations(ROWS, 0);
        let cell =
            iterations(self.gates * k_splits, 0) + iterations(hidden_copies.max(self.gates), 0);
        iterations(hidden.div_ceil(lanes), terms) + iterations(turns, 0) + iterations(turns, cell)
    }
}

/// Launches, bound to a recurrent matrix of so many elements, which beside sequences of half
/// precision is rounded to it first.
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

/// Launches of one step each; see step_product.wgsl.
pub struct Step {
    pub shader: &'static Shader,
    /// Of items, each of which has as many rows as it has pixels.
    pub extents: Extents,
    pub rows: usize,
    /// Of each sum: units, at each tap of a window.
    pub terms: usize,
    /// The backward pass is given U transposed.
    pub transposed: bool,
}

/// Iterations in which a thread starts, or ends with its block of 4 x 4.
const AROUND: u64 = iterations(4, iterations(4, 0)) + iterations(4, 0);

impl Step {
    /// Those of a dense cell.
    pub fn dense(shader: &'static Shader, extents: Extents) -> Self {
        let Extents { batch, hidden, .. } = extents;
        Self { shader, extents, rows: batch, terms: hidden, transposed: true }
    }

    /// A launch over the columns of some gates.
    pub fn forward(
        &self,
        gates: Range<usize>,
        step: usize,
        dropout: bool,
    ) -> Result<Launch, OpError> {
        // A gate alone has tiles of 64 units; with others it k_splits them.
        let units = if gates.len() == 1 { COLUMNS } else { COLUMNS / 4 };
        let (hidden_copies, depth) =
            if dropout && gates.len() > 1 { (4u32, 8u32) } else { (1, 16) };
        let launch = self.launch("forward", units, gates, step)?;
        let (hidden_copies, depth) = (hidden_copies as usize, depth as usize);
        // What each of `depth / 4` rows shows to the hidden_copies, the weights of a slice for at least 64
        // threads, and the terms.
        let slice = iterations(depth / 4, iterations(hidden_copies, 0)) + 2 * iterations(depth, 0);
        let most = iterations(self.terms.div_ceil(depth), slice) + AROUND;
        Ok(launch
            .constant("HIDDEN_COPIES", hidden_copies as u32)
            .constant("DEPTH", depth as u32)
            .iterations(most))
    }

    /// A launch over all units, to which the gradients of some gates flow back.
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
        // Fewer rows to a workgroup keep more processors busy.
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

    /// So many threads down a tile, each of four rows; see step_product.wgsl.
    fn variant(&self, row_threads: usize, columns: usize) -> Result<LaunchVariant, OpError> {
        let grid = Grid::new(columns, self.rows.div_ceil(4 * row_threads), 1)?;
        let constants = vec![("ROW_THREADS", row_threads as f64)];
        Ok(LaunchVariant { shader: self.shader, constants, grid })
    }
}
