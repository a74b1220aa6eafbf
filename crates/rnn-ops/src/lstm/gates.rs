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
        let (act, rec) = (self.activation, self.recurrent_activation);
        [rec.apply(z[0]), rec.apply(z[1]), act.apply(z[2]), rec.apply(z[3])]
    }

    /// Returns h(t) and c(t).
    pub(crate) fn step<F: Real>(&self, [i, f, g, o]: [F; 4], c_before: F) -> [F; 2] {
        let c = f * c_before + i * g;
        [o * self.activation.apply(c), c]
    }

    /// Returns dz of the four gates and dc(t-1), from the gates, c(t-1) and the gradients dh and
    /// dc.
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
}
