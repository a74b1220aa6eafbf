//! Constants of ONNX graphs.

use super::read::OnnxError;
use super::wire::{Damaged, Field, Fields};
use half::{bf16, f16};

/// A constant: its extents and its elements, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// The extents.
    pub dims: Vec<usize>,
    /// The elements.
    pub elements: Elements,
}

/// The elements of an [`Array`].
#[derive(Clone, Debug, PartialEq)]
pub enum Elements {
    /// Floats. Those of half and of double precision are converted.
    Floats(Vec<f32>),
    /// Integers, and truth values as 0 and 1.
    Ints(Vec<i64>),
}

impl Elements {
    /// Returns the number of elements.
    pub fn len(&self) -> usize {
        match self {
            Self::Floats(values) => values.len(),
            Self::Ints(values) => values.len(),
        }
    }

    /// Returns true if there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Where weights lie that are not in the file of the model.
pub(super) trait External {
    /// The `len` bytes, or all, from `offset` on in the file `location`.
    fn bytes(
        &mut self,
        location: &str,
        offset: u64,
        len: Option<u64>,
    ) -> Result<Vec<u8>, OnnxError>;
}

/// A tensor whose elements are not read yet.
pub(super) struct TensorReader<'a> {
    pub(super) name: &'a str,
    bytes: &'a [u8],
    dims: Vec<i64>,
    kind: i64,
    raw: Option<&'a [u8]>,
    outside: bool,
    location: &'a str,
    offset: u64,
    len: Option<u64>,
}

impl<'a> TensorReader<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Result<Self, Damaged> {
        let mut tensor = Self {
            name: "",
            bytes,
            dims: vec![],
            kind: 0,
            raw: None,
            outside: false,
            location: "",
            offset: 0,
            len: None,
        };
        for field in Fields(bytes) {
            match field? {
                (1, value) => {
                    if tensor.dims.len() > MAX_RANK {
                        return Err(Damaged);
                    }
                    match value {
                        Field::Bytes(packed) if packed.len() > 10 * MAX_RANK => {
                            return Err(Damaged);
                        }
                        value => value.ints(&mut tensor.dims)?,
                    }
                }
                (2, value) => tensor.kind = value.int()?,
                (8, value) => tensor.name = value.text()?,
                (9, value) => tensor.raw = Some(value.bytes()?),
                (13, value) => tensor.external(value.bytes()?)?,
                (14, value) => tensor.outside = value.int()? == 1,
                _ => {}
            }
        }
        Ok(tensor)
    }

    fn external(&mut self, bytes: &'a [u8]) -> Result<(), Damaged> {
        let (mut key, mut said) = ("", "");
        for field in Fields(bytes) {
            match field? {
                (1, value) => key = value.text()?,
                (2, value) => said = value.text()?,
                _ => {}
            }
        }
        match key {
            "location" => self.location = said,
            "offset" => self.offset = said.parse().map_err(|_| Damaged)?,
            "length" => self.len = Some(said.parse().map_err(|_| Damaged)?),
            _ => {}
        }
        Ok(())
    }

    /// An upper bound of the bytes that its elements take in the file of the model.
    pub(super) fn memory(&self) -> u64 {
        let widened = match self.kind {
            FLOAT | INT64 | DOUBLE => 1,
            INT32 | FLOAT16 | BFLOAT16 => 2,
            _ => 8,
        };
        // Numbers of variable length may take a byte each.
        let listed = if self.raw.is_some() { 0 } else { 8 * self.bytes.len() as u64 };
        listed + self.raw.map_or(0, |raw| widened * raw.len() as u64)
    }

    pub(super) fn array(self, external: &mut impl External) -> Result<Array, OnnxError> {
        let refused = |what: String| OnnxError::Constant { name: self.name.to_owned(), what };
        let extents = self.dims.iter().map(|&n| usize::try_from(n).ok());
        let dims = extents.collect::<Option<Vec<usize>>>().ok_or(Damaged)?;
        let count = dims.iter().try_fold(1usize, |product, &n| product.checked_mul(n));
        let outside = match self.outside {
            true => Some(external.bytes(self.location, self.offset, self.len)?),
            false => None,
        };
        let elements = match outside.as_deref().or(self.raw) {
            Some(raw) => elements(self.kind, raw),
            None => self.listed()?,
        };
        let elements = elements.ok_or_else(|| {
            refused(format!(
                "elements of type {} are not supported, or a part is missing; supported: floats, \
                 integers and truth values",
                self.kind
            ))
        })?;
        match count == Some(elements.len()) {
            true => Ok(Array { dims, elements }),
            false => {
                Err(refused(format!("{} elements do not fill the shape {dims:?}", elements.len())))
            }
        }
    }

    /// The elements, where they are fields of the message.
    fn listed(&self) -> Result<Option<Elements>, Damaged> {
        let (mut floats, mut ints) = (vec![], vec![]);
        for field in Fields(self.bytes) {
            match field? {
                (4, value) => value.floats(&mut floats)?,
                (5 | 7 | 11, value) => value.ints(&mut ints)?,
                (10, value) => value.doubles(&mut floats)?,
                _ => {}
            }
        }
        Ok(match self.kind {
            FLOAT | DOUBLE => Some(Elements::Floats(floats)),
            // The bits of a number of half precision stand in a wider integer.
            FLOAT16 => Some(Elements::Floats(
                ints.iter().map(|&n| f16::from_bits(n as u16).into()).collect(),
            )),
            BFLOAT16 => Some(Elements::Floats(
                ints.iter().map(|&n| bf16::from_bits(n as u16).into()).collect(),
            )),
            2..=7 | 9 | 12 | 13 => Some(Elements::Ints(ints)),
            _ => None,
        })
    }
}

