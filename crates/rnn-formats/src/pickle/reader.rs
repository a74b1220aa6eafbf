//! Reading the operands of opcodes.

use super::PickleError;
use super::value::Value;

/// A position in the pickle.
pub(super) struct Reader<'a> {
    input: &'a [u8],
    at: usize,
    /// The offset of the opcode being read, for error messages.
    opcode_at: usize,
}

impl<'a> Reader<'a> {
    /// Creates a reader at the beginning of a pickle.
    pub fn new(input: &'a [u8]) -> Self {
        Self { input, at: 0, opcode_at: 0 }
    }

    /// Returns the length of the whole pickle in bytes.
    pub fn len(&self) -> usize {
        self.input.len()
    }

    /// Reads the next opcode.
    ///
    /// # Errors
    /// Fails with [`PickleError::Content`] at the end of the pickle.
    pub fn opcode(&mut self) -> Result<u8, PickleError> {
        self.opcode_at = self.at;
        Ok(self.array::<1>()?[0])
    }

    /// Returns an error about the contents of the pickle, with the offset of the opcode that is
    /// being read.
    pub fn content(&self, problem: impl Into<String>) -> PickleError {
        PickleError::Content { problem: problem.into(), at: self.opcode_at }
    }

    /// Returns the error that the callable `name` of `module` is not recognised, with the offset of
    /// the opcode that is being read.
    pub fn callable(&self, module: &[u8], name: &[u8]) -> PickleError {
        let name = format!("{}.{}", String::from_utf8_lossy(module), String::from_utf8_lossy(name));
        PickleError::Callable { name, at: self.opcode_at }
    }

