use super::{ElementKind, convert};
use anyhow::{Result, ensure};
use rnn_core::{Examples, HostTensor, Shape};
use rnn_formats::npy::StoredArray;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// An array of examples along its first axis: in memory, or in its file.
#[derive(Clone, Debug)]
pub enum Array {
    /// All of it is there.
    Memory(HostTensor),
    /// Examples are read when a batch asks for them.
    Streamed(Streamed),
}

/// An array in a file whose examples are converted and checked as they are read, batch by batch.
#[derive(Clone)]
pub struct Streamed {
    /// For messages.
    name: String,
    stored: StoredArray,
    kind: ElementKind,
    shape: Shape,
    check: Option<Arc<Check>>,
}

type Check = dyn Fn(&HostTensor) -> Result<()> + Send + Sync;

impl Array {
    pub(super) fn streamed(name: String, stored: StoredArray, kind: ElementKind) -> Self {
        let shape = stored.shape().clone();
        Self::Streamed(Streamed { name, stored, kind, shape, check: None })
    }

    /// Returns the extents, with the number of examples first.
    pub fn shape(&self) -> &Shape {
        match self {
            Self::Memory(tensor) => tensor.shape(),
            Self::Streamed(streamed) => &streamed.shape,
        }
    }

    /// Returns the same examples with other extents, without changing their number, which is the
    /// first extent of both shapes.
    ///
    /// # Errors
    /// Fails if `shape` has another first extent or another number of elements.
    pub fn reshape(self, shape: impl Into<Shape>) -> Result<Self> {
        let shape = shape.into();
        ensure!(
            self.shape().len() == shape.len()
                && self.shape().dims().first() == shape.dims().first(),
            "examples of {} are none of {shape}",
            self.shape()
        );
        Ok(match self {
            Self::Memory(tensor) => Self::Memory(tensor.reshape(shape)?),
            Self::Streamed(streamed) => Self::Streamed(Streamed { shape, ..streamed }),
        })
    }

    /// Applies `check` to all examples: now if they are in memory, else to each batch when it is
    /// read. An error of a later check ends the reading of that batch. For examples in a file, this
    /// check replaces the one before.
    ///
    /// # Errors
    /// Fails with the error of `check` for examples in memory.
    pub fn checked(
        self,
        check: impl Fn(&HostTensor) -> Result<()> + Send + Sync + 'static,
    ) -> Result<Self> {
        Ok(match self {
            Self::Memory(tensor) => {
                check(&tensor)?;
                Self::Memory(tensor)
            }
            Self::Streamed(streamed) => {
                Self::Streamed(Streamed { check: Some(Arc::new(check)), ..streamed })
            }
        })
    }

    /// Returns the array as examples for a [`rnn::nn::Dataset`].
    pub fn examples(self) -> Arc<dyn Examples> {
        match self {
            Self::Memory(tensor) => Arc::new(tensor),
            Self::Streamed(streamed) => Arc::new(streamed),
        }
    }
}

impl Streamed {
    fn take(&self, which: &[u32]) -> Result<HostTensor> {
        let examples = convert(&self.stored.rows(which)?, self.kind)?;
        let examples = examples.reshape([&[which.len()], &self.shape.dims()[1..]].concat())?;
        self.check.iter().try_for_each(|check| check(&examples))?;
        Ok(examples)
    }
}

impl Examples for Streamed {
    fn shape(&self) -> &Shape {
        &self.shape
    }

    /// An error names the first example that is to blame.
    fn read(&self, which: &[u32]) -> Result<HostTensor, Box<dyn Error + Send + Sync>> {
        let blame = |all| {
            let alone = |&one: &u32| Some((one, self.take(&[one]).err()?));
            let (one, error) = which.iter().find_map(alone).unwrap_or((0, all));
            error.context(format!("example {one} of {}", self.name))
        };
        Ok(self.take(which).map_err(blame)?)
    }
}

impl fmt::Debug for Streamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streamed").field("name", &self.name).field("shape", &self.shape).finish()
    }
}
