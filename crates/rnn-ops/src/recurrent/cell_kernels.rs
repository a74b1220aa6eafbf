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

/// WGSL modules of a recurrent cell, by precision and by schedule.
pub struct CellKernels {
    /// Modules for sequences of single precision.
    pub single: Schedules,
    /// Modules for sequences of half precision; `None` if the cell does not support them.
    pub half: Option<Schedules>,
    /// Number of gates of a unit.
    pub gates: usize,
}

/// WGSL modules of a recurrent cell for one precision, by schedule.
pub struct Schedules {
    /// Modules that run all time steps in one launch.
    pub scan: ScanKernels,
    /// Module that runs one time step per launch.
    pub step: Shader,
}

/// WGSL modules of a scan, which runs all time steps in one launch. Each pair holds the module for
/// four batch rows per workgroup, then the module for one.
pub struct ScanKernels {
    /// Modules whose threads exchange sums through workgroup memory.
    pub shared: [Shader; 2],
    /// Modules whose threads exchange sums within a subgroup.
    pub subgroup: [Shader; 2],
}

impl ScanKernels {
    /// Returns the module for four batch rows per workgroup, then the module for one. If
    /// `subgroups` is true, they exchange sums within subgroups, else through workgroup memory.
    pub fn by_rows(&'static self, subgroups: bool) -> [&'static Shader; 2] {
        let [rows4, rows1] = if subgroups { &self.subgroup } else { &self.shared };
        [rows4, rows1]
    }
}

/// Launch parameters for all time steps of a dense (not convolutional) cell.
#[derive(Clone, Copy, Debug)]
pub struct Scan {
    /// Direction of time.
    pub direction: Direction,
    /// Steps, batch rows and hidden units.
    pub extents: Extents,
    /// True if each gate multiplies h by dropout factors of its own, false if there are no such
    /// factors.
    pub dropout: bool,
    /// True if the sequences have half precision, false if they have single precision.
    pub half: bool,
}

/// Direction in which a scan runs through time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The forward pass, from the first step to the last.
    Forward,
    /// The backward pass, from the last step to the gradient of the initial state.
    Backward,
}

impl CellKernels {
    /// Returns the work of a scan: as few launches as the device's loop limit allows (scan.wgsl);
    /// or, if the cell is too wide or its state exceeds workgroup memory, one launch per step
    /// (step.wgsl). A launch that converts U may precede them. `matrix` is the operand U, or U
    /// transposed in the backward pass. `bind` adds all bindings except `recurrent` to a launch of
    /// steps.
    ///
    /// # Errors
    /// Fails with [`OpError::Shape`] if the sequences have half precision and the cell has no
    /// modules for it, and with [`OpError::Limit`] if a grid exceeds WebGPU's limits.
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

    /// Returns the modules for sequences of half precision if `half` is true, else for single
    /// precision.
    ///
    /// # Errors
    /// Fails with [`OpError::Shape`] if `half` is true and the cell has no modules for half
    /// precision.
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

/// Returns work of these launches, with `matrix` (U), of `count` elements, bound to `recurrent`. If
/// `half` is true, as for sequences of half precision, a launch before them rounds U to half
/// precision.
///
/// # Errors
/// Fails with [`OpError::Limit`] if `count` elements exceed the grid of one launch.
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
