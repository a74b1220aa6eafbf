//! Values that arguments have.

use super::{Argument, Dialect, Reader};
use rnn_ops::{Activation, Padding};
use serde_json::{Map, Value, json};

impl Argument for bool {
    fn supported() -> String {
        "true, false".into()
    }

    fn read(value: &Value, _: Dialect) -> Option<Self> {
        value.as_bool()
    }

    fn write(&self, _: Reader) -> Option<Value> {
        Some(json!(self))
    }
}

impl Argument for usize {
    fn supported() -> String {
        "whole numbers from 1 on, below 2^31".into()
    }

    fn read(value: &Value, _: Dialect) -> Option<Self> {
        let whole = || value.as_f64().filter(|v| v.fract() == 0.0 && *v < 1e9).map(|v| v as u64);
        // Sizes that no memory holds are refused here, where they have a name.
        let number = value.as_u64().or_else(whole).filter(|n| (1..1 << 31).contains(n))?;
        usize::try_from(number).ok()
    }

    fn write(&self, _: Reader) -> Option<Value> {
        Some(json!(self))
    }
}

impl Argument for isize {
    fn supported() -> String {
        "whole numbers".into()
    }

    /// Keras writes an axis as a number, or as a list of one.
    fn read(value: &Value, _: Dialect) -> Option<Self> {
        let one = value.as_array().filter(|list| list.len() == 1).map(|list| &list[0]);
        one.unwrap_or(value).as_i64().and_then(|n| Self::try_from(n).ok())
    }

    fn write(&self, _: Reader) -> Option<Value> {
        Some(json!(self))
    }
}

impl Argument for f32 {
    fn supported() -> String {
        "numbers".into()
    }

    fn read(value: &Value, _: Dialect) -> Option<Self> {
        value.as_f64().map(|v| v as f32).filter(|v| v.is_finite())
    }

    /// With the digits that the f32 needs: 0.1, not 0.10000000149. What JSON has no number for is
    /// written so that it is named when it is read.
    fn write(&self, _: Reader) -> Option<Value> {
        match self.is_finite() {
            true => self.to_string().parse::<f64>().ok().map(Value::from),
            false => Some(self.to_string().into()),
        }
    }
}

impl Argument for f64 {
    fn supported() -> String {
        "numbers".into()
    }

    fn read(value: &Value, _: Dialect) -> Option<Self> {
        value.as_f64().filter(|v| v.is_finite())
    }

    fn write(&self, _: Reader) -> Option<Value> {
        Some(json!(self))
    }
}

impl Argument for String {
    fn supported() -> String {
        "a text".into()
    }

    fn read(value: &Value, _: Dialect) -> Option<Self> {
        value.as_str().map(Self::from)
    }

    fn write(&self, _: Reader) -> Option<Value> {
        Some(json!(self))
    }
}

/// Null stands for none.
impl<T: Argument> Argument for Option<T> {
    fn supported() -> String {
        format!("null, {}", T::supported())
    }

    fn read(value: &Value, dialect: Dialect) -> Option<Self> {
        if value.is_null() { Some(None) } else { T::read(value, dialect).map(Some) }
    }

    fn write(&self, reader: Reader) -> Option<Value> {
        self.as_ref().map_or(Some(Value::Null), |value| value.write(reader))
    }
}

/// One number for each axis, or one for all.
impl<const N: usize> Argument for [usize; N] {
    fn supported() -> String {
        format!("a whole number from 1 on, or {N} of them")
    }

    fn read(value: &Value, dialect: Dialect) -> Option<Self> {
        let Some(list) = value.as_array() else {
            return usize::read(value, dialect).map(|n| [n; N]);
        };
        let all: Option<Vec<usize>> = list.iter().map(|n| usize::read(n, dialect)).collect();
        all?.try_into().ok()
    }

    fn write(&self, reader: Reader) -> Option<Value> {
        // Not every layer of Keras's takes a list of one.
        let plain = N == 1 && reader == Reader::Keras;
        Some(if plain { json!(self[0]) } else { json!(self.to_vec()) })
    }
}

/// A shape; null and -1 stand for what is left.
impl Argument for Vec<isize> {
    fn supported() -> String {
        "a list of whole numbers from 1 on, of which one may be -1".into()
    }

    fn read(value: &Value, _: Dialect) -> Option<Self> {
        let extent = |n: &Value| match n {
            Value::Null => Some(-1),
            n => n.as_i64().and_then(|n| isize::try_from(n).ok()),
        };
        let extents: Vec<isize> = value.as_array()?.iter().map(extent).collect::<Option<_>>()?;
        let some = !extents.is_empty();
        (some && extents.iter().all(|&n| n == -1 || (1..1 << 31).contains(&n))).then_some(extents)
    }

    fn write(&self, _: Reader) -> Option<Value> {
        Some(json!(self))
    }
}

/// Axes, counted from 1 on.
impl Argument for Vec<usize> {
    fn supported() -> String {
        "a list of whole numbers from 1 on".into()
    }

