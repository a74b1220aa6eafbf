//! Arguments that name axes, counted with the batch.

use super::Misfit;
use crate::layer::{Argument, Dialect, Reader};
use serde_json::{Value, json};

/// The place of an axis of a tensor of `rank` axes; a negative one counts from the last.
///
/// # Errors
/// Fails if the tensor does not have it, or it is the batch.
pub(super) fn axis_of(axis: isize, rank: usize) -> Result<usize, Misfit> {
    let place = if axis < 0 { axis + rank as isize } else { axis };
    let place = usize::try_from(place).ok().filter(|place| (1..rank).contains(place));
    place.ok_or(Misfit::Inputs)
}

/// One axis, or several; `None` for all, or for those that the operation chooses.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Axes(pub Option<Vec<isize>>);

impl Axes {
    pub fn one(axis: isize) -> Self {
        Self(Some(vec![axis]))
    }

    /// The places of the axes in a tensor of `rank` axes, in ascending order.
    ///
    /// # Errors
    /// Fails if the tensor lacks one, or the batch is among them, as it is among all.
    pub fn of(&self, rank: usize) -> Result<Vec<usize>, Misfit> {
        let axes = self.0.as_ref().ok_or(Misfit::Inputs)?;
        let places = axes.iter().map(|&axis| axis_of(axis, rank));
        let mut places = places.collect::<Result<Vec<_>, _>>()?;
        places.sort_unstable();
        let count = places.len();
        places.dedup();
        if places.len() == count && count > 0 { Ok(places) } else { Err(Misfit::Inputs) }
    }
}

impl Argument for Axes {
    fn supported() -> String {
        "null, a whole number, or a list of them".into()
    }

    fn read(value: &Value, _: Dialect) -> Option<Self> {
        let axis = |value: &Value| value.as_i64().and_then(|n| isize::try_from(n).ok());
        Some(Self(match value {
            Value::Null => None,
            Value::Array(list) => Some(list.iter().map(axis).collect::<Option<_>>()?),
            one => Some(vec![axis(one)?]),
        }))
    }

    fn write(&self, _: Reader) -> Option<Value> {
        Some(match self.0.as_deref() {
            Some([one]) => json!(one),
            axes => json!(axes),
        })
    }
}

/// Whole numbers from 0 on, one for each axis.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Counts(pub Vec<usize>);

impl Counts {
    fn count(value: &Value) -> Option<usize> {
        value.as_u64().filter(|&n| n < 1 << 31).map(|n| n as usize)
    }
}

impl Argument for Counts {
    fn supported() -> String {
        "a whole number from 0 on, or a list of them".into()
    }

    fn read(value: &Value, _: Dialect) -> Option<Self> {
        let one = std::slice::from_ref(value);
        let list = value.as_array().map_or(one, Vec::as_slice);
        list.iter().map(Self::count).collect::<Option<_>>().map(Self)
    }

    fn write(&self, _: Reader) -> Option<Value> {
        Some(json!(self.0))
    }
}

/// Elements before and after each axis.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Margins(pub Vec<[usize; 2]>);

impl Argument for Margins {
    fn supported() -> String {
        "a whole number from 0 on, a pair of them, or a list of pairs".into()
    }

    fn read(value: &Value, _: Dialect) -> Option<Self> {
        let pair = |value: &Value| match value.as_array().map(Vec::as_slice) {
            None => Counts::count(value).map(|n| [n, n]),
            Some([one]) => Counts::count(one).map(|n| [n, n]),
            Some([before, after]) => Some([Counts::count(before)?, Counts::count(after)?]),
            Some(_) => None,
        };
        let list = value.as_array().filter(|list| list.iter().all(Value::is_array));
        match list {
            Some(list) => list.iter().map(pair).collect::<Option<_>>().map(Self),
            None => pair(value).map(|pair| Self(vec![pair])),
        }
    }

    fn write(&self, _: Reader) -> Option<Value> {
        Some(json!(self.0))
    }
}
