use crate::Gru;
use crate::recurrent::cell_kernels::{CellKernels, Direction, Scan, Step};
use crate::recurrent::{Extents, optional_inputs};
use rnn_graph::{Launch, Limits, OpError, Shader};
use rnn_shaders::{recurrent, shared};

static KERNELS: CellKernels = cell_kernels!("gru", carry: 1, rnn_shaders::gru::CELL);

/// Kernels of the variant without `reset_after`: two products per step, for any number of units.
static RESET_BEFORE: Shader = Shader::new(
    "gru_reset_before",
    &[
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
    /// Returns the launches of all steps; the caller adds bindings.
    ///
    /// # Errors
    /// Fails if a grid exceeds WebGPU's limits.
    pub(super) fn launches(
        &self,
        direction: Direction,
        e: Extents,
        limits: &Limits,
    ) -> Result<Vec<Launch>, OpError> {
        let dropout = self.inputs.dropout;
        if self.reset_after {
            let scan = Scan { direction, extents: e, dropout, half: false };
            return KERNELS.launches(scan, limits);
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
        Ok(launches)
    }

    /// Sets the constants and bindings that both directions share.
    pub(super) fn options(&self, launch: Launch, optional: [Option<usize>; 2]) -> Launch {
        optional_inputs(launch, optional)
            .constant("ACTIVATION", self.activation.code())
            .constant("RECURRENT_ACTIVATION", self.recurrent_activation.code())
    }
}
