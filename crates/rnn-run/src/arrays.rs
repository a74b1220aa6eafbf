//! The user's arrays: `.npy`, `.npz`, folders of `.npy` and `.csv`, as a model takes them.

mod array;
mod table;

pub use array::{Array, Streamed};
pub use table::{ColumnChoice, Columns, Table};

use crate::error::RunError;
use anyhow::{Context, Error, Result, bail, ensure};
use rnn::nn::Input;
use rnn_core::{HostTensor, Shape};
use rnn_formats::npy::{self, NpyArray, NpyError, StoredArray};
use rnn_formats::npz::{self, Npz};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

/// The arrays in one `.npy`, `.npz` or `.csv` file, or in a folder of `.npy` files. Each has a
/// name, except that of an `.npy` file.
pub struct Arrays {
    path: PathBuf,
    held: Held,
    stream: bool,
    /// The names of those that were asked for.
    used: BTreeSet<String>,
    remarks: Vec<String>,
}

enum Held {
    One,
    Named(Npz<BufReader<File>>),
    /// The names of the `.npy` files in it.
    Folder(Vec<String>),
    /// Columns of a table of numbers: what a model is fed and, where they are known, the labels.
    Table(HostTensor, Option<HostTensor>),
}

/// An array that would take more than this part of the memory that is free is streamed.
const SHARE: u64 = 4;

/// The kind of elements that an array is read as: floats or integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElementKind {
    /// Floating-point numbers, as `f32`.
    Floats,
    /// Token ids or classes, as `u32`.
    Whole,
}

impl ElementKind {
    /// Returns the kind of elements that an input of a model takes.
    pub fn of(input: &Input) -> Self {
        if input.tokens { Self::Whole } else { Self::Floats }
    }
}

/// Returns the extents of one example of each array: its shape without the first axis, which counts
/// the examples.
pub fn samples<'a>(shapes: impl Iterator<Item = &'a Shape>) -> Vec<&'a [usize]> {
    shapes.map(|shape| shape.dims().get(1..).unwrap_or_default()).collect()
}

impl Arrays {
    /// Opens a `.npy`, `.npz` or `.csv` file, or a folder of `.npy` files. A `.csv` is read now,
    /// with all of its columns; other arrays are read when they are asked for. If `stream` is true,
    /// all arrays stay in their files, and a batch reads its examples from there; if it is false,
    /// only arrays that are large for the free memory do.
    ///
    /// # Errors
    /// Fails if the path cannot be read or has another form, if `stream` is true and it is a `.csv`
    /// ([`RunError::TextNotStreamed`]), or if a cell of a `.csv` is no number.
    pub fn open(path: &Path, stream: bool) -> Result<Self> {
        Self::open_columns(path, stream, None, |table| Ok((table.all()?, None)))
    }

    /// Opens the inputs of a prediction, as [`Arrays::open`] does. Of a `.csv`, only the columns
    /// that `of` has as features are read, or all columns if `of` is `None`.
    ///
    /// # Errors
    /// Fails as [`Arrays::open`] and, for a `.csv`, as [`Table::features`].
    pub fn features(path: &Path, stream: bool, of: Option<&Columns>) -> Result<Self> {
        Self::open_columns(path, stream, of, |table| match of {
            Some(of) => Ok((table.features(of)?, None)),
            None => Ok((table.all()?, None)),
        })
    }

    /// Opens examples with their labels, as [`Arrays::open`] does. `of` holds the columns of a
    /// `.csv` that are features and labels.
    ///
    /// # Errors
    /// Fails as [`Arrays::features`], if the path is a single `.npy`, or if it is a `.csv` and `of`
    /// is `None` ([`RunError::NoTarget`]).
    pub fn labelled(path: &Path, stream: bool, of: Option<&Columns>) -> Result<Self> {
        let arrays = Self::open_columns(path, stream, of, |table| match of {
            Some(of) => Ok((table.features(of)?, Some(table.targets(of)?))),
            None => Err(table.without_target()),
        })?;
        ensure!(
            !matches!(arrays.held, Held::One),
            "{} is one array, and examples and labels are two: put them into an .npz, or a folder \
             of .npy, as x_train and y_train",
            path.display()
        );
        Ok(arrays)
    }

    fn open_columns(
        path: &Path,
        stream: bool,
        of: Option<&Columns>,
        read: impl FnOnce(&Table) -> Result<(HostTensor, Option<HostTensor>)>,
    ) -> Result<Self> {
        let shown = path.display();
        let held = match path.extension().and_then(|extension| extension.to_str()) {
            _ if path.is_dir() => Held::Folder(names_in(path)?),
            Some("npy") => Held::One,
            Some("npz") => Held::Named(Npz::open(path)?),
            Some("csv") if stream => bail!(RunError::TextNotStreamed { path: path.to_owned() }),
            Some("csv") => {
                let (x, y) = read(&Table::open_known(path, of)?)?;
                Held::Table(x, y)
            }
            _ => bail!("{shown}: supported are .npy, .npz, folders of .npy, and .csv"),
        };
        Ok(Self { path: path.to_owned(), held, stream, used: BTreeSet::new(), remarks: vec![] })
    }

