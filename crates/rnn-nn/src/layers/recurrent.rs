use super::cell::Cell;
use crate::Initializer;
use crate::layer::WeightArguments;
use rnn_ops::{Activation, Penalty};

/// A recurrent layer with Keras's arguments: `[T, F]` -> `[H]`, or `[T, H]` with
/// [`Self::return_sequences`]. The types [`SimpleRnn`](crate::SimpleRnn), [`Lstm`](crate::Lstm),
/// [`Gru`](crate::Gru), [`ConvLstm2D`](crate::ConvLstm2D) and its 1D and 3D forms have the
/// equations.
///
/// At a masked step the state stays the same, and the output is that of the step before, or zeros
/// before the first unmasked step. Dropout acts in training alone, with the same factors at all
/// steps of a batch. A stateful layer begins each batch with the state in which the batch before
/// ended, until [`Trainer::reset_states`](crate::Trainer::reset_states).
///
/// Unlike in Keras, the whole sequence is one op on the device, so that `implementation`, `unroll`
/// and `use_cudnn` have no counterpart. With `zero_output_for_mask`, `unroll` and `go_backwards`,
/// Keras zeroes other steps than this layer, because it does not reverse the mask
/// (keras/src/backend/tensorflow/rnn.py).
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

    /// Makes the layer output h of every step, `[T, ..]`, instead of h of the last step: Keras's
    /// `return_sequences=True`.
    pub fn return_sequences(mut self) -> Self {
        self.return_sequences = true;
        self
    }

    /// Makes the layer output, after its output, each tensor of the final state, h first: Keras's
    /// `return_state=True`. Each has the shape of h of one step.
    pub fn return_state(mut self) -> Self {
        self.return_state = true;
        self
    }

    /// Makes the layer take the last step first, and return a sequence in that order: Keras's
    /// `go_backwards=True`.
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

    /// Makes the layer output zeros at masked steps instead of the output of the step before:
    /// Keras's `zero_output_for_mask=True` (keras/src/backend/tensorflow/rnn.py). Without
    /// sequences, the output is zeros if the step that is taken last is masked.
    pub fn zero_output_for_mask(mut self) -> Self {
        self.zero_output_for_mask = true;
        self
    }

    /// As Keras's Bidirectional sets it: zeros at masked steps of sequences.
    pub(super) fn zero_masked_sequences(mut self) -> Self {
        self.zero_output_for_mask = self.return_sequences;
        self
    }

    /// Makes the layer begin each batch with the state in which the batch before ended, instead of
    /// zeros: Keras's `stateful=True`. Batches must then have one size.
    pub fn stateful(mut self) -> Self {
        self.stateful = true;
        self
    }

    /// Leaves out the bias, which the layer has by default.
    pub fn without_bias(mut self) -> Self {
        self.use_bias = false;
        self
    }

    /// Sets `activation` in the equations of the layer's type; the default is tanh.
    pub fn activation(mut self, activation: Activation) -> Self {
        *self.cell.activation() = activation;
        self
    }

    /// Sets the fraction of the features of x that is dropped in training, at least 0 and below 1,
    /// the same features at all steps of a batch; the default is 0. Another rate is refused when a
    /// model adds the layer.
    pub fn dropout(mut self, rate: f32) -> Self {
        self.dropout = rate;
        self
    }

    /// Sets the fraction of the units of h that is dropped for each gate in training, at least 0
    /// and below 1, the same units at all steps of a batch; the default is 0. Another rate is
    /// refused when a model adds the layer.
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
