use crate::Activation;
use rnn_graph::Real;

/// The two activation functions of an LSTM. They turn pre-activations z into gates and states by
/// the equations of [`crate::Lstm`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LstmGates {
    /// Activation of the candidate g and of the cell state c.
    pub activation: Activation,
    /// Activation of the gates i, f and o.
    pub recurrent_activation: Activation,
}

impl LstmGates {
    /// Returns the gates i, f, g, o of the pre-activations `z`.
    pub(crate) fn values<F: Real>(&self, z: [F; 4]) -> [F; 4] {
        let of_gates = self.of_gates();
        [0, 1, 2, 3].map(|gate| of_gates[gate].apply(z[gate]))
    }

    /// Returns the activation of each gate.
    fn of_gates(&self) -> [Activation; 4] {
        let (act, rec) = (self.activation, self.recurrent_activation);
        [rec, rec, act, rec]
    }

    /// Returns what is kept of the gates for the gradient ([`Activation::kept`]), from their
    /// pre-activations `z` and their values.
    pub(crate) fn kept<F: Real>(&self, z: [F; 4], values: [F; 4]) -> [F; 4] {
        let of_gates = self.of_gates();
        [0, 1, 2, 3].map(|gate| of_gates[gate].kept(z[gate], values[gate]))
    }

    /// Returns h(t) and c(t).
    pub(crate) fn step<F: Real>(&self, [i, f, g, o]: [F; 4], c_before: F) -> [F; 2] {
        let c = f * c_before + i * g;
        [o * self.activation.apply(c), c]
    }

    /// Returns dz of the four gates and dc(t-1), from what is kept of the gates, c(t-1) and the
    /// gradients dh and dc.
    pub(crate) fn back<F: Real>(&self, kept: [F; 4], c_before: F, [dh, dc]: [F; 2]) -> ([F; 4], F) {
        let (act, of_gates) = (self.activation, self.of_gates());
        let [i, f, g, o] = [0, 1, 2, 3].map(|gate| of_gates[gate].recall(kept[gate]));
        let slopes = [0, 1, 2, 3].map(|gate| of_gates[gate].slope(kept[gate]));
        let c = f * c_before + i * g;
        let c_active = act.apply(c);
        let dc = dc + dh * o * act.slope(act.kept(c, c_active));
        let through = [dc * g, dc * c_before, dc * i, dh * c_active];
        ([0, 1, 2, 3].map(|gate| through[gate] * slopes[gate]), dc * f)
    }
}