    fn names(&self) -> Vec<String> {
        match &self.held {
            Held::Named(archive) => archive.names(),
            Held::Folder(names) => names.clone(),
            Held::Table(_, None) => vec!["x".into(), "x_train".into()],
            Held::Table(..) => ["x", "x_train", "y", "y_train"].map(Into::into).into(),
            Held::One => vec![],
        }
    }

    /// Returns the names of the arrays in an `.npz` or a folder that have not been read, for a
    /// warning. The list is empty for other files.
    pub fn unused(&self) -> Vec<String> {
        match self.held {
            Held::One | Held::Table(..) => vec![],
            _ => self.names().into_iter().filter(|name| !self.used.contains(name)).collect(),
        }
    }

    /// Returns true if there is an array of this name. A `.csv` has `x` and `x_train` and, if it
    /// was opened with labels, `y` and `y_train`; the array of an `.npy` file has no name.
    pub fn has(&self, name: &str) -> bool {
        self.names().iter().any(|n| n == name)
    }

    /// Returns the name of the array if there is exactly one name, else `None`.
    pub fn only(&self) -> Option<String> {
        let mut names = self.names();
        names.pop().filter(|_| names.is_empty())
    }

    /// The first of these names that there is; a file of one array has none.
    fn choose<'a>(&mut self, names: &[&'a str]) -> Result<&'a str> {
        if matches!(self.held, Held::One) {
            return Ok("");
        }
        let name = names.iter().copied().find(|name| self.has(name)).with_context(|| {
            let (names, present) = (names.join(" or "), self.names().join(", "));
            format!("{} holds no array {names}; it holds {present}", self.path.display())
        })?;
        self.used.insert(name.to_owned());
        Ok(name)
    }

    /// The columns of a table that an array is made of.
    fn of_table(&self, name: &str) -> Option<&HostTensor> {
        match &self.held {
            Held::Table(_, Some(labels)) if name.starts_with('y') => Some(labels),
            Held::Table(examples, _) => Some(examples),
            _ => None,
        }
    }

    fn describe(&self, name: &str) -> String {
        match name {
            _ if matches!(self.held, Held::One | Held::Table(..)) => {
                self.path.display().to_string()
            }
            name => format!("array {name} of {}", self.path.display()),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        match self.held {
            Held::Folder(_) => self.path.join(format!("{name}.npy")),
            _ => self.path.clone(),
        }
    }

    fn stored(&self, name: &str) -> Result<StoredArray> {
        Ok(match self.held {
            Held::Named(_) => npz::stored(&self.path, name)?,
            _ => of_file(&self.file(name), StoredArray::open)?,
        })
    }

    fn read(&mut self, name: &str) -> Result<NpyArray> {
        let file = self.file(name);
        Ok(match &mut self.held {
            Held::Named(archive) => archive.read(name)?,
            _ => of_file(&file, npy::read)?,
        })
    }

    /// Reads the first of the arrays `names` that exists into memory, as elements of `kind`. An
    /// `.npy` file has one array without a name, which is read whatever `names` are.
    ///
    /// # Errors
    /// Fails if no such array exists, it cannot be read, or its elements cannot be converted to
    /// `kind`.
    pub fn get(&mut self, names: &[&str], kind: ElementKind) -> Result<HostTensor> {
        let name = self.choose(names)?;
        let array = match self.of_table(name) {
            Some(columns) => of_kind(columns.clone(), kind),
            None => convert(&self.read(name)?, kind),
        };
        array.with_context(|| self.describe(name))
    }

    /// Reads the first of the arrays `names` that exists into memory, as elements of `kind`. If
    /// streaming was asked for, or the array is large for the free memory, it is opened to be read
    /// by batches instead; a `.csv` never is.
    ///
    /// # Errors
    /// Fails as [`Arrays::get`], and if streaming was asked for and the array cannot be read by
    /// parts.
    pub fn array(&mut self, names: &[&str], kind: ElementKind) -> Result<Array> {
        let name = self.choose(names)?;
        if !matches!(self.held, Held::Table(..)) {
            match self.stored(name) {
                Ok(stored) if self.stream || self.is_large(name, &stored) => {
                    return Ok(Array::streamed(self.describe(name), stored, kind));
                }
                Err(error) if self.stream => return Err(error),
                _ => {}
            }
        }
        self.get(names, kind).map(Array::Memory)
    }

    /// Returns the remarks for the user since the last call, such as that a large array is
    /// streamed.
    pub fn take_remarks(&mut self) -> Vec<String> {
        std::mem::take(&mut self.remarks)
    }

    /// Returns true if an array takes too much memory, and says so.
    fn is_large(&mut self, name: &str, stored: &StoredArray) -> bool {
        // As it is stored, widened to eight bytes, and converted to four.
        let needs = stored.bytes() + 12 * stored.shape().len() as u64;
        let free = rnn::memory::available();
        let large =
            free.is_some_and(|free| needs > free / SHARE) || stored.bytes() > npz::MAX_ARRAY_BYTES;
        if large {
            let needs = rnn::memory::Bytes(needs);
            let of = free.map(|free| format!(", of {} free", rnn::memory::Bytes(free)));
            self.remarks.push(format!(
                "{} is streamed: in memory it would take {needs}{}",
                self.describe(name),
                of.unwrap_or_default()
            ));
        }
        large
    }

    /// Returns the extents of one example of the array that [`Arrays::input`] would read, without
    /// the axis of examples. The elements are read only if the format does not give the shape
    /// otherwise.
    ///
    /// # Errors
    /// Fails if no such array exists, or it cannot be read.
    pub fn sample(&mut self, names: &[&str], input: &Input) -> Result<Vec<usize>> {
        let name = self.choose(names)?;
        let shape: Shape = match &mut self.held {
            Held::Table(rows, _) => return Ok(folded(rows.shape().last(), input)),
            Held::Named(archive) => archive.shape(name)?,
            Held::One | Held::Folder(_) => match self.stored(name) {
                Ok(stored) => stored.shape().clone(),
                Err(_) => self.read(name)?.shape().clone(),
            },
        };
        Ok(shape.dims().get(1..).unwrap_or_default().to_vec())
    }

    /// Reads the first of the arrays `names` that exists for an input of a model, with the examples
    /// along the first axis, as [`Arrays::array`] does. If the numbers of a row of a `.csv` fill
    /// the input's extents, the rows are reshaped to them. Other arrays are not compared with the
    /// extents.
    ///
    /// # Errors
    /// Fails as [`Arrays::array`], and if the array has no axis.
    pub fn input(&mut self, names: &[&str], input: &Input) -> Result<Array> {
        let array = self.array(names, ElementKind::of(input))?;
        let axes = array.shape().dims();
        let count = *axes.first().context("an array of examples has an axis of them")?;
        match self.held {
            Held::Table(..) => {
                let sample = folded(array.shape().last(), input);
                array.reshape([vec![count], sample].concat())
            }
            _ => Ok(array),
        }
    }
}

