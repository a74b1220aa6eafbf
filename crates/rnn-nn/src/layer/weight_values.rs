//! How weights begin and what holds them.

use super::{Argument, Dialect, Numbers as Range, Reader, class_and_config, object, same_name};
use crate::Initializer;
use rnn_ops::{Constraint, Penalty};
use serde_json::{Map, Value, json};

/// The numbers among an object's arguments, by name.
struct Numbers<'a>(&'a Map<String, Value>);

impl Numbers<'_> {
    /// One of them, or its default.
    fn get(&self, name: &str, default: f64) -> Option<f64> {
        self.0.get(name).map_or(Some(default), Value::as_f64)
    }

    /// One of them that must not be negative, or its default.
    fn f32(&self, name: &str, default: f64) -> Option<f32> {
        self.get(name, default).map(|v| v as f32).filter(|&v| Range::NotNegative.contain(v))
    }

    /// Nothing else is said: an argument that is not known would be passed over.
    fn only(&self, names: &[&str]) -> Option<()> {
        let known = |name: &String| names.contains(&name.as_str());
        self.0.iter().all(|(name, value)| known(name) || value.is_null()).then_some(())
    }
}

const INITIALIZERS: [&str; 13] = [
    "Zeros",
    "Ones",
    "Constant",
    "GlorotUniform",
    "GlorotNormal",
    "HeUniform",
    "HeNormal",
    "LecunUniform",
    "LecunNormal",
    "Orthogonal",
    "RandomUniform",
    "RandomNormal",
    "TruncatedNormal",
];

/// Of all of them; Keras 2 has a dtype there.
const INITIALIZER_ARGUMENTS: [&str; 11] = [
    "value",
    "gain",
    "minval",
    "maxval",
    "mean",
    "stddev",
    "scale",
    "mode",
    "distribution",
    "seed",
    "dtype",
];

impl Argument for Initializer {
    fn supported() -> String {
        format!("{}, Identity", INITIALIZERS.join(", "))
    }

    fn read(value: &Value, _: Dialect) -> Option<Self> {
        let (class, config) = class_and_config(value)?;
        let numbers = Numbers(&config);
        numbers.only(&INITIALIZER_ARGUMENTS)?;
        let gain = |initializer| (numbers.get("gain", 1.0)? == 1.0).then_some(initializer);
        let deviation = numbers.get("stddev", 0.05).filter(|deviation| *deviation >= 0.0);
        let plain = |name: &str| same_name(class, name);
        if plain("VarianceScaling") {
            return variance_scaling(&config);
        }
        let found = INITIALIZERS.into_iter().chain(["Identity"]).find(|name| plain(name));
        // Names of Keras's functions that are not those of their classes.
        let found = found.or(match class {
            "zero" => Some("Zeros"),
            "one" => Some("Ones"),
            "uniform" => Some("RandomUniform"),
            "normal" => Some("RandomNormal"),
            "IdentityInitializer" => Some("Identity"),
            _ => None,
        });
        match found? {
            "Zeros" => Some(Self::Zeros),
            "Ones" => Some(Self::Ones),
            "Constant" => numbers.get("value", 0.0).map(Self::Constant),
            "GlorotUniform" => Some(Self::GlorotUniform),
            "GlorotNormal" => Some(Self::GlorotNormal),
            "HeUniform" => Some(Self::HeUniform),
            "HeNormal" => Some(Self::HeNormal),
            "LecunUniform" => Some(Self::LecunUniform),
            "LecunNormal" => Some(Self::LecunNormal),
            "Orthogonal" => gain(Self::Orthogonal),
            "Identity" => gain(Self::Identity),
            "RandomUniform" => {
                Some(Self::Uniform(numbers.get("minval", -0.05)?, numbers.get("maxval", 0.05)?))
            }
            "RandomNormal" => Some(Self::Normal(numbers.get("mean", 0.0)?, deviation?)),
            _ => Some(Self::TruncatedNormal(numbers.get("mean", 0.0)?, deviation?)),
        }
    }

