//! Checkpoints: safetensors files that end in a SHA-256 digest of all bytes before it, as a tensor
//! named `sha256`. A file that was cut short, or in which a single bit changed, is therefore
//! refused.

use crate::atomic::write_atomically;
use crate::safetensors::{self, Loaded, SafetensorsError};
use rnn_core::HostTensor;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The last tensor of the file: the SHA-256 of all bytes before its own.
const DIGEST: &str = "sha256";
const DIGEST_BYTES: usize = 32;

/// The reason why a checkpoint could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file could not be written or read, or is not a safetensors file of supported element
    /// types.
    #[error(transparent)]
    File(#[from] SafetensorsError),
    /// The digest does not fit the other bytes: the file is not as it was written.
    #[error("{} is damaged: its contents do not have the digest that it ends in", path.display())]
    Digest {
        /// The file.
        path: PathBuf,
    },
}

/// Writes named tensors and metadata to `path`, atomically; equal arguments give equal bytes. The
/// tensors are left as they are.
///
/// # Errors
/// Fails with [`CheckpointError::File`] if two tensors share a name, a tensor is named `sha256` or
/// `__metadata__`, or the file cannot be written. A file at `path` then stays as it was.
pub fn save(
    path: &Path,
    tensors: &mut Vec<(String, HostTensor)>,
    metadata: &BTreeMap<String, String>,
) -> Result<(), CheckpointError> {
    let header = header(tensors, metadata)?;
    let written = write_atomically(path, |file| write(file, &header, tensors));
    Ok(written.map_err(SafetensorsError::from)?)
}

/// Returns the bytes that [`save`] writes, for example to send them to another process. Equal
/// arguments give equal bytes.
///
/// # Errors
/// Fails with [`CheckpointError::File`] if two tensors share a name, or a tensor is named `sha256`
/// or `__metadata__`.
pub fn to_bytes(
    mut tensors: Vec<(String, HostTensor)>,
    metadata: &BTreeMap<String, String>,
) -> Result<Vec<u8>, CheckpointError> {
    let header = header(&mut tensors, metadata)?;
    let mut bytes = Vec::new();
    let written = write(&mut bytes, &header, &tensors);
    let path = PathBuf::new();
    written.map_err(|source| SafetensorsError::Io { path, source })?;
    Ok(bytes)
}

/// A header that lists the digest too.
fn header(
    tensors: &mut Vec<(String, HostTensor)>,
    metadata: &BTreeMap<String, String>,
) -> Result<String, SafetensorsError> {
    tensors.push((DIGEST.into(), HostTensor::zeros([DIGEST_BYTES / 4], rnn_core::DType::U32)));
    let header = safetensors::header(tensors, metadata);
    tensors.pop();
    header
}

fn write(file: &mut impl Write, header: &str, tensors: &[(String, HostTensor)]) -> io::Result<()> {
    let mut file = Hashing { inner: file, digest: Sha256::new() };
    safetensors::write(&mut file, header, tensors)?;
    let digest = file.digest.finalize();
    file.inner.write_all(&digest)
}

/// Reads a checkpoint that [`save`] wrote, without the digest. It allocates at most three times the
/// size of the file.
///
/// # Errors
/// Fails with [`CheckpointError::File`] if the file cannot be read or holds a tensor of an
/// unsupported type, and with [`CheckpointError::Digest`] if its digest does not fit its contents.
pub fn load(path: &Path) -> Result<Loaded, CheckpointError> {
    parse(path, &safetensors::read(path)?)
}

/// Parses the bytes of a checkpoint, as [`load`] does. `path` is the name of the file in error
/// messages.
///
/// # Errors
/// Fails with [`CheckpointError::Digest`] if the digest does not fit the other bytes, and with
/// [`CheckpointError::File`] if the bytes are not a safetensors file of supported element types.
pub fn parse(path: &Path, bytes: &[u8]) -> Result<Loaded, CheckpointError> {
    let sound = bytes.split_last_chunk::<DIGEST_BYTES>().is_some_and(|(contents, digest)| {
        let found = Sha256::digest(contents);
        found.as_slice() == digest
    });
    if !sound {
        return Err(CheckpointError::Digest { path: path.to_owned() });
    }
    let (mut tensors, metadata) = safetensors::parse(path, bytes)?;
    tensors.retain(|(name, _)| name != DIGEST);
    Ok((tensors, metadata))
}

/// Hashes what passes through.
struct Hashing<W> {
    inner: W,
    digest: Sha256,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.digest.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn example() -> (Vec<(String, HostTensor)>, BTreeMap<String, String>) {
        let weights = HostTensor::from_f32([2, 2], vec![1.0, -0.0, f32::MIN_POSITIVE, 4.0]);
        let empty = HostTensor::from_f32([0], vec![]);
        let tensors = [("lstm/kernel", weights), ("nothing", empty)];
        let tensors = tensors.map(|(name, tensor)| (name.to_owned(), tensor.unwrap()));
        let metadata = BTreeMap::from([("step".to_owned(), "7".to_owned())]);
        (tensors.into(), metadata)
    }

    #[test]
    fn what_is_saved_loads_back_and_is_a_safetensors_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        let (tensors, metadata) = example();
        save(&path, &mut tensors.clone(), &metadata).unwrap();
        let (mut found, told) = load(&path).unwrap();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!((found, told), (tensors, metadata));
        assert!(safetensors::load(&path).unwrap().0.iter().any(|(name, _)| name == DIGEST));
    }

    #[test]
    fn no_cut_and_no_flipped_bit_goes_unseen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        let (mut tensors, metadata) = example();
        save(&path, &mut tensors, &metadata).unwrap();
        let whole = fs::read(&path).unwrap();
        let refused = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            load(&path).is_err()
        };
        for length in 0..whole.len() {
            assert!(refused(&whole[..length]), "cut to {length} bytes");
        }
        for bit in 0..8 * whole.len() {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(refused(&flipped), "bit {bit} flipped");
        }
        assert!(refused(&[&whole[..], &[0]].concat()));
        assert!(!refused(&whole));
    }
}