/// Returns the extents of a row of `width` numbers as an example of the input, of which one extent
/// may be open; `[width]` if they do not fit.
fn folded(width: usize, input: &Input) -> Vec<usize> {
    let extents = &input.batch_shape[1..];
    let known = extents.iter().flatten().fold(1usize, |known, &n| known.saturating_mul(n));
    let open = extents.iter().filter(|extent| extent.is_none()).count();
    match open {
        0 if known == width => extents.iter().flatten().copied().collect(),
        1 if known > 0 && width.is_multiple_of(known) => {
            extents.iter().map(|extent| extent.unwrap_or(width / known)).collect()
        }
        _ => vec![width],
    }
}

/// The names of the arrays in a folder, in order.
fn names_in(folder: &Path) -> Result<Vec<String>> {
    let cannot = || format!("cannot read the folder {}", folder.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).with_context(cannot)? {
        let name = entry.with_context(cannot)?.file_name();
        names.extend(name.to_str().and_then(|name| name.strip_suffix(".npy")).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// Reads a `.npy` file; every error names it.
fn of_file<T>(file: &Path, read: impl FnOnce(&Path) -> Result<T, NpyError>) -> Result<T> {
    read(file).map_err(|error| match error {
        error @ NpyError::Io { .. } => error.into(),
        error => Error::new(error).context(format!("cannot use {}", file.display())),
    })
}

fn convert(array: &NpyArray, kind: ElementKind) -> Result<HostTensor> {
    match kind {
        ElementKind::Floats => Ok(array.to_f32()?),
        ElementKind::Whole => match array.to_u32() {
            Ok(whole) => Ok(whole),
            // Whole numbers are often stored as floats.
            Err(error) => array.to_f32().map_or(Err(error.into()), |floats| of_kind(floats, kind)),
        },
    }
}

fn of_kind(floats: HostTensor, kind: ElementKind) -> Result<HostTensor> {
    if kind == ElementKind::Floats {
        return Ok(floats);
    }
    let mut whole = Vec::with_capacity(floats.shape().len());
    for (index, &value) in floats.as_f32()?.iter().enumerate() {
        // Up to here f32 holds every whole number.
        ensure!(
            value.fract() == 0.0 && (0.0..=16_777_216.0).contains(&value),
            "element {index} is {value}; token ids and classes are whole numbers from 0 on"
        );
        whole.push(value as u32);
    }
    Ok(HostTensor::from_u32(floats.shape().clone(), whole)?)
}
