//! Tables of numbers: `.csv` files whose columns are the features and labels of examples.

use crate::error::RunError;
use anyhow::{Context, Result, anyhow, bail, ensure};
use rnn_core::{HostTensor, short};
use rnn_data::text::{self, Narrow};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};

/// The columns of a table that a user names: by the names in its first line, or by their numbers
/// from 0 on if that line has no names. The default names none.
#[derive(Clone, Debug, Default)]
pub struct ColumnChoice {
    /// The columns that hold the labels. Several columns make one label of several numbers. If the
    /// list is empty, [`Table::choose`] fails.
    pub target: Vec<String>,
    /// The columns that are features; if the list is empty, all columns that are not labels.
    pub features: Vec<String>,
}

/// The columns of a table that are features and labels, as a run stores them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Columns {
    /// The columns that are features, by name, or by number as text if the table has no names.
    pub features: Vec<String>,
    /// The columns that are labels, by name, or by number as text if the table has no names.
    pub targets: Vec<String>,
    /// All columns of the table, in its order, by name, or by number as text if it has no names.
    pub all: Vec<String>,
    /// True if the first line of the table names the columns; false if it already holds numbers.
    pub named: bool,
}

/// The most columns of a table.
const MAX_COLUMNS: usize = 1 << 16;

/// A `.csv` file of numbers, of which the first line has been read.
#[derive(Debug)]
pub struct Table {
    path: PathBuf,
    columns: Vec<String>,
    named: bool,
}

impl Table {
    /// Reads the first line of the table at `path`. The line names the columns if none of its cells
    /// is a number, or if a cell that is no number is a name in `asked`. Otherwise the columns are
    /// numbered from 0 on.
    ///
    /// # Errors
    /// Fails if the file cannot be read, is no table, or is empty.
    pub fn open(path: &Path, asked: &ColumnChoice) -> Result<Self> {
        let asked = |cell: &&str| asked.target.iter().chain(&asked.features).any(|n| n == cell);
        Self::read_names(path, |cells| cells.iter().any(|c| number(c).is_none() && asked(c)))
    }

    /// Reads the first line of the table at `path`. `of` holds the columns of the table that a
    /// model was trained on. The line names the columns if none of its cells is a number, if a cell
    /// that is no number is a name in `of`, or if all cells are. If `of` is `None` or has no names,
    /// only the first of these rules applies.
    ///
    /// # Errors
    /// Fails as [`Table::open`].
    pub fn open_known(path: &Path, of: Option<&Columns>) -> Result<Self> {
        let known = of.filter(|of| of.named).into_iter().flat_map(|of| &of.all);
        let known: HashSet<&str> = known.map(String::as_str).collect();
        let is_name = |cell: &&str| known.contains(cell);
        Self::read_names(path, |cells| {
            cells.iter().any(|c| number(c).is_none() && is_name(c)) || cells.iter().all(is_name)
        })
    }

    fn read_names(path: &Path, names: impl Fn(&[&str]) -> bool) -> Result<Self> {
        let first = reader(path)?.into_records().next();
        let empty = || format!("{} holds no rows of numbers", path.display());
        let first = first.with_context(empty)?.with_context(|| no_table(path))?;
        let cells: Vec<&str> = first.iter().map(without_mark).collect();
        let named = cells.iter().all(|cell| number(cell).is_none()) || names(&cells);
        let name = |(index, cell): (usize, &&str)| match named && !cell.is_empty() {
            true => (*cell).to_owned(),
            false => index.to_string(),
        };
        let columns = cells.iter().enumerate().map(name).collect();
        Ok(Self { path: path.to_owned(), columns, named })
    }

    fn listed(&self) -> String {
        let columns = self.columns.join(", ");
        match self.named {
            true => format!("its columns are {columns}"),
            false => format!("its first line names no columns; by number they are {columns}"),
        }
    }

    /// Returns the error that the table has no known column of labels, [`RunError::NoTarget`].
    pub fn without_target(&self) -> anyhow::Error {
        RunError::NoTarget { path: self.path.clone(), columns: self.listed() }.into()
    }

    /// The places of columns.
    fn places(&self, names: &[String]) -> Result<Vec<usize>> {
        let mut all: HashMap<&str, Option<usize>> = HashMap::new();
        for (place, name) in self.columns.iter().enumerate() {
            // None for a name of several.
            all.entry(name).and_modify(|place| *place = None).or_insert(Some(place));
        }
        let place = |name: &String| match all.get(name.as_str()) {
            Some(&Some(place)) => Ok(place),
            None => bail!("{} has no column {name}; {}", self.path.display(), self.listed()),
            Some(None) => bail!("{} has several columns {name}", self.path.display()),
        };
        names.iter().map(place).collect()
    }

