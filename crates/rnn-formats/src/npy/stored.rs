use super::checksum::Checksum;
use super::header::{self, Header, MAX_HEADER_BYTES};
use super::read::{values, width};
use super::{NpyArray, NpyError};
use rnn_core::Shape;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An array of numbers that stays in its file. Its rows, along the first axis, are read on request,
/// by any number of threads. Clones share the open file.
#[derive(Clone, Debug)]
pub struct StoredArray {
    file: Arc<File>,
    path: PathBuf,
    header: Header,
    shape: Shape,
    /// Offset of the elements in the file, in bytes.
    start: u64,
    row_bytes: usize,
    /// Of the header and the elements.
    checksum: Option<Arc<Checksum>>,
}

impl StoredArray {
    /// Opens the `.npy` file at `path` and reads its header.
    ///
    /// # Errors
    /// Fails with [`NpyError::Io`] if the file cannot be read, with [`NpyError::Malformed`] if the
    /// header is malformed or the length of the file does not fit the shape, and with
    /// [`NpyError::Unsupported`] for an unsupported element type. Fails with
    /// [`NpyError::Indivisible`] for arrays whose rows cannot be read one by one: object arrays,
    /// arrays without an axis, and arrays of several axes in Fortran order.
    pub fn open(path: &Path) -> Result<Self, NpyError> {
        let at_path = |source| NpyError::Io { path: path.to_owned(), source };
        let file = File::open(path).map_err(at_path)?;
        let len = file.metadata().map_err(at_path)?.len();
        Self::within(file, path, (0, len), None)
    }

    /// The array that fills `len` bytes of a file from `start` on, if the file is so long, and has
    /// this CRC-32 if one is known. The CRC-32 is compared once all of the array has been read.
    pub(crate) fn within(
        file: File,
        path: &Path,
        (start, len): (u64, u64),
        crc: Option<u32>,
    ) -> Result<Self, NpyError> {
        let at_path = |source| NpyError::Io { path: path.to_owned(), source };
        let present = file.metadata().map_err(at_path)?.len().saturating_sub(start);
        if len > present {
            let problem = format!("{len} bytes are announced, {present} are there");
            return Err(NpyError::malformed(0, problem));
        }
        let mut head = vec![0; len.min(MAX_HEADER_BYTES as u64 + 12) as usize];
        read_exact_at(&file, &mut head, start).map_err(at_path)?;
        let header = header::parse(&head)?;
        let indivisible = |what| Err(NpyError::Indivisible { what });
        let Some(width) = width(&header.descr) else {
            return match header.descr.as_str() {
                "|O" | "O" => indivisible("of Python objects"),
                _ => Err(NpyError::Unsupported { descr: header.descr }),
            };
        };
        let Some((_, row)) = header.shape.split_first() else {
            return indivisible("of one number, without an axis,");
        };
        if header.fortran_order && !row.is_empty() {
            return indivisible("in Fortran order");
        }
        let shape = Shape::new(header.shape.as_slice());
        let bytes = len - header.data_start as u64;
        let fits = shape.len().checked_mul(width).is_some_and(|needed| needed as u64 == bytes);
        let row_bytes = row.iter().product::<usize>().checked_mul(width).filter(|_| fits);
        let row_bytes = row_bytes.ok_or_else(|| header.misfit(width, bytes))?;
        let checksum = crc.map(|crc| Arc::new(Checksum::new(crc, len)));
        let start = start + header.data_start as u64;
        let (file, path) = (Arc::new(file), path.to_owned());
        let array = Self { file, path, header, shape, start, row_bytes, checksum };
        array.check(0, &head[..array.header.data_start])?;
        Ok(array)
    }

    /// Takes note of bytes that were read, from the start of the header on.
    fn check(&self, at: u64, bytes: &[u8]) -> Result<(), NpyError> {
        match &self.checksum {
            Some(checksum) if !checksum.read(at, bytes) => {
                Err(NpyError::Checksum { path: self.path.clone() })
            }
            _ => Ok(()),
        }
    }

    /// Returns the shape. The first extent is the number of rows.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Returns the size of all elements in the file, in bytes.
    pub fn bytes(&self) -> u64 {
        (self.shape.dims()[0] * self.row_bytes) as u64
    }

