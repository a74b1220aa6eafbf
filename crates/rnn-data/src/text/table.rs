use super::collect::{Collection, TextSplit};
use super::lines::{Narrow, line_of, problem};
use super::{Columns, MAX_TEXT, TextError, at, label};
use serde_json::{Map, Value};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

const TEXT: [&str; 3] = ["text", "review", "sentence"];
const LABEL: [&str; 3] = ["label", "sentiment", "class"];

/// The most columns of a table, and the most delimiters of a line of a text.
const MAX_COLUMNS: usize = 1 << 18;

/// The format of a table.
#[derive(Clone, Copy, Debug)]
pub(super) enum Format {
    /// A line of column names, then fields parted by this byte.
    Fields(u8),
    /// An object on each line.
    JsonLines,
}

impl Format {
    /// Returns the format of a file, judged by the extension of its name; `None` for other
    /// extensions.
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "csv" => Some(Self::Fields(b',')),
            "tsv" => Some(Self::Fields(b'\t')),
            "jsonl" | "ndjson" => Some(Self::JsonLines),
            _ => None,
        }
    }
}

pub(super) fn read(
    path: &Path,
    format: Format,
    columns: &Columns,
    all: &mut Collection,
) -> Result<(), TextError> {
    let file = File::open(path).map_err(at(path))?;
    let table = Table { path, columns };
    match format {
        Format::Fields(delimiter) => table.read_fields(file, delimiter, all),
        Format::JsonLines => table.read_json_lines(file, all),
    }
}

struct Table<'a> {
    path: &'a Path,
    columns: &'a Columns,
}

impl Table<'_> {
    fn read_fields(
        &self,
        file: File,
        delimiter: u8,
        all: &mut Collection,
    ) -> Result<(), TextError> {
        let file = Narrow::new(file, delimiter, MAX_COLUMNS);
        let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(file);
        let names = reader.byte_headers().map_err(|e| self.damaged(&e))?;
        let names: Vec<String> =
            names.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        if names.is_empty() {
            return Err(TextError::Empty { path: self.path.into() });
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let [text, class] = self.places(&names)?;
        let mut record = csv::ByteRecord::new();
        while reader.read_byte_record(&mut record).map_err(|e| self.damaged(&e))? {
            // A record has as many fields as there are names: the reader sees to it.
            let (text, class) = (record.get(text), record.get(class));
            let (text, class) = (text.unwrap_or_default(), class.unwrap_or_default());
            // It is counted only where it is told.
            let line = || record.position().map_or(0, |position| line_of(self.path, position));
            if text.len() as u64 > MAX_TEXT {
                return Err(TextError::Long { path: self.path.into(), line: line() });
            }
            let class = String::from_utf8_lossy(class);
            let positive = label::parse(&class).ok_or_else(|| self.unknown(line(), &class))?;
            let text = all.text(text);
            all.push(TextSplit::Train, &text, positive);
        }
        Ok(())
    }

    fn read_json_lines(&self, file: File, all: &mut Collection) -> Result<(), TextError> {
        let mut reader = BufReader::new(file);
        let mut bytes = Vec::new();
        for line in 1.. {
            bytes.clear();
            let limit = 2 * MAX_TEXT;
            let read = reader.by_ref().take(limit).read_until(b'\n', &mut bytes);
            if read.map_err(at(self.path))? == 0 {
                break;
            }
            if bytes.len() as u64 == limit {
                return Err(TextError::Long { path: self.path.into(), line });
            }
            if bytes.trim_ascii().is_empty() {
                continue;
            }
            let (text, positive) = self.object(line, &all.text(&bytes))?;
            if text.len() as u64 > MAX_TEXT {
                return Err(TextError::Long { path: self.path.into(), line });
            }
            all.push(TextSplit::Train, &text, positive);
        }
        Ok(())
    }

    /// Text and label of a line.
    fn object(&self, line: u64, json: &str) -> Result<(String, bool), TextError> {
        let mut object: Map<String, Value> = serde_json::from_str(json).map_err(|e| {
            self.record(line, format!("an object on a line of its own was expected: {e}"))
        })?;
        let names: Vec<&str> = object.keys().map(String::as_str).collect();
        let [text, class] = self.places(&names)?;
        let (text, class) = (names[text].to_owned(), &object[names[class]]);
        let positive = match class {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let positive = label::parse(&positive).ok_or_else(|| self.unknown(line, &positive))?;
        match object.remove(&text) {
            Some(Value::String(text)) => Ok((text, positive)),
            _ => Err(self.record(line, format!("{text:?} is not a string"))),
        }
    }

    /// Returns the indices of the columns of text and label.
    fn places(&self, names: &[&str]) -> Result<[usize; 2], TextError> {
        let Columns { text, label } = self.columns;
        let text = self.place(names, text.as_deref(), TEXT, "text")?;
        Ok([text, self.place(names, label.as_deref(), LABEL, "label")?])
    }

    fn place(
        &self,
        names: &[&str],
        asked: Option<&str>,
        usual: [&str; 3],
        of: &'static str,
    ) -> Result<usize, TextError> {
        // Spreadsheets put a byte order mark in front of the first name.
        let plain = |name: &str| name.trim_start_matches('\u{feff}').trim().to_lowercase();
        let find = |wanted: &str| names.iter().position(|name| plain(name) == plain(wanted));
        let place = match asked {
            Some(name) => find(name),
            None => usual.into_iter().find_map(find),
        };
        let [a, b, c] = usual;
        place.ok_or_else(|| TextError::Column {
            path: self.path.into(),
            wanted: asked.map_or(format!("{a}, {b} or {c}"), |name| format!("{name:?}")),
            found: names.join(", "),
            of,
        })
    }

    fn unknown(&self, line: u64, value: &str) -> TextError {
        TextError::Label { path: self.path.into(), line, value: value.chars().take(40).collect() }
    }

    fn record(&self, line: u64, problem: String) -> TextError {
        TextError::Record { path: self.path.into(), line, problem }
    }

    fn damaged(&self, error: &csv::Error) -> TextError {
        let (line, problem) = problem(self.path, error);
        self.record(line, problem)
    }
}
