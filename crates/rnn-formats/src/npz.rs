//! NumPy's `.npz` format: a zip archive of `.npy` files.

use crate::budget::{self, OverBudget};
use crate::npy::{self, NpyArray, NpyError, StoredArray};
use crate::pickle::PickleError;
use rnn_core::Shape;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use zip::read::ZipFile;
use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

/// The largest array, unpacked, that is read into memory: 1 GiB.
pub const MAX_ARRAY_BYTES: u64 = 1 << 30;

/// The reason why an `.npz` file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum NpzError {
    /// The file could not be opened or read.
    #[error("cannot read {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// The file is damaged, or not a zip archive.
    #[error("{origin} is not a sound .npz archive; fetch or save it again")]
    Archive {
        /// The name of the file.
        origin: String,
        /// The error of the zip reader.
        source: ZipError,
    },
    /// An array is damaged: it cannot be unpacked, or does not have its checksum.
    #[error("array '{name}' of {origin} cannot be unpacked; fetch or save the file again")]
    Unpack {
        /// The name of the file.
        origin: String,
        /// The name of the array.
        name: String,
        /// The error of the zip reader.
        source: std::io::Error,
    },
    /// The archive has no array of the requested name.
    #[error("{origin} holds no array '{name}'; it holds {}", list(present))]
    Missing {
        /// The name of the file.
        origin: String,
        /// The name of the array that was requested.
        name: String,
        /// The names of the arrays in the archive.
        present: Vec<String>,
    },
    /// The array, unpacked, is larger than [`MAX_ARRAY_BYTES`], or takes more memory with the arrays
    /// that were read before than the archive may take.
    #[error("array '{name}' of {origin} unpacks to too much: {}", OverBudget)]
    TooLarge {
        /// The name of the file.
        origin: String,
        /// The name of the array.
        name: String,
    },
    /// The array is compressed or encrypted, so that single rows cannot be read.
    #[error(
        "array '{name}' of {origin} is compressed and can be read as a whole alone; save it with \
         numpy.savez or numpy.save, or do without streaming"
    )]
    Compressed {
        /// The name of the file.
        origin: String,
        /// The name of the array.
        name: String,
    },
    /// The array is malformed or of an unsupported element type.
    #[error("cannot use array '{name}' of {origin}")]
    Array {
        /// The name of the file.
        origin: String,
        /// The name of the array.
        name: String,
        /// The error of the array.
        source: NpyError,
    },
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "no arrays".into() } else { names.join(", ") }
}

/// An open `.npz` archive. Its arrays are read by name.
pub struct Npz<R> {
    archive: ZipArchive<R>,
    origin: String,
    /// Bytes of memory that are left to the arrays that are read.
    left: u64,
}

impl Npz<BufReader<File>> {
    /// Opens the archive at `path` and reads its directory.
    ///
    /// # Errors
    /// Fails with [`NpzError::Io`] if the file cannot be opened, and with [`NpzError::Archive`] if
    /// it cannot be read as a zip archive.
    pub fn open(path: &Path) -> Result<Self, NpzError> {
        let file =
            File::open(path).map_err(|source| NpzError::Io { path: path.to_owned(), source })?;
        Self::new(BufReader::new(file), path.display().to_string())
    }
}

/// Opens the array `name` of the archive at `path`, to be read from the file as it is needed. Its
/// checksum is compared when all of it has been read, by [`StoredArray::rows`].
///
/// # Errors
/// Fails with [`NpzError::Io`] or [`NpzError::Archive`] if the file cannot be read, with
/// [`NpzError::Missing`] if there is no such array, with [`NpzError::Compressed`] if it is
/// compressed or encrypted, and with [`NpzError::Array`] if [`StoredArray::open`] would fail for
/// it.
pub fn stored(path: &Path, name: &str) -> Result<StoredArray, NpzError> {
    let mut archive = Npz::open(path)?;
    let (origin, present) = (archive.origin.clone(), archive.names());
    let file = File::open(path).map_err(|source| NpzError::Io { path: path.to_owned(), source })?;
    let entry = archive.entry(name, &present)?;
    let (start, len, crc) = (entry.data_start(), entry.size(), entry.crc32());
    let name = name.to_owned();
    match start {
        Some(start) if entry.compression() == CompressionMethod::Stored && !entry.encrypted() => {
            StoredArray::within(file, path, (start, len), Some(crc))
                .map_err(|source| NpzError::Array { origin, name, source })
        }
        _ => Err(NpzError::Compressed { origin, name }),
    }
}

