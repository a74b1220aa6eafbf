//! Products with weights, and normalizations.

use super::super::{ModelFileError, Result};
use super::value::{Axis, Dim, Source, Value, View, axis_of, extent, refuse};
use super::{Import, float, fold, int};
use rnn_core::HostTensor;
use rnn_formats::onnx::{Array, Elements, OnnxNode};
use serde_json::json;

/// A weight of these extents.
pub(super) fn weight(dims: impl Into<rnn_core::Shape>, values: Vec<f32>) -> Result<HostTensor> {
    HostTensor::from_f32(dims, values).map_err(ModelFileError::from)
}

/// A weight of a constant whose axes are put into this order.
pub(super) fn transposed(dims: &[usize], values: Vec<f32>, order: &[usize]) -> Result<HostTensor> {
    let array = Array { dims: dims.to_vec(), elements: Elements::Floats(values) };
    let Array { dims, elements } = fold::transpose(&array, order)?;
    match elements {
        Elements::Floats(values) => weight(dims, values),
        Elements::Ints(_) => refuse("a weight of integers"),
    }
}

impl Import<'_> {
    pub(super) fn mat_mul(&mut self, node: &OnnxNode) -> Result<Value> {
        let (a, b) = (self.operand(node, 0)?, self.operand(node, 1)?);
        // A state of zeros times a weight.
        if let (Value::Fill(dims, 0.0), Value::Array(array)) = (&a, &b) {
            let mut dims = dims.clone();
            dims.pop();
            dims.extend(array.dims.last().map(|&n| Dim::known(n as i64)));
            return Ok(Value::Fill(dims, 0.0));
        }
        match (a, b) {
            (a, Value::Array(_)) => {
                let x = self.value_view(a)?;
                let (dims, values) = self.floats(node, 1)?;
                let [_, units] = dims[..] else {
                    return refuse(format!("a weight of shape {dims:?}; supported: two axes"));
                };
                self.dense(&x, units, weight(dims, values)?, None).map(Value::View)
            }
            (a, b) => {
                let (a, b) = (self.value_view(a)?, self.value_view(b)?);
                self.dot(&a, &b).map(Value::View)
            }
        }
    }

    /// x W + b along the last axis.
    fn dense(
        &mut self,
        x: &View,
        units: usize,
        kernel: HostTensor,
        bias: Option<HostTensor>,
    ) -> Result<View> {
        let (source, mut own) = self.canonical(x)?;
        let width = own.last().map(|axis| extent(axis));
        if x.batch_axis()? + 1 == x.axes.len()
            || width != Some(kernel.shape().dims().first().copied())
        {
            return refuse(format!("a weight of shape {} beside other features", kernel.shape()));
        }
        let config = json!({"units": units, "use_bias": bias.is_some()});
        let weights = [kernel].into_iter().chain(bias).collect();
        let source = self.layer("Dense", config, vec![source], weights)?;
        let features = self.axis(Some(units));
        let mut axes = x.axes.clone();
        for axes in [&mut own, &mut axes] {
            axes.pop();
            axes.push(features.clone());
        }
        Ok(View { source, own, axes })
    }

    pub(super) fn gemm(&mut self, node: &OnnxNode) -> Result<Value> {
        let mut x = self.view(node, 0)?;
        if int(node, "transA", 0) != 0 {
            x.axes.reverse();
        }
        let (dims, values) = self.floats(node, 1)?;
        let [rows, columns] = dims[..] else { return refuse("a weight that is no matrix") };
        let (alpha, beta) = (float(node, "alpha", 1.0), float(node, "beta", 1.0));
        let scaled: Vec<f32> = values.into_iter().map(|v| v * alpha).collect();
        let (units, kernel) = match int(node, "transB", 0) {
            0 => (columns, weight(dims, scaled)?),
            _ => (rows, transposed(&dims, scaled, &[1, 0])?),
        };
        let bias = match self.optional(node, 2)? {
            None => None,
            Some(_) => {
                let (dims, values) = self.floats(node, 2)?;
                let array = Array { dims, elements: Elements::Floats(values) };
                let row = fold::expand(&array, &[1, units])?;
                let Elements::Floats(values) = row.elements else { return refuse("no floats") };
                Some(weight([units], values.into_iter().map(|v| v * beta).collect())?)
            }
        };
        self.dense(&x, units, kernel, bias).map(Value::View)
    }

    /// The products of the matrices of each example.
    fn dot(&mut self, a: &View, b: &View) -> Result<View> {
        let ((x, of_a), (y, of_b)) = (self.canonical(a)?, self.canonical(b)?);
        let batches = a.batch_axis()? == 0 && b.batch_axis()? == 0;
        let ([rows, inner], [other, columns]) = (&of_a[..], &of_b[..]) else {
            return refuse("a product of tensors that are no matrices for each example");
        };
        if !batches || extent(inner) != extent(other) {
            return refuse("a product of matrices that do not fit");
        }
        let source = self.layer("Dot", json!({"axes": [2, 1]}), vec![x, y], vec![])?;
        let own = vec![rows.clone(), columns.clone()];
        let axes = vec![a.axes[0].clone(), rows.clone(), columns.clone()];
        Ok(View { source, own, axes })
    }

    /// Adds a constant to the layer without a bias that made `view`, if no other layer sees it.
    pub(super) fn add_bias(&mut self, view: &View, values: &[f32]) -> Result<bool> {
        let Source::Layer { layer, output: 0 } = view.source else { return Ok(false) };
        let last = view.own.last().filter(|own| Some(*own) == view.axes.last());
        if last.and_then(|axis| extent(axis)) != Some(values.len()) || self.shared.contains(&layer)
        {
            return Ok(false);
        }
        let made = &mut self.layers[layer];
        if made.class != "Dense" || made.config["use_bias"] != json!(false) {
            return Ok(false);
        }
        made.config["use_bias"] = json!(true);
        made.weights.push(weight([values.len()], values.to_vec())?);
        self.spend(values.len())?;
        Ok(true)
    }

    /// The tensor of `view` with one of its axes, by its place in ONNX, as the last.
    pub(super) fn with_last(&mut self, view: &View, axis: usize) -> Result<(Source, Vec<Axis>)> {
        let (mut own, place) = (view.canonical()?.0, view.place(axis)?);
        let last = own.remove(place);
        own.push(last);
        Ok((self.arranged(view, &own)?, own))
    }

    pub(super) fn batch_normalization(&mut self, node: &OnnxNode) -> Result<Value> {
        let x = self.view(node, 0)?;
        let weights = (1..5).map(|i| {
            let (dims, values) = self.floats(node, i)?;
            weight(dims, values)
        });
        let weights = weights.collect::<Result<Vec<_>>>()?;
        let (source, own) = self.with_last(&x, axis_of(1, x.axes.len())?)?;
        let config = json!({"epsilon": float(node, "epsilon", 1e-5),
            "momentum": float(node, "momentum", 0.9)});
        let source = self.layer("BatchNormalization", config, vec![source], weights)?;
        Ok(Value::View(View { source, own, ..x }))
    }

    pub(super) fn layer_normalization(&mut self, node: &OnnxNode) -> Result<Value> {
        let x = self.view(node, 0)?;
        let axis = axis_of(int(node, "axis", -1), x.axes.len())?;
        let place = x.place(axis)?;
        let mut own = x.canonical()?.0;
        let features = own.split_off(place).concat();
        own.push(features.clone());
        let source = self.arranged(&x, &own)?;
        let mut weights = vec![];
        for operand in [1, 2] {
            if let Some(Value::Array(_)) = self.optional(node, operand)? {
                weights.push(weight_of_list(self.floats(node, operand)?.1)?);
            }
        }
        let width = extent(&features);
        if weights.iter().any(|weight| Some(weight.shape().len()) != width) {
            return refuse("a scale of another length than the features");
        }
        let config = json!({"epsilon": float(node, "epsilon", 1e-5), "scale": true,
            "center": weights.len() == 2});
        let source = self.layer("LayerNormalization", config, vec![source], weights)?;
        Ok(Value::View(View { source, own, ..x }))
    }

    pub(super) fn softmax(&mut self, node: &OnnxNode) -> Result<Value> {
        let x = self.view(node, 0)?;
        let rank = x.axes.len();
        let default = if self.opset < 13 { 1 } else { -1 };
        let axis = axis_of(int(node, "axis", default), rank)?;
        if self.opset < 13 && axis + 1 != rank {
            return refuse(format!("a softmax over axes {axis} to {} together", rank - 1));
        }
        let (source, own) = self.with_last(&x, axis)?;
        let name = if node.operator == "Softmax" { "softmax" } else { "log_softmax" };
        let config = json!({"activation": name});
        let source = self.layer("Activation", config, vec![source], vec![])?;
        Ok(Value::View(View { source, own, ..x }))
    }
}

fn weight_of_list(values: Vec<f32>) -> Result<HostTensor> {
    weight([values.len()], values)
}
