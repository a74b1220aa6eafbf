use rnn_core::{HostTensor, TensorError};

/// The end of a sequence at which it is padded or cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The beginning of the sequence.
    Pre,
    /// The end of the sequence.
    Post,
}

/// The arguments of [`pad_sequences`] (keras/src/utils/sequence_utils.py). [`Default`] gives
/// Keras's defaults.
#[derive(Clone, Copy, Debug)]
pub struct PadOptions {
    /// The length of all results; `None`, the default, for the length of the longest sequence.
    pub maxlen: Option<usize>,
    /// The end at which shorter sequences are padded; the beginning by default.
    pub padding: Side,
    /// The end at which longer sequences are cut; the beginning by default.
    pub truncating: Side,
    /// The token id that is used for padding; 0 by default.
    pub value: u32,
}

impl Default for PadOptions {
    fn default() -> Self {
        Self { maxlen: None, padding: Side::Pre, truncating: Side::Pre, value: 0 }
    }
}

/// Pads or cuts `sequences` to one length L, as `options` say (keras/src/utils/sequence_utils.py).
/// Returns them in order as u32 `[N, L]`, where N is the number of sequences. L is
/// [`PadOptions::maxlen`] or the length of the longest sequence; without sequences the latter is 0.
///
/// # Errors
/// Fails if the shape does not fit the elements, which does not happen.
pub fn pad_sequences(
    sequences: &[Vec<u32>],
    options: &PadOptions,
) -> Result<HostTensor, TensorError> {
    let longest = sequences.iter().map(Vec::len).max().unwrap_or(0);
    let length = options.maxlen.unwrap_or(longest);
    let mut data = vec![options.value; sequences.len() * length];
    for (row, sequence) in data.chunks_exact_mut(length.max(1)).zip(sequences) {
        let kept = sequence.len().min(length);
        let from = if options.truncating == Side::Pre { sequence.len() - kept } else { 0 };
        let to = if options.padding == Side::Pre { length - kept } else { 0 };
        row[to..to + kept].copy_from_slice(&sequence[from..from + kept]);
    }
    HostTensor::from_u32([sequences.len(), length], data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pads_and_cuts_at_either_end() -> Result<(), TensorError> {
        let sequences = [vec![1, 2, 3], vec![4]];
        let pad = |maxlen, padding, truncating| {
            let options = PadOptions { maxlen, padding, truncating, value: 9 };
            pad_sequences(&sequences, &options)?.as_u32().map(<[u32]>::to_vec)
        };
        assert_eq!(pad(None, Side::Pre, Side::Pre)?, [1, 2, 3, 9, 9, 4]);
        assert_eq!(pad(Some(2), Side::Pre, Side::Pre)?, [2, 3, 9, 4]);
        assert_eq!(pad(Some(2), Side::Post, Side::Post)?, [1, 2, 4, 9]);
        assert_eq!(pad(Some(4), Side::Post, Side::Pre)?, [1, 2, 3, 9, 4, 9, 9, 9]);
        assert!(pad_sequences(&[], &PadOptions::default())?.shape().is_empty());
        Ok(())
    }
}