    /// Reads the next `N` bytes as an array.
    ///
    /// # Errors
    /// Fails with [`PickleError::Content`] if fewer bytes are left; the position then does not
    /// change.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], PickleError> {
        let array = self.input.get(self.at..).and_then(|rest| rest.first_chunk::<N>());
        let array = *array.ok_or_else(|| self.content("the pickle ends early"))?;
        self.at += N;
        Ok(array)
    }

    /// Reads the next `len` bytes as a slice of the pickle.
    ///
    /// # Errors
    /// Fails with [`PickleError::Content`] if fewer bytes are left; the position then does not
    /// change.
    pub fn bytes(&mut self, len: usize) -> Result<&'a [u8], PickleError> {
        let end = self.at.checked_add(len);
        let bytes = end
            .and_then(|end| self.input.get(self.at..end))
            .ok_or_else(|| self.content("the pickle ends early"))?;
        self.at += len;
        Ok(bytes)
    }

    /// Reads a length or index of `N` little-endian bytes; `N` is at most 8.
    ///
    /// # Errors
    /// Fails with [`PickleError::Content`] if fewer bytes are left, or the number does not fit
    /// usize.
    pub fn size<const N: usize>(&mut self) -> Result<usize, PickleError> {
        let mut wide = [0; 8];
        wide.iter_mut().zip(self.array::<N>()?).for_each(|(w, b)| *w = b);
        usize::try_from(u64::from_le_bytes(wide))
            .map_err(|_| self.content("a length is beyond the address space"))
    }

    /// Reads a string or bytes that follow their length, a little-endian number of `N` bytes.
    ///
    /// # Errors
    /// Fails with [`PickleError::Content`] if fewer bytes are left.
    pub fn counted<const N: usize>(&mut self) -> Result<Value, PickleError> {
        let len = self.size::<N>()?;
        self.bytes(len)?;
        Ok(self.text(self.at - len, len))
    }

    /// Reads the bytes up to the next newline, and skips the newline.
    ///
    /// # Errors
    /// Fails with [`PickleError::Content`] if there is no newline.
    pub fn line(&mut self) -> Result<&'a [u8], PickleError> {
        let rest = self.input.get(self.at..).unwrap_or_default();
        let len = rest
            .iter()
            .position(|&b| b == b'\n')
            .ok_or_else(|| self.content("the pickle ends early"))?;
        self.at += len + 1;
        Ok(rest.get(..len).unwrap_or_default())
    }

    /// Reads a string up to the next newline. If `quoted` is true, the string stands within single
    /// or double quotes, which are left out; if `quoted` is false, the whole line is the string.
    ///
    /// # Errors
    /// Fails with [`PickleError::Content`] if there is no newline, the line should be quoted and is
    /// not, or it contains a backslash.
    pub fn text_line(&mut self, quoted: bool) -> Result<Value, PickleError> {
        let mut start = self.at;
        let mut line = self.line()?;
        if quoted {
            line = match line {
                [b'\'', inner @ .., b'\''] | [b'"', inner @ .., b'"'] => inner,
                _ => return Err(self.content("a string is not quoted")),
            };
            start += 1;
        }
        if line.contains(&b'\\') {
            return Err(self.content("strings with escapes are not read"));
        }
        Ok(self.text(start, line.len()))
    }

    /// Reads a decimal integer up to the next newline, optionally with the suffix of a Python 2
    /// long.
    ///
    /// # Errors
    /// Fails with [`PickleError`] if there is no newline, or the line is no integer of at most 64
    /// bits.
    pub fn decimal(&mut self) -> Result<i64, PickleError> {
        let line = self.line()?;
        let digits = line.strip_suffix(b"L").unwrap_or(line);
        std::str::from_utf8(digits)
            .ok()
            .and_then(|digits| digits.parse().ok())
            .ok_or_else(|| self.content("expected a decimal integer of at most 64 bits"))
    }

    /// Reads the operand of the opcode INT, which protocols 0 and 1 also use for booleans.
    ///
    /// # Errors
    /// Fails with [`PickleError`] if there is no newline, or the line is neither a boolean nor an
    /// integer of at most 64 bits.
    pub fn int(&mut self) -> Result<Value, PickleError> {
        let start = self.at;
        match self.line()? {
            b"00" => return Ok(Value::Bool(false)),
            b"01" => return Ok(Value::Bool(true)),
            _ => self.at = start,
        }
        self.decimal().map(Value::Int)
    }

    /// Reads a decimal index of the memo, up to the next newline.
    ///
    /// # Errors
    /// Fails with [`PickleError::Content`] if there is no newline, or the line is not a number from
    /// 0 on.
    pub fn decimal_size(&mut self) -> Result<usize, PickleError> {
        let value = self.decimal()?;
        usize::try_from(value).map_err(|_| self.content("a memo index is negative"))
    }

    /// Reads a little-endian integer of `len` bytes in two's complement.
    ///
    /// # Errors
    /// Fails with [`PickleError::Content`] if fewer bytes are left, or the integer does not fit 64
    /// bits.
    pub fn long(&mut self, len: usize) -> Result<i64, PickleError> {
        let bytes = self.bytes(len)?;
        let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
        let fill = if negative { 0xff } else { 0 };
        let (low, high) = bytes.split_at(len.min(8));
        let mut wide = [fill; 8];
        wide.iter_mut().zip(low).for_each(|(w, b)| *w = *b);
        let value = i64::from_le_bytes(wide);
        if high.iter().any(|&b| b != fill) || (value < 0) != negative {
            return Err(self.content("an integer has more than 64 bits"));
        }
        Ok(value)
    }

    /// Returns the bytes of a text value; `None` if the value is not a text.
    pub fn resolve(&self, value: Value) -> Option<&'a [u8]> {
        match value {
            Value::Text { start, len } => {
                self.input.get(start as usize..start as usize + len as usize)
            }
            _ => None,
        }
    }

    // The input is at most `MAX_BYTES` long, so that offsets fit 32 bits.
    fn text(&self, start: usize, len: usize) -> Value {
        Value::Text { start: start as u32, len: len as u32 }
    }
}
