//! The file formats of the project: NumPy's `.npy` and `.npz` (with the pickles inside object
//! arrays), safetensors, and the one way every file is written.
//!
//! All readers treat their input as hostile: they execute nothing, never panic on any bytes, and
//! allocate at most a stated multiple of what they were given.

pub mod atomic;
pub mod npy;
pub mod npz;
pub mod pickle;
pub mod safetensors;

use rnn_core::HostTensor;
use std::io::{self, Write};

pub use atomic::{WriteError, write_atomically};

/// The number of elements of a shape read from a file. `None` if the product of the extents
/// overflows, or would if the extents of zero were one: then no partial product of a
/// [`rnn_core::Shape`] can overflow either.
fn element_count(dims: &[usize]) -> Option<usize> {
    dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d.max(1)))?;
    Some(dims.iter().product())
}

/// Writes the elements of a tensor, little-endian.
fn write_elements(writer: &mut impl Write, tensor: &HostTensor) -> io::Result<()> {
    if cfg!(target_endian = "little") {
        return writer.write_all(tensor.as_bytes());
    }
    bytemuck::cast_slice::<u8, u32>(tensor.as_bytes())
        .iter()
        .try_for_each(|word| writer.write_all(&word.to_le_bytes()))
}