    /// Returns the columns that are features and labels, as a user names them. If `asked` names no
    /// features, all columns but the labels are features.
    ///
    /// # Errors
    /// Fails with [`RunError::NoTarget`] if `asked` names no label, with [`RunError::ColumnTwice`]
    /// if it names a column twice, and with [`RunError::NoFeatures`] if no feature is left. Fails
    /// also if a column is missing or several columns have its name.
    pub fn choose(&self, asked: &ColumnChoice) -> Result<Columns> {
        if asked.target.is_empty() {
            return Err(self.without_target());
        }
        let mut named = HashSet::new();
        for part in [&asked.target, &asked.features] {
            self.places(part)?;
            let again = part.iter().find(|name| !named.insert(*name));
            if let Some(name) = again {
                bail!(RunError::ColumnTwice { name: name.clone() });
            }
        }
        let others = || self.columns.iter().filter(|name| !asked.target.contains(name)).cloned();
        let features = match asked.features.is_empty() {
            true => others().collect(),
            false => asked.features.clone(),
        };
        ensure!(!features.is_empty(), RunError::NoFeatures { path: self.path.clone() });
        self.places(&features)?;
        let (targets, all) = (asked.target.clone(), self.columns.clone());
        Ok(Columns { features, targets, all, named: self.named })
    }

    /// Reads the columns that are features in `of`, the columns of the table that was trained on,
    /// as floats `[rows, features]`.
    ///
    /// If both tables have names, columns are found by name, in any order. Otherwise they are found
    /// by their place: this table must have as many columns as the one that was trained on, or hold
    /// the features alone.
    ///
    /// # Errors
    /// Fails if the file cannot be read or holds no rows, a column is missing or several have its
    /// name, this table has another number of columns where places count, or a cell that is read is
    /// no number.
    pub fn features(&self, of: &Columns) -> Result<HostTensor> {
        self.named_or_numbered(&of.features, of, true)
    }

    /// Reads the columns that are labels in `of`, as floats `[rows, targets]`. They are found as
    /// [`Table::features`] finds features, except that a table of the labels alone does not do.
    ///
    /// # Errors
    /// Fails as [`Table::features`].
    pub fn targets(&self, of: &Columns) -> Result<HostTensor> {
        self.named_or_numbered(&of.targets, of, false)
    }

    fn named_or_numbered(
        &self,
        wanted: &[String],
        of: &Columns,
        alone: bool,
    ) -> Result<HostTensor> {
        let width = self.columns.len();
        let places = if self.named && of.named {
            self.places(wanted)?
        } else if width == of.all.len() {
            let all = of.all.iter().enumerate().rev();
            let all: HashMap<&String, usize> = all.map(|(place, name)| (name, place)).collect();
            let places: Option<Vec<usize>> = wanted.iter().map(|n| all.get(n).copied()).collect();
            places.context("the columns of the run are damaged")?
        } else if alone && width == wanted.len() {
            (0..width).collect()
        } else {
            bail!(
                "{} has {width} columns; the model was trained on {} of {} columns: {}",
                self.path.display(),
                of.features.len(),
                of.all.len(),
                of.features.join(", ")
            )
        };
        self.read(&places)
    }

    /// Reads all columns in the order of the file, as floats `[rows, columns]`.
    ///
    /// # Errors
    /// Fails if the file cannot be read or holds no rows, or a cell is no number.
    pub fn all(&self) -> Result<HostTensor> {
        self.read(&(0..self.columns.len()).collect::<Vec<_>>())
    }

    /// Some columns, `[rows, columns]`; the others may hold anything.
    fn read(&self, places: &[usize]) -> Result<HostTensor> {
        let shown = self.path.display();
        let (mut values, mut rows) = (Vec::new(), 0);
        for (index, record) in reader(&self.path)?.into_records().enumerate() {
            let record = record.map_err(|error| {
                let (line, problem) = text::problem(&self.path, &error);
                anyhow!("{}: line {line}: {problem}", no_table(&self.path))
            })?;
            if index == 0 && self.named {
                continue;
            }
            for &place in places {
                let cell = without_mark(record.get(place).unwrap_or_default());
                let Some(number) = number(cell) else {
                    let line = record.position().map_or(0, |at| text::line_of(&self.path, at));
                    let (cell, column) = (short(cell, 60), short(&self.columns[place], 60));
                    bail!("{shown}, line {line}: \"{cell}\" in column {column} is no number");
                };
                values.push(number);
            }
            rows += 1;
        }
        ensure!(rows > 0, "{shown} holds no rows of numbers");
        Ok(HostTensor::from_f32([rows, places.len()], values)?)
    }
}

