//! Elements of a tensor by their places: `x[:, 1:4, None, ..., -1]`.

use super::axis_arguments::{Axes, axis_of};
use super::laid::Laid;
use super::operand::{OPERANDS, is_tensor};
use super::{Compute, Misfit, Operation};
use crate::ConfigError;
use crate::layer::{Argument, Arguments, Dialect, ForwardContext, Reader};
use crate::layers::LayerTable;
use crate::onnx::{ExportError, OnnxContext};
use rnn_formats::onnx::ValueName;
use rnn_ops::Slice;
use serde_json::{Value, json};

pub(super) static TABLE: &LayerTable = &[
    ("GetItem", || Box::new(Operation(GetItem { key: Key(vec![]) }))),
    ("Take", || Box::new(Operation(Take { axis: -1, at: 0 }))),
];

/// What a key says of one axis.
#[derive(Clone, Debug, PartialEq)]
enum Index {
    /// One element, whose axis is dropped.
    At(isize),
    /// Those from a place to below another, in steps; as in Python.
    Range { start: Option<isize>, stop: Option<isize>, step: Option<isize> },
    /// An axis of the extent 1 is added.
    New,
    /// All axes that the others leave.
    Rest,
}

/// A list of indices, which begins with that of the batch.
#[derive(Clone, Debug, PartialEq)]
struct Key(Vec<Index>);

/// The elements of a range of an axis; `None` if there is none.
fn range(
    start: Option<isize>,
    stop: Option<isize>,
    step: Option<isize>,
    extent: usize,
) -> Option<Slice> {
    let (extent, step) = (extent as isize, step.unwrap_or(1));
    // Python's slice.indices.
    let (low, high) = if step < 0 { (-1, extent - 1) } else { (0, extent) };
    let place = |at: isize| (if at < 0 { at + extent } else { at }).clamp(low, high);
    let start = start.map_or(if step < 0 { high } else { low }, place);
    let stop = stop.map_or(if step < 0 { low } else { high }, place);
    let distance = if step < 0 { start - stop } else { stop - start };
    let count = usize::try_from(distance).ok()?.div_ceil(step.unsigned_abs().max(1));
    let step = i32::try_from(step).ok().filter(|step| *step != 0)?;
    (count > 0).then_some(Slice { start: usize::try_from(start).ok()?, step, count })
}

/// A step of a key over a tensor, in the order of its axes.
#[derive(Clone, Copy, Debug)]
enum Action {
    /// These elements of the axis.
    Keep(usize, Slice),
    /// The axis of one element is dropped.
    Drop(usize),
    Add(usize),
}

impl Key {
    /// What the key does to a tensor of these extents. The batch has to stay as it is.
    fn actions(&self, dims: &[usize]) -> Result<Vec<Action>, Misfit> {
        let named = self.0.iter().filter(|index| !matches!(index, Index::New | Index::Rest));
        let rest = dims.len().checked_sub(named.count()).ok_or(Misfit::Inputs)?;
        let whole = |index: &Index| {
            matches!(
                index,
                Index::Range { start: None | Some(0), stop: None, step: None | Some(1) }
            )
        };
        if self.0.iter().filter(|index| **index == Index::Rest).count() > 1 {
            return Err(Misfit::Inputs);
        }
        // `source` counts the axes of the tensor, `axis` those of the result so far.
        let (mut actions, mut source, mut axis) = (vec![], 0, 0);
        for index in &self.0 {
            if source == 0 && !whole(index) && !(*index == Index::Rest && rest > 0) {
                return Err(Misfit::Inputs);
            }
            match *index {
                Index::New => {
                    actions.push(Action::Add(axis));
                    axis += 1;
                }
                Index::Rest => {
                    source += rest;
                    axis += rest;
                }
                Index::Range { start, stop, step } => {
                    if source > 0 {
                        let slice = range(start, stop, step, dims[source]);
                        actions.push(Action::Keep(axis, slice.ok_or(Misfit::Inputs)?));
                    }
                    source += 1;
                    axis += 1;
                }
                Index::At(at) => {
                    let extent = dims[source] as isize;
                    let start = if at < 0 { at + extent } else { at };
                    let start = usize::try_from(start).ok().filter(|&at| at < dims[source]);
                    let start = start.ok_or(Misfit::Inputs)?;
                    actions.push(Action::Keep(axis, Slice { start, step: 1, count: 1 }));
                    actions.push(Action::Drop(axis));
                    source += 1;
                }
            }
        }
        Ok(actions)
    }
}

