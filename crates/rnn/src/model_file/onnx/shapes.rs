//! Operators that move elements, and those that compute shapes.

use super::super::Result;
use super::value::{Atom, Axis, BATCH, Dim, Source, Value, View, axis_of, extent, refuse};
use super::{Import, fold, int, list};
use rnn_formats::onnx::{Array, Attribute, Elements, OnnxNode};
use serde_json::json;
use std::collections::VecDeque;

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

/// What a reshape asks for along one axis.
enum Target {
    /// Exactly these factors.
    Same(Axis),
    Known(usize),
    Open(Dim),
    /// What is left.
    Rest,
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

    pub(super) fn transpose(&mut self, node: &OnnxNode) -> Result<Value> {
        let value = self.operand(node, 0)?;
        let rank = match &value {
            Value::Array(array) => array.dims.len(),
            Value::Fill(dims, _) | Value::Dims(dims, _) => dims.len(),
            Value::View(view) => view.axes.len(),
            Value::Stack(_, views) => views.first().map_or(0, |view| view.axes.len()) + 1,
            Value::Gauss(_) | Value::Beyond => 0,
        };
        let order = list(node, "perm").unwrap_or_else(|| (0..rank as i64).rev().collect());
        let order = order.iter().map(|&axis| axis_of(axis, rank)).collect::<Result<Vec<_>>>()?;
        let mut seen = order.clone();
        seen.sort_unstable();
        if seen != (0..rank).collect::<Vec<_>>() {
            return refuse("a transposition that leaves an axis out");
        }
        match value {
            Value::Array(array) => {
                self.spend(array.elements.len())?;
                Ok(Value::Array(fold::transpose(&array, &order)?.into()))
            }
            Value::Fill(dims, value) => {
                Ok(Value::Fill(order.iter().map(|&axis| dims[axis].clone()).collect(), value))
            }
            value => {
                let view = self.value_view(value)?;
                let axes = order.iter().map(|&axis| view.axes[axis].clone()).collect();
                Ok(Value::View(View { axes, ..view }))
            }
        }
    }

    pub(super) fn squeeze(&mut self, node: &OnnxNode) -> Result<Value> {
        let inserts = node.operator == "Unsqueeze";
        let axes = self.ints(node, 1, "axes")?;
        let value = self.operand(node, 0)?;
        // Lists of extents have at most one axis, which comes or goes.
        if let Some((dims, scalar)) = dims_of(&value)
            && (scalar == inserts)
            && dims.len() == 1
        {
            return Ok(dims_value(dims, !inserts));
        }
        let ones: Vec<bool> = match &value {
            Value::Array(array) => array.dims.iter().map(|&n| n == 1).collect(),
            Value::Fill(dims, _) | Value::Dims(dims, _) => {
                dims.iter().map(|dim| dim.number() == Some(1)).collect()
            }
            Value::View(view) => view.axes.iter().map(|axis| axis.is_empty()).collect(),
            Value::Stack(axis, views) => {
                let first = views.first().map_or(&[][..], |view| &view.axes);
                let mut ones: Vec<bool> = first.iter().map(|axis| axis.is_empty()).collect();
                ones.insert((*axis).min(ones.len()), views.len() == 1);
                ones
            }
            Value::Gauss(_) | Value::Beyond => vec![],
        };
        let rank = ones.len() + if inserts { axes.as_ref().map_or(0, Vec::len) } else { 0 };
        let all = || (0..rank as i64).filter(|&axis| ones[axis as usize]).collect();
        let axes = axes.unwrap_or_else(all);
        let mut axes = axes.iter().map(|&axis| axis_of(axis, rank)).collect::<Result<Vec<_>>>()?;
        axes.sort_unstable();
        axes.dedup();
        if !inserts && axes.iter().any(|&axis| !ones[axis]) {
            return refuse("an axis of more than one element is removed");
        }
        fn change<T>(items: &mut Vec<T>, axes: &[usize], insert: Option<impl Fn() -> T>) {
            match insert {
                Some(one) => axes.iter().for_each(|&at| items.insert(at.min(items.len()), one())),
                None => axes.iter().rev().for_each(|&at| drop(items.remove(at))),
            }
        }
        match value {
            Value::Array(array) => {
                let mut dims = array.dims.clone();
                change(&mut dims, &axes, inserts.then_some(|| 1));
                self.made(Array { dims, elements: array.elements.clone() })
            }
            Value::Fill(mut dims, value) => {
                change(&mut dims, &axes, inserts.then_some(|| Dim::known(1)));
                Ok(Value::Fill(dims, value))
            }
            // One of them alone: the axis of the stack may go.
            Value::Stack(axis, views) if !inserts && axes == [axis] && views.len() == 1 => {
                Ok(Value::View(views[0].clone()))
            }
            value => {
                let mut view = self.value_view(value)?;
                change(&mut view.axes, &axes, inserts.then_some(Vec::new));
                Ok(Value::View(view))
            }
        }
    }

