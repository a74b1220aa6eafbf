use crate::Activation;
use rnn_graph::Real;

/// The gates of an LSTM, whatever their pre-activations z are made of; see [`crate::Lstm`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LstmGates {
    /// Of the candidate and the cell.
    pub activation: Activation,
    /// Of the three gates.
    pub recurrent_activation: Activation,
}

impl LstmGates {
    /// i, f, g, o, c(t-1) and activation(c(t)), which the backward pass needs, and c(t).
    pub(crate) fn step<F: Real>(&self, z: [F; 4], c_before: F) -> ([F; 6], F) {
        let (act, rec) = (self.activation, self.recurrent_activation);
        let [i, f, g, o] = [rec.apply(z[0]), rec.apply(z[1]), act.apply(z[2]), rec.apply(z[3])];
        let c = f * c_before + i * g;
        ([i, f, g, o, c_before, act.apply(c)], c)
    }

    /// dz of the four gates and dc(t-1), from what [`LstmGates::step`] gave.
    pub(crate) fn back<F: Real>(&self, saved: [F; 6], dh: F, dc: F) -> ([F; 4], F) {
        let (act, rec) = (self.activation, self.recurrent_activation);
        let [i, f, g, o, c_before, c_active] = saved;
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