impl<R: Read + Seek> Npz<R> {
    /// Reads the directory of the archive in `reader`. `origin` is its name in error messages.
    ///
    /// # Errors
    /// Fails with [`NpzError::Archive`] if there is no archive in `reader`.
    pub fn new(mut reader: R, origin: impl Into<String>) -> Result<Self, NpzError> {
        let origin = origin.into();
        let size = reader.seek(SeekFrom::End(0)).map_err(ZipError::Io);
        match size.and_then(|size| Ok((size, ZipArchive::new(reader)?))) {
            Ok((size, archive)) => Ok(Self { archive, origin, left: budget::memory(size) }),
            Err(source) => Err(NpzError::Archive { origin, source }),
        }
    }

    /// Returns the names of the arrays, without `.npy`, in the order of the archive. Files with
    /// other endings are left out.
    pub fn names(&self) -> Vec<String> {
        let names = self.archive.file_names();
        names.filter_map(|name| name.strip_suffix(".npy")).map(str::to_owned).collect()
    }

    /// Reads the array `name` (without the `.npy`) into memory. All arrays that are read, and are kept as
    /// tensors of four bytes an element, take together at most [`budget::memory`] of the archive.
    ///
    /// # Errors
    /// Fails with [`NpzError::Missing`] if there is no such array, [`NpzError::TooLarge`] if it
    /// unpacks to more than [`MAX_ARRAY_BYTES`] or to more memory than is left, [`NpzError::Archive`] if it cannot be unpacked,
    /// and [`NpzError::Array`] if it is no array that is supported.
    pub fn read(&mut self, name: &str) -> Result<NpyArray, NpzError> {
        let most = self.left.min(MAX_ARRAY_BYTES);
        let present = self.names();
        let announced = self.entry(name, &present)?.size();
        let (origin, owned) = (self.origin.clone(), name.to_owned());
        let too_large = || NpzError::TooLarge { origin, name: owned };
        if announced > most {
            return Err(too_large());
        }
        let bytes = self.unpack(name, most + 1)?;
        if bytes.len() as u64 > most {
            return Err(too_large());
        }
        match npy::parse_within(bytes, self.left) {
            Ok(array) => {
                self.left = self.left.saturating_sub(array.kept_bytes());
                Ok(array)
            }
            Err(NpyError::Memory(_) | NpyError::Pickle(PickleError::Memory(_))) => Err(too_large()),
            Err(source) => Err(self.array_error(name, source)),
        }
    }