/// The most axes of a constant.
const MAX_RANK: usize = 16;

const FLOAT: i64 = 1;
const INT32: i64 = 6;
const INT64: i64 = 7;
const FLOAT16: i64 = 10;
const DOUBLE: i64 = 11;
const BFLOAT16: i64 = 16;

/// Little-endian elements; none, where the type is not supported or an element is cut off.
fn elements(kind: i64, raw: &[u8]) -> Option<Elements> {
    fn each<const N: usize, T>(raw: &[u8], of: impl Fn([u8; N]) -> T) -> Option<Vec<T>> {
        let (elements, rest) = raw.as_chunks::<N>();
        rest.is_empty().then(|| elements.iter().map(|bytes| of(*bytes)).collect())
    }
    Some(match kind {
        FLOAT => Elements::Floats(each(raw, f32::from_le_bytes)?),
        DOUBLE => Elements::Floats(each(raw, |bytes| f64::from_le_bytes(bytes) as f32)?),
        FLOAT16 => Elements::Floats(each(raw, |bytes| f16::from_le_bytes(bytes).into())?),
        BFLOAT16 => Elements::Floats(each(raw, |bytes| bf16::from_le_bytes(bytes).into())?),
        2 | 9 => Elements::Ints(each(raw, |bytes| u8::from_le_bytes(bytes).into())?),
        3 => Elements::Ints(each(raw, |bytes| i8::from_le_bytes(bytes).into())?),
        4 => Elements::Ints(each(raw, |bytes| u16::from_le_bytes(bytes).into())?),
        5 => Elements::Ints(each(raw, |bytes| i16::from_le_bytes(bytes).into())?),
        INT32 => Elements::Ints(each(raw, |bytes| i32::from_le_bytes(bytes).into())?),
        INT64 => Elements::Ints(each(raw, i64::from_le_bytes)?),
        12 => Elements::Ints(each(raw, |bytes| u32::from_le_bytes(bytes).into())?),
        13 => Elements::Ints(each(raw, |bytes| u64::from_le_bytes(bytes).cast_signed())?),
        _ => return None,
    })
}
