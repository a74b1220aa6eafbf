//! What tells one dataset from another.

use super::{Arrays, Dataset, DatasetError};
use rayon::prelude::*;
use rnn_core::DType;
use sha2::{Digest, Sha256};

/// The bytes of examples that are hashed together, if one example does not have more. The digest
/// depends on it.
const BLOCK_BYTES: usize = 1 << 20;

/// The most examples of a block, so that their numbers take less than the examples themselves.
const BLOCK_EXAMPLES: usize = 1 << 16;

impl Dataset {
    /// Returns a digest of the whole dataset: of the shapes and the kinds of its arrays, and of
    /// all elements of all examples, labels and weights, in the present order. It depends on nothing
    /// else, such as the number of threads, or whether arrays lie in memory or in a file.
    ///
    /// It is the SHA-256 of the digests of blocks of 1 MiB, which all threads of the processor read
    /// and hash; each holds one block at a time.
    ///
    /// # Errors
    /// Fails if an example cannot be read.
    pub fn digest(&self) -> Result<[u8; 32], DatasetError> {
        let mut digest = Sha256::new();
        let all = [&self.inputs, &self.labels, &self.weights];
        // The numbers of arrays and axes keep what follows them apart.
        let mut number = |value: usize| digest.update((value as u64).to_le_bytes());
        number(self.order.len());
        for arrays in all {
            number(arrays.len());
            for array in arrays.iter() {
                let example = array.shape().dims().get(1..).unwrap_or_default();
                number(example.len());
                example.iter().for_each(|&extent| number(extent));
            }
        }
        let example: usize = all.into_iter().map(example_bytes).sum();
        let block = (BLOCK_BYTES / example.max(1)).clamp(1, BLOCK_EXAMPLES);
        let blocks: Result<Vec<_>, _> =
            self.order.par_chunks(block).map(|which| self.digest_of(which)).collect();
        blocks?.iter().for_each(|block| digest.update(block));
        Ok(digest.finalize().into())
    }

    /// The digest of these examples.
    fn digest_of(&self, which: &[u32]) -> Result<[u8; 32], DatasetError> {
        let batch = self.gather(which)?;
        let mut digest = Sha256::new();
        for array in batch.inputs.iter().chain(&batch.labels).chain(&batch.weights) {
            let kind = match array.dtype() {
                DType::F32 => 0,
                DType::F16 => 1,
                DType::U32 => 2,
            };
            digest.update([kind]);
            digest.update(array.as_bytes());
        }
        Ok(digest.finalize().into())
    }

    /// Returns the FNV-1a digest of the number of examples and of the elements of up to 64 of them,
    /// at equal distances, with their labels and weights: the fingerprint of versions before
    /// [`Dataset::digest`]. A change of other examples leaves it as it is.
    ///
    /// # Errors
    /// Fails if these examples cannot be read.
    pub fn sampled_fingerprint(&self) -> Result<u64, DatasetError> {
        let some = self.order.iter().step_by(self.order.len().div_ceil(64).max(1));
        let batch = self.gather(&some.copied().collect::<Vec<_>>())?;
        let arrays = batch.inputs.iter().chain(&batch.labels).chain(&batch.weights);
        let bytes = arrays.flat_map(|array| array.as_bytes()).copied();
        Ok(fnv1a((self.order.len() as u64).to_le_bytes().into_iter().chain(bytes)))
    }
}

/// The bytes of an example in all of these arrays, whose elements have four.
fn example_bytes(arrays: &Arrays) -> usize {
    let elements = |dims: &[usize]| dims.get(1..).unwrap_or_default().iter().product::<usize>();
    arrays.iter().map(|array| elements(array.shape().dims()).saturating_mul(4)).sum()
}

/// The FNV-1a digest of bytes. It tells data apart by accident, not against an adversary.
pub(crate) fn fnv1a(bytes: impl Iterator<Item = u8>) -> u64 {
    let step = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.fold(0xcbf2_9ce4_8422_2325, step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rnn_core::HostTensor;

    const EXAMPLES: usize = 1_000;

    /// Examples of 400 floats, of which a block holds 652, with labels and weights.
    fn parts() -> [Vec<f32>; 3] {
        let numbers = |many: usize| (0..many).map(|i| i as f32).collect();
        [numbers(EXAMPLES * 400), numbers(EXAMPLES), numbers(EXAMPLES)]
    }

    fn dataset([x, y, w]: [Vec<f32>; 3]) -> Dataset {
        let tensor = |shape: &[usize], values| HostTensor::from_f32(shape, values).unwrap();
        let set = Dataset::new([tensor(&[EXAMPLES, 20, 20], x)], [tensor(&[EXAMPLES, 1], y)]);
        set.unwrap().sample_weights(tensor(&[EXAMPLES], w)).unwrap()
    }

    #[test]
    fn one_changed_bit_of_any_element_is_another_digest() {
        let digest = dataset(parts()).digest().unwrap();
        assert_eq!(dataset(parts()).digest().unwrap(), digest);
        for part in 0..3 {
            let length = parts()[part].len();
            for at in [0, 1, length / 3, length - 2, length - 1] {
                let mut changed = parts();
                changed[part][at] = f32::from_bits(changed[part][at].to_bits() ^ 1);
                assert_ne!(dataset(changed).digest().unwrap(), digest, "element {at} of {part}");
            }
        }
    }

    #[test]
    fn number_order_and_shape_count() {
        let set = dataset(parts());
        let digest = set.digest().unwrap();
        let mut seen = vec![digest];
        let [x, y, w] = parts();
        let flat = HostTensor::from_f32([EXAMPLES, 400], x).unwrap();
        let y = HostTensor::from_f32([EXAMPLES, 1], y).unwrap();
        let w = HostTensor::from_f32([EXAMPLES], w).unwrap();
        let flat = Dataset::new([flat], [y]).unwrap().sample_weights(w).unwrap();
        for other in [set.range(0..EXAMPLES - 1), set.shuffled(1, 1), set.range(0..0), flat] {
            let digest = other.digest().unwrap();
            assert!(!seen.contains(&digest));
            seen.push(digest);
        }
    }

    #[test]
    fn the_number_of_threads_does_not_matter() {
        let set = dataset(parts());
        let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(alone.install(|| set.digest()).unwrap(), set.digest().unwrap());
    }

    /// What runs of earlier versions hold is still computed: this number is one of theirs.
    #[test]
    fn the_sampled_fingerprint_is_that_of_earlier_versions() {
        let tokens = HostTensor::from_u32([3, 1], vec![1, 2, 3]).unwrap();
        let labels = HostTensor::from_f32([3], vec![0.0, 1.0, 0.5]).unwrap();
        let set = Dataset::new([tokens], [labels]).unwrap();
        assert_eq!(format!("{:016x}", set.sampled_fingerprint().unwrap()), "ceee9940f6e721d6");
    }
}