    fn entry(&mut self, name: &str, present: &[String]) -> Result<ZipFile<'_, R>, NpzError> {
        let origin = self.origin.clone();
        self.archive.by_name(&format!("{name}.npy")).map_err(|source| match source {
            ZipError::FileNotFound => {
                NpzError::Missing { origin, name: name.to_owned(), present: present.to_vec() }
            }
            source => NpzError::Archive { origin, source },
        })
    }

    /// Reads the shape of the array `name` (without `.npy`), but not its elements.
    ///
    /// # Errors
    /// Fails with [`NpzError::Missing`] if there is no such array, with [`NpzError::Archive`] if it
    /// cannot be unpacked, and with [`NpzError::Array`] if its header is malformed or that of an
    /// array of records.
    pub fn shape(&mut self, name: &str) -> Result<Shape, NpzError> {
        let bytes = self.unpack(name, npy::MAX_HEADER_BYTES)?;
        npy::shape(&bytes).map_err(|source| self.array_error(name, source))
    }

    fn array_error(&self, name: &str, source: NpyError) -> NpzError {
        NpzError::Array { origin: self.origin.clone(), name: name.to_owned(), source }
    }

    /// The first `most` bytes of an array.
    fn unpack(&mut self, name: &str, most: u64) -> Result<Vec<u8>, NpzError> {
        let (origin, present) = (self.origin.clone(), self.names());
        let entry = self.entry(name, &present)?;
        // If the archive announces too little, the buffer grows with what is actually unpacked. If it
        // announces too much, no more is taken than may be.
        let mut bytes = Vec::new();
        let room = usize::try_from(entry.size().min(most)).unwrap_or(usize::MAX);
        if bytes.try_reserve_exact(room).is_err() {
            let source = ZipError::Io(std::io::ErrorKind::OutOfMemory.into());
            return Err(NpzError::Archive { origin, source });
        }
        match entry.take(most).read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(source) => Err(NpzError::Unpack { origin, name: name.to_owned(), source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rnn_core::HostTensor;
    use std::error::Error as _;
    use std::io::{Cursor, Write};
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    fn archive() -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, value) in [("a.npy", 1.0), ("b.npy", 2.0)] {
            zip.start_file(name, SimpleFileOptions::default()).unwrap();
            npy::to_writer(&mut zip, &HostTensor::scalar(value)).unwrap();
        }
        zip.start_file("damaged.npy", SimpleFileOptions::default()).unwrap();
        zip.write_all(b"nothing").unwrap();
        zip.finish().unwrap().into_inner()
    }

    #[test]
    fn reads_arrays_by_name() {
        let mut npz = Npz::new(Cursor::new(archive()), "test.npz").unwrap();
        assert_eq!(npz.names(), ["a", "b", "damaged"]);
        assert_eq!(npz.read("b").unwrap().to_f32().unwrap(), HostTensor::scalar(2.0));
        assert_eq!(npz.shape("b").unwrap().dims(), [0; 0]);
    }

    #[test]
    fn stored_arrays_are_read_in_place_and_compressed_ones_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        let mut zip = ZipWriter::new(File::create(&path).unwrap());
        let tensor = HostTensor::from_f32([2, 2], vec![1.0, 2.0, 3.0, 4.0]).unwrap();
        for (name, method) in
            [("a.npy", CompressionMethod::Stored), ("b.npy", CompressionMethod::Deflated)]
        {
            let options = SimpleFileOptions::default().compression_method(method);
            zip.start_file(name, options).unwrap();
            npy::to_writer(&mut zip, &tensor).unwrap();
        }
        zip.finish().unwrap();
        let rows = stored(&path, "a").unwrap().rows(&[1]).unwrap();
        assert_eq!(rows.to_f32().unwrap().as_f32(), Ok(&[3.0, 4.0][..]));
        let whole = std::fs::read(&path).unwrap();
        let at = whole.windows(4).position(|bytes| bytes == 3.0_f32.to_le_bytes()).unwrap();
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        std::fs::write(&path, damaged).unwrap();
        let array = stored(&path, "a").unwrap();
        assert!(array.rows(&[1]).is_ok(), "not all of it has been read");
        assert!(matches!(array.rows(&[0]), Err(NpyError::Checksum { .. })));
        std::fs::write(&path, whole).unwrap();
        let array = stored(&path, "a").unwrap();
        assert!(array.rows(&[1]).is_ok() && array.rows(&[0, 1]).is_ok());
        assert!(stored(&path, "b").unwrap_err().to_string().contains("is compressed"));
        assert!(matches!(stored(&path, "c"), Err(NpzError::Missing { .. })));
    }

    #[test]
    fn errors_name_the_archive_and_the_array() {
        let mut npz = Npz::new(Cursor::new(archive()), "test.npz").unwrap();
        let missing = npz.read("c").unwrap_err().to_string();
        assert_eq!(missing, "test.npz holds no array 'c'; it holds a, b, damaged");
        let damaged = npz.read("damaged").unwrap_err();
        assert_eq!(damaged.to_string(), "cannot use array 'damaged' of test.npz");
        let cause = damaged.source().unwrap().to_string();
        assert!(cause.starts_with("not a readable .npy array"));
        assert!(Npz::open(Path::new("no/such.npz")).is_err());
    }

    #[test]
    fn damaged_archives_are_errors() {
        let whole = archive();
        for end in 0..whole.len() {
            assert!(Npz::new(Cursor::new(&whole[..end]), "cut").is_err());
        }
        let mut changed = whole.clone();
        for i in 0..whole.len() {
            changed[i] ^= 0x55;
            if let Ok(mut npz) = Npz::new(Cursor::new(&changed), "changed") {
                for name in npz.names() {
                    let _ = npz.read(&name);
                }
            }
            changed[i] = whole[i];
        }
    }
}