    pub(super) fn reshape(&mut self, node: &OnnxNode) -> Result<Value> {
        let value = self.operand(node, 0)?;
        if node.operator == "Flatten" {
            let mut view = self.value_view(value)?;
            let axis = axis_of(int(node, "axis", 1), view.axes.len() + 1)?;
            view.axes = vec![view.axes[..axis].concat(), view.axes[axis..].concat()];
            return Ok(Value::View(view));
        }
        let keep_zero = int(node, "allowzero", 0) != 0;
        let Some((dims, _)) = dims_of(&self.operand(node, 1)?) else {
            return refuse("a shape that is computed from the data");
        };
        match value {
            Value::Array(array) => {
                let numbers: Option<Vec<i64>> = dims.iter().map(Dim::number).collect();
                match numbers {
                    Some(numbers) => self.made(fold::reshape(&array, &numbers, keep_zero)?),
                    None => refuse("a constant in a shape that depends on the data"),
                }
            }
            Value::Fill(_, value) => Ok(Value::Fill(dims, value)),
            Value::Dims(list, _) => Ok(dims_value(list, dims.is_empty())),
            value => {
                let view = self.value_view(value)?;
                let targets = dims.into_iter().enumerate().map(|(axis, dim)| match dim.number() {
                    Some(-1) => Ok(Target::Rest),
                    Some(0) if !keep_zero => match view.axes.get(axis) {
                        Some(same) => Ok(Target::Same(same.clone())),
                        None => refuse("it keeps the extent of an axis that is not there"),
                    },
                    Some(n) => match usize::try_from(n) {
                        Ok(n) => Ok(Target::Known(n)),
                        Err(_) => refuse(format!("an extent of {n}")),
                    },
                    None => Ok(Target::Open(dim)),
                });
                let targets = targets.collect::<Result<Vec<_>>>()?;
                Ok(Value::View(self.regrouped(view, targets)?))
            }
        }
    }

    /// The view with the same factors, some of them divided, in other axes.
    fn regrouped(&mut self, mut view: View, targets: Vec<Target>) -> Result<View> {
        let mut left: VecDeque<Atom> = view.axes.concat().into();
        let rest = targets.iter().position(|target| matches!(target, Target::Rest));
        let mut axes: Vec<Axis> = vec![vec![]; targets.len()];
        let ahead = 0..rest.unwrap_or(targets.len());
        let behind = rest.map_or(0..0, |rest| rest + 1..targets.len());
        for (axis, backwards) in ahead.map(|i| (i, false)).chain(behind.rev().map(|i| (i, true))) {
            axes[axis] = self.taken(&mut view, &mut left, &targets[axis], backwards)?;
        }
        match rest {
            Some(rest) => axes[rest] = left.into(),
            None if left.iter().all(|atom| atom.id == BATCH && atom.extent == Some(1)) => {
                // A single example, whose axis was left out.
                if !left.is_empty() {
                    return refuse("the batch is left out: export the model with a batch of 2");
                }
            }
            None => return refuse("a reshape to fewer elements"),
        }
        Ok(View { axes, ..view })
    }

    /// Takes the factors of one axis from an end of those that are left.
    fn taken(
        &mut self,
        view: &mut View,
        left: &mut VecDeque<Atom>,
        target: &Target,
        backwards: bool,
    ) -> Result<Axis> {
        let pop = |left: &mut VecDeque<Atom>| match backwards {
            true => left.pop_back(),
            false => left.pop_front(),
        };
        let next =
            |left: &VecDeque<Atom>| if backwards { left.back() } else { left.front() }.copied();
        let mut axis: Axis = vec![];
        let misfit = "a reshape that divides an open axis: export the model with fixed extents";
        match target {
            Target::Rest => {}
            Target::Same(same) => {
                for _ in same {
                    axis.extend(pop(left));
                }
            }
            Target::Open(dim) => {
                let mut dim = dim.clone();
                while dim != Dim::known(1) {
                    let Some(atom) = pop(left) else { return refuse(misfit) };
                    let Some(quotient) = dim.divided(&Dim::of(&[atom])) else {
                        return refuse(misfit);
                    };
                    dim = quotient;
                    axis.push(atom);
                }
            }
            Target::Known(1) => {
                let single = |atom: &Atom| atom.id == BATCH && atom.extent == Some(1);
                if next(left).as_ref().is_some_and(single) {
                    axis.extend(pop(left));
                }
            }
            Target::Known(extent) => {
                let mut open = *extent;
                while open != 1 {
                    let Some(atom) = pop(left) else { return refuse("a reshape to more elements") };
                    let Some(n) = atom.extent.filter(|&n| n > 0 && open > 0) else {
                        return refuse(misfit);
                    };
                    if open % n == 0 {
                        open /= n;
                        axis.push(atom);
                    } else if n % open == 0 && atom.id != BATCH && !atom.reversed {
                        let parts = if backwards { [n / open, open] } else { [open, n / open] };
                        let [outer, inner] = self.divided(view, atom, parts);
                        match backwards {
                            true => {
                                left.push_back(outer);
                                axis.push(inner);
                            }
                            false => {
                                left.push_front(inner);
                                axis.push(outer);
                            }
                        }
                        open = 1;
                    } else {
                        return refuse("a reshape that mixes axes");
                    }
                }
            }
        }
        if backwards {
            axis.reverse();
        }
        Ok(axis)
    }

