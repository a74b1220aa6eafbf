//! Launches of recurrent cells: all time steps in one launch (a scan), or one launch per step.

use crate::cast::narrow;
use crate::recurrent::Extents;
use crate::recurrent::scan::whole;
use crate::recurrent::step::Step;
use rnn_graph::{Launch, Limits, OpError, Operand, Shader, Work};
use std::ops::Range;

/// Builds [`CellKernels`] from `$cell`, the WGSL text of a cell; `and half` adds the modules for
/// sequences of half precision.
macro_rules! cell_kernels {
    ($name:literal, $cell:expr) => {
        cell_kernels!(@of None, $name, $cell)
    };
    ($name:literal and half, $cell:expr) => {
        cell_kernels!(
            @of Some(cell_kernels!(@schedules concat!($name, "_half"), STORAGE_F16, $cell)),
            $name, $cell
        )
    };
    (@of $half:expr, $name:literal, $cell:expr) => {
        $crate::recurrent::cell_kernels::CellKernels {
            single: cell_kernels!(@schedules $name, STORAGE_F32, $cell),
            half: $half,
            gates: rnn_shaders::constant($cell, "GATES"),
        }
    };
    (@schedules $name:expr, $storage:ident, $cell:expr) => {
        $crate::recurrent::cell_kernels::Schedules {
            scan: $crate::recurrent::cell_kernels::ScanKernels {
                shared: [
                    cell_kernels!(
                        @scan concat!($name, "_rows4"), $storage, $cell, ROWS4, EXCHANGE_SHARED
                    ),
                    cell_kernels!(
                        @scan concat!($name, "_rows1"), $storage, $cell, ROWS1, EXCHANGE_SHARED
                    ),
                ],
                subgroup: [
                    cell_kernels!(
                        @scan concat!($name, "_rows4_subgroup"), $storage, $cell, ROWS4,
                        EXCHANGE_SUBGROUP
                    ),
                    cell_kernels!(
                        @scan concat!($name, "_rows1_subgroup"), $storage, $cell, ROWS1,
                        EXCHANGE_SUBGROUP
                    ),
                ],
            },
            step: cell_kernels!(
                @shader concat!($name, "_step"), $storage, $cell,
                rnn_shaders::shared::WINDOWS,
                rnn_shaders::recurrent::STEP_PRODUCT,
                rnn_shaders::recurrent::STEP
            ),
        }
    };
    (@scan $name:expr, $storage:ident, $cell:expr, $rows:ident, $exchange:ident) => {
        cell_kernels!(
            @shader $name, $storage, $cell,
            rnn_shaders::recurrent::$rows,
            rnn_shaders::recurrent::$exchange,
            rnn_shaders::recurrent::SCAN_PRODUCT,
            rnn_shaders::recurrent::SCAN
        )
    };
    (@shader $name:expr, $storage:ident, $cell:expr, $($schedule:expr),+) => {
        rnn_graph::Shader::new(
            $name,
            &[
                rnn_shaders::shared::$storage,
                rnn_shaders::shared::BITS,
                rnn_shaders::shared::EXPONENTIAL,
                rnn_shaders::shared::ACTIVATIONS,
                rnn_shaders::recurrent::RECURRENCE,
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
}

/// WGSL modules of a recurrent cell for one precision, by schedule.
pub struct Schedules {
    /// All steps in one launch.
    pub scan: ScanKernels,
    /// One step per launch.
    pub step: Shader,
}

/// WGSL modules of a scan: with four batch rows per workgroup, and with one.
pub struct ScanKernels {
    /// Threads exchange sums through workgroup memory.
    pub shared: [Shader; 2],
    /// Threads exchange sums within a subgroup.
    pub subgroup: [Shader; 2],
}

impl ScanKernels {
    /// Returns the modules for four batch rows per workgroup and for one, in this order: those that
    /// exchange sums within subgroups if `subgroups` is true, else those that use workgroup memory.
    pub fn by_rows(&'static self, subgroups: bool) -> [&'static Shader; 2] {
        let [rows4, rows1] = if subgroups { &self.subgroup } else { &self.shared };
        [rows4, rows1]
    }
}

/// Launch parameters for all steps of a dense cell.
#[derive(Clone, Copy, Debug)]
pub struct Scan {
    /// Direction of time.
    pub direction: Direction,
    /// Steps, batch rows and hidden units.
    pub extents: Extents,
    /// True if each gate sees h through dropout factors of its own, false if all see h itself.
    pub dropout: bool,
    /// True if the sequences have half precision, false for single precision.
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

impl CellKernels {
    /// Returns the work of a scan: all steps in one launch if the device allows it (scan.wgsl),
    /// else one launch per step (step.wgsl). `matrix` is the operand U, or its transpose in the
    /// backward pass; `bind` adds to a launch all bindings but `recurrent`.
    ///
    /// # Errors
    /// Fails if the sequences have half precision and the cell has no modules for that, or a grid
    /// exceeds WebGPU's limits.
    pub fn work(
        &'static self,
        scan: Scan,
        matrix: Operand,
        limits: &Limits,
        bind: impl Fn(Launch) -> Launch,
    ) -> Result<Work, OpError> {
        let schedules = self.of(scan.half)?;
        if let Some(work) = whole(&schedules.scan, self.gates, &scan, matrix, limits, &bind)? {
            return Ok(work);
        }
        let step = Step::dense(&schedules.step, scan.extents);
        let launches = Self::step_by_step(&step, 0..self.gates, &scan)?;
        let count = self.gates * scan.extents.hidden * scan.extents.hidden;
        with_matrix(launches.into_iter().map(bind), (matrix, count), scan.half)
    }

    /// Returns the modules for sequences of half precision if `half` is true, else of single
    /// precision.
    ///
    /// # Errors
    /// Fails if the cell has no half-precision modules and they are asked for.
    pub fn of(&'static self, half: bool) -> Result<&'static Schedules, OpError> {
        let kernels = if half { self.half.as_ref() } else { Some(&self.single) };
        kernels.ok_or_else(|| OpError::shape("it takes no half precision"))
    }

    /// Returns the launches of a scan, one per step. The caller adds bindings.
    fn step_by_step(step: &Step, gates: Range<usize>, scan: &Scan) -> Result<Vec<Launch>, OpError> {
        let steps = scan.extents.steps;
        match scan.direction {
            Direction::Forward => {
                (0..steps).map(|t| step.forward(gates.clone(), t, scan.dropout)).collect()
            }
            Direction::Backward => {
                (0..=steps).rev().map(|t| step.backward(gates.clone(), t)).collect()
            }
        }
    }
}

/// Binds `matrix` (U), of `count` elements, to `recurrent` in all launches. If `half` is true, as
/// for sequences of half precision, a launch before them rounds it to half precision.
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