    fn read(value: &Value, dialect: Dialect) -> Option<Self> {
        let list = value.as_array().filter(|list| !list.is_empty())?;
        list.iter().map(|n| usize::read(n, dialect)).collect()
    }

    fn write(&self, _: Reader) -> Option<Value> {
        Some(json!(self))
    }
}

impl Argument for Padding {
    fn supported() -> String {
        "valid, same, causal".into()
    }

    fn read(value: &Value, _: Dialect) -> Option<Self> {
        match value.as_str()? {
            "valid" => Some(Self::Valid),
            "same" => Some(Self::Same),
            "causal" => Some(Self::Causal),
            _ => None,
        }
    }

    fn write(&self, _: Reader) -> Option<Value> {
        Some(match self {
            Self::Valid => json!("valid"),
            Self::Same => json!("same"),
            Self::Causal => json!("causal"),
        })
    }
}

impl Argument for Activation {
    fn supported() -> String {
        Self::ALL.map(Self::name).join(", ")
    }

    /// `hard_sigmoid` means what it meant to the Keras that wrote it.
    fn read(value: &Value, dialect: Dialect) -> Option<Self> {
        if value.is_null() {
            return Some(Self::Linear);
        }
        let (class, config) = class_and_config(value)?;
        let name = match (class, config.get("name")) {
            ("Sequential", Some(name)) => name.as_str()?,
            _ => class,
        };
        if let Some(layer) = of_layer(class, &config) {
            return layer;
        }
        let found = match name {
            "swish" => Self::Silu,
            "hard_swish" => Self::HardSilu,
            name => Self::ALL.into_iter().find(|known| same_name(known.name(), name))?,
        };
        match found {
            Self::HardSigmoid if dialect.before_keras_3() => Some(Self::HardSigmoid2018),
            found => Some(found),
        }
    }

    fn write(&self, reader: Reader) -> Option<Value> {
        match (self, reader) {
            (Self::HardSigmoid2018, Reader::Keras) => Some(clipped_line(self.name())),
            // Keras has no name for an argument of a function.
            (Self::GeluTanh, Reader::Keras) => None,
            _ => Some(json!(self.name())),
        }
    }
}

/// The function of a layer that is given as an activation. Within, it is `None` where the layer's
/// arguments are not those of a function.
fn of_layer(class: &str, config: &Map<String, Value>) -> Option<Option<Activation>> {
    let number = |name: &str| config.get(name).and_then(Value::as_f64).map(|n| n as f32);
    let slope = number("negative_slope").or_else(|| number("alpha"));
    let arguments = (slope, number("threshold").unwrap_or(0.0), number("max_value"));
    Some(match (class, arguments) {
        ("ReLU", (None | Some(0.0), 0.0, None)) => Some(Activation::Relu),
        ("ReLU", (None | Some(0.0), 0.0, Some(6.0))) => Some(Activation::Relu6),
        ("LeakyReLU", (Some(0.2), ..)) => Some(Activation::LeakyRelu),
        ("ELU", (None | Some(1.0), ..)) => Some(Activation::Elu),
        ("ReLU" | "LeakyReLU" | "ELU" | "PReLU", _) => None,
        _ => return None,
    })
}

/// clip(0.2 x + 0.5, 0, 1) in what Keras 3 has: any model is a function, thus an activation.
fn clipped_line(name: &str) -> Value {
    let layer = |class, config| object("keras.layers", class, config);
    let layers = [
        layer("Rescaling", json!({"scale": 0.2, "offset": 0.5})),
        layer("ReLU", json!({"max_value": 1.0})),
    ];
    object("keras", "Sequential", json!({"name": name, "layers": layers}))
}

/// An object as Keras 3 serializes it.
pub(crate) fn object(module: &str, class: &str, config: Value) -> Value {
    json!({"module": module, "class_name": class, "config": config, "registered_name": null})
}

/// The class and arguments of an object that is given by its name alone, or as
/// `{"class_name", "config"}`.
pub(crate) fn class_and_config(value: &Value) -> Option<(&str, Map<String, Value>)> {
    if let Value::String(name) = value {
        return Some((name, Map::new()));
    }
    let class = value.get("class_name")?.as_str()?;
    match value.get("config") {
        // A function: {"class_name": "function", "config": "relu"}.
        Some(Value::String(name)) => Some((name, Map::new())),
        Some(Value::Object(config)) => Some((class, config.clone())),
        None | Some(Value::Null) => Some((class, Map::new())),
        Some(_) => None,
    }
}

/// `GlorotUniform`, `glorot_uniform` and `glorotuniform` name one thing.
pub(crate) fn same_name(a: &str, b: &str) -> bool {
    let letters = |s: &str| s.replace('_', "").to_ascii_lowercase();
    letters(a) == letters(b)
}

/// A value in a message, not longer than a line.
pub(crate) fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(160) {
        Some((end, _)) => format!("{}..", &text[..end]),
        None => text,
    }
}
