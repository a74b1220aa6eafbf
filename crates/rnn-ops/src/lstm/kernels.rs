use crate::LstmGates;
use crate::recurrent::cell_kernels::CellKernels;
use crate::recurrent::optional_inputs;
use rnn_graph::{Launch, Operand};

/// Kernels of the LSTM cell, for sequences of single and half precision. The state of a unit is h
/// and c.
pub static KERNELS: CellKernels = cell_kernels!("lstm" and half, rnn_shaders::lstm::CELL);

impl LstmGates {
    /// Adds the bindings and constants of the forward cell. `optional` holds the input indices of
    /// state, mask and dropout factors.
    pub(crate) fn bind_forward(&self, launch: Launch, optional: [Option<usize>; 3]) -> Launch {
        let [state, mask, dropout] = optional;
        self.describe(optional_inputs(launch, [mask, dropout]))
            .constant("HAS_STATE", u8::from(state.is_some()))
            .bind("state", Operand::Input(state.unwrap_or(1)))
            .bind("hidden", Operand::Output(0))
            .bind("gates", Operand::Output(1))
            .bind("cells", Operand::Output(2))
            .bind("last", Operand::Output(3))
    }

    /// Adds the bindings and constants of the backward cell. `optional` holds the input indices of
    /// mask, dropout factors, and the gradients of h and of the final state.
    pub(crate) fn bind_backward(&self, launch: Launch, optional: [Option<usize>; 4]) -> Launch {
        let [mask, dropout, d_hidden, d_last] = optional;
        self.describe(optional_inputs(launch, [mask, dropout]))
            .constant("HAS_D_HIDDEN", u8::from(d_hidden.is_some()))
            .constant("HAS_D_LAST", u8::from(d_last.is_some()))
            .bind("cells_in", Operand::Input(2))
            .bind("d_hidden", Operand::Input(d_hidden.unwrap_or(1)))
            .bind("d_last", Operand::Input(d_last.unwrap_or(1)))
            .bind("gates", Operand::Output(0))
            .bind("d_state", Operand::Output(1))
    }

    fn describe(&self, launch: Launch) -> Launch {
        launch
            .constant("ACTIVATION", self.activation.code())
            .constant("RECURRENT_ACTIVATION", self.recurrent_activation.code())
    }
}