fn act(cx: &mut ForwardContext<'_>, mut x: Laid, actions: &[Action]) -> Result<Laid, Misfit> {
    for &action in actions {
        x = match action {
            Action::Keep(axis, slice) => x.slice(cx, axis, slice)?,
            Action::Drop(axis) => x.without(cx, axis)?,
            Action::Add(axis) => x.with(cx, axis)?,
        };
    }
    Ok(x)
}

/// Adds a slice along some axes to an ONNX graph.
pub(super) fn slice_onnx(
    cx: &mut OnnxContext<'_>,
    x: &ValueName,
    slices: &[(usize, Slice)],
) -> ValueName {
    if slices.is_empty() {
        return x.clone();
    }
    let mut ints = |of: &dyn Fn(&(usize, Slice)) -> i64| {
        let values: Vec<i64> = slices.iter().map(of).collect();
        cx.graph.ints("slice", &values)
    };
    let starts = ints(&|(_, slice)| slice.start as i64);
    // Going backwards, the end in front of the first element has no number of its own.
    let ends = ints(&|(_, slice)| {
        let end = slice.start as i64 + i64::from(slice.step) * slice.count as i64;
        if end < 0 { i64::MIN } else { end }
    });
    let axes = ints(&|(axis, _)| *axis as i64);
    let steps = ints(&|(_, slice)| slice.step.into());
    cx.node("Slice", &[x, &starts, &ends, &axes, &steps], &[])
}

/// The slices and the extents of the output of a key.
fn key_onnx(cx: &mut OnnxContext<'_>, key: &Key) -> Result<Vec<ValueName>, ExportError> {
    let input = cx.input()?;
    let dims = [&[super::SOME_BATCH], &input.dims[..]].concat();
    let actions = key.actions(&dims).map_err(|_| cx.refuse("its places are not there"))?;
    // Slices come before all axes that are added or dropped.
    let (mut slices, mut axes): (Vec<(usize, Slice)>, Vec<Option<usize>>) =
        (vec![], (0..dims.len()).map(Some).collect());
    for action in actions {
        match action {
            Action::Keep(axis, slice) => {
                slices.extend(axes.get(axis).copied().flatten().map(|axis| (axis, slice)));
            }
            Action::Drop(axis) => drop(axes.remove(axis)),
            Action::Add(axis) => axes.insert(axis, None),
        }
    }
    slices.retain(|(axis, slice)| *slice != Slice { start: 0, step: 1, count: dims[*axis] });
    let sliced = slice_onnx(cx, &input.value, &slices);
    let output = cx.output().to_vec();
    Ok(vec![cx.reshape(&sliced, &output)])
}

/// y = x[key].
#[derive(Clone, Debug)]
struct GetItem {
    key: Key,
}

impl Compute for GetItem {
    fn class(&self) -> &'static str {
        "GetItem"
    }

    fn expected(&self) -> &'static str {
        "an input of which its key takes all examples of a batch, as [:, ..] does, and elements that \
         are there"
    }

    fn compute(&self, cx: &mut ForwardContext<'_>, inputs: Vec<Laid>) -> Result<Vec<Laid>, Misfit> {
        let [x] = <[Laid; 1]>::try_from(inputs).map_err(|_| Misfit::Inputs)?;
        let actions = self.key.actions(&x.dims(cx))?;
        Ok(vec![act(cx, x, &actions)?])
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        key_onnx(cx, &self.key)
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.required(OPERANDS, &mut self.key)
    }
}

