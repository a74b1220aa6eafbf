//! The safetensors format: <https://huggingface.co/docs/safetensors/index>.
//!
//! The writer is our own, because equal input must give equal bytes and the library keeps
//! metadata in a hash map. Reading goes through the library, which validates the header. What is
//! written has a digest of itself among its metadata.

mod digest;

use crate::atomic::{WriteError, write_atomically};
use crate::elements::{decode, decode_indices, element_count, write_elements};
use ::safetensors::tensor::{Dtype, SafeTensorError, SafeTensors, TensorView};
use half::{bf16, f16};
use rnn_core::{DType, HostTensor, TensorError};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The header key under which the format keeps free-form strings.
const METADATA: &str = "__metadata__";

/// The contents of a safetensors file: the tensors with their names, in the order of the file, and
/// the strings of the metadata by key.
pub type Loaded = (Vec<(String, HostTensor)>, BTreeMap<String, String>);

/// The reason why a safetensors file could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum SafetensorsError {
    /// The file could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Two tensors share a name, or a tensor has the reserved name `__metadata__`.
    #[error("two tensors are named '{name}', or the format reserves that name; rename one")]
    Name {
        /// The name.
        name: String,
    },
    /// The file could not be opened or read.
    #[error("cannot read {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The file is damaged, or not a safetensors file.
    #[error("{} is not a sound safetensors file; fetch or save it again", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// The error of the `safetensors` crate.
        source: SafeTensorError,
    },
    /// The tensors and the metadata are not those that the digest in the file is of.
    #[error(
        "{} is damaged, or was changed by another program: it does not have the digest in it. Fetch \
         it again; if the change was meant, remove '{}' from its metadata",
        path.display(),
        digest::KEY
    )]
    Digest {
        /// The file.
        path: PathBuf,
    },
    /// One tensor could not be represented.
    #[error("tensor '{name}' of {}: {problem}", path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The name of the tensor.
        name: String,
        /// The problem, and what to do about it.
        problem: String,
    },
}

/// Writes named tensors and metadata to `path`, atomically. Equal arguments give equal bytes: the
/// tensors keep their order, and the metadata is sorted by key. The file also gets a digest of all
/// of them, `sha256` among its metadata, which [`load`] compares and leaves out.
///
/// # Errors
/// Fails with [`SafetensorsError::Name`] if two tensors share a name or a tensor is named
/// `__metadata__`, and with [`SafetensorsError::Write`] if the file cannot be written. A file at
/// `path` then stays as it was.
pub fn save<N: AsRef<str>>(
    path: &Path,
    tensors: &[(N, HostTensor)],
    metadata: &BTreeMap<String, String>,
) -> Result<(), SafetensorsError> {
    let mut metadata = metadata.clone();
    metadata.insert(digest::KEY.to_owned(), digest::of_tensors(tensors, &metadata));
    let header = header(tensors, &metadata)?;
    Ok(write_atomically(path, |file| write(file, &header, tensors))?)
}

/// Writes a header and the elements of the tensors that it lists.
pub(crate) fn write<N>(
    file: &mut impl Write,
    header: &str,
    tensors: &[(N, HostTensor)],
) -> io::Result<()> {
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(header.as_bytes())?;
    tensors.iter().try_for_each(|(_, tensor)| write_elements(file, tensor))
}

pub(crate) fn header<N: AsRef<str>>(
    tensors: &[(N, HostTensor)],
    metadata: &BTreeMap<String, String>,
) -> Result<String, SafetensorsError> {
    let mut entries = Vec::with_capacity(tensors.len() + 1);
    if !metadata.is_empty() {
        let pairs: Vec<_> =
            metadata.iter().map(|(k, v)| format!("{}:{}", quote(k), quote(v))).collect();
        entries.push(format!("{}:{{{}}}", quote(METADATA), pairs.join(",")));
    }
    let mut names = BTreeSet::from([METADATA]);
    let mut start = 0;
    for (name, tensor) in tensors {
        let name = name.as_ref();
        if !names.insert(name) {
            return Err(SafetensorsError::Name { name: name.to_owned() });
        }
        let dtype = dtype(tensor);
        let end = start + tensor.as_bytes().len();
        let mut entry = format!("{}:{{\"dtype\":\"{dtype}\",\"shape\":[", quote(name));
        for (axis, extent) in tensor.shape().dims().iter().enumerate() {
            let _ = write!(entry, "{}{extent}", if axis == 0 { "" } else { "," });
        }
        let _ = write!(entry, "],\"data_offsets\":[{start},{end}]}}");
        entries.push(entry);
        start = end;
    }
    let mut header = format!("{{{}}}", entries.join(","));
    // Spaces at the end align the elements to 8 bytes.
    let padded = header.len().next_multiple_of(8);
    header.extend(std::iter::repeat_n(' ', padded - header.len()));
    Ok(header)
}

