//! Operators that compute shapes, and those that repeat elements.

use super::super::Result;
use super::value::{BATCH, Dim, Source, Value, View, refuse};
use super::{Import, fold, int};
use rnn_formats::onnx::{Array, Attribute, Elements, OnnxNode};

/// A value as a list of extents, and true if it is one number without an axis.
pub(super) fn dims_of(value: &Value) -> Option<(Vec<Dim>, bool)> {
    match value {
        Value::Dims(dims, scalar) => Some((dims.clone(), *scalar)),
        Value::Array(array) => match &array.elements {
            Elements::Ints(values) if array.dims.len() < 2 => {
                let dims = values.iter().map(|&n| Dim::known(n)).collect();
                Some((dims, array.dims.is_empty()))
            }
            _ => None,
        },
        _ => None,
    }
}

/// A list of extents; a constant, where none is open.
pub(super) fn dims_value(dims: Vec<Dim>, scalar: bool) -> Value {
    let numbers: Option<Vec<i64>> = dims.iter().map(Dim::number).collect();
    match numbers {
        Some(numbers) => {
            let dims = if scalar { vec![] } else { vec![numbers.len()] };
            Value::Array(Array { dims, elements: Elements::Ints(numbers) }.into())
        }
        None => Value::Dims(dims, scalar),
    }
}

impl Import<'_> {
    pub(super) fn shape(&mut self, node: &OnnxNode) -> Result<Value> {
        let dims = match self.operand(node, 0)? {
            Value::Array(array) => array.dims.iter().map(|&n| Dim::known(n as i64)).collect(),
            Value::Fill(dims, _) => dims,
            Value::Dims(dims, _) => vec![Dim::known(dims.len() as i64)],
            Value::View(view) => view.dims(),
            value => self.value_view(value)?.dims(),
        };
        let rank = dims.len() as i64;
        let at = |n: i64| (if n < 0 { n.saturating_add(rank) } else { n }).clamp(0, rank) as usize;
        let (start, end) = (at(int(node, "start", 0)), at(int(node, "end", rank)));
        Ok(dims_value(dims.get(start..end).unwrap_or_default().to_vec(), false))
    }

    pub(super) fn value_view(&mut self, value: Value) -> Result<View> {
        match value {
            Value::View(view) => Ok(view),
            Value::Stack(axis, views) => self.join(axis, &views),
            _ => refuse("it takes a constant, where data is supported"),
        }
    }

    pub(super) fn expand(&mut self, node: &OnnxNode) -> Result<Value> {
        let fills = node.operator == "ConstantOfShape";
        let Some((dims, _)) = dims_of(&self.operand(node, usize::from(!fills))?) else {
            return refuse("a shape that is computed from the data");
        };
        if fills {
            let value = match node.attributes.get("value") {
                Some(Attribute::Array(array)) => array.clone(),
                _ => Array { dims: vec![1], elements: Elements::Floats(vec![0.0]) },
            };
            return match value.elements {
                Elements::Floats(v) => Ok(Value::Fill(dims, v.first().copied().unwrap_or(0.0))),
                Elements::Ints(v) => self.filled(&dims, v.first().copied().unwrap_or(0)),
            };
        }
        match self.operand(node, 0)? {
            Value::Fill(_, value) => Ok(Value::Fill(dims, value)),
            Value::Array(array) => {
                if let Elements::Floats(values) = &array.elements
                    && let Some((&first, rest)) = values.split_first()
                    && rest.iter().all(|value| *value == first)
                {
                    return Ok(Value::Fill(dims, first));
                }
                let known: Option<Vec<usize>> =
                    dims.iter().map(|dim| usize::try_from(dim.number()?).ok()).collect();
                match known {
                    Some(known) => {
                        let known = fold::broadcast(&array.dims, &known)?;
                        let count = known.iter().try_fold(1usize, |p, n| p.checked_mul(*n));
                        self.spend(count.unwrap_or(usize::MAX / 8))?;
                        Ok(Value::Array(fold::expand(&array, &known)?.into()))
                    }
                    // It is repeated where it meets data.
                    None => Ok(Value::Array(array)),
                }
            }
            value => {
                let view = self.value_view(value)?;
                let missing = dims.len().saturating_sub(view.axes.len());
                let mut view = view;
                view.axes.splice(0..0, vec![vec![]; missing]);
                for (axis, dim) in dims.iter().enumerate() {
                    let own = Dim::of(&view.axes[axis]);
                    if *dim == own || dim.number() == Some(1) || repeats_batch(&view, &own, dim) {
                        continue;
                    }
                    let times = dim.number().and_then(|n| usize::try_from(n).ok());
                    if !view.axes[axis].is_empty() || times.is_none() {
                        return refuse("data is repeated along an axis of more than one element");
                    }
                    view = self.repeated(&view, axis, times)?;
                }
                Ok(Value::View(view))
            }
        }
    }

    pub(super) fn tile(&mut self, node: &OnnxNode) -> Result<Value> {
        let Some((times, _)) = dims_of(&self.operand(node, 1)?) else {
            return refuse("numbers of copies that are computed from the data");
        };
        match self.operand(node, 0)? {
            Value::Fill(dims, value) => {
                Ok(Value::Fill(dims.iter().zip(&times).map(|(a, b)| a.times(b)).collect(), value))
            }
            Value::Array(array) if times.iter().all(|n| n.number() == Some(1)) => {
                Ok(Value::Array(array))
            }
            // One number for each of several copies.
            Value::Array(array) if array.elements.len() == 1 => {
                let dims: Vec<Dim> = array.dims.iter().map(|&n| Dim::known(n as i64)).collect();
                let dims = dims.iter().zip(&times).map(|(a, b)| a.times(b)).collect();
                match &array.elements {
                    Elements::Floats(values) => Ok(Value::Fill(dims, values[0])),
                    Elements::Ints(values) => self.filled(&dims, values[0]),
                }
            }
            value => {
                let mut view = self.value_view(value)?;
                for (axis, times) in times.iter().enumerate().take(view.axes.len()) {
                    match times.number().and_then(|n| usize::try_from(n).ok()) {
                        Some(1) => {}
                        Some(n) if view.axes[axis].is_empty() => {
                            view = self.repeated(&view, axis, Some(n))?;
                        }
                        _ => return refuse("copies side by side of more than one element"),
                    }
                }
                Ok(Value::View(view))
            }
        }
    }

    /// Pixels that are repeated, as UpSampling does.
    pub(super) fn resize(&mut self, node: &OnnxNode) -> Result<Value> {
        let mut view = self.view(node, 0)?;
        let scales = if self.opset < 11 { 1 } else { 2 };
        let (_, scales) = self.floats(node, scales)?;
        if super::text(node, "mode", "nearest") != "nearest" || scales.len() != view.axes.len() {
            return refuse(
                "pixels in between; supported: pixels that are repeated (nearest, scales)",
            );
        }
        for (axis, scale) in scales.into_iter().enumerate() {
            if scale == 1.0 {
                continue;
            }
            if scale < 1.0 || scale.fract() != 0.0 || scale > 1e6 {
                return refuse(format!("a scale of {scale}"));
            }
            view = self.repeated(&view, axis, Some(scale as usize))?;
        }
        Ok(Value::View(view))
    }

    fn filled(&mut self, dims: &[Dim], value: i64) -> Result<Value> {
        let known: Option<Vec<usize>> =
            dims.iter().map(|dim| usize::try_from(dim.number()?).ok()).collect();
        let count =
            known.as_ref().and_then(|k| k.iter().try_fold(1usize, |p, n| p.checked_mul(*n)));
        match (known, count) {
            (Some(known), Some(count)) => {
                self.spend(count)?;
                let elements = Elements::Ints(vec![value; count]);
                Ok(Value::Array(Array { dims: known, elements }.into()))
            }
            _ => Ok(Value::Fill(dims.to_vec(), value as f32)),
        }
    }

    pub(super) fn cast(&mut self, node: &OnnxNode) -> Result<Value> {
        let to = int(node, "to", 1);
        match self.operand(node, 0)? {
            Value::Array(array) => self.made(fold::cast(&array, to)),
            value => {
                let floats = matches!(to, 1 | 10 | 11 | 16);
                let computed =
                    matches!(&value, Value::View(View { source: Source::Layer { .. }, .. }));
                match computed && !floats {
                    true => refuse("results of layers are cast to integers"),
                    false => Ok(value),
                }
            }
        }
    }
}

