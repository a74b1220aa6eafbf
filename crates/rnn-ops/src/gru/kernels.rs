use crate::Gru;
use crate::recurrent::cell_kernels::{CellKernels, Direction, Scan};
use crate::recurrent::step::Step;
use crate::recurrent::{Extents, optional_inputs};
use rnn_graph::{Launch, Limits, OpError, Operand, Shader, Work};
use rnn_shaders::{recurrent, shared};

static KERNELS: CellKernels = cell_kernels!("gru", rnn_shaders::gru::CELL);

/// Kernels of the variant without `reset_after`: two products per step, for any number of units.
static RESET_BEFORE: Shader = Shader::new(
    "gru_reset_before",
    &[
        shared::STORAGE_F32,
        shared::BITS,
        shared::EXPONENTIAL,
        shared::ACTIVATIONS,
        recurrent::RECURRENCE,
        shared::WINDOWS,
        recurrent::STEP_PRODUCT,
        rnn_shaders::gru::CELL,
        rnn_shaders::gru::RESET_BEFORE,
    ],
);

impl Gru {
    /// Returns the work of all steps. `matrix` is U, or its transpose in the backward pass; `bind`
    /// adds all bindings but `recurrent`.
    ///
    /// # Errors
    /// Fails if a grid exceeds WebGPU's limits.
    pub(super) fn work(
        &self,
        direction: Direction,
        e: Extents,
        matrix: Operand,
        limits: &Limits,
        bind: impl Fn(Launch) -> Launch,
    ) -> Result<Work, OpError> {
        let dropout = self.inputs.dropout;
        if self.reset_after {
            let scan = Scan { direction, extents: e, dropout, half: false };
            return KERNELS.work(scan, matrix, limits, bind);
        }
        let step = Step::dense(&RESET_BEFORE, e);
        let mut launches = Vec::new();
        match direction {
            Direction::Forward => {
                for t in 0..e.steps {
                    launches.push(step.forward(0..2, t, dropout)?);
                    launches.push(step.forward(2..3, t, dropout)?);
                }
            }
            Direction::Backward => {
                for t in (1..=e.steps).rev() {
                    launches.push(step.backward(0..2, t)?);
                    launches.push(step.backward(2..3, t)?);
                }
                launches.push(step.backward(0..2, 0)?);
            }
        }
        let bind = |launch: Launch| bind(launch).bind("recurrent", matrix);
        Ok(launches.into_iter().map(bind).collect::<Vec<_>>().into())
    }

    /// Sets the constants and bindings that both directions share.
    pub(super) fn options(&self, launch: Launch, optional: [Option<usize>; 2]) -> Launch {
        optional_inputs(launch, optional)
            .constant("ACTIVATION", self.activation.code())
            .constant("RECURRENT_ACTIVATION", self.recurrent_activation.code())
    }
}
