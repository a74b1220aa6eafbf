use super::cell::Cell;
use crate::Initializer;
use crate::layer::WeightArguments;
use rnn_ops::{Activation, Penalty};

/// A recurrent layer with Keras's arguments: `[T, F]` -> `[H]`, or `[T, H]` with
/// `return_sequences`. [`SimpleRnn`](crate::SimpleRnn), [`Lstm`](crate::Lstm),
/// [`Gru`](crate::Gru), [`ConvLstm2D`](crate::ConvLstm2D) are of this type, and have the equations.
///
/// A masked step keeps the state and repeats the output of the step before, zeros at first.
/// Dropout factors are drawn once for all steps of a batch, and act during training alone. A
/// stateful layer begins with the state in which the batch before ended, until
/// [`Trainer::reset_states`](crate::Trainer::reset_states).
///
/// Unlike Keras: the whole sequence is one op on the device, so that `implementation`, `unroll` and
/// `use_cudnn` have no counterpart. Keras's own unrolled layer that goes backwards zeroes other steps
/// with `zero_output_for_mask`: it does not turn the mask round (keras/src/backend/tensorflow/rnn.py).
#[derive(Clone, Debug)]
pub struct Recurrent<C> {
    pub(super) cell: C,
    pub(super) units: usize,
    pub(super) use_bias: bool,
    pub(super) return_sequences: bool,
    pub(super) return_state: bool,
    pub(super) go_backwards: bool,
    pub(super) stateful: bool,
    pub(super) zero_output_for_mask: bool,
    pub(super) dropout: f32,
    pub(super) recurrent_dropout: f32,
    pub(super) kernel: WeightArguments,
    pub(super) recurrent: WeightArguments,
    pub(super) bias: WeightArguments,
    pub(super) activity_regularizer: Option<Penalty>,
}

impl<C: Cell> Recurrent<C> {
    pub(super) fn with_cell(cell: C, units: usize) -> Self {
        Self {
            cell,
            units,
            use_bias: true,
            return_sequences: false,
            return_state: false,
            go_backwards: false,
            stateful: false,
            zero_output_for_mask: false,
            dropout: 0.0,
            recurrent_dropout: 0.0,
            kernel: Initializer::GlorotUniform.into(),
            recurrent: Initializer::Orthogonal.into(),
            bias: Initializer::Zeros.into(),
            activity_regularizer: None,
        }
    }

    /// Outputs h of every step, `[T, ..]`, instead of h of the last alone: Keras's
    /// `return_sequences=True`.
    pub fn return_sequences(mut self) -> Self {
        self.return_sequences = true;
        self
    }

    /// Outputs the final state, too, after the output: h, then the other tensors of the state, each
    /// `[..]` without steps. It is Keras's `return_state=True`; by default the output is alone.
    pub fn return_state(mut self) -> Self {
        self.return_state = true;
        self
    }

    /// Takes the last step first; a returned sequence has that order, too. It is Keras's
    /// `go_backwards=True`; by default the first step comes first.
    pub fn go_backwards(mut self) -> Self {
        self.go_backwards = true;
        self
    }

    /// The layer with the other end of the sequence first.
    pub(super) fn reversed(mut self) -> Self {
        self.go_backwards = !self.go_backwards;
        self
    }

    pub(super) fn returns_sequences(&self) -> bool {
        self.return_sequences
    }

    pub(super) fn returns_state(&self) -> bool {
        self.return_state
    }

    /// True for a layer that reads backwards, and true for one that returns sequences.
    pub(super) fn order(&self) -> (bool, bool) {
        (self.go_backwards, self.return_sequences)
    }

    /// Outputs zeros at masked steps instead of repeating the output before them; without
    /// sequences, if the step that is taken last is masked (keras/src/backend/tensorflow/rnn.py).
    pub fn zero_output_for_mask(mut self) -> Self {
        self.zero_output_for_mask = true;
        self
    }

    /// As Keras's Bidirectional sets it: zeros at masked steps of sequences.
    pub(super) fn zero_masked_sequences(mut self) -> Self {
        self.zero_output_for_mask = self.return_sequences;
        self
    }

    /// Begins each batch with the state in which the batch before ended: Keras's `stateful=True`.
    /// Without it, each batch begins with zeros.
    pub fn stateful(mut self) -> Self {
        self.stateful = true;
        self
    }

    /// Leaves out the bias, which the layer has by default.
    pub fn without_bias(mut self) -> Self {
        self.use_bias = false;
        self
    }

    /// Sets the activation of the new state, and of an LSTM's candidate, which is tanh by default.
    pub fn activation(mut self, activation: Activation) -> Self {
        *self.cell.activation() = activation;
        self
    }

    /// Sets the fraction of x that is dropped in training, at least 0 and below 1, the same
    /// features at every step; the default is 0.
    pub fn dropout(mut self, rate: f32) -> Self {
        self.dropout = rate;
        self
    }

    /// Sets the fraction of h that is dropped for each gate in training, at least 0 and below 1,
    /// the same units at every step; the default is 0.
    pub fn recurrent_dropout(mut self, rate: f32) -> Self {
        self.recurrent_dropout = rate;
        self
    }

    /// Sets the penalty on the output that is added to the loss, in place of an earlier one; there
    /// is none by default.
    pub fn activity_regularizer(mut self, regularizer: Penalty) -> Self {
        self.activity_regularizer = Some(regularizer);
        self
    }

    weight_arguments!(kernel, kernel_initializer, kernel_regularizer, kernel_constraint);
    weight_arguments!(
        recurrent,
        recurrent_initializer,
        recurrent_regularizer,
        recurrent_constraint
    );
    weight_arguments!(bias, bias_initializer, bias_regularizer, bias_constraint);
}
