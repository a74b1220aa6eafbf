//! Operators that put elements into other axes, and tensors side by side.

use super::super::Result;
use super::shapes::{dims_of, dims_value};
use super::value::{Atom, Axis, BATCH, Dim, Value, View, axis_of, extent, refuse};
use super::{Import, fold, int, list};
use rnn_formats::onnx::{Array, OnnxNode};
use serde_json::json;
use std::collections::VecDeque;

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
