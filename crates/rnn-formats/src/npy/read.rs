use super::header::{self, Header};
use super::{NpyArray, NpyError, Values};
use crate::budget::{self, OverBudget};
use crate::pickle;
use half::f16;
use rnn_core::Shape;
use std::path::Path;

/// Reads the `.npy` file at `path` into memory.
///
/// # Errors
/// Fails with [`NpyError::Io`] if the file cannot be read, and otherwise as [`parse`] does.
pub fn read(path: &Path) -> Result<NpyArray, NpyError> {
    let bytes =
        std::fs::read(path).map_err(|source| NpyError::Io { path: path.to_owned(), source })?;
    let memory = budget::memory(bytes.len() as u64);
    parse_within(bytes, memory)
}

/// Parses the bytes of an `.npy` file.
///
/// A number takes at most 8 bytes in memory. At most 8 times the size of `bytes` is therefore
/// allocated, or 16 times for a moment if the array is in Fortran order. For object arrays see
/// [`crate::pickle`].
///
/// # Errors
/// Fails with [`NpyError::Malformed`] if the header is malformed or the elements do not fit the
/// shape, with [`NpyError::Unsupported`] if the element type is not one of [`Values`], and with
/// [`NpyError::Pickle`] if the elements of an object array are not lists of integers.
pub fn parse(bytes: &[u8]) -> Result<NpyArray, NpyError> {
    parse_within(bytes.to_vec(), u64::MAX)
}

/// Parses the bytes of an `.npy` file, of which the array and then a tensor of it take at most `memory`
/// bytes.
pub(crate) fn parse_within(mut bytes: Vec<u8>, memory: u64) -> Result<NpyArray, NpyError> {
    let header = header::parse(&bytes)?;
    let data = bytes.get(header.data_start..).unwrap_or_default();
    if matches!(header.descr.as_str(), "|O" | "O") {
        return objects(&header, data, memory.saturating_sub(bytes.len() as u64));
    }
    if needed(&header, data.len() as u64) > memory {
        return Err(OverBudget.into());
    }
    match header.descr.as_str() {
        "|b1" | "|u1" | "<u1" if !header.fortran_order => {
            let len = Shape::new(header.shape.as_slice()).len();
            if len != data.len() {
                return Err(header.misfit(1, data.len() as u64));
            }
            bytes.drain(..header.data_start);
            if header.descr == "|b1" {
                bytes.iter_mut().for_each(|byte| *byte = u8::from(*byte != 0));
            }
            Ok(NpyArray { shape: Shape::new(header.shape), values: Values::U8(bytes) })
        }
        _ => values(header, data),
    }
}

/// The memory that an array of `data` bytes takes: as it is stored and as it is read, which it is twice
/// in the order of Fortran; and then as it is read and as a tensor, of floats and of integers.
fn needed(header: &Header, data: u64) -> u64 {
    let Some(width) = width(&header.descr) else { return 0 };
    let count = data / width as u64;
    let read = count
        * match header.descr.as_str() {
            "|b1" | "|u1" | "<u1" => 1,
            "<f2" | "<f4" => 4,
            _ => 8,
        };
    let in_place = read == data && width == 1 && !header.fortran_order;
    let copies = if header.fortran_order { 2 } else { u64::from(!in_place) };
    let tensors = if header.descr.starts_with("<f") { 8 } else { 4 };
    (data + copies * read).max(read + tensors * count)
}

/// Bytes of an element, if it is a number.
pub(super) fn width(descr: &str) -> Option<usize> {
    Some(match descr {
        "|b1" | "|i1" | "<i1" | "|u1" | "<u1" => 1,
        "<i2" | "<u2" | "<f2" => 2,
        "<i4" | "<u4" | "<f4" => 4,
        "<i8" | "<u8" | "<f8" => 8,
        _ => return None,
    })
}

/// The numbers that fill `data`.
pub(super) fn values(header: Header, data: &[u8]) -> Result<NpyArray, NpyError> {
    let values = match header.descr.as_str() {
        "|b1" => Values::U8(elements(&header, data, |[b]: [u8; 1]| u8::from(b != 0))?),
        "|i1" | "<i1" => Values::I64(elements(&header, data, |b| i8::from_le_bytes(b).into())?),
        "|u1" | "<u1" => Values::U8(elements(&header, data, u8::from_le_bytes)?),
        "<i2" => Values::I64(elements(&header, data, |b| i16::from_le_bytes(b).into())?),
        "<u2" => Values::I64(elements(&header, data, |b| u16::from_le_bytes(b).into())?),
        "<i4" => Values::I64(elements(&header, data, |b| i32::from_le_bytes(b).into())?),
        "<u4" => Values::I64(elements(&header, data, |b| u32::from_le_bytes(b).into())?),
        "<i8" => Values::I64(elements(&header, data, i64::from_le_bytes)?),
        "<u8" => Values::U64(elements(&header, data, u64::from_le_bytes)?),
        "<f2" => Values::F32(elements(&header, data, |b| f16::from_le_bytes(b).to_f32())?),
        "<f4" => Values::F32(elements(&header, data, f32::from_le_bytes)?),
        "<f8" => Values::F64(elements(&header, data, f64::from_le_bytes)?),
        _ => return Err(NpyError::Unsupported { descr: header.descr }),
    };
    Ok(NpyArray { shape: Shape::new(header.shape), values })
}

