use super::source::{Meter, Metered};
use super::{Attribute, Group, Hdf5Error, MAX_DEPTH, Node};
use crate::budget;
use crate::elements::{decode, decode_indices, element_count};
use half::{bf16, f16};
use hdf5_pure::{AttrValue, Datatype, DatatypeByteOrder, File, Layout};
use rnn_core::{Data, HostTensor};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;

/// Bytes that a member takes besides its name and its contents.
const MEMBER: u64 = 256;
/// Bytes that a text of an attribute takes besides its letters.
const TEXT: u64 = 64;

/// The attribute by which Keras marks two opaque bytes as a bfloat16.
const DTYPE: &str = "dtype";

/// Reads all groups and datasets of the HDF5 file in `bytes`, and returns the root group.
///
/// Floats of 16, 32 and 64 bits, and bfloat16 as Keras stores it, become f32; integers and
/// booleans become u32 if they are not negative and fit. The file may unpack to
/// [`budget::unpacked`] of its size.
///
/// # Errors
/// Fails with [`Hdf5Error::Damaged`] if the bytes are not an HDF5 file or are cut short. Fails with
/// [`Hdf5Error::Object`] if a group or dataset is damaged, has another element type or a number
/// that does not fit f32 or u32, would unpack the file to more than it may, or lies more than 32
/// groups deep.
pub fn parse(bytes: Vec<u8>) -> Result<Group, Hdf5Error> {
    let unpacked = budget::unpacked(bytes.len() as u64);
    parse_within(bytes, unpacked)
}

/// Reads a file as [`parse`] does that may unpack to `unpacked` bytes: it may have been unpacked itself,
/// and its budget is that of the archive.
///
/// # Errors
/// Fails as [`parse`].
pub fn parse_within(bytes: Vec<u8>, unpacked: u64) -> Result<Group, Hdf5Error> {
    let size = bytes.len() as u64;
    let damaged = |error: hdf5_pure::Error| Hdf5Error::Damaged(error.to_string());
    if let Some(end) = stated_end(&bytes).filter(|&end| end > size) {
        return Err(Hdf5Error::Damaged(format!("it is cut short: {size} of {end} bytes")));
    }
    let source = Metered::new(bytes);
    let meter = source.meter();
    let file = File::from_source(source).map_err(damaged)?;
    let mut reader = Reader {
        meter,
        size,
        unpacked_left: unpacked,
        chunks_left: unpacked,
        // A header of an object takes 16 bytes or more.
        objects_left: size / 16,
    };
    reader.group(&file.root(), &mut Vec::new())
}

/// Where the file should end, as its superblock says, if the file begins with it (HDF5 file format
/// specification 3.0, II.A).
fn stated_end(bytes: &[u8]) -> Option<u64> {
    let rest = bytes.strip_prefix(b"\x89HDF\r\n\x1a\n")?;
    let number = |at: usize| {
        let bytes = rest.get(at..at + 8)?.try_into().ok()?;
        Some(u64::from_le_bytes(bytes))
    };
    // The widths of addresses, the base address and the end, counted from the end of the signature.
    let (width, base, end) = match rest.first()? {
        0 => (5, 16, 32),
        1 => (5, 20, 36),
        2 | 3 => (1, 4, 20),
        _ => return None,
    };
    if rest.get(width) != Some(&8) || number(base)? != 0 {
        return None;
    }
    number(end)
}

struct Reader {
    meter: Meter,
    /// Bytes of the file.
    size: u64,
    /// Bytes of elements, texts and names.
    unpacked_left: u64,
    chunks_left: u64,
    objects_left: u64,
}

impl Reader {
    fn group(
        &mut self,
        group: &hdf5_pure::Group,
        path: &mut Vec<String>,
    ) -> Result<Group, Hdf5Error> {
        let at = |problem: hdf5_pure::Error, path: &[String]| object(path, problem);
        if path.len() > MAX_DEPTH {
            return Err(object(path, format!("nested more than {MAX_DEPTH} groups deep")));
        }
        self.check_attributes(|| group.attr_datatypes())
            .map_err(|problem| object(path, problem))?;
        let attributes = group.attrs().map_err(|e| at(e, path))?;
        let attributes = attributes.into_iter().filter_map(|(name, v)| Some((name, text(&v)?)));
        let attributes: BTreeMap<String, Attribute> = attributes.collect();
        for (name, value) in &attributes {
            self.unpack(Some(name.len() as u64 + value.bytes())).map_err(|e| object(path, e))?;
        }
        let mut members = BTreeMap::new();
        for (name, member) in group.iter_groups().map_err(|e| at(e, path))? {
            self.count(&name, path)?;
            path.push(name.clone());
            let member = self.group(&member, path)?;
            path.pop();
            members.insert(name, Node::Group(member));
        }
        for (name, member) in group.iter_datasets().map_err(|e| at(e, path))? {
            self.count(&name, path)?;
            path.push(name.clone());
            let tensor = self.dataset(&member).map_err(|problem| object(path, problem))?;
            path.pop();
            members.insert(name, Node::Dataset(tensor));
        }
        Ok(Group { attributes, members })
    }

