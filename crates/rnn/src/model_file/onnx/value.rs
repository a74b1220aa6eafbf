//! Values of an ONNX graph while it is read: constants, shapes, and tensors of the model.
//!
//! ONNX has any order of axes, a model here has the batch first. A tensor is therefore read as a
//! [`View`]: transpositions, reshapes and axes of extent 1 change what is said of it, and a layer is
//! added only where another layer needs its elements in another order.

use super::super::{ModelFileError, Result};
use rnn_formats::onnx::Array;
use std::rc::Rc;

/// A factor of an axis. Axes of extent 1 have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Atom {
    /// Which it is; the same in all tensors that follow from each other.
    pub id: usize,
    /// Its extent; `None` if it is open.
    pub extent: Option<usize>,
    /// True if ONNX has its elements in the opposite order.
    pub reversed: bool,
}

/// The id of the batch, whatever its extent is.
pub(super) const BATCH: usize = 0;

/// The factors of an axis, the slowest-varying first.
pub(super) type Axis = Vec<Atom>;

/// A tensor that a layer makes, or an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Source {
    /// An input, by its index.
    Input(usize),
    /// An output of a layer.
    Layer {
        /// The index of the layer.
        layer: usize,
        /// Which of its outputs.
        output: usize,
    },
}

/// A tensor of the model as ONNX sees it.
#[derive(Clone, Debug)]
pub(super) struct View {
    /// The tensor.
    pub source: Source,
    /// Its own axes, without the batch, which is the first.
    pub own: Vec<Axis>,
    /// The axes of the value in the ONNX graph, of the same factors and the batch.
    pub axes: Vec<Axis>,
}

/// An extent that is computed in the graph: a number times open factors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dim {
    /// The number.
    pub factor: i64,
    /// The open factors.
    pub open: Vec<usize>,
}

/// A value of the graph.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// A constant.
    Array(Rc<Array>),
    /// A shape or a part of it, of which at least one extent is open; true for a single number
    /// without an axis.
    Dims(Vec<Dim>, bool),
    /// The same number everywhere, with these extents.
    Fill(Vec<Dim>, f32),
    /// A tensor of the model.
    View(View),
    /// Tensors of the model side by side along a new axis of this index.
    Stack(usize, Vec<View>),
    /// A part of a gelu.
    Gauss(Box<super::gelu::Gauss>),
    /// Tokens plus a number, which exporters write for negative indices, and never use here.
    Beyond,
}

/// The error of a node, whose name is added by [`super::Import`].
pub(super) fn refuse<T>(what: impl Into<String>) -> Result<T> {
    Err(ModelFileError::Description(what.into()))
}

/// The extent of an axis; `None` if it is open.
pub(super) fn extent(axis: &[Atom]) -> Option<usize> {
    axis.iter().try_fold(1usize, |product, atom| product.checked_mul(atom.extent?))
}

impl Dim {
    pub(super) fn known(n: i64) -> Self {
        Self { factor: n, open: vec![] }
    }

    /// The extent of an axis. That of the batch is open even where a file fixes it.
    pub(super) fn of(axis: &[Atom]) -> Self {
        let mut dim = Self::known(1);
        for atom in axis {
            match atom.extent {
                Some(extent) if atom.id != BATCH => {
                    dim.factor = dim.factor.saturating_mul(extent as i64);
                }
                _ => dim.open.push(atom.id),
            }
        }
        dim.open.sort_unstable();
        dim
    }

    pub(super) fn times(&self, other: &Self) -> Self {
        let mut open = [&self.open[..], &other.open].concat();
        open.sort_unstable();
        Self { factor: self.factor.saturating_mul(other.factor), open }
    }

    /// The quotient, where it is whole.
    pub(super) fn divided(&self, by: &Self) -> Option<Self> {
        let mut open = self.open.clone();
        for id in &by.open {
            open.remove(open.iter().position(|other| other == id)?);
        }
        let whole = by.factor != 0 && self.factor % by.factor == 0;
        whole.then(|| Self { factor: self.factor / by.factor, open })
    }

    /// The number, where nothing is open.
    pub(super) fn number(&self) -> Option<i64> {
        self.open.is_empty().then_some(self.factor)
    }
}

impl View {
    /// The index of the axis that holds the batch.
    pub(super) fn batch_axis(&self) -> Result<usize> {
        let holds = |axis: &Axis| axis.iter().any(|atom| atom.id == BATCH);
        match self.axes.iter().position(holds) {
            Some(axis) => Ok(axis),
            None => refuse("a tensor without a batch"),
        }
    }

    /// The axes without the batch, in ONNX's order: those that a tensor of the model has which
    /// holds the elements in this order. If other factors follow the batch within its axis, they
    /// are an axis of their own, and true is returned.
    pub(super) fn canonical(&self) -> Result<(Vec<Axis>, bool)> {
        let batch = self.batch_axis()?;
        let Some((first, rest)) = self.axes[batch].split_first() else { return refuse("no batch") };
        if first.id != BATCH {
            return refuse("an axis in which the batch is not the outermost part");
        }
        let others = |range: &[Axis]| range.to_vec();
        let (before, behind) = (others(&self.axes[..batch]), others(&self.axes[batch + 1..]));
        let steps = (!rest.is_empty()).then(|| rest.to_vec());
        match (steps, before.is_empty()) {
            (Some(steps), true) => Ok(([vec![steps], behind].concat(), true)),
            (Some(_), false) => refuse("an axis of the batch and more, behind another"),
            (None, _) => Ok(([before, behind].concat(), false)),
        }
    }

    /// The place of an axis of the ONNX value among those of [`Self::canonical`].
    pub(super) fn place(&self, axis: usize) -> Result<usize> {
        let batch = self.batch_axis()?;
        match (axis == batch, self.axes[batch].len() > 1) {
            (true, _) => refuse("it works along the axis of the batch"),
            (_, true) => Ok(axis),
            (_, false) => Ok(axis - usize::from(axis > batch)),
        }
    }

    pub(super) fn dims(&self) -> Vec<Dim> {
        self.axes.iter().map(|axis| Dim::of(axis)).collect()
    }
}

/// An axis that may be counted from the end.
pub(super) fn axis_of(axis: i64, rank: usize) -> Result<usize> {
    let counted = if axis < 0 { axis.checked_add(rank as i64) } else { Some(axis) };
    let counted = counted.and_then(|axis| usize::try_from(axis).ok()).filter(|&axis| axis < rank);
    match counted {
        Some(axis) => Ok(axis),
        None => refuse(format!("there is no axis {axis} of {rank}")),
    }
}