/// Returns the shape in the header of an `.npy` file. `bytes` need only hold the beginning of the
/// file, up to the end of the header.
///
/// # Errors
/// Fails with [`NpyError::Malformed`] if the header is malformed, and with
/// [`NpyError::Unsupported`] if it describes an array of records.
pub fn shape(bytes: &[u8]) -> Result<Shape, NpyError> {
    Ok(Shape::new(header::parse(bytes)?.shape))
}

fn elements<T: Clone, const WIDTH: usize>(
    header: &Header,
    data: &[u8],
    decode: impl Fn([u8; WIDTH]) -> T,
) -> Result<Vec<T>, NpyError> {
    let len = Shape::new(header.shape.as_slice()).len();
    if len.checked_mul(WIDTH) != Some(data.len()) {
        return Err(header.misfit(WIDTH, data.len() as u64));
    }
    let (chunks, _) = data.as_chunks::<WIDTH>();
    let stored: Vec<T> = chunks.iter().map(|&chunk| decode(chunk)).collect();
    Ok(if header.fortran_order { row_major(&header.shape, &stored) } else { stored })
}

/// Reorders elements stored with the first axis fastest.
fn row_major<T: Clone>(dims: &[usize], stored: &[T]) -> Vec<T> {
    let mut index = vec![0; dims.len()];
    let mut ordered = Vec::with_capacity(stored.len());
    while ordered.len() < stored.len() {
        let offset = dims.iter().zip(&index).rev().fold(0, |offset, (d, i)| offset * d + i);
        ordered.extend(stored.get(offset).cloned());
        for (i, d) in index.iter_mut().zip(dims).rev() {
            *i += 1;
            if *i < *d {
                break;
            }
            *i = 0;
        }
    }
    ordered
}

fn objects(header: &Header, data: &[u8], memory: u64) -> Result<NpyArray, NpyError> {
    let lists = pickle::ragged_integer_lists_within(data, memory)?;
    if header.shape != [lists.len()] {
        let problem = format!(
            "the header announces objects of shape {}, but {} lists follow",
            Shape::new(header.shape.as_slice()),
            lists.len()
        );
        return Err(NpyError::malformed(header.data_start, problem));
    }
    Ok(NpyArray { shape: Shape::from([lists.len()]), values: Values::Lists(lists) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(descr: &str, fortran: bool, shape: &str, data: &[u8]) -> Vec<u8> {
        let fortran = if fortran { "True" } else { "False" };
        let text = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}}}");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((text.len() as u16).to_le_bytes());
        bytes.extend(text.as_bytes());
        bytes.extend(data);
        bytes
    }

    fn values(descr: &str, data: &[u8]) -> Values {
        parse(&file(descr, false, "(1,)", data)).unwrap().values
    }

    #[test]
    fn widens_every_element_type() {
        assert_eq!(values("|b1", &[2]), Values::U8(vec![1]));
        assert_eq!(values("|i1", &[0xff]), Values::I64(vec![-1]));
        assert_eq!(values("|u1", &[0xff]), Values::U8(vec![255]));
        assert_eq!(values("<i2", &[0xfe, 0xff]), Values::I64(vec![-2]));
        assert_eq!(values("<u2", &[0xfe, 0xff]), Values::I64(vec![65534]));
        assert_eq!(values("<i4", &(-3i32).to_le_bytes()), Values::I64(vec![-3]));
        assert_eq!(values("<u4", &u32::MAX.to_le_bytes()), Values::I64(vec![0xffff_ffff]));
        assert_eq!(values("<i8", &i64::MIN.to_le_bytes()), Values::I64(vec![i64::MIN]));
        assert_eq!(values("<u8", &u64::MAX.to_le_bytes()), Values::U64(vec![u64::MAX]));
        assert_eq!(values("<f2", &[0x00, 0x3e]), Values::F32(vec![1.5]));
        assert_eq!(values("<f4", &1.5f32.to_le_bytes()), Values::F32(vec![1.5]));
        assert_eq!(values("<f8", &1.1f64.to_le_bytes()), Values::F64(vec![1.1]));
    }

    #[test]
    fn fortran_order_becomes_row_major() {
        let array = parse(&file("|u1", true, "(2, 3)", &[0, 3, 1, 4, 2, 5])).unwrap();
        assert_eq!(array.values, Values::U8(vec![0, 1, 2, 3, 4, 5]));
        let cube: Vec<u8> = (0..24).collect();
        let array = parse(&file("|u1", true, "(2, 3, 4)", &cube)).unwrap();
        // numpy.arange(24).reshape(2, 3, 4, order="F").ravel()
        let expected =
            [0, 6, 12, 18, 2, 8, 14, 20, 4, 10, 16, 22, 1, 7, 13, 19, 3, 9, 15, 21, 5, 11, 17, 23];
        assert_eq!(array.values, Values::U8(expected.to_vec()));
    }

    #[test]
    fn refuses_what_it_cannot_read() {
        let error = |bytes: &[u8]| parse(bytes).unwrap_err().to_string();
        assert!(error(&file(">f4", false, "(1,)", &[0; 4])).contains("'<f4'"));
        assert!(error(&file("<f4", false, "(2,)", &[0; 7])).contains("but 7 bytes"));
        assert!(error(&file("<f4", false, "(1,)", &[0; 5])).contains("but 5 bytes"));
        assert!(error(&file("<f8", false, "(4611686018427387904,)", &[])).contains("but 0 bytes"));
    }
}