    /// Refuses the attributes of a group or dataset if they unpack to too much. The texts of one are stored
    /// with a common width, and all attributes are unpacked at once; of the `types` one knows the widths
    /// before, and not how many texts there are.
    fn check_attributes(
        &self,
        types: impl FnOnce() -> Result<HashMap<String, Datatype>, hdf5_pure::Error>,
    ) -> Result<(), String> {
        let (stored, types) = self.meter.read_by(types);
        let types = types.map_err(|error| error.to_string())?;
        let width = |datatype: &Datatype| match datatype {
            Datatype::String { size, .. } => Some(u64::from(*size).max(1)),
            _ => None,
        };
        let narrowest = types.values().filter_map(width).min();
        let texts = narrowest.map_or(0, |width| stored / width);
        take(&mut self.unpacked_left.clone(), texts.checked_mul(TEXT))
    }

    fn count(&mut self, name: &str, path: &[String]) -> Result<(), Hdf5Error> {
        self.unpack(Some(name.len() as u64 + MEMBER)).map_err(|e| object(path, e))?;
        let left = self.objects_left.checked_sub(1);
        self.objects_left =
            left.ok_or_else(|| object(path, "more members than the file has room for"))?;
        Ok(())
    }

    fn dataset(&mut self, dataset: &hdf5_pure::Dataset) -> Result<HostTensor, String> {
        let say = |error: hdf5_pure::Error| error.to_string();
        let datatype = dataset.datatype().map_err(say)?;
        let extents = dataset.shape().map_err(say)?;
        let dims: Option<Vec<usize>> = extents.iter().map(|&d| d.try_into().ok()).collect();
        let (dims, count) =
            dims.and_then(|dims| element_count(&dims).map(|count| (dims, count)))
                .ok_or_else(|| format!("shape {extents:?} is beyond the address space"))?;
        let width = dataset.element_size().map_err(say)?;
        // f16 and smaller integers grow to four bytes.
        self.unpack((count as u64).checked_mul(width.max(4)))?;
        if let Layout::Chunked { chunk_shape, .. } = dataset.layout().map_err(say)? {
            // All chunks are unpacked before they are put together.
            let chunks = dataset.chunks().map_err(say)?;
            for chunk in &chunks {
                // Memory for what is stored is had before it is read.
                let end = chunk.address.checked_add(chunk.storage_size);
                if end.is_none_or(|end| end > self.size) {
                    return Err("a chunk ends after the end of the file".into());
                }
            }
            let chunks = chunks.len() as u64;
            let bytes = chunk_shape.iter().try_fold(width, |n, &d| n.checked_mul(d));
            take(&mut self.chunks_left, bytes.and_then(|bytes| bytes.checked_mul(chunks)))?;
        }
        let is_bf16 = match datatype {
            Datatype::Opaque { .. } => {
                self.check_attributes(|| dataset.attr_datatypes())?;
                let attributes = dataset.attrs().map_err(say)?;
                attributes.get(DTYPE).and_then(AttrValue::as_str) == Some("bfloat16")
            }
            _ => false,
        };
        let raw = dataset.read_raw().map_err(say)?;
        let data = elements(&datatype, is_bf16, &raw)?;
        HostTensor::new(dims, data).map_err(|error| error.to_string())
    }

    fn unpack(&mut self, bytes: Option<u64>) -> Result<(), String> {
        take(&mut self.unpacked_left, bytes)
    }
}

fn take(left: &mut u64, bytes: Option<u64>) -> Result<(), String> {
    let rest = bytes.and_then(|bytes| left.checked_sub(bytes));
    *left = rest.ok_or_else(|| {
        "with it the file would unpack to too much for its size; save it without compression"
            .to_owned()
    })?;
    Ok(())
}