impl Index {
    fn read(value: &Value) -> Option<Self> {
        let number = |value: &Value| value.as_i64().and_then(|n| isize::try_from(n).ok());
        let end = |name: &str| match &value["config"][name] {
            Value::Null => Some(None),
            value => number(value).map(Some),
        };
        Some(match value["class_name"].as_str() {
            Some("__slice__") => {
                Self::Range { start: end("start")?, stop: end("stop")?, step: end("step")? }
            }
            Some("__ellipsis__") => Self::Rest,
            Some(_) => return None,
            None if value.is_null() => Self::New,
            None => Self::At(number(value)?),
        })
    }

    fn write(&self) -> Value {
        match self {
            Self::At(at) => json!(at),
            Self::Range { start, stop, step } => json!({
                "class_name": "__slice__",
                "config": {"start": start, "stop": stop, "step": step},
            }),
            Self::New => Value::Null,
            Self::Rest => json!({"class_name": "__ellipsis__", "config": {}}),
        }
    }
}

/// The operands of a `GetItem`: a tensor, and the key.
impl Argument for Key {
    fn supported() -> String {
        "a tensor, and whole numbers, slices, None and Ellipsis; not tensors or arrays as indices"
            .into()
    }

    fn read(value: &Value, _: Dialect) -> Option<Self> {
        let [tensor, key] = value.as_array()?.as_slice() else { return None };
        let one = std::slice::from_ref(key);
        let indices = key.as_array().map_or(one, Vec::as_slice).iter().map(Index::read);
        is_tensor(tensor).then(|| indices.collect::<Option<_>>().map(Self))?
    }

    fn write(&self, _: Reader) -> Option<Value> {
        // One place alone is that of a Take, which would keep the axis of a list.
        let key = match &self.0[..] {
            [Index::At(at)] => json!(at),
            key => key.iter().map(Index::write).collect(),
        };
        Some(json!([{"class_name": "__keras_tensor__"}, key]))
    }
}

/// One element of an axis, which is dropped: y = x[.., at, ..].
#[derive(Clone, Debug)]
struct Take {
    axis: isize,
    at: isize,
}

impl Take {
    fn key(&self, rank: usize) -> Result<Key, Misfit> {
        let all = Index::Range { start: None, stop: None, step: None };
        let mut key = vec![all; axis_of(self.axis, rank)?];
        key.push(Index::At(self.at));
        Ok(Key(key))
    }
}

impl Compute for Take {
    fn class(&self) -> &'static str {
        "Take"
    }

    fn expected(&self) -> &'static str {
        "an input whose axis, not the batch, has the element"
    }

    fn compute(&self, cx: &mut ForwardContext<'_>, inputs: Vec<Laid>) -> Result<Vec<Laid>, Misfit> {
        let [x] = <[Laid; 1]>::try_from(inputs).map_err(|_| Misfit::Inputs)?;
        let actions = self.key(x.rank())?.actions(&x.dims(cx))?;
        Ok(vec![act(cx, x, &actions)?])
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let rank = cx.input()?.dims.len() + 1;
        let key = self.key(rank).map_err(|_| cx.refuse("it takes from the batch"))?;
        key_onnx(cx, &key)
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        let mut axes = Axes::one(self.axis);
        a.optional("axis", &mut axes)?;
        self.axis = axes.0.and_then(|axes| axes.first().copied()).unwrap_or(0);
        let mut key = Key(vec![Index::At(self.at)]);
        a.required(OPERANDS, &mut key)?;
        let one = match key.0[..] {
            [Index::At(at)] => Some(at),
            _ => None,
        };
        let many = || a.refuse(OPERANDS, &json!(null), "one place, a whole number".into());
        self.at = one.ok_or_else(many)?;
        Ok(())
    }
}