    /// Reads the rows with the indices `which`, from 0 on, and returns them in this order: an array
    /// `[which.len(), ..]`. An index may occur several times. Consecutive rows that also follow one
    /// another in `which` are read at once. All reads are in the order of the file.
    ///
    /// # Errors
    /// Fails with [`NpyError`] if a row does not exist, or the file cannot be read: perhaps it has
    /// become shorter since. Of an array in an archive, fails with [`NpyError::Checksum`] as soon as
    /// all rows have been read once, here or through a clone, and are not those that the archive's
    /// checksum is of. Rows that are read one by one in a random order may not count.
    pub fn rows(&self, which: &[u32]) -> Result<NpyArray, NpyError> {
        let count = self.shape.dims()[0];
        if let Some(missing) = which.iter().find(|&&row| row as usize >= count) {
            let problem = format!("row {missing} of {count} was asked for");
            return Err(NpyError::malformed(self.header.data_start, problem));
        }
        let mut bytes = vec![0; which.len() * self.row_bytes];
        let mut order: Vec<(u32, usize)> = which.iter().copied().zip(0..).collect();
        order.sort_unstable();
        for run in order.chunk_by(|a, b| b.0 == a.0 + 1 && b.1 == a.1 + 1) {
            let (row, place) = run[0];
            let part = &mut bytes[place * self.row_bytes..][..run.len() * self.row_bytes];
            let at = self.start + u64::from(row) * self.row_bytes as u64;
            read_exact_at(&self.file, part, at)
                .map_err(|source| NpyError::Io { path: self.path.clone(), source })?;
            let of_header = self.header.data_start as u64;
            self.check(of_header + u64::from(row) * self.row_bytes as u64, part)?;
        }
        let shape = [&[which.len()], &self.header.shape[1..]].concat();
        let header = Header { shape, fortran_order: false, ..self.header.clone() };
        values(header, &bytes)
    }
}

/// Reads at an offset, whatever the position of the file, which is not used.
fn read_exact_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    #[cfg(unix)]
    use std::os::unix::fs::FileExt as _;
    #[cfg(windows)]
    use std::os::windows::fs::FileExt as _;
    while !buffer.is_empty() {
        #[cfg(unix)]
        let read = file.read_at(buffer, offset);
        #[cfg(windows)]
        let read = file.seek_read(buffer, offset);
        match read {
            Ok(0) => {
                let message = "it ends before its array does; was it cut while in use?";
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
            }
            Ok(count) => {
                buffer = &mut buffer[count..];
                offset += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::npy::{self, to_writer};
    use rnn_core::HostTensor;
    use std::error::Error as _;
    use std::io::Write;

    fn stored(bytes: &[u8]) -> Result<StoredArray, NpyError> {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(bytes).expect("room");
        StoredArray::open(file.path())
    }

    fn file() -> Vec<u8> {
        let tensor = HostTensor::from_u32([5, 2, 3], (0..30).collect()).expect("thirty");
        let mut bytes = Vec::new();
        to_writer(&mut bytes, &tensor).expect("memory");
        bytes
    }

    #[test]
    fn rows_are_those_of_the_array_in_memory() {
        let array = stored(&file()).expect("an array");
        let whole = npy::parse(&file()).expect("an array").to_u32().expect("integers");
        assert_eq!((array.shape().dims(), array.bytes()), (&[5, 2, 3][..], 120));
        for which in [&[0, 1, 2, 3, 4][..], &[3, 4, 1, 1, 2], &[4, 0], &[]] {
            let rows = array.rows(which).expect("rows").to_u32().expect("integers");
            assert_eq!(Some(rows), whole.rows(which));
        }
        assert!(array.rows(&[5]).unwrap_err().to_string().contains("row 5 of 5"));
    }

    #[test]
    fn what_cannot_be_read_by_rows_or_is_cut_is_refused() {
        for end in 0..file().len() {
            assert!(stored(&file()[..end]).is_err(), "{end} bytes");
        }
        let header = |text: &str| {
            let length = (text.len() as u16).to_le_bytes();
            [b"\x93NUMPY\x01\x00", &length[..], text.as_bytes(), &[0; 4]].concat()
        };
        for (text, message) in [
            ("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 2)}", "Fortran order"),
            ("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", "Python objects"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': ()}", "without an axis"),
            ("{'descr': '>f4', 'fortran_order': False, 'shape': (1,)}", "'<f4'"),
        ] {
            let error = stored(&header(text)).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
        let vector = "{'descr': '|u1', 'fortran_order': True, 'shape': (4,)}";
        assert!(stored(&header(vector)).is_ok(), "a vector is in both orders");
    }

    #[test]
    fn a_file_that_is_cut_while_it_is_read_is_an_error() {
        let mut file_ = tempfile::NamedTempFile::new().expect("a file");
        file_.write_all(&file()).expect("room");
        let array = StoredArray::open(file_.path()).expect("an array");
        file_.as_file().set_len(file().len() as u64 - 1).expect("it can be cut");
        assert!(array.rows(&[0, 1, 2, 3]).is_ok());
        let error = array.rows(&[4]).unwrap_err().source().unwrap().to_string();
        assert!(error.contains("ends before its array does"), "{error}");
    }
}