fn reader(path: &Path) -> Result<csv::Reader<Narrow<File>>> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let table = Narrow::new(file, b',', MAX_COLUMNS);
    let mut reader = csv::ReaderBuilder::new();
    Ok(reader.has_headers(false).trim(csv::Trim::All).from_reader(table))
}

fn no_table(path: &Path) -> String {
    format!("{} is no table", path.display())
}

fn number(cell: &str) -> Option<f32> {
    cell.parse().ok()
}

/// Without the byte order mark that some programs put in front of text.
fn without_mark(cell: &str) -> &str {
    cell.trim_start_matches('\u{feff}').trim()
}

#[cfg(test)]
mod tests {
    use super::{ColumnChoice, Columns, Table};
    use std::fs;
    use std::path::{Path, PathBuf};

    fn table(folder: &Path, name: &str, text: &str) -> PathBuf {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn asked(target: &[&str], features: &[&str]) -> ColumnChoice {
        let all = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        ColumnChoice { target: all(target), features: all(features) }
    }

    fn choose(path: &Path, asked: &ColumnChoice) -> anyhow::Result<Columns> {
        Table::open(path, asked)?.choose(asked)
    }

    #[test]
    fn columns_are_found_by_name_in_any_order() {
        let folder = tempfile::tempdir().unwrap();
        let text = "\u{feff}a, b ,label\r\n1,2,0\r\n\r\n3,4,1\r\n";
        let path = table(folder.path(), "t.csv", text);
        let of = choose(&path, &asked(&["label"], &[])).unwrap();
        assert_eq!((of.features.as_slice(), of.named), (&["a".into(), "b".into()][..], true));
        let open = |path: &Path| Table::open_known(path, Some(&of)).unwrap();
        let read = |path: &Path| open(path).features(&of).map(|x| x.as_f32().unwrap().to_vec());
        assert_eq!(read(&path).unwrap(), [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(open(&path).targets(&of).unwrap().as_f32().unwrap(), [0.0, 1.0]);
        let other = table(folder.path(), "o.csv", "name,b,a\nx,2,1\ny,4,3\n");
        assert_eq!(read(&other).unwrap(), [1.0, 2.0, 3.0, 4.0]);
        // Without names the order counts.
        let bare = table(folder.path(), "b.csv", "1,2\n3,4\n");
        assert_eq!(read(&bare).unwrap(), [1.0, 2.0, 3.0, 4.0]);
        let bare = table(folder.path(), "b.csv", "1,2,7\n3,4,7\n");
        assert_eq!(read(&bare).unwrap(), [1.0, 2.0, 3.0, 4.0]);
        let bare = table(folder.path(), "b.csv", "1,2,7,8\n3,4,7,8\n");
        assert!(read(&bare).is_err());
        let short = table(folder.path(), "s.csv", "a,c\n1,2\n");
        assert!(read(&short).unwrap_err().to_string().contains("no column b"));
        let odd = table(folder.path(), "odd.csv", "a,b,label\r\n1,2,0\r\n\r\n3,x,1\r\n");
        let message = read(&odd).unwrap_err().to_string();
        assert!(message.contains("line 4") && message.contains("column b"), "{message}");
    }

    #[test]
    fn what_is_no_column_is_named_with_those_that_there_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = table(folder.path(), "t.csv", "2019,2020,label\n1,2,0\n");
        let of = choose(&path, &asked(&["label"], &[])).unwrap();
        assert_eq!(of.features, ["2019", "2020"]);
        let years = table(folder.path(), "y.csv", "2020,2019\n2,1\n");
        let years = Table::open_known(&years, Some(&of)).unwrap().features(&of).unwrap();
        assert_eq!(years.as_f32().unwrap(), [1.0, 2.0]);
        let bare = table(folder.path(), "b.csv", "1,2,0\n3,4,1\n");
        assert_eq!(choose(&bare, &asked(&["2"], &[])).unwrap().features, ["0", "1"]);
        assert_eq!(choose(&bare, &asked(&["2"], &["1"])).unwrap().features, ["1"]);
        for (asked, part) in [
            (asked(&[], &[]), "labels are a column"),
            (asked(&["3"], &[]), "0, 1, 2"),
            (asked(&["0", "1", "2"], &[]), "no column besides"),
            (asked(&["2", "2"], &[]), "named twice"),
            (asked(&["2"], &["1", "2"]), "named twice"),
        ] {
            let message = choose(&bare, &asked).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
        let twice = table(folder.path(), "w.csv", "a,a,y\n1,2,0\n");
        assert!(choose(&twice, &asked(&["y"], &[])).is_err());
    }
}
