//! Line numbers of records in CSV files. For files with CRLF line ends the csv crate counts one
//! line too many, because it reads the line feed with the record that follows.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read};
use std::path::Path;

/// A table as it is read, of which no line may have more than a number of delimiters: for each field of a
/// record the csv crate takes many times the byte that the field takes in the file.
pub struct Narrow<R> {
    inner: R,
    delimiter: u8,
    most: usize,
    /// Those of the line so far.
    found: usize,
}

impl<R: Read> Narrow<R> {
    /// Begins to read a table from `inner`, whose lines have at most `most` fields parted by
    /// `delimiter`.
    pub fn new(inner: R, delimiter: u8, most: usize) -> Self {
        Self { inner, delimiter, most, found: 0 }
    }
}

impl<R: Read> Read for Narrow<R> {
    /// Fails with `InvalidData` once a line has more fields.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        for &byte in &buffer[..read] {
            if byte == b'\n' || byte == b'\r' {
                self.found = 0;
            } else if byte == self.delimiter {
                self.found += 1;
            }
            if self.found >= self.most {
                let problem = format!("a line has more than {} columns", self.most);
                return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
            }
        }
        Ok(read)
    }
}

/// Returns the line on which a record begins, from 1 on, as editors count: lines end in LF, CRLF or
/// CR, also within quotes, and blank lines count. If the file cannot be read again, it is the line
/// that `position` has.
pub fn line_of(path: &Path, position: &csv::Position) -> u64 {
    count(path, position.byte()).unwrap_or(position.line())
}

fn count(path: &Path, start: u64) -> std::io::Result<u64> {
    let mut reader = BufReader::new(File::open(path)?);
    let (mut at, mut line, mut carriage) = (0, 1, false);
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(line);
        }
        for &byte in buffer {
            // What ends the record before, and blank lines, come after its position.
            if at >= start && !matches!(byte, b'\r' | b'\n') {
                return Ok(line);
            }
            line += u64::from(byte == b'\r' || byte == b'\n' && !carriage);
            carriage = byte == b'\r';
            at += 1;
        }
        let length = buffer.len();
        reader.consume(length);
    }
}

/// Returns the line, from 1 on, and a description of the problem for which the csv crate refuses
/// the file at `path` with `error`. The line is 1 if `error` has no position.
pub fn problem(path: &Path, error: &csv::Error) -> (u64, String) {
    let line = error.position().map_or(1, |position| line_of(path, position));
    let what = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("it has {len} fields, the lines before it {expected_len}")
        }
        csv::ErrorKind::Utf8 { err, .. } => format!("it is no UTF-8: {err}"),
        csv::ErrorKind::Io(error) => error.to_string(),
        _ => error.to_string(),
    };
    (line, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines on which the records begin.
    fn lines(text: &[u8]) -> Vec<u64> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.csv");
        std::fs::write(&path, text).expect("it can be written");
        let reader = csv::ReaderBuilder::new().has_headers(false).from_path(&path);
        let records = reader.expect("it can be read").into_byte_records();
        let position = |record: csv::ByteRecord| record.position().cloned().expect("a position");
        records.map(|record| line_of(&path, &position(record.expect("a record")))).collect()
    }

    #[test]
    fn records_are_found_whatever_ends_their_lines() {
        for end in ["\n", "\r\n", "\r"] {
            let text = |lines: &[&str]| lines.join(end).into_bytes();
            assert_eq!(lines(&text(&["a,b", "1,2", "3,4", ""])), [1, 2, 3], "{end:?}");
            assert_eq!(lines(&text(&["a,b", "1,2"])), [1, 2], "{end:?}");
            // Blank lines are no records.
            assert_eq!(lines(&text(&["", "a,b", "", "", "1,2", ""])), [2, 5], "{end:?}");
            assert_eq!(lines(&text(&["a,b", "\"x", "y\",2", "3,4"])), [1, 2, 4], "{end:?}");
            assert_eq!(lines(&text(&["\u{feff}a,b", "1,2", "3,4"])), [1, 2, 3], "{end:?}");
        }
    }

    #[test]
    fn a_line_of_another_length_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.csv");
        std::fs::write(&path, "a,b\r\n1,2\r\n\r\n3,4,5\r\n").expect("it can be written");
        let mut reader = csv::Reader::from_path(&path).expect("it can be read");
        let error = reader.records().find_map(Result::err).expect("an error");
        let (line, what) = problem(&path, &error);
        assert_eq!((line, what.as_str()), (4, "it has 3 fields, the lines before it 2"));
    }
}
