//! Operators that choose rows of an axis.

use super::super::Result;
use super::products::weight;
use super::shapes::dims_value;
use super::value::{Dim, Source, Value, View, axis_of, extent, refuse};
use super::{Import, fold, int};
use rnn_formats::onnx::{Elements, OnnxNode};
use serde_json::json;

/// The rows that a slice takes of an axis of `extent` rows.
fn rows(start: i64, end: i64, step: i64, extent: usize) -> Vec<usize> {
    let extent = extent as i64;
    let place = |at: i64| if at < 0 { at.saturating_add(extent) } else { at };
    let (mut at, mut rows) = (place(start), vec![]);
    if step > 0 {
        at = at.clamp(0, extent);
        let end = place(end).clamp(0, extent);
        while at < end {
            rows.push(at as usize);
            at = at.saturating_add(step);
        }
    } else if step < 0 {
        at = at.clamp(-1, extent - 1);
        let end = place(end).clamp(-1, extent - 1);
        while at > end {
            rows.push(at as usize);
            at = at.saturating_add(step);
        }
    }
    rows
}

impl Import<'_> {
    pub(super) fn slice(&mut self, node: &OnnxNode) -> Result<Value> {
        let (Some(starts), Some(ends)) =
            (self.ints(node, 1, "starts")?, self.ints(node, 2, "ends")?)
        else {
            return refuse("it has no start or no end");
        };
        let axes = self.ints(node, 3, "axes")?;
        let axes = axes.unwrap_or_else(|| (0..starts.len() as i64).collect());
        let steps = self.ints(node, 4, "steps")?.unwrap_or_else(|| vec![1; starts.len()]);
        let mut value = self.operand(node, 0)?;
        for (((start, end), axis), step) in starts.into_iter().zip(ends).zip(axes).zip(steps) {
            value = self.sliced(value, axis, [start, end, step])?;
        }
        Ok(value)
    }

    fn sliced(&mut self, value: Value, axis: i64, [start, end, step]: [i64; 3]) -> Result<Value> {
        match value {
            Value::Array(array) => {
                let axis = axis_of(axis, array.dims.len())?;
                let rows = rows(start, end, step, array.dims[axis]);
                self.made(fold::gather(&array, axis, &rows)?)
            }
            Value::Dims(dims, _) => {
                let rows = rows(start, end, step, dims.len());
                Ok(dims_value(rows.iter().map(|&row| dims[row].clone()).collect(), false))
            }
            Value::Fill(mut dims, value) => {
                let axis = axis_of(axis, dims.len())?;
                if let Some(extent) = dims[axis].number().and_then(|n| usize::try_from(n).ok()) {
                    dims[axis] =
                        Dim::known(rows(start, end, step, extent.min(1 << 20)).len() as i64);
                }
                Ok(Value::Fill(dims, value))
            }
            Value::Stack(place, views)
                if axis_of(axis, views.first().map_or(0, |view| view.axes.len()) + 1)? == place =>
            {
                let rows = rows(start, end, step, views.len());
                Ok(Value::Stack(place, rows.iter().map(|&row| views[row].clone()).collect()))
            }
            value => {
                let view = self.value_view(value)?;
                let axis = axis_of(axis, view.axes.len())?;
                self.range(view, axis, [start, end, step]).map(Value::View)
            }
        }
    }

    /// A slice of a tensor of the model.
    fn range(&mut self, mut view: View, axis: usize, [start, end, step]: [i64; 3]) -> Result<View> {
        let far = i64::from(i32::MAX);
        let whole = step == -1 && (start == -1 || start >= far) && end <= -far;
        if whole && let [atom] = &mut view.axes[axis][..] {
            atom.reversed = !atom.reversed;
            return Ok(view);
        }
        if step != 1 {
            return refuse(format!("steps of {step}"));
        }
        let [cut, kept] = match extent(&view.axes[axis]) {
            Some(extent) => {
                let rows = rows(start, end, step, extent);
                let Some(&first) = rows.first() else { return refuse("an empty slice") };
                [first, extent - first - rows.len()]
            }
            None => {
                let behind = if end >= far { Some(0) } else { usize::try_from(-end).ok() };
                match (usize::try_from(start).ok(), behind.filter(|_| end < 0 || end >= far)) {
                    (Some(cut), Some(kept)) => [cut, kept],
                    _ if start == -1 && end >= far => return self.last(view, axis, true),
                    _ if start == 0 && end == 1 => return self.last(view, axis, false),
                    _ => return refuse("a slice of an open axis: export with fixed extents"),
                }
            }
        };
        self.cropped(view, axis, [cut, kept])
    }

    /// The view without so many rows at the beginning and at the end of an axis.
    fn cropped(&mut self, view: View, axis: usize, [ahead, behind]: [usize; 2]) -> Result<View> {
        if ahead == 0 && behind == 0 {
            return Ok(view);
        }
        let (mut own, place) = (view.canonical()?.0, view.place(axis)?);
        // The axis, then all others as one.
        let along = own.remove(place);
        let source = self.arranged(&view, &[along.clone(), own.concat()])?;
        let config = json!({"cropping": [ahead, behind]});
        let source = self.layer("Cropping1D", config, vec![source], vec![])?;
        let left = self.axis(extent(&along).map(|n| n - ahead - behind));
        let mut axes = view.axes;
        axes[axis].clone_from(&left);
        Ok(View { source, own: vec![left, own.concat()], axes })
    }

    /// The first or the last row of an open axis.
    fn last(&mut self, view: View, axis: usize, last: bool) -> Result<View> {
        let (mut own, place) = (view.canonical()?.0, view.place(axis)?);
        let along = own.remove(place);
        let features = own.concat();
        let source = self.arranged(&view, &[along, features.clone()])?;
        let source = self.copied(source, &features, json!({"go_backwards": !last}))?;
        let mut axes = view.axes;
        axes[axis] = vec![];
        Ok(View { source, own: vec![features], axes })
    }

    /// One row of an axis, which goes.
    pub(super) fn selected(&mut self, value: Value, axis: usize, row: i64) -> Result<Value> {
        if let Value::Stack(place, views) = &value
            && *place == axis
        {
            return Ok(Value::View(views[axis_of(row, views.len())?].clone()));
        }
        let view = self.value_view(value)?;
        let mut one = match self.last_step(&view, axis, row) {
            Some(state) => return Ok(Value::View(state)),
            None => {
                let end = if row == -1 { i64::MAX } else { row + 1 };
                self.range(view, axis, [row, end, 1])?
            }
        };
        one.axes.remove(axis);
        Ok(Value::View(one))
    }

    /// The final state of a recurrent layer, where the last of its steps is taken.
    fn last_step(&self, view: &View, axis: usize, row: i64) -> Option<View> {
        let Source::Layer { layer, output: 0 } = view.source else { return None };
        let made = self.layers.get(layer)?;
        let [time, units] = &view.own[..] else { return None };
        let [atom] = view.axes[axis][..] else { return None };
        let same = time.len() == 1 && time[0].id == atom.id;
        let backwards = atom.reversed != time[0].reversed;
        let last = if backwards {
            row == 0
        } else {
            row == -1 || atom.extent.is_some_and(|n| row == n as i64 - 1)
        };
        if !made.recurrent || made.class == "Bidirectional" || !same || !last {
            return None;
        }
        let mut axes = view.axes.clone();
        axes.remove(axis);
        Some(View { source: Source::Layer { layer, output: 1 }, own: vec![units.clone()], axes })
    }

    pub(super) fn split(&mut self, node: &OnnxNode) -> Result<Vec<Value>> {
        let value = self.operand(node, 0)?;
        let count = node.outputs.len();
        let rank = match &value {
            Value::Array(array) => array.dims.len(),
            Value::Dims(..) => 1,
            Value::Fill(dims, _) => dims.len(),
            Value::View(view) => view.axes.len(),
            Value::Stack(_, views) => views.first().map_or(0, |view| view.axes.len()) + 1,
            Value::Gauss(_) | Value::Beyond => 0,
        };
        let axis = axis_of(int(node, "axis", 0), rank)?;
        let whole = match &value {
            Value::Array(array) => array.dims.get(axis).copied(),
            Value::Dims(dims, _) => Some(dims.len()),
            Value::Fill(dims, _) => dims[axis].number().and_then(|n| usize::try_from(n).ok()),
            Value::View(view) => extent(&view.axes[axis]),
            Value::Stack(place, views) if *place == axis => Some(views.len()),
            Value::Stack(..) | Value::Gauss(_) | Value::Beyond => None,
        };
        let sizes = match (self.ints(node, 1, "split")?, whole) {
            (Some(sizes), _) => sizes,
            (None, Some(whole)) => vec![whole.div_ceil(count.max(1)) as i64; count],
            (None, None) => return refuse("an open axis is divided"),
        };
        let mut at = 0i64;
        let mut parts = Vec::new();
        for size in sizes {
            let end = at.saturating_add(size);
            parts.push(self.sliced(value.clone(), axis as i64, [at, end, 1])?);
            at = end;
        }
        Ok(parts)
    }

    pub(super) fn gather(&mut self, node: &OnnxNode) -> Result<Value> {
        let (data, indices) = (self.operand(node, 0)?, self.operand(node, 1)?);
        let axis = int(node, "axis", 0);
        match (data, indices) {
            (Value::Array(_), Value::View(tokens)) => self.embedding(node, axis, &tokens),
            (data, Value::Array(indices)) => {
                let Elements::Ints(rows) = &indices.elements else { return refuse("no indices") };
                self.rows(data, axis, &indices.dims, rows)
            }
            _ => refuse("rows that are chosen by what is computed"),
        }
    }

    /// Constant rows: one of them, without its axis, or a list.
    fn rows(&mut self, data: Value, axis: i64, shape: &[usize], rows: &[i64]) -> Result<Value> {
        match data {
            Value::Array(array) => {
                let axis = axis_of(axis, array.dims.len())?;
                let extent = array.dims[axis];
                let rows =
                    rows.iter().map(|&row| axis_of(row, extent)).collect::<Result<Vec<_>>>()?;
                self.spend(rows.len().saturating_mul(array.elements.len() / extent.max(1)))?;
                let mut made = fold::gather(&array, axis, &rows)?;
                made.dims.splice(axis..=axis, shape.iter().copied());
                Ok(Value::Array(made.into()))
            }
            Value::Dims(dims, _) => {
                let row = |&row: &i64| Ok(dims[axis_of(row, dims.len())?].clone());
                let rows = rows.iter().map(row).collect::<Result<Vec<_>>>()?;
                Ok(dims_value(rows, shape.is_empty()))
            }
            Value::Fill(mut dims, value) => {
                let axis = axis_of(axis, dims.len())?;
                dims.splice(axis..=axis, shape.iter().map(|&n| Dim::known(n as i64)));
                Ok(Value::Fill(dims, value))
            }
            value => {
                let rank = match &value {
                    Value::Stack(_, views) => views.first().map_or(0, |view| view.axes.len()) + 1,
                    Value::View(view) => view.axes.len(),
                    _ => 0,
                };
                let axis = axis_of(axis, rank)?;
                match (shape, rows) {
                    ([], [row]) => self.selected(value, axis, *row),
                    ([_], [first, .., last]) if *first >= 0 => {
                        if !rows.iter().zip(*first..).all(|(row, next)| *row == next) {
                            return refuse("rows that do not lie side by side");
                        }
                        self.sliced(value, axis as i64, [*first, last.saturating_add(1), 1])
                    }
                    ([_], [row]) => {
                        let end = if *row == -1 { i64::MAX } else { row.saturating_add(1) };
                        self.sliced(value, axis as i64, [*row, end, 1])
                    }
                    _ => refuse("rows in several axes"),
                }
            }
        }
    }

    fn embedding(&mut self, node: &OnnxNode, axis: i64, tokens: &View) -> Result<Value> {
        let (dims, values) = self.floats(node, 0)?;
        let [rows, width] = dims[..] else {
            return refuse(format!("a table of shape {dims:?}; supported: rows and columns"));
        };
        if axis != 0 {
            return refuse("columns of a table that are chosen by the data");
        }
        let (source, mut own) = self.canonical(tokens)?;
        let config = json!({"input_dim": rows, "output_dim": width});
        let table = weight(dims, values)?;
        let source = self.layer("Embedding", config, vec![source], vec![table])?;
        let features = self.axis(Some(width));
        let mut axes = tokens.axes.clone();
        own.push(features.clone());
        axes.push(features);
        Ok(Value::View(View { source, own, axes }))
    }
}
