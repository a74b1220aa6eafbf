//! Elements as files store them.

use rnn_core::HostTensor;
use std::io::{self, Write};

/// The number of elements of a shape read from a file. `None` if the product of the extents
/// overflows, or would if the extents of zero were one: then no partial product of a
/// [`rnn_core::Shape`] can overflow either.
pub(crate) fn element_count(dims: &[usize]) -> Option<usize> {
    dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d.max(1)))?;
    Some(dims.iter().product())
}

/// The elements of `data`, `WIDTH` bytes each.
pub(crate) fn decode<T, const WIDTH: usize>(data: &[u8], one: impl Fn([u8; WIDTH]) -> T) -> Vec<T> {
    data.as_chunks::<WIDTH>().0.iter().map(|&chunk| one(chunk)).collect()
}

/// Integers of any width as u32, or which one does not fit.
pub(crate) fn decode_indices<T: Copy + TryInto<u32> + ToString, const WIDTH: usize>(
    data: &[u8],
    one: impl Fn([u8; WIDTH]) -> T,
) -> Result<Vec<u32>, String> {
    let convert = |(i, &chunk): (usize, &[u8; WIDTH])| {
        let value = one(chunk);
        value.try_into().map_err(|_| {
            let value = value.to_string();
            format!("element {i} is {value}, outside 0..2^32; save the tensor as F32")
        })
    };
    data.as_chunks::<WIDTH>().0.iter().enumerate().map(convert).collect()
}

/// Writes the elements of a tensor, little-endian.
pub(crate) fn write_elements(writer: &mut impl Write, tensor: &HostTensor) -> io::Result<()> {
    if cfg!(target_endian = "little") {
        return writer.write_all(tensor.as_bytes());
    }
    bytemuck::cast_slice::<u8, u32>(tensor.as_bytes())
        .iter()
        .try_for_each(|word| writer.write_all(&word.to_le_bytes()))
}
