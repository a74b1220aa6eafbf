use crate::Activation;
use crate::scan::optional_inputs;
use rnn_graph::{Launch, Operand, Real};

/// The gates of an LSTM, whatever their pre-activations z are made of; see [`crate::Lstm`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LstmGates {
    /// Of the candidate and the cell.
    pub activation: Activation,
    /// Of the three gates.
    pub recurrent_activation: Activation,
}

impl LstmGates {
    /// i, f, g and o.
    pub(crate) fn values<F: Real>(&self, z: [F; 4]) -> [F; 4] {
        let (act, rec) = (self.activation, self.recurrent_activation);
        [rec.apply(z[0]), rec.apply(z[1]), act.apply(z[2]), rec.apply(z[3])]
    }

    /// h(t) and c(t).
    pub(crate) fn step<F: Real>(&self, [i, f, g, o]: [F; 4], c_before: F) -> [F; 2] {
        let c = f * c_before + i * g;
        [o * self.activation.apply(c), c]
    }

    /// dz of the four gates and dc(t-1), from the gates' values and c(t-1).
    pub(crate) fn back<F: Real>(
        &self,
        [i, f, g, o]: [F; 4],
        c_before: F,
        [dh, dc]: [F; 2],
    ) -> ([F; 4], F) {
        let (act, rec) = (self.activation, self.recurrent_activation);
        let c_active = act.apply(f * c_before + i * g);
        let dc = dc + dh * o * act.slope(c_active);
        let dz = [
            dc * g * rec.slope(i),
            dc * c_before * rec.slope(f),
            dc * i * act.slope(g),
            dh * c_active * rec.slope(o),
        ];
        (dz, dc * f)
    }

    /// Adds what a launch of the cell takes forward; `optional` are the places of state, mask and
    /// dropout factors.
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

    /// Adds what it takes backward; `optional` are the places of mask, dropout factors and the
    /// gradients of h and of the final state.
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
