//! The header of an `.npy` file: a Python dictionary literal with exactly three keys.

use super::NpyError;
use crate::elements::element_count;
use rnn_core::Shape;

/// Longer headers are refused: a plain array needs 128 bytes, NumPy itself stops at 10,000.
pub(super) const MAX_HEADER_BYTES: usize = 1 << 16;

/// The largest offset, in bytes, at which the elements of an `.npy` file that is read may begin.
pub const MAX_BYTES: u64 = 12 + MAX_HEADER_BYTES as u64;

/// NumPy allows no more axes.
const MAX_RANK: usize = 64;

/// The header of an array.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Header {
    /// The element type, such as `<f4`.
    pub descr: String,
    /// True if the first axis varies fastest, false if the last does.
    pub fortran_order: bool,
    /// The extents; their product does not overflow.
    pub shape: Vec<usize>,
    /// Offset of the elements from the start of the file, in bytes.
    pub data_start: usize,
}

impl Header {
    /// Returns the error of a file whose elements of `width` bytes take `found` bytes together,
    /// though the shape asks for another number.
    pub fn misfit(&self, width: usize, found: u64) -> NpyError {
        let shape = Shape::new(self.shape.as_slice());
        let problem = format!(
            "shape {shape} of {} needs {} elements of {width} bytes, but {found} bytes follow the header",
            self.descr,
            shape.len()
        );
        NpyError::malformed(self.data_start, problem)
    }
}

const MAGIC: &[u8] = b"\x93NUMPY";

/// Reads the magic string, the version and the dictionary.
pub(super) fn parse(bytes: &[u8]) -> Result<Header, NpyError> {
    if !bytes.starts_with(MAGIC) {
        return Err(NpyError::malformed(0, "the magic string \\x93NUMPY is missing"));
    }
    let short = || NpyError::malformed(bytes.len(), "the file ends within its header");
    let (length, start) = match bytes.get(6).ok_or_else(short)? {
        1 => {
            let field = bytes.get(8..10).and_then(|b| b.try_into().ok()).ok_or_else(short)?;
            (usize::from(u16::from_le_bytes(field)), 10)
        }
        2 | 3 => {
            let field = bytes.get(8..12).and_then(|b| b.try_into().ok()).ok_or_else(short)?;
            (u32::from_le_bytes(field) as usize, 12)
        }
        version => {
            return Err(NpyError::malformed(6, format!("format version {version} is unknown")));
        }
    };
    if length > MAX_HEADER_BYTES {
        return Err(NpyError::malformed(8, format!("a header of {length} bytes is too long")));
    }
    let data_start = start + length;
    let text = bytes.get(start..data_start).ok_or_else(short)?;
    Literal { text, at: 0, start }.header(data_start)
}

/// A reader of the dictionary's Python literal.
struct Literal<'a> {
    text: &'a [u8],
    at: usize,
    /// Offset of the text in the file, for error messages.
    start: usize,
}

