use crate::atomic::{AtomicFile, WriteError, write_atomically};
use crate::elements::write_elements;
use rnn_core::{Data, HostTensor};
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Writes `tensor` as an `.npy` file of element type `<f4` or `<u4` to `path`, atomically.
///
/// # Errors
/// Fails with [`WriteError`] if the file cannot be written, or the shape has so many axes that the
/// header would exceed 65,535 bytes. A file at `path` then stays as it was.
pub fn write(path: &Path, tensor: &HostTensor) -> Result<(), WriteError> {
    write_atomically(path, |file| to_writer(file, tensor))
}

/// Writes `tensor` to `writer` in `.npy` format, version 1.0, with element type `<f4` or `<u4`.
///
/// # Errors
/// Fails if `writer` fails, or with [`io::ErrorKind::InvalidInput`] if the shape has so many axes
/// that the header would exceed 65,535 bytes.
pub fn to_writer(writer: &mut impl Write, tensor: &HostTensor) -> io::Result<()> {
    let descr = match tensor.data() {
        Data::F32(_) => "<f4",
        Data::U32(_) => "<u4",
    };
    write_header(writer, descr, tensor.shape().dims())?;
    write_elements(writer, tensor)
}

/// A writer of an `.npy` file of floats, which are given part by part. The file appears at its path
/// once it is complete ([`FloatsWriter::finish`]). If the writer is dropped before, a file at the
/// path stays as it was.
#[derive(Debug)]
pub struct FloatsWriter {
    file: AtomicFile,
    path: PathBuf,
    /// Elements to come.
    left: usize,
}

impl FloatsWriter {
    /// Begins the `.npy` file of an array of floats of this shape. [`FloatsWriter::finish`] moves
    /// it to `path`, over a file that is there.
    ///
    /// # Errors
    /// Fails with [`WriteError`] if the folder is missing or not writable, or the shape has so many
    /// axes that the header would exceed 65,535 bytes.
    pub fn create(path: &Path, shape: &[usize]) -> Result<Self, WriteError> {
        let file = AtomicFile::create(path)?;
        let mut writer = Self { file, path: path.to_owned(), left: shape.iter().product() };
        let written = write_header(&mut writer.file, "<f4", shape);
        writer.named(written)?;
        Ok(writer)
    }

    /// Writes the next elements of the array, in row-major order. The shape of `part` has no
    /// meaning.
    ///
    /// # Errors
    /// Fails with [`WriteError`] if `part` does not hold floats, holds more elements than the array
    /// lacks, or the disk is full.
    pub fn write(&mut self, part: &HostTensor) -> Result<(), WriteError> {
        let written = match (part.as_f32(), self.left.checked_sub(part.shape().len())) {
            (Ok(_), Some(left)) => {
                self.left = left;
                write_elements(&mut self.file, part)
            }
            _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "the part does not fit")),
        };
        self.named(written)
    }

    /// Completes the file and moves it to its path.
    ///
    /// # Errors
    /// Fails with [`WriteError`] if elements are missing, the disk is full, or the file cannot be
    /// renamed. A file at the path then stays as it was.
    pub fn finish(self) -> Result<(), WriteError> {
        if self.left > 0 {
            let missing = format!("{} elements are missing", self.left);
            self.named(Err(io::Error::new(io::ErrorKind::UnexpectedEof, missing)))?;
        }
        self.file.commit()
    }

    fn named(&self, written: io::Result<()>) -> Result<(), WriteError> {
        written.map_err(|source| WriteError { path: self.path.clone(), source })
    }
}

fn write_header(writer: &mut impl Write, descr: &str, shape: &[usize]) -> io::Result<()> {
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (");
    for extent in shape {
        let _ = write!(header, "{extent}, ");
    }
    header.push_str("), }");
    // Magic, version, length and header together take a multiple of 64 bytes, so that the
    // elements can be mapped aligned. The header ends in a newline.
    let padding = 63 - (10 + header.len()) % 64;
    header.extend(std::iter::repeat_n(' ', padding));
    header.push('\n');
    let length = u16::try_from(header.len()).map_err(|_| {
        io::Error::new(io::ErrorKind::InvalidInput, "the shape has too many axes for .npy")
    })?;
    writer.write_all(b"\x93NUMPY\x01\x00")?;
    writer.write_all(&length.to_le_bytes())?;
    writer.write_all(header.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::npy;

    #[test]
    fn what_is_written_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        let floats = HostTensor::from_f32([2, 1], vec![1.5, -0.0]).unwrap();
        write(&path, &floats).unwrap();
        assert_eq!(npy::read(&path).unwrap().to_f32().unwrap(), floats);
        let integers = HostTensor::from_u32([3], vec![0, 1, u32::MAX]).unwrap();
        write(&path, &integers).unwrap();
        assert_eq!(npy::read(&path).unwrap().to_u32().unwrap(), integers);
        let scalar = HostTensor::scalar(2.0);
        write(&path, &scalar).unwrap();
        assert_eq!(npy::read(&path).unwrap().to_f32().unwrap(), scalar);
    }

    #[test]
    fn parts_make_the_whole_and_nothing_less() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        let part = |values: &[f32]| HostTensor::from_f32([values.len()], values.to_vec()).unwrap();
        let mut writer = FloatsWriter::create(&path, &[3, 1]).unwrap();
        writer.write(&part(&[1.0, 2.0])).unwrap();
        assert!(writer.write(&part(&[3.0, 4.0])).is_err());
        assert!(writer.finish().is_err() && !path.exists());
        let mut writer = FloatsWriter::create(&path, &[3, 1]).unwrap();
        writer.write(&part(&[1.0, 2.0])).unwrap();
        writer.write(&part(&[3.0])).unwrap();
        writer.finish().unwrap();
        let whole = HostTensor::from_f32([3, 1], vec![1.0, 2.0, 3.0]).unwrap();
        assert_eq!(npy::read(&path).unwrap().to_f32().unwrap(), whole);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn elements_begin_at_a_multiple_of_64() {
        for rank in 0..40 {
            let mut bytes = Vec::new();
            let tensor = HostTensor::from_u32(vec![1; rank], vec![5]).unwrap();
            to_writer(&mut bytes, &tensor).unwrap();
            assert_eq!((bytes.len() - 4) % 64, 0);
            assert_eq!(npy::parse(&bytes).unwrap().to_u32().unwrap(), tensor);
        }
    }
}