    fn write(&self, _: Reader) -> Option<Value> {
        let drawn = json!({"seed": null});
        let (class, config) = match self {
            Self::Zeros => ("Zeros", json!({})),
            Self::Ones => ("Ones", json!({})),
            Self::Constant(value) => ("Constant", json!({"value": value})),
            // A layer says it with an argument of its own.
            Self::UnitForgetBias(others) => return others.write(Reader::Keras),
            Self::GlorotUniform => ("GlorotUniform", drawn),
            Self::GlorotNormal => ("GlorotNormal", drawn),
            Self::HeUniform => ("HeUniform", drawn),
            Self::HeNormal => ("HeNormal", drawn),
            Self::LecunUniform => ("LecunUniform", drawn),
            Self::LecunNormal => ("LecunNormal", drawn),
            Self::Orthogonal => ("Orthogonal", json!({"seed": null, "gain": 1.0})),
            Self::Identity => ("Identity", json!({"gain": 1.0})),
            Self::Uniform(low, high) => {
                ("RandomUniform", json!({"seed": null, "minval": low, "maxval": high}))
            }
            Self::Normal(mean, deviation) => {
                ("RandomNormal", json!({"seed": null, "mean": mean, "stddev": deviation}))
            }
            Self::TruncatedNormal(mean, deviation) => {
                ("TruncatedNormal", json!({"seed": null, "mean": mean, "stddev": deviation}))
            }
        };
        Some(object("keras.initializers", class, config))
    }
}

/// The initializer of Glorot, He or LeCun that Keras 2 writes as a scaling of the variance.
fn variance_scaling(config: &Map<String, Value>) -> Option<Initializer> {
    let text = |name: &str, default| config.get(name).map_or(Some(default), Value::as_str);
    let scale = Numbers(config).get("scale", 1.0)?;
    let uniform = match text("distribution", "truncated_normal")? {
        "uniform" => true,
        "normal" | "truncated_normal" => false,
        _ => return None,
    };
    match (scale, text("mode", "fan_in")?, uniform) {
        (1.0, "fan_avg", true) => Some(Initializer::GlorotUniform),
        (1.0, "fan_avg", false) => Some(Initializer::GlorotNormal),
        (2.0, "fan_in", true) => Some(Initializer::HeUniform),
        (2.0, "fan_in", false) => Some(Initializer::HeNormal),
        (1.0, "fan_in", true) => Some(Initializer::LecunUniform),
        (1.0, "fan_in", false) => Some(Initializer::LecunNormal),
        _ => None,
    }
}

impl Argument for Penalty {
    fn supported() -> String {
        "L1, L2, L1L2".into()
    }

    fn read(value: &Value, _: Dialect) -> Option<Self> {
        let (class, config) = class_and_config(value)?;
        let numbers = Numbers(&config);
        numbers.only(&["l1", "l2"])?;
        // By name alone both parts count 0.01, as an object only those that it has.
        let default = if value.is_string() { 0.01 } else { 0.0 };
        match class.to_ascii_lowercase().as_str() {
            "l1" => Some(Self { l1: numbers.f32("l1", 0.01)?, l2: 0.0 }),
            "l2" => Some(Self { l1: 0.0, l2: numbers.f32("l2", 0.01)? }),
            "l1l2" | "l1_l2" => {
                Some(Self { l1: numbers.f32("l1", default)?, l2: numbers.f32("l2", default)? })
            }
            _ => None,
        }
    }

    fn write(&self, reader: Reader) -> Option<Value> {
        let config = json!({"l1": self.l1.write(reader)?, "l2": self.l2.write(reader)?});
        Some(object("keras.regularizers", "L1L2", config))
    }
}

impl Argument for Constraint {
    fn supported() -> String {
        "NonNeg, and MaxNorm, UnitNorm and MinMaxNorm along axis 0".into()
    }

    fn read(value: &Value, _: Dialect) -> Option<Self> {
        let (class, config) = class_and_config(value)?;
        let numbers = Numbers(&config);
        numbers.only(&["axis", "max_value", "min_value", "rate"])?;
        if numbers.get("axis", 0.0)? != 0.0 {
            return None;
        }
        let is = |name: &str| same_name(class, name);
        if is("NonNeg") {
            Some(Self::NonNegative)
        } else if is("MaxNorm") {
            Some(Self::max_norm(numbers.f32("max_value", 2.0)?))
        } else if is("UnitNorm") {
            Some(Self::unit_norm())
        } else if is("MinMaxNorm") {
            let [low, high, rate] = [("min_value", 0.0), ("max_value", 1.0), ("rate", 1.0)]
                .map(|(name, default)| numbers.f32(name, default));
            Some(Self::min_max_norm(low?, high?, rate?))
        } else {
            None
        }
    }

    fn write(&self, reader: Reader) -> Option<Value> {
        let (class, config) = match self {
            Self::NonNegative => ("NonNeg", json!({})),
            Self::Norm { low, high, rate } if (*low, *rate) == (0.0, 1.0) => {
                ("MaxNorm", json!({"max_value": high.write(reader)?, "axis": 0}))
            }
            Self::Norm { low, high, rate } => {
                let [low, high, rate] = [low, high, rate].map(|v| v.write(reader));
                let bounds =
                    json!({"min_value": low?, "max_value": high?, "rate": rate?, "axis": 0});
                ("MinMaxNorm", bounds)
            }
        };
        Some(object("keras.constraints", class, config))
    }
}