impl Literal<'_> {
    fn header(mut self, data_start: usize) -> Result<Header, NpyError> {
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        self.expect(b'{')?;
        while !self.accept(b'}') {
            let at = self.at;
            let key = self.string()?;
            self.expect(b':')?;
            let repeated = match key.as_str() {
                "descr" => descr.replace(self.descr()?).is_some(),
                "fortran_order" => fortran_order.replace(self.boolean()?).is_some(),
                "shape" => shape.replace(self.shape()?).is_some(),
                _ => {
                    self.at = at;
                    return Err(self.error(format!("the header key '{key}' is unknown")));
                }
            };
            if repeated {
                return Err(self.error(format!("the header gives '{key}' twice")));
            }
            if !self.accept(b',') {
                self.expect(b'}')?;
                break;
            }
        }
        self.skip_spaces();
        if self.at != self.text.len() {
            return Err(self.error("text follows the header's dictionary"));
        }
        let missing = |key| self.error(format!("the header lacks '{key}'"));
        Ok(Header {
            descr: descr.ok_or_else(|| missing("descr"))?,
            fortran_order: fortran_order.ok_or_else(|| missing("fortran_order"))?,
            shape: shape.ok_or_else(|| missing("shape"))?,
            data_start,
        })
    }

    fn descr(&mut self) -> Result<String, NpyError> {
        self.skip_spaces();
        if self.peek() == Some(b'[') {
            return Err(NpyError::Unsupported { descr: "of records (a structured array)".into() });
        }
        self.string()
    }

    fn string(&mut self) -> Result<String, NpyError> {
        self.skip_spaces();
        let quote = match self.peek() {
            Some(q @ (b'\'' | b'"')) => q,
            _ => return Err(self.error("expected a quoted string")),
        };
        let rest = self.text.get(self.at + 1..).unwrap_or_default();
        let length = rest
            .iter()
            .position(|&b| b == quote)
            .ok_or_else(|| self.error("a string in the header does not end"))?;
        let text = rest.get(..length).unwrap_or_default();
        if text.contains(&b'\\') {
            return Err(self.error("escapes in the header's strings are not read"));
        }
        let text = std::str::from_utf8(text).map_err(|_| self.error("a string is not UTF-8"))?;
        self.at += length + 2;
        Ok(text.to_owned())
    }

    fn boolean(&mut self) -> Result<bool, NpyError> {
        self.skip_spaces();
        let rest = self.text.get(self.at..).unwrap_or_default();
        for (name, value) in [("True", true), ("False", false)] {
            if rest.starts_with(name.as_bytes()) {
                self.at += name.len();
                return Ok(value);
            }
        }
        Err(self.error("expected True or False"))
    }

    fn shape(&mut self) -> Result<Vec<usize>, NpyError> {
        self.expect(b'(')?;
        let mut dims = Vec::new();
        while !self.accept(b')') {
            dims.push(self.extent()?);
            if dims.len() > MAX_RANK {
                return Err(self.error(format!("the shape has more than {MAX_RANK} axes")));
            }
            if !self.accept(b',') {
                self.expect(b')')?;
                break;
            }
        }
        match element_count(&dims) {
            Some(_) => Ok(dims),
            None => Err(self.error("the shape has more elements than memory can address")),
        }
    }

    fn extent(&mut self) -> Result<usize, NpyError> {
        self.skip_spaces();
        let rest = self.text.get(self.at..).unwrap_or_default();
        let length = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        let extent = std::str::from_utf8(rest.get(..length).unwrap_or_default())
            .ok()
            .and_then(|digits| digits.parse().ok())
            .ok_or_else(|| self.error("expected the extent of an axis"))?;
        self.at += length;
        // Python 2 wrote its long integers with this suffix.
        self.accept(b'L');
        Ok(extent)
    }

    fn skip_spaces(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\t')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn accept(&mut self, byte: u8) -> bool {
        self.skip_spaces();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Result<(), NpyError> {
        if self.accept(byte) {
            return Ok(());
        }
        Err(self.error(format!("expected '{}' in the header", char::from(byte))))
    }

    fn error(&self, problem: impl Into<String>) -> NpyError {
        NpyError::malformed(self.start + self.at, problem)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(version: u8, text: &str) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend([version, 0]);
        match version {
            1 => bytes.extend((text.len() as u16).to_le_bytes()),
            _ => bytes.extend((text.len() as u32).to_le_bytes()),
        }
        bytes.extend(text.as_bytes());
        bytes
    }

    fn problem(text: &str) -> String {
        parse(&file(1, text)).unwrap_err().to_string()
    }

    #[test]
    fn reads_all_versions() {
        let text = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3L), }   \n";
        for version in 1..=3 {
            let header = parse(&file(version, text)).unwrap();
            assert_eq!((header.descr.as_str(), header.fortran_order), ("<f4", false));
            assert_eq!(header.shape, [2, 3]);
        }
    }

    #[test]
    fn reads_scalars_and_vectors() {
        let shape = |s: &str| {
            let text = format!("{{\"shape\": {s}, 'fortran_order': True, 'descr': '|O'}}");
            parse(&file(1, &text)).unwrap().shape
        };
        assert!(shape("()").is_empty());
        assert_eq!(shape("(7,)"), [7]);
    }

    #[test]
    fn says_what_is_wrong() {
        assert!(problem("{'descr': '<f4', 'shape': (1,)}").contains("lacks 'fortran_order'"));
        assert!(problem("{'descr': '<f4', 'descr': '<f4'}").contains("'descr' twice"));
        assert!(problem("{'desc': 1}").contains("'desc' is unknown"));
        assert!(problem("{'shape': (-1,)}").contains("extent"));
        assert!(problem("{'shape': (4294967296, 4294967296, 0)}").contains("memory"));
        assert!(problem("{'descr': [('a', '<f4')]}").contains("structured"));
        assert!(parse(b"PK").unwrap_err().to_string().contains("magic"));
    }

    #[test]
    fn every_prefix_is_an_error() {
        let whole = file(2, "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}");
        for end in 0..whole.len() {
            assert!(parse(&whole[..end]).is_err());
        }
    }
}
