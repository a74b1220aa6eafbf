//! Weights that Keras 2 kept for cuDNN, as the usual layers have them.

use crate::nn::WeightRange;
use rnn_core::{HostTensor, TensorError};

/// Converts the weights of each LSTM and GRU of cuDNN among those of a layer (`_convert_rnn_weights`
/// in keras/engine/saving.py of 2.2.4). `ranges` are the weights that the model has in the places of
/// `tensors`. Such a layer is known by its biases, of which there are twice as many.
///
/// # Errors
/// Fails if a weight is not of floats.
pub(super) fn convert(
    ranges: &[&WeightRange],
    tensors: &mut [HostTensor],
) -> Result<(), TensorError> {
    for at in 0..ranges.len().saturating_sub(2) {
        let three = &mut tensors[at..at + 3];
        let dims = |i: usize| three[i].shape().dims();
        let named = ranges[at + 1].name.ends_with("recurrent_kernel");
        let (&[inputs, columns], &[units, others], &[biases]) = (dims(0), dims(1), dims(2)) else {
            continue;
        };
        if !named || units == 0 || columns != others || biases != 2 * columns {
            continue;
        }
        let gates = columns / units;
        for (i, rows) in [(0, inputs), (1, units)] {
            let values = turned(three[i].as_f32()?, [rows, units, gates]);
            three[i] = HostTensor::from_f32([rows, columns], values)?;
        }
        let bias = three[2].as_f32()?.to_vec();
        // An LSTM has one bias, the sum; a GRU that resets after the product has both.
        let shape = ranges[at + 2].shape.clone();
        let bias = match shape.len() {
            1 => (0..columns).map(|i| bias[i] + bias[columns + i]).collect(),
            _ => bias,
        };
        three[2] = HostTensor::from_f32(shape, bias)?;
    }
    Ok(())
}

/// The gates side by side, of each of which cuDNN's matrix, units x rows, lies row-major in the
/// memory of rows x units.
fn turned(values: &[f32], [rows, units, gates]: [usize; 3]) -> Vec<f32> {
    let columns = gates * units;
    let element = |i: usize| {
        let (row, gate, unit) = (i / columns, i / units % gates, i % units);
        let place = unit * rows + row;
        values[place / units * columns + gate * units + place % units]
    };
    (0..rows * columns).map(element).collect()
}

#[cfg(test)]
mod tests {
    use super::turned;

    /// `k.T.reshape(k.shape, order="F")` in NumPy, of each gate.
    #[test]
    fn each_gate_is_turned_in_its_own_memory() {
        // Two rows of two gates of three units.
        let kernel: Vec<f32> = [[0, 1, 2, 10, 11, 12], [3, 4, 5, 13, 14, 15]]
            .into_iter()
            .flatten()
            .map(|value: i32| value as f32)
            .collect();
        let expected = [[0, 2, 4, 10, 12, 14], [1, 3, 5, 11, 13, 15]];
        let expected: Vec<f32> =
            expected.into_iter().flatten().map(|value: i32| value as f32).collect();
        assert_eq!(turned(&kernel, [2, 3, 2]), expected);
    }
}
