//! SimpleRNN, LSTM and GRU as ONNX's operators over whole sequences, or step by step where those do not
//! have the activations.
//!
//! Keras has gates in the order i, f, c, o and z, r, h; ONNX i, o, f, c and z, r, h. Its operators
//! take time-major sequences `[T, B, F]`, and one direction leads all else.

use super::activations::of_recurrence;
use super::{OnnxContext, steps};
use crate::error::ExportError;
use rnn_core::HostTensor;
use rnn_formats::onnx::Attribute::{self, Floats, Int, Text, Texts};
use rnn_formats::onnx::ValueName;
use rnn_ops::Activation;

/// The arguments of a recurrent layer that a cell needs to run over a sequence.
#[derive(Clone, Copy, Debug)]
pub struct ScanOptions {
    /// The number of units, or of filters of a convolutional cell.
    pub units: usize,
    /// True if the layer has a bias, false if it has none.
    pub use_bias: bool,
    /// True if the last step is taken first, false if the first is.
    pub go_backwards: bool,
    /// True if the layer returns h of every step, false if that of the last step alone.
    pub return_sequences: bool,
}

/// The results of a recurrent layer in an ONNX graph.
pub struct OnnxScan {
    /// h of every step, `[B, T, ..]`, in the order in which the steps were taken; `None` without
    /// [`ScanOptions::return_sequences`].
    pub sequence: Option<ValueName>,
    /// The tensors of the final state, `[B, ..]` each, h first.
    pub states: Vec<ValueName>,
}

/// A cell that ONNX has an operator for.
pub(crate) struct OnnxCell {
    /// The name of the ONNX operator.
    pub operator: &'static str,
    /// The number of tensors in the state.
    pub states: usize,
    /// The index of each gate in Keras's order, in ONNX's order of gates.
    pub gates: &'static [u32],
    /// The activations, in the order in which the operator takes them.
    pub activations: Vec<Activation>,
    /// Further attributes of the operator.
    pub attributes: Vec<(&'static str, Attribute)>,
}

impl OnnxCell {
    /// Adds the ONNX operator of the cell, over the whole sequence `[B, T, F]` that is the layer's
    /// first input, with the layer's weights in ONNX's layout; or, with activations that it does
    /// not have, the steps one by one. Further inputs of the layer are its
    /// initial states. Returns the names of the results.
    ///
    /// # Errors
    /// Fails if the layer has no input, or a weight is missing or has another shape.
    pub fn scan(
        &self,
        cx: &mut OnnxContext<'_>,
        options: ScanOptions,
    ) -> Result<OnnxScan, ExportError> {
        let Some(mut attributes) = self.activations() else {
            return steps::scan(self, cx, options);
        };
        let x = cx.x()?;
        let mut operands = vec![cx.transpose(&x, &[1, 0, 2])];
        for name in ["kernel", "recurrent_kernel"] {
            let rows = cx.reordered(&cx.transposed(name, &[1, 0])?, self.gates)?;
            let dims = [&[1], rows.shape().dims()].concat();
            let rows = shaped(cx, rows, dims)?;
            operands.push(cx.graph.tensor(name, &rows));
        }
        operands.push(match options.use_bias {
            true => {
                let biases = self.biases(cx)?;
                cx.graph.tensor("bias", &biases)
            }
            false => ValueName::none(),
        });
        let initial = cx.inputs.get(1..).unwrap_or_default().to_vec();
        if !initial.is_empty() {
            // No lengths: all sequences are whole.
            operands.push(ValueName::none());
            for state in initial {
                let direction = cx.graph.ints("axes", &[0]);
                operands.push(cx.node("Unsqueeze", &[&state.value, &direction], &[]));
            }
        }
        let direction = if options.go_backwards { "reverse" } else { "forward" };
        attributes.push(("direction", Text(direction.into())));
        attributes.push(("hidden_size", Int(options.units as i64)));
        attributes.extend(self.attributes.iter().cloned());
        let operands: Vec<&ValueName> = operands.iter().collect();
        let made =
            cx.graph.node_with_outputs(self.operator, &operands, 1 + self.states, &attributes);
        let mut without = |value: &ValueName, axis: i64| {
            let axis = cx.graph.ints("axes", &[axis]);
            cx.node("Squeeze", &[value, &axis], &[])
        };
        let steps = without(&made[0], 1);
        let states = made[1..].iter().map(|state| without(state, 0)).collect();
        let sequence = options.return_sequences.then(|| {
            let sequence = cx.transpose(&steps, &[1, 0, 2]);
            // The operator returns steps in the order of time, Keras in that in which they were taken.
            if options.go_backwards { cx.reverse(&sequence) } else { sequence }
        });
        Ok(OnnxScan { sequence, states })
    }

    /// The bias of the product with W, then that of the product with U, which only a GRU has that
    /// resets after it.
    fn biases(&self, cx: &OnnxContext<'_>) -> Result<HostTensor, ExportError> {
        let bias = cx.weight("bias")?;
        let (rows, width) = (bias.shape().len() / bias.shape().last().max(1), bias.shape().last());
        let count = self.gates.len() as u32;
        let parts =
            (0..rows as u32).flat_map(|row| self.gates.iter().map(move |g| row * count + g));
        let flat = shaped(cx, bias.clone(), vec![rows * width])?;
        let ordered = cx.reordered(&flat, &parts.collect::<Vec<_>>())?;
        let mut values = cx.floats(&ordered)?.to_vec();
        values.resize(2 * width, 0.0);
        cx.tensor([1, 2 * width], values)
    }

    /// The activations by ONNX's names, and the numbers that some of them are scaled by; `None` if
    /// the operator lacks one of them.
    fn activations(&self) -> Option<Vec<(&'static str, Attribute)>> {
        let (mut names, mut alphas, mut betas) = (vec![], vec![], vec![]);
        for &activation in &self.activations {
            let (name, alpha, beta) = of_recurrence(activation)?;
            names.push(name.to_owned());
            alphas.extend(alpha);
            betas.extend(beta);
        }
        let mut attributes = vec![("activations", Texts(names))];
        if !alphas.is_empty() {
            attributes.push(("activation_alpha", Floats(alphas)));
        }
        if !betas.is_empty() {
            attributes.push(("activation_beta", Floats(betas)));
        }
        Some(attributes)
    }

    /// True for a GRU whose reset gate acts before the product with U.
    pub(super) fn resets_before(&self) -> bool {
        self.attributes.contains(&("linear_before_reset", Attribute::Int(0)))
    }
}

fn shaped(
    cx: &OnnxContext<'_>,
    tensor: HostTensor,
    dims: Vec<usize>,
) -> Result<HostTensor, ExportError> {
    tensor.reshape(dims).map_err(|error| cx.refuse(error.to_string()))
}