    /// Two factors in place of one.
    fn divided(&mut self, view: &mut View, atom: Atom, [outer, inner]: [usize; 2]) -> [Atom; 2] {
        let mut part = |extent| {
            self.atoms += 1;
            Atom { id: self.atoms, extent: Some(extent), reversed: false }
        };
        let parts = [part(outer), part(inner)];
        for axis in &mut view.own {
            if let Some(at) = axis.iter().position(|other| other.id == atom.id) {
                axis.splice(at..=at, parts);
            }
        }
        parts
    }

    pub(super) fn concat(&mut self, node: &OnnxNode) -> Result<Value> {
        let axis = int(node, "axis", 0);
        let count = node.inputs.len();
        let values = (0..count).map(|i| self.operand(node, i)).collect::<Result<Vec<_>>>()?;
        if values.iter().all(|value| matches!(value, Value::Array(_))) {
            let arrays: Vec<&Array> = values
                .iter()
                .filter_map(
                    |value| if let Value::Array(array) = value { Some(&**array) } else { None },
                )
                .collect();
            let count = arrays.iter().map(|array| array.elements.len()).sum();
            self.spend(count)?;
            return Ok(Value::Array(fold::concat(&arrays, axis)?.into()));
        }
        if let Some(lists) = values.iter().map(dims_of).collect::<Option<Vec<_>>>() {
            return Ok(dims_value(lists.into_iter().flat_map(|(dims, _)| dims).collect(), false));
        }
        let fill = values.iter().map(|v| if let Value::Fill(_, v) = v { Some(*v) } else { None });
        if let Some(Some(first)) = fill.collect::<Option<Vec<f32>>>().map(|v| v.first().copied()) {
            let Value::Fill(dims, _) = &values[0] else { return refuse("nothing") };
            return Ok(Value::Fill(dims.clone(), first));
        }
        if let Some(stack) = stacked(&values, axis) {
            return Ok(stack);
        }
        let mut views = Vec::new();
        for value in values {
            views.push(self.value_view(value)?);
        }
        self.concatenated(&views, axis).map(Value::View)
    }

    fn concatenated(&mut self, views: &[View], axis: i64) -> Result<View> {
        let Some(first) = views.first() else { return refuse("nothing to concatenate") };
        let axis = axis_of(axis, first.axes.len())?;
        let place = first.place(axis)?;
        let mut sources = Vec::new();
        let mut sum = Some(0);
        for view in views {
            if view.axes.len() != first.axes.len() || view.place(axis)? != place {
                return refuse("tensors of other axes are concatenated");
            }
            let (source, own) = self.canonical(view)?;
            sum = sum.zip(extent(&own[place])).map(|(sum, n)| sum + n);
            sources.push(source);
        }
        let (mut own, mut axes) = (first.canonical()?.0, first.axes.clone());
        let all = self.axis(sum);
        (own[place], axes[axis]) = (all.clone(), all);
        let source = match sources[..] {
            [only] => only,
            _ => self.layer("Concatenate", json!({"axis": place + 1}), sources, vec![])?,
        };
        Ok(View { source, own, axes })
    }

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
        let table = super::products::weight(dims, values)?;
        let source = self.layer("Embedding", config, vec![source], vec![table])?;
        let features = self.axis(Some(width));
        let mut axes = tokens.axes.clone();
        own.push(features.clone());
        axes.push(features);
        Ok(Value::View(View { source, own, axes }))
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

/// Stacks along the axis that they are stacked along; axes of one element count as a stack of one.
fn stacked(values: &[Value], axis: i64) -> Option<Value> {
    let mut all = Vec::new();
    for value in values {
        match value {
            Value::Stack(place, views) => {
                let rank = views.first()?.axes.len() + 1;
                if axis_of(axis, rank).ok()? != *place {
                    return None;
                }
                all.extend(views.iter().cloned());
            }
            Value::View(view) => {
                let axis = axis_of(axis, view.axes.len()).ok()?;
                if !view.axes[axis].is_empty() {
                    return None;
                }
                let mut view = view.clone();
                view.axes.remove(axis);
                all.push(view);
            }
            _ => return None,
        }
    }
    let rank = all.first()?.axes.len() + 1;
    Some(Value::Stack(axis_of(axis, rank).ok()?, all))
}
