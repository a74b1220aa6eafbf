//! Operators that work on each element by itself.

use super::super::Result;
use super::shapes::{dims_of, dims_value};
use super::value::{Axis, Dim, Source, Value, View, extent, refuse};
use super::{Import, float, fold, text};
use rnn_formats::onnx::{Array, Attribute, Elements, OnnxNode};
use serde_json::{Value as Json, json};

impl Import<'_> {
    pub(super) fn unary(&mut self, node: &OnnxNode) -> Result<Value> {
        let close = |a: f32, b: f32| (a - b).abs() <= 1e-6 * b.abs();
        let named = |name: &str| ("Activation", json!({"activation": name}));
        let alpha = |default| float(node, "alpha", default);
        let (class, config) = match node.operator.as_str() {
            "Relu" => named("relu"),
            "Sigmoid" => named("sigmoid"),
            "Tanh" => named("tanh"),
            "Softplus" => named("softplus"),
            "Softsign" => named("softsign"),
            "Exp" => named("exponential"),
            "Mish" => named("mish"),
            "HardSwish" => named("hard_silu"),
            "Selu" if !node.attributes.contains_key("alpha") || close(alpha(0.0), 1.673_263_2) => {
                named("selu")
            }
            "Celu" if alpha(1.0) == 1.0 => named("celu"),
            "Gelu" if text(node, "approximate", "none") == "tanh" => named("gelu_tanh"),
            "Gelu" => named("gelu"),
            "HardSigmoid" => match hard_sigmoid(alpha(0.2), float(node, "beta", 0.5)) {
                Some(name) => named(name),
                None => return refuse("a slope that is not 1/6 or 0.2"),
            },
            "LeakyRelu" => ("LeakyReLU", json!({"negative_slope": alpha(0.01)})),
            "Elu" => ("ELU", json!({"alpha": alpha(1.0)})),
            "ThresholdedRelu" => ("ReLU", json!({"threshold": alpha(1.0)})),
            "Clip" => self.clip(node)?,
            "PRelu" => return self.p_relu(node),
            "Erf" => return self.erf(node),
            "Not" => return self.not(node),
            "Neg" | "Sqrt" | "Reciprocal" => match self.operand(node, 0)? {
                Value::Array(array) => match fold::unary(&node.operator, &array) {
                    Some(made) => return self.made(made),
                    None => return refuse("of integers"),
                },
                _ if node.operator == "Neg" => ("Rescaling", json!({"scale": -1.0})),
                _ => return unknown(),
            },
            _ => return unknown(),
        };
        let view = self.view(node, 0)?;
        self.mapped(&view, class, config).map(Value::View)
    }

    fn clip(&self, node: &OnnxNode) -> Result<(&'static str, Json)> {
        let limit = |index, name| -> Result<Option<f32>> {
            Ok(match (node.attributes.get(name), self.optional(node, index)?) {
                (Some(Attribute::Float(limit)), _) => Some(*limit),
                (_, Some(_)) => self.floats(node, index)?.1.first().copied(),
                _ => None,
            })
        };
        match (limit(1, "min")?, limit(2, "max")?) {
            (Some(0.0), max) => {
                Ok(("ReLU", json!({"max_value": max.filter(|max| max.is_finite())})))
            }
            (Some(-1.0), Some(1.0)) => Ok(("Activation", json!({"activation": "hard_tanh"}))),
            (min, max) => refuse(format!(
                "limits of {min:?} and {max:?}; supported: from 0 on, and from -1 to 1"
            )),
        }
    }

    fn p_relu(&mut self, node: &OnnxNode) -> Result<Value> {
        let view = self.view(node, 0)?;
        let (dims, values) = self.floats(node, 1)?;
        let (source, own) = self.canonical(&view)?;
        let Array { dims, elements } = own_array(&view, &own, &dims, &values)?;
        let Elements::Floats(values) = elements else { return refuse("of integers") };
        let shared: Vec<usize> = (0..own.len()).filter(|&i| dims[i] == 1).map(|i| i + 1).collect();
        let alpha = super::products::weight(dims, values)?;
        let shared = if shared.is_empty() { Json::Null } else { json!(shared) };
        let source =
            self.layer("PReLU", json!({"shared_axes": shared}), vec![source], vec![alpha])?;
        Ok(Value::View(View { source, own, ..view }))
    }

    pub(super) fn binary(&mut self, node: &OnnxNode) -> Result<Value> {
        let (a, b) = (self.operand(node, 0)?, self.operand(node, 1)?);
        let operator = node.operator.as_str();
        match (&a, &b) {
            (Value::Array(x), Value::Array(y)) => {
                let count = fold::broadcast(&x.dims, &y.dims)?;
                let count = count.iter().try_fold(1usize, |p, n| p.checked_mul(*n));
                self.spend(count.unwrap_or(usize::MAX / 8))?;
                match fold::binary(operator, x, y)? {
                    Some(array) => Ok(Value::Array(array.into())),
                    None => refuse("of these constants"),
                }
            }
            // Tokens are not negative, so that none is counted from the end of its table.
            (Value::View(x), Value::Array(array)) if self.is_tokens(x) => {
                match (operator, &array.elements) {
                    ("Less", Elements::Ints(zero)) if zero[..] == [0] => {
                        Ok(Value::Fill(x.dims(), 0.0))
                    }
                    ("Less", Elements::Floats(zero)) if zero[..] == [0.0] => {
                        Ok(Value::Fill(x.dims(), 0.0))
                    }
                    ("Add", Elements::Ints(_)) => Ok(Value::Beyond),
                    _ => refuse("arithmetic with tokens"),
                }
            }
            (Value::Fill(dims, 0.0), Value::Beyond) | (Value::Beyond, Value::Fill(dims, 0.0))
                if operator == "Mul" =>
            {
                Ok(Value::Fill(dims.clone(), 0.0))
            }
            (Value::Fill(_, 1.0), Value::View(x)) if operator == "Mul" && self.is_tokens(x) => {
                Ok(b)
            }
            (Value::View(x), Value::Fill(_, 1.0)) if operator == "Mul" && self.is_tokens(x) => {
                Ok(a)
            }
            (Value::Gauss(gauss), _) => self.gelu(operator, *gauss.clone(), &b),
            (_, Value::Gauss(gauss)) => self.gelu(operator, *gauss.clone(), &a),
            // Zeros that are added change nothing.
            (Value::Fill(_, 0.0), _) if operator == "Add" => Ok(b),
            (_, Value::Fill(_, 0.0)) if matches!(operator, "Add" | "Sub") => Ok(a),
            (Value::Fill(_, value), _) => {
                let number = Array { dims: vec![], elements: Elements::Floats(vec![*value]) };
                self.with_constant(operator, b, &number, true)
            }
            (_, Value::Fill(_, value)) => {
                let number = Array { dims: vec![], elements: Elements::Floats(vec![*value]) };
                self.with_constant(operator, a, &number, false)
            }
            (Value::Dims(..), _) | (_, Value::Dims(..)) => of_dims(operator, &a, &b),
            (_, Value::Array(array)) => {
                let array = array.clone();
                self.with_constant(operator, a, &array, false)
            }
            (Value::Array(array), _) => {
                let array = array.clone();
                self.with_constant(operator, b, &array, true)
            }
            _ => {
                let (a, b) = (self.value_view(a)?, self.value_view(b)?);
                let class = match operator {
                    "Add" => "Add",
                    "Sub" => "Subtract",
                    "Mul" => "Multiply",
                    _ => return refuse("of two tensors"),
                };
                self.merged(class, &[a, b]).map(Value::View)
            }
        }
    }

    /// True for an input of integers itself.
    fn is_tokens(&self, view: &View) -> bool {
        matches!(view.source, Source::Input(input) if self.inputs[input].integers)
    }

    /// The opposite truth value.
    pub(super) fn not(&mut self, node: &OnnxNode) -> Result<Value> {
        match self.operand(node, 0)? {
            Value::Fill(dims, value) => Ok(Value::Fill(dims, f32::from(u8::from(value == 0.0)))),
            _ => refuse("of what is computed"),
        }
    }

    pub(super) fn variadic(&mut self, node: &OnnxNode) -> Result<Value> {
        let count = node.inputs.len();
        let values = (0..count).map(|i| self.operand(node, i)).collect::<Result<Vec<_>>>()?;
        let constant = |value: &Value| matches!(value, Value::Array(_) | Value::Fill(..));
        if let [a, b] = &values[..] {
            if let (Value::Array(x), Value::Array(y)) = (a, b)
                && let Some(made) = fold::binary(&node.operator, x, y)?
            {
                return self.made(made);
            }
            let zero = |value: &Value| match value {
                Value::Array(array) => {
                    matches!(&array.elements, Elements::Floats(v) if v.iter().all(|v| *v == 0.0))
                }
                Value::Fill(_, value) => *value == 0.0,
                _ => false,
            };
            if node.operator == "Max"
                && let Some(x) = if zero(b) { Some(a) } else { zero(a).then_some(b) }
            {
                let view = self.value_view(x.clone())?;
                let config = json!({"activation": "relu"});
                return self.mapped(&view, "Activation", config).map(Value::View);
            }
        }
        if values.iter().any(constant) {
            return refuse("constants among its operands");
        }
        let views = values.into_iter().map(|value| self.value_view(value));
        let views = views.collect::<Result<Vec<_>>>()?;
        let class = match node.operator.as_str() {
            "Sum" => "Add",
            "Mean" => "Average",
            "Max" => "Maximum",
            _ => "Minimum",
        };
        self.merged(class, &views).map(Value::View)
    }

    /// An operator of tensors of one shape, or of shapes of which some have axes of one element.
    fn merged(&mut self, class: &'static str, views: &[View]) -> Result<View> {
        let rank = views.iter().map(|view| view.axes.len()).max().unwrap_or(0);
        let mut aligned = views.to_vec();
        for view in &mut aligned {
            let missing = rank - view.axes.len();
            view.axes.splice(0..0, vec![vec![]; missing]);
        }
        let batch = aligned.first().map_or(Ok(0), View::batch_axis)?;
        let mut axes = Vec::new();
        for axis in 0..rank {
            let widest = aligned.iter().map(|view| &view.axes[axis]).find(|axis| !axis.is_empty());
            axes.push(widest.cloned().unwrap_or_default());
        }
        let mut sources = Vec::new();
        let mut want = vec![];
        for view in &aligned {
            if view.batch_axis()? != batch {
                return refuse("tensors with the batch in different places");
            }
            let mut view = view.clone();
            for (axis, all) in axes.iter().enumerate() {
                let own = &view.axes[axis];
                if own.is_empty() && !all.is_empty() {
                    view = self.repeated(&view, axis, extent(all))?;
                } else if extent(own) != extent(all) {
                    return refuse("tensors of different shapes");
                }
            }
            let (source, own) = self.canonical(&view)?;
            sources.push(source);
            want = own;
            axes = view.axes;
        }
        let source = self.layer(class, json!({}), sources, vec![])?;
        Ok(View { source, own: want, axes })
    }

    /// The view with each element of an axis repeated, the copies side by side.
    pub(super) fn repeated(
        &mut self,
        view: &View,
        axis: usize,
        times: Option<usize>,
    ) -> Result<View> {
        let Some(times) = times else { return refuse("data is repeated along an open axis") };
        let (own, place) = (view.canonical()?.0, view.place(axis)?);
        let (outer, inner) = (own[..place].concat(), own[place + 1..].concat());
        let rows = [&outer[..], &own[place]].concat();
        let source = self.arranged(view, &[rows, inner.clone()])?;
        let config = json!({"size": times});
        let source = self.layer("UpSampling1D", config, vec![source], vec![])?;
        let all = self.axis(extent(&own[place]).and_then(|n| n.checked_mul(times)));
        let mut axes = view.axes.clone();
        axes[axis].clone_from(&all);
        Ok(View { source, own: vec![[&outer[..], &all].concat(), inner], axes })
    }

    /// x and a constant, which is repeated to the shape of x; the other way round, if `first`.
    fn with_constant(
        &mut self,
        operator: &str,
        value: Value,
        array: &Array,
        first: bool,
    ) -> Result<Value> {
        let view = match value {
            // Without the data.
            Value::Array(other) => {
                let (a, b) = if first { (array, &*other) } else { (&*other, array) };
                return match fold::binary(operator, a, b)? {
                    Some(array) => self.made(array),
                    None => refuse("of these constants"),
                };
            }
            Value::Fill(dims, other) if array.elements.len() == 1 => {
                let other = Array { dims: vec![], elements: Elements::Floats(vec![other]) };
                let (a, b) = if first { (array, &other) } else { (&other, array) };
                return match fold::binary(operator, a, b)?.map(|array| array.elements) {
                    Some(Elements::Floats(v)) => {
                        Ok(Value::Fill(dims, v.first().copied().unwrap_or(0.0)))
                    }
                    _ => refuse("of these constants"),
                };
            }
            value => self.value_view(value)?,
        };
        let Elements::Floats(values) = &array.elements else { return refuse("of integers") };
        let flat = array.dims.iter().rev().skip(1).all(|&n| n == 1);
        if operator == "Add" && flat && self.add_bias(&view, values)? {
            return Ok(Value::View(view));
        }
        let of: fn(f32) -> f32 = match (operator, first) {
            ("Sub", false) => |v| -v,
            ("Div", false) => |v| 1.0 / v,
            ("Add" | "Sub" | "Mul", _) => |v| v,
            ("Pow", false) if values.iter().all(|v| *v == 2.0) => {
                return self.merged("Multiply", &[view.clone(), view]).map(Value::View);
            }
            _ => return refuse("of a constant"),
        };
        let values: Vec<f32> = values.iter().map(|&v| of(v)).collect();
        if values.iter().any(|v| !v.is_finite()) {
            return refuse("a constant that is not finite");
        }
        self.spend(values.len())?;
        let mut view = view;
        let missing = array.dims.len().saturating_sub(view.axes.len());
        view.axes.splice(0..0, vec![vec![]; missing]);
        let (source, own) = self.canonical(&view)?;
        let constant = nested(&own_array(&view, &own, &array.dims, &values)?);
        let config = match (operator, first) {
            ("Sub", true) => json!({"scale": -1.0, "offset": constant}),
            ("Add" | "Sub", _) => json!({"scale": 1.0, "offset": constant}),
            _ => json!({"scale": constant, "offset": 0.0}),
        };
        let source = self.layer("Rescaling", config, vec![source], vec![])?;
        Ok(Value::View(View { source, own, ..view }))
    }

    pub(super) fn pad(&mut self, node: &OnnxNode) -> Result<Value> {
        let view = self.view(node, 0)?;
        let zero = match self.optional(node, 2)? {
            Some(_) => self.floats(node, 2)?.1.first() == Some(&0.0),
            None => float(node, "value", 0.0) == 0.0,
        };
        let Some(pads) = self.ints(node, 1, "pads")? else { return refuse("no extents") };
        let rank = view.axes.len();
        if !zero || text(node, "mode", "constant") != "constant" {
            return refuse("padding with something else than zeros");
        }
        let axes: Vec<usize> = match self.ints(node, 3, "axes")? {
            Some(axes) => {
                axes.iter().map(|&a| super::value::axis_of(a, rank)).collect::<Result<_>>()?
            }
            None => (0..rank).collect(),
        };
        let mut view = view;
        for (i, &axis) in axes.iter().enumerate() {
            let ends = [pads.get(i), pads.get(i + axes.len())];
            let [Some(&ahead), Some(&behind)] = ends else { return refuse("too few extents") };
            let ends = [usize::try_from(ahead), usize::try_from(behind)];
            let [Ok(ahead), Ok(behind)] = ends else { return refuse("a negative padding") };
            if ahead > 0 || behind > 0 {
                view = self.padded(&view, axis, [ahead, behind])?;
            }
        }
        Ok(Value::View(view))
    }

    /// The view with zeros before and behind the elements of an axis.
    pub(super) fn padded(&mut self, view: &View, axis: usize, ends: [usize; 2]) -> Result<View> {
        let (mut own, place) = (view.canonical()?.0, view.place(axis)?);
        let along = own.remove(place);
        let rest = own.concat();
        let source = self.arranged(view, &[along.clone(), rest.clone()])?;
        let config = json!({"padding": ends});
        let source = self.layer("ZeroPadding1D", config, vec![source], vec![])?;
        let padded = self.axis(extent(&along).map(|n| n + ends[0] + ends[1]));
        let mut axes = view.axes.clone();
        axes[axis].clone_from(&padded);
        Ok(View { source, own: vec![padded, rest], axes })
    }
}

