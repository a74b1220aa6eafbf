//! NumPy's `.npy` format, versions 1 to 3:
//! <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.

mod checksum;
mod convert;
mod header;
mod read;
mod stored;
mod write;

pub use convert::ConvertError;
pub(crate) use header::MAX_BYTES as MAX_HEADER_BYTES;
pub(crate) use read::parse_within;
pub use read::{parse, read, shape};
pub use stored::StoredArray;
pub use write::{FloatsWriter, to_writer, write};

use crate::budget::OverBudget;
use crate::pickle::PickleError;
use rnn_core::Shape;
use std::io;
use std::path::PathBuf;

/// An array that was read from an `.npy` file. Its elements are in row-major order, whatever their
/// order in the file.
#[derive(Clone, Debug, PartialEq)]
pub struct NpyArray {
    shape: Shape,
    values: Values,
}

/// The elements of an [`NpyArray`]. NumPy's narrower types are widened to a variant that holds them
/// exactly.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// From `bool` and `u1`, which images are made of.
    U8(Vec<u8>),
    /// From `f2` and `f4`.
    F32(Vec<f32>),
    /// Floats, from `f8`.
    F64(Vec<f64>),
    /// From `i1`, `i2`, `u2`, `i4`, `u4` and `i8`.
    I64(Vec<i64>),
    /// Unsigned integers of 8 bytes, from `u8`.
    U64(Vec<u64>),
    /// Lists of integers, from a one-dimensional object array; one list for each element.
    Lists(Vec<Vec<i64>>),
}

impl NpyArray {
    /// Returns the shape, outermost axis first.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Bytes that the array takes as a tensor, or as lists.
    pub(crate) fn kept_bytes(&self) -> u64 {
        match &self.values {
            Values::Lists(lists) => lists.iter().map(|list| 32 + 8 * list.len() as u64).sum(),
            _ => 4 * self.shape.len() as u64,
        }
    }

    /// Returns the elements, in row-major order. Their number is that of the shape, unless they are
    /// lists.
    pub fn values(&self) -> &Values {
        &self.values
    }
}

/// The reason why an `.npy` file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum NpyError {
    /// The file could not be opened or read.
    #[error("cannot read {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The bytes of an array in an archive are not those that its checksum is of.
    #[error(
        "the array is damaged: its bytes in {} do not have the checksum there; fetch or save the \
         file again",
        path.display()
    )]
    Checksum {
        /// The archive.
        path: PathBuf,
    },
    /// The bytes are no `.npy` array, or a damaged one.
    #[error("not a readable .npy array: {problem} (at byte {at}); save it again with numpy.save")]
    Malformed {
        /// The problem.
        problem: String,
        /// The offset from the start of the array, in bytes.
        at: usize,
    },
    /// The array is sound, but its element type is not supported; see [`Values`].
    #[error(
        "the .npy element type {descr} is not supported; convert the array with .astype to a \
         little-endian bool, integer or float, e.g. '<f4'"
    )]
    Unsupported {
        /// NumPy's description of the element type.
        descr: String,
    },
    /// The array can only be read as a whole, not by rows.
    #[error(
        "an array {what} cannot be read row by row; save numpy.ascontiguousarray(a) of numbers, or \
         do without streaming"
    )]
    Indivisible {
        /// The property of the array that prevents it.
        what: &'static str,
    },
    /// The array takes more memory than its file may.
    #[error("the array is too large: {0}")]
    Memory(#[from] OverBudget),
    /// The elements of an object array could not be read.
    #[error("the object array cannot be read")]
    Pickle(#[from] PickleError),
}

impl NpyError {
    fn malformed(at: usize, problem: impl Into<String>) -> Self {
        Self::Malformed { problem: problem.into(), at }
    }
}
