//! The user's arrays: `.npy`, `.npz` and `.csv`, as a model takes them.

use crate::nn::Input;
use anyhow::{Context, Result, bail, ensure};
use rnn_core::HostTensor;
use rnn_formats::npy::{self, NpyArray};
use rnn_formats::npz::Npz;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

/// A file of arrays.
pub struct Arrays {
    path: PathBuf,
    held: Held,
}

type Archive = Npz<BufReader<File>>;

enum Held {
    One(NpyArray),
    Named(Archive),
    /// The rows of a table of numbers.
    Table(HostTensor),
}

/// What an array's elements are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Floats.
    Floats,
    /// Token ids or classes.
    Whole,
}

impl Arrays {
    /// Opens a file; of an archive the arrays are read when they are asked for.
    ///
    /// # Errors
    /// If it cannot be read, or has another form.
    pub fn open(path: &Path) -> Result<Self> {
        let held = match path.extension().and_then(|extension| extension.to_str()) {
            Some("npy") => Held::One(npy::read(path)?),
            Some("npz") => Held::Named(Npz::open(path)?),
            Some("csv") => Held::Table(table(path)?),
            _ => bail!("{}: supported are .npy, .npz and .csv", path.display()),
        };
        Ok(Self { path: path.to_owned(), held })
    }

    /// Whether an archive holds an array of this name.
    pub fn has(&self, name: &str) -> bool {
        matches!(&self.held, Held::Named(archive) if archive.names().iter().any(|n| n == name))
    }

    /// The name of the array of an archive of one.
    pub fn only(&self) -> Option<String> {
        match &self.held {
            Held::Named(archive) => archive.names().pop().filter(|_| archive.names().len() == 1),
            _ => None,
        }
    }

    /// The first of these arrays that there is; a file of one array has no names.
    ///
    /// # Errors
    /// If there is none, or its elements are of another kind.
    pub fn get(&mut self, names: &[&str], kind: Kind) -> Result<HostTensor> {
        let path = self.path.display();
        match &mut self.held {
            Held::Table(rows) => of_kind(rows.clone(), kind).with_context(|| format!("{path}")),
            Held::One(array) => convert(array, kind).with_context(|| format!("{path}")),
            Held::Named(archive) => {
                let name =
                    found(archive, names).with_context(|| missing(&self.path, archive, names))?;
                let array = archive.read(name)?;
                convert(&array, kind).with_context(|| format!("array {name} of {path}"))
            }
        }
    }

    /// The extents of an example of the array that [`Arrays::get`] would take, whose elements are
    /// not read.
    ///
    /// # Errors
    /// If there is none.
    pub fn sample(&mut self, names: &[&str]) -> Result<Vec<usize>> {
        let shape = match &mut self.held {
            Held::Table(rows) => rows.shape().clone(),
            Held::One(array) => array.shape().clone(),
            Held::Named(archive) => {
                let name =
                    found(archive, names).with_context(|| missing(&self.path, archive, names))?;
                archive.shape(name)?
            }
        };
        Ok(shape.dims().get(1..).unwrap_or_default().to_vec())
    }

    /// What an input of a model is fed. The rows of a table take on the input's shape.
    ///
    /// # Errors
    /// If there is no such array, or it is of another shape or kind.
    pub fn input(&mut self, names: &[&str], input: &Input) -> Result<HostTensor> {
        let kind = if input.tokens { Kind::Whole } else { Kind::Floats };
        let array = self.get(names, kind)?;
        let axes = array.shape().dims();
        let count = *axes.first().context("an array of examples has an axis of them")?;
        let extents = &input.batch_shape[1..];
        let flat = matches!(self.held, Held::Table(_)) && extents.len() != 1;
        let closed: Option<Vec<usize>> = extents.iter().copied().collect();
        match closed {
            Some(sample)
                if flat && sample.iter().product::<usize>() * count == array.shape().len() =>
            {
                Ok(array.reshape([vec![count], sample].concat())?)
            }
            _ => Ok(array),
        }
    }
}

/// The first of these names that an archive holds.
fn found<'a>(archive: &Archive, names: &[&'a str]) -> Option<&'a str> {
    let present = archive.names();
    names.iter().copied().find(|name| present.iter().any(|n| n == name))
}

fn missing(path: &Path, archive: &Archive, names: &[&str]) -> String {
    let (names, present) = (names.join(" or "), archive.names().join(", "));
    format!("{} holds no array {names}; it holds {present}", path.display())
}

fn convert(array: &NpyArray, kind: Kind) -> Result<HostTensor> {
    match kind {
        Kind::Floats => Ok(array.to_f32()?),
        Kind::Whole => match array.to_u32() {
            Ok(whole) => Ok(whole),
            // Whole numbers are often stored as floats.
            Err(error) => array.to_f32().map_or(Err(error.into()), |floats| of_kind(floats, kind)),
        },
    }
}

fn of_kind(floats: HostTensor, kind: Kind) -> Result<HostTensor> {
    if kind == Kind::Floats {
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

/// Rows of numbers; a first line that holds none is a heading.
fn table(path: &Path) -> Result<HostTensor> {
    let reader = csv::ReaderBuilder::new().has_headers(false).trim(csv::Trim::All).from_path(path);
    let mut reader = reader.with_context(|| format!("cannot read {}", path.display()))?;
    let (mut values, mut width, mut rows) = (Vec::new(), 0, 0);
    for (index, record) in reader.records().enumerate() {
        let record = record.with_context(|| format!("{} is no table", path.display()))?;
        let numbers: Vec<Option<f32>> = record.iter().map(|cell| cell.parse().ok()).collect();
        if index == 0 && numbers.iter().all(Option::is_none) {
            continue;
        }
        if let Some(column) = numbers.iter().position(Option::is_none) {
            bail!(
                "{}, line {}: {:?} is no number",
                path.display(),
                index + 1,
                record.get(column).unwrap_or_default()
            );
        }
        (width, rows) = (numbers.len(), rows + 1);
        values.extend(numbers.into_iter().flatten());
    }
    ensure!(rows > 0, "{} holds no rows of numbers", path.display());
    Ok(HostTensor::from_f32([rows, width], values)?)
}