fn unknown<T>() -> Result<T> {
    refuse("this operator is not supported")
}

/// The activation of this slope and offset.
pub(super) fn hard_sigmoid(alpha: f32, beta: f32) -> Option<&'static str> {
    match beta == 0.5 {
        true if (alpha - 1.0 / 6.0).abs() < 1e-6 => Some("hard_sigmoid"),
        true if (alpha - 0.2).abs() < 1e-6 => Some("hard_sigmoid_2018"),
        _ => None,
    }
}

/// The extents of a constant, which is repeated to the shape of `view`, along the axes `own` of the
/// tensor in the order of ONNX.
fn own_array(view: &View, own: &[Axis], dims: &[usize], values: &[f32]) -> Result<Array> {
    let rank = view.axes.len();
    let batch = view.batch_axis()?;
    let mut extents = vec![1; rank.saturating_sub(dims.len())];
    extents.extend(dims);
    if extents.len() != rank {
        return refuse("a constant of more axes than the data");
    }
    let elements = Elements::Floats(values.to_vec());
    let mut array = Array { dims: extents, elements };
    // A file for a batch of this size may repeat a row for each example.
    if array.dims[batch] > 1 {
        let all = array.dims.clone();
        let one = fold::gather(&array, batch, &[0])?;
        array = match fold::expand(&one, &all)? == array {
            true => one,
            false => return refuse("a constant that differs between the examples of a batch"),
        };
    }
    let Array { dims: mut extents, elements } = array;
    let fits = |axis: usize| extents[axis] == 1 || extent(&view.axes[axis]) == Some(extents[axis]);
    if extents[batch] != 1 || !(0..rank).all(fits) {
        return refuse(format!("a constant of shape {dims:?} beside data of another shape"));
    }
    // An axis of the batch and more leaves one of its own.
    if own.len() < rank {
        extents.remove(batch);
    }
    Ok(Array { dims: extents, elements })
}

/// Lists of lists; a single number, where there is one.
fn nested(array: &Array) -> Json {
    fn level(dims: &[usize], values: &[f32]) -> Json {
        match dims {
            [] => json!(values.first()),
            [_, inner @ ..] => {
                let size = inner.iter().product::<usize>().max(1);
                values.chunks(size).map(|part| level(inner, part)).collect()
            }
        }
    }
    let outer = array.dims.iter().take_while(|&&n| n == 1).count();
    match &array.elements {
        Elements::Floats(values) => level(&array.dims[outer..], values),
        Elements::Ints(_) => Json::Null,
    }
}

/// Arithmetic of extents.
fn of_dims(operator: &str, a: &Value, b: &Value) -> Result<Value> {
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