/// True where a file fixes the extent of the batch, and a shape repeats it.
fn repeats_batch(view: &View, axis: &Dim, dim: &Dim) -> bool {
    let batch = view.axes.iter().flatten().find(|atom| atom.id == BATCH);
    let fixed = batch.and_then(|atom| atom.extent);
    axis.open == [BATCH]
        && axis.factor == 1
        && fixed.is_some_and(|n| dim.number() == Some(n as i64))
}

/// Arithmetic of extents.
pub(super) fn of_dims(operator: &str, a: &Value, b: &Value) -> Result<Value> {
    let (Some((a, alone)), Some((b, other))) = (dims_of(a), dims_of(b)) else {
        return refuse("of an extent and data");
    };
    let count = a.len().max(b.len());
    let at =
        |dims: &[Dim], i: usize| if dims.len() == 1 { dims.first() } else { dims.get(i) }.cloned();
    let one = |i: usize| {
        let (a, b) = (at(&a, i)?, at(&b, i)?);
        match operator {
            "Mul" => Some(a.times(&b)),
            "Div" => a.divided(&b),
            "Add" if b == Dim::known(0) => Some(a),
            "Sub" if b == Dim::known(0) => Some(a),
            "Equal" if b.number().is_some_and(|n| n < 0) => Some(Dim::known(0)),
            _ => None,
        }
    };
    match (0..count).map(one).collect::<Option<Vec<Dim>>>() {
        Some(dims) => Ok(dims_value(dims, alone && other)),
        None => refuse("of an open extent: export the model with fixed extents"),
    }
}