/// The format's name of an element type.
fn dtype(tensor: &HostTensor) -> Dtype {
    match tensor.dtype() {
        DType::F32 => Dtype::F32,
        DType::F16 => Dtype::F16,
        DType::U32 => Dtype::U32,
    }
}

/// A string as a JSON literal.
fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Reads all tensors of `path`. F16 and BF16 become f32; I32 and I64 become u32 if they are not
/// negative and fit. At most three times the size of the file is allocated. The digest of a file
/// that [`save`] wrote is compared; files of other programs, and of earlier versions of this one,
/// have none.
///
/// # Errors
/// Fails with [`SafetensorsError`] if the file cannot be read, is damaged, does not have its
/// digest, or has a tensor of another type.
pub fn load(path: &Path) -> Result<Loaded, SafetensorsError> {
    parse(path, &read(path)?)
}

/// The bytes of a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, SafetensorsError> {
    std::fs::read(path).map_err(|source| SafetensorsError::Io { path: path.to_owned(), source })
}

/// Parses the bytes of a file, as [`load`] does. `path` is the name of the file in error messages.
///
/// # Errors
/// Fails with [`SafetensorsError`] if they are damaged, do not have their digest, or there is a
/// tensor of another type.
pub fn parse(path: &Path, bytes: &[u8]) -> Result<Loaded, SafetensorsError> {
    let owned = || path.to_owned();
    let damaged = |source| SafetensorsError::Header { path: owned(), source };
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
    let file = SafeTensors::deserialize(bytes).map_err(damaged)?;
    let metadata = header.metadata().iter().flatten();
    let mut metadata: BTreeMap<String, String> =
        metadata.map(|(k, v)| (k.clone(), v.clone())).collect();
    if let Some(digest) = metadata.remove(digest::KEY)
        && digest != digest::of_file(&file, &metadata)
    {
        return Err(SafetensorsError::Digest { path: owned() });
    }
    let tensors = header.offset_keys().into_iter().map(|name| {
        let view = file.tensor(&name).map_err(damaged)?;
        match tensor(&view) {
            Ok(tensor) => Ok((name, tensor)),
            Err(problem) => Err(SafetensorsError::Tensor { path: owned(), name, problem }),
        }
    });
    Ok((tensors.collect::<Result<_, _>>()?, metadata))
}

fn tensor(view: &TensorView<'_>) -> Result<HostTensor, String> {
    let (shape, data) = (view.shape(), view.data());
    if element_count(shape).is_none() {
        return Err(format!("shape {shape:?} is beyond the address space; save the tensor again"));
    }
    let made: Result<HostTensor, TensorError> = match view.dtype() {
        Dtype::F32 => HostTensor::from_f32(shape, decode(data, f32::from_le_bytes)),
        Dtype::F16 => HostTensor::from_f32(shape, decode(data, |b| f16::from_le_bytes(b).to_f32())),
        Dtype::BF16 => {
            HostTensor::from_f32(shape, decode(data, |b| bf16::from_le_bytes(b).to_f32()))
        }
        Dtype::U32 => HostTensor::from_u32(shape, decode(data, u32::from_le_bytes)),
        Dtype::I32 => HostTensor::from_u32(shape, decode_indices(data, i32::from_le_bytes)?),
        Dtype::I64 => HostTensor::from_u32(shape, decode_indices(data, i64::from_le_bytes)?),
        other => {
            return Err(format!("element type {other} is not supported; save it as F32 or U32"));
        }
    };
    made.map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests;