impl Attribute {
    /// Bytes of memory.
    fn bytes(&self) -> u64 {
        let bytes = |text: &String| text.len() as u64 + TEXT;
        match self {
            Self::Text(text) => bytes(text),
            Self::Texts(texts) => texts.iter().map(bytes).sum(),
        }
    }
}

fn object(path: &[String], problem: impl Display) -> Hdf5Error {
    Hdf5Error::Object { path: format!("/{}", path.join("/")), problem: problem.to_string() }
}

fn text(value: &AttrValue) -> Option<Attribute> {
    use AttrValue as V;
    let scalar = matches!(
        value,
        V::String(_)
            | V::AsciiString(_)
            | V::StringSized { .. }
            | V::AsciiStringSized { .. }
            | V::VarLenString(_)
            | V::VarLenAsciiString(_)
    );
    match value.as_strings() {
        Some([one]) if scalar => Some(Attribute::Text(one.clone())),
        Some(texts) => Some(Attribute::Texts(texts.to_vec())),
        // h5py makes an empty list an array of doubles.
        None if value.to_f64s().is_some_and(|v| v.is_empty()) => Some(Attribute::Texts(vec![])),
        None => None,
    }
}

fn elements(datatype: &Datatype, is_bf16: bool, raw: &[u8]) -> Result<Data, String> {
    use DatatypeByteOrder::{BigEndian, LittleEndian};
    Ok(match datatype {
        Datatype::Opaque { size: 2, .. } if is_bf16 => {
            Data::F32(decode(raw, |b| bf16::from_le_bytes(b).to_f32()))
        }
        Datatype::Enumeration { base_type, .. } => return elements(base_type, false, raw),
        Datatype::FloatingPoint {
            byte_order: order @ (LittleEndian | BigEndian), layout, ..
        } => {
            let big = *order == BigEndian;
            let bits = (layout.bit_precision, layout.exponent_size, layout.mantissa_size);
            Data::F32(match (bits, layout.bit_offset) {
                ((32, 8, 23), 0) => decode(raw, |b| f32::from_le_bytes(little(b, big))),
                ((64, 11, 52), 0) => narrow(decode(raw, |b| f64::from_le_bytes(little(b, big))))?,
                ((16, 5, 10), 0) => decode(raw, |b| f16::from_le_bytes(little(b, big)).to_f32()),
                ((16, 8, 7), 0) => decode(raw, |b| bf16::from_le_bytes(little(b, big)).to_f32()),
                _ => return Err(unsupported(datatype)),
            })
        }
        Datatype::FixedPoint { size, byte_order: order @ (LittleEndian | BigEndian), layout }
            if layout.bit_offset == 0 && u32::from(layout.bit_precision) == size * 8 =>
        {
            let big = *order == BigEndian;
            Data::U32(match (size, layout.signed) {
                (1, true) => decode_indices(raw, i8::from_le_bytes),
                (1, false) => decode_indices(raw, u8::from_le_bytes),
                (2, true) => decode_indices(raw, |b| i16::from_le_bytes(little(b, big))),
                (2, false) => decode_indices(raw, |b| u16::from_le_bytes(little(b, big))),
                (4, true) => decode_indices(raw, |b| i32::from_le_bytes(little(b, big))),
                (4, false) => decode_indices(raw, |b| u32::from_le_bytes(little(b, big))),
                (8, true) => decode_indices(raw, |b| i64::from_le_bytes(little(b, big))),
                (8, false) => decode_indices(raw, |b| u64::from_le_bytes(little(b, big))),
                _ => return Err(unsupported(datatype)),
            }?)
        }
        _ => return Err(unsupported(datatype)),
    })
}

fn narrow(doubles: Vec<f64>) -> Result<Vec<f32>, String> {
    let one = |x: f64| {
        let float = x as f32;
        let kept = float.is_finite() || !x.is_finite();
        if kept { Ok(float) } else { Err(format!("{x} is beyond the range of f32; rescale it")) }
    };
    doubles.into_iter().map(one).collect()
}

fn little<const WIDTH: usize>(mut bytes: [u8; WIDTH], big: bool) -> [u8; WIDTH] {
    if big {
        bytes.reverse();
    }
    bytes
}

fn unsupported(datatype: &Datatype) -> String {
    format!("element type {datatype:?} is not supported; save it as float32")
}
