//! Protobuf's wire format, read in place: <https://protobuf.dev/programming-guides/encoding/>.

/// The error that the bytes are no protobuf message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is damaged, or no ONNX file")]
pub struct Damaged;

/// The value of a field.
#[derive(Clone, Copy)]
pub(super) enum Field<'a> {
    Varint(u64),
    Fixed32([u8; 4]),
    Fixed64([u8; 8]),
    /// Text, bytes, a message, or packed numbers.
    Bytes(&'a [u8]),
}

impl<'a> Field<'a> {
    pub(super) fn bytes(self) -> Result<&'a [u8], Damaged> {
        if let Self::Bytes(bytes) = self { Ok(bytes) } else { Err(Damaged) }
    }

    pub(super) fn text(self) -> Result<&'a str, Damaged> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Damaged)
    }

    pub(super) fn int(self) -> Result<i64, Damaged> {
        if let Self::Varint(value) = self { Ok(value.cast_signed()) } else { Err(Damaged) }
    }

    pub(super) fn float(self) -> Result<f32, Damaged> {
        if let Self::Fixed32(bytes) = self { Ok(f32::from_le_bytes(bytes)) } else { Err(Damaged) }
    }

    /// Appends one integer, or packed ones.
    pub(super) fn ints(self, to: &mut Vec<i64>) -> Result<(), Damaged> {
        match self {
            Self::Bytes(mut packed) => {
                while !packed.is_empty() {
                    to.push(varint(&mut packed)?.cast_signed());
                }
            }
            one => to.push(one.int()?),
        }
        Ok(())
    }

    /// Appends one single-precision number, or packed ones.
    pub(super) fn floats(self, to: &mut Vec<f32>) -> Result<(), Damaged> {
        match self {
            Self::Bytes(packed) => {
                let (numbers, []) = packed.as_chunks::<4>() else { return Err(Damaged) };
                to.extend(numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)));
            }
            one => to.push(one.float()?),
        }
        Ok(())
    }

    /// Appends one double-precision number, or packed ones, in single precision.
    pub(super) fn doubles(self, to: &mut Vec<f32>) -> Result<(), Damaged> {
        match self {
            Self::Bytes(packed) => {
                let (numbers, []) = packed.as_chunks::<8>() else { return Err(Damaged) };
                to.extend(numbers.iter().map(|bytes| f64::from_le_bytes(*bytes) as f32));
            }
            Self::Fixed64(bytes) => to.push(f64::from_le_bytes(bytes) as f32),
            _ => return Err(Damaged),
        }
        Ok(())
    }
}

/// The fields of a message: their tags and values, in the order of the file.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Field<'a>), Damaged>;

    fn next(&mut self) -> Option<Self::Item> {
        let field = (!self.0.is_empty()).then(|| field(&mut self.0));
        if matches!(field, Some(Err(_))) {
            self.0 = &[];
        }
        field
    }
}

fn field<'a>(bytes: &mut &'a [u8]) -> Result<(u64, Field<'a>), Damaged> {
    let key = varint(bytes)?;
    let value = match key & 7 {
        0 => Field::Varint(varint(bytes)?),
        1 => Field::Fixed64(fixed(bytes)?),
        2 => {
            let len = usize::try_from(varint(bytes)?).map_err(|_| Damaged)?;
            let (value, rest) = bytes.split_at_checked(len).ok_or(Damaged)?;
            *bytes = rest;
            Field::Bytes(value)
        }
        5 => Field::Fixed32(fixed(bytes)?),
        _ => return Err(Damaged),
    };
    Ok((key >> 3, value))
}

fn fixed<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], Damaged> {
    let (value, rest) = bytes.split_first_chunk().ok_or(Damaged)?;
    *bytes = rest;
    Ok(*value)
}

/// Seven bits a byte, the lowest first.
fn varint(bytes: &mut &[u8]) -> Result<u64, Damaged> {
    let mut value = 0u64;
    for shift in (0..70).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or(Damaged)?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of the documentation of the encoding.
    #[test]
    fn fields_are_those_of_the_documentation() {
        let only = |bytes: &'static [u8]| Fields(bytes).next().expect("a field");
        let (tag, value) = only(&[0x08, 0x96, 0x01]).expect("a varint");
        assert_eq!((tag, value.int()), (1, Ok(150)));
        let (tag, value) = only(b"\x12\x07testing").expect("text");
        assert_eq!((tag, value.text()), (2, Ok("testing")));
        let mut packed = vec![];
        let (tag, value) = only(b"\x32\x06\x03\x8e\x02\x9e\xa7\x05").expect("packed numbers");
        assert_eq!((tag, value.ints(&mut packed)), (6, Ok(())));
        assert_eq!(packed, [3, 270, 86942]);
        assert!(only(&[0x08, 0x96]).is_err());
        assert!(only(&[0x12, 0xff, 0xff, 0xff, 0xff, 0x0f]).is_err());
        assert!(only(&[0xff; 12]).is_err());
    }
}
