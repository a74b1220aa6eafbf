//! gelu, as exporters write it with Erf: x (1 + erf(x / sqrt 2)) / 2, its factors in any order.

use super::super::Result;
use super::value::{Source, Value, View, refuse};
use super::{Import, OnnxNode};
use rnn_formats::onnx::{Array, Elements};
use serde_json::Value as Json;
use std::f32::consts::FRAC_1_SQRT_2;

/// A part of a gelu: factor (erf(x / sqrt 2) + one) x^power.
#[derive(Clone, Debug)]
pub(super) struct Gauss {
    x: View,
    factor: f32,
    one: bool,
    times_x: bool,
}

fn number(array: &Array) -> Option<f32> {
    match &array.elements {
        Elements::Floats(values) => <[f32; 1]>::try_from(&values[..]).ok().map(|[v]| v),
        Elements::Ints(_) => None,
    }
}

impl Import<'_> {
    /// What a view was before it was multiplied by a number, and the number.
    fn unscaled(&self, view: &View) -> (Source, f32) {
        let Source::Layer { layer, output: 0 } = view.source else { return (view.source, 1.0) };
        let made = &self.layers[layer];
        let scale = made.config.get("scale").and_then(Json::as_f64);
        let plain = made.class == "Rescaling" && made.config["offset"].as_f64() == Some(0.0);
        match (scale, &made.inputs[..]) {
            (Some(scale), [x]) if plain => (*x, scale as f32),
            _ => (view.source, 1.0),
        }
    }

    pub(super) fn erf(&mut self, node: &OnnxNode) -> Result<Value> {
        let view = self.view(node, 0)?;
        let (source, scale) = self.unscaled(&view);
        match (scale - FRAC_1_SQRT_2).abs() < 1e-6 {
            true => {
                let x = View { source, ..view };
                Ok(Value::Gauss(Gauss { x, factor: 1.0, one: false, times_x: false }.into()))
            }
            false => refuse("supported within gelu: x (1 + erf(x / sqrt 2)) / 2"),
        }
    }

    /// Goes on with a gelu; returns its value where it is whole.
    pub(super) fn gelu(
        &mut self,
        operator: &str,
        mut gauss: Gauss,
        other: &Value,
    ) -> Result<Value> {
        match (operator, other) {
            ("Add", Value::Array(array)) if number(array) == Some(1.0) && gauss.factor == 1.0 => {
                gauss.one = true;
            }
            ("Mul", Value::Array(array)) => match number(array) {
                Some(factor) => gauss.factor *= factor,
                None => return refuse("a constant in a gelu"),
            },
            ("Mul", Value::View(view)) if !gauss.times_x => {
                let (source, scale) = self.unscaled(view);
                match (view.source == gauss.x.source, source == gauss.x.source) {
                    (true, _) => {}
                    (_, true) => gauss.factor *= scale,
                    _ => return refuse("an error function of another tensor"),
                }
                gauss.times_x = true;
            }
            _ => return refuse("an error function outside of gelu"),
        }
        match gauss {
            Gauss { x, factor: 0.5, one: true, times_x: true } => {
                let config = serde_json::json!({"activation": "gelu"});
                self.mapped(&x, "Activation", config).map(Value::View)
            }
            part => Ok(Value::Gauss(part.into())),
        }
    }
}
