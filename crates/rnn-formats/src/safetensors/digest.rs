//! The digest of a file's tensors and metadata, which does not depend on their order in the file.

use super::dtype;
use ::safetensors::tensor::{Dtype, SafeTensors};
use rnn_core::{HostTensor, hex};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The key of the digest in a file's metadata.
pub const KEY: &str = "sha256";

/// A tensor as it is stored: its name, the type of its elements, its extents, and its bytes.
type Stored<'a> = (&'a str, Dtype, &'a [usize], &'a [u8]);

/// Returns the digest of tensors that are to be written with this metadata.
pub fn of_tensors<N: AsRef<str>>(
    tensors: &[(N, HostTensor)],
    metadata: &BTreeMap<String, String>,
) -> String {
    let stored = tensors.iter().map(|(name, tensor)| {
        (name.as_ref(), dtype(tensor), tensor.shape().dims(), tensor.as_bytes())
    });
    of(stored.collect(), metadata)
}

/// Returns the digest of the tensors of a file, and of its metadata without the digest.
pub fn of_file(file: &SafeTensors<'_>, metadata: &BTreeMap<String, String>) -> String {
    let tensors: Vec<_> = file.iter().collect();
    let stored =
        tensors.iter().map(|(name, view)| (*name, view.dtype(), view.shape(), view.data()));
    of(stored.collect(), metadata)
}

/// The SHA-256, in hexadecimal digits, of all parts in the order of their names, each after its
/// length.
fn of(mut tensors: Vec<Stored<'_>>, metadata: &BTreeMap<String, String>) -> String {
    tensors.sort_by_key(|(name, ..)| *name);
    let mut digest = Sha256::new();
    let mut part = |bytes: &[u8]| {
        digest.update((bytes.len() as u64).to_le_bytes());
        digest.update(bytes);
    };
    for (key, value) in metadata {
        part(key.as_bytes());
        part(value.as_bytes());
    }
    for (name, dtype, shape, data) in tensors {
        part(name.as_bytes());
        part(dtype.to_string().as_bytes());
        let extents = shape.iter().flat_map(|&extent| (extent as u64).to_le_bytes());
        part(&extents.collect::<Vec<u8>>());
        part(data);
    }
    hex(&digest.finalize())
}
