//! Learning rates in Keras's terms.

use crate::layer::{Argument, Dialect, Numbers, Reader, class_and_config, object};
use crate::{Schedule, WarmUp};
use serde_json::{Map, Value, json};

impl Argument for Schedule {
    fn supported() -> String {
        "a number from 0 on, CosineDecay, CosineDecayRestarts, ExponentialDecay, InverseTimeDecay \
         and PolynomialDecay of such"
            .into()
    }

    fn read(value: &Value, _: Dialect) -> Option<Self> {
        if let Some(rate) = value.as_f64() {
            // Keras rounds a rate to f32; the number that was meant is the shortest that rounds so.
            let rate = Some(rate as f32).filter(|&rate| Numbers::NotNegative.contain(rate))?;
            return rate.to_string().parse().ok().map(Self::Constant);
        }
        let (class, config) = class_and_config(value)?;
        let initial = number(&config, "initial_learning_rate", None)?;
        let steps = |name: &str| number(&config, name, None).filter(|steps| *steps > 0.0);
        let or = |name: &str, default: f64| number(&config, name, Some(default));
        let flag = |name: &str| config.get(name).is_some_and(|value| *value == true);
        Some(match class {
            "ExponentialDecay" => Self::ExponentialDecay {
                initial,
                decay_steps: steps("decay_steps")?,
                decay_rate: number(&config, "decay_rate", None)?,
                staircase: flag("staircase"),
            },
            "InverseTimeDecay" => Self::InverseTimeDecay {
                initial,
                decay_steps: steps("decay_steps")?,
                decay_rate: number(&config, "decay_rate", None)?,
                staircase: flag("staircase"),
            },
            "PolynomialDecay" => Self::PolynomialDecay {
                initial,
                decay_steps: steps("decay_steps")?,
                end: or("end_learning_rate", 1e-4)?,
                power: or("power", 1.0)?,
                cycle: flag("cycle"),
            },
            "CosineDecay" => Self::CosineDecay {
                initial,
                decay_steps: steps("decay_steps")?,
                alpha: or("alpha", 0.0)?,
                warmup: match config.get("warmup_target") {
                    None | Some(Value::Null) => None,
                    Some(_) => Some(WarmUp {
                        target: number(&config, "warmup_target", None)?,
                        steps: or("warmup_steps", 0.0)?,
                    }),
                },
            },
            "CosineDecayRestarts" => Self::CosineDecayRestarts {
                initial,
                first_decay_steps: steps("first_decay_steps")?,
                t_mul: or("t_mul", 2.0).filter(|t_mul| *t_mul >= 1.0)?,
                m_mul: or("m_mul", 1.0)?,
                alpha: or("alpha", 0.0)?,
            },
            _ => return None,
        })
    }

    fn write(&self, _: Reader) -> Option<Value> {
        let (class, config) = match *self {
            Self::Constant(rate) => return Some(json!(rate)),
            Self::ExponentialDecay { initial, decay_steps, decay_rate, staircase }
            | Self::InverseTimeDecay { initial, decay_steps, decay_rate, staircase } => {
                let config = json!({
                    "initial_learning_rate": initial,
                    "decay_steps": decay_steps,
                    "decay_rate": decay_rate,
                    "staircase": staircase,
                });
                let exponential = matches!(self, Self::ExponentialDecay { .. });
                (if exponential { "ExponentialDecay" } else { "InverseTimeDecay" }, config)
            }
            Self::PolynomialDecay { initial, decay_steps, end, power, cycle } => {
                let config = json!({
                    "initial_learning_rate": initial,
                    "decay_steps": decay_steps,
                    "end_learning_rate": end,
                    "power": power,
                    "cycle": cycle,
                });
                ("PolynomialDecay", config)
            }
            Self::CosineDecay { initial, decay_steps, alpha, warmup } => {
                let mut config = json!({
                    "initial_learning_rate": initial,
                    "decay_steps": decay_steps,
                    "alpha": alpha,
                });
                if let Some(WarmUp { target, steps }) = warmup {
                    config["warmup_target"] = target.into();
                    config["warmup_steps"] = steps.into();
                }
                ("CosineDecay", config)
            }
            Self::CosineDecayRestarts { initial, first_decay_steps, t_mul, m_mul, alpha } => {
                let config = json!({
                    "initial_learning_rate": initial,
                    "first_decay_steps": first_decay_steps,
                    "t_mul": t_mul,
                    "m_mul": m_mul,
                    "alpha": alpha,
                });
                ("CosineDecayRestarts", config)
            }
        };
        Some(object("keras.optimizers.schedules", class, config))
    }
}

/// A number from 0 on, below which a rate would climb; `default` where none is given.
fn number(config: &Map<String, Value>, name: &str, default: Option<f64>) -> Option<f64> {
    match config.get(name) {
        None | Some(Value::Null) => default,
        Some(given) => given.as_f64().filter(|number| *number >= 0.0),
    }
}
