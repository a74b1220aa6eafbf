use super::{ElementKind, convert};
use anyhow::{Result, ensure};
use rnn_core::{Examples, HostTensor, Shape};
use rnn_formats::npy::{NpyError, StoredArray};
use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// An array with the examples along its first axis, in memory or in its file.
#[derive(Clone, Debug)]
pub enum Array {
    /// All examples are in memory.
    Memory(HostTensor),
    /// The examples are in the file and are read by batches.
    Streamed(Streamed),
}

/// An array in a file. Its examples are converted and checked when a batch reads them.
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

    /// Returns the shape; its first extent is the number of examples.
    pub fn shape(&self) -> &Shape {
        match self {
            Self::Memory(tensor) => tensor.shape(),
            Self::Streamed(streamed) => &streamed.shape,
        }
    }

    /// Returns the same examples with other extents. The number of examples, the first extent,
    /// stays.
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

    /// Applies `check` to all examples: now if they are in memory, else to the examples of each
    /// batch when they are read. An error of such a later check is the error of reading the batch.
    /// Examples in a file have one check: this one takes the place of an earlier one.
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

    /// An error names the first example that is to blame, unless it is of the array as a whole.
    fn read(&self, which: &[u32]) -> Result<HostTensor, Box<dyn Error + Send + Sync>> {
        let blame = |all: anyhow::Error| {
            if matches!(all.downcast_ref(), Some(NpyError::Checksum { .. })) {
                return all.context(self.name.clone());
            }
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
