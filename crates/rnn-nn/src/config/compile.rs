use super::{
    Argument, Arguments, ConfigError, Dialect, Reader, class_and_config, object, same_name,
};
use crate::{Loss, Optimizer, Schedule, Tally};
use serde_json::{Map, Value, json};

/// How a model is trained: Keras's `compile_config`.
#[derive(Clone, Debug, PartialEq)]
pub struct Compile {
    /// How weights follow gradients.
    pub optimizer: Optimizer,
    /// Of each output, and what it counts in their sum.
    pub losses: Vec<(Loss, f32)>,
}

impl Compile {
    /// Reads a `compile_config`, or the `training_config` of an `.h5` file, for a model whose
    /// outputs are made by the layers of these names. What metrics are asked for is not looked at:
    /// all that a loss allows are computed.
    ///
    /// # Errors
    /// If an optimizer, a loss or one of their arguments is not supported.
    pub fn from_json(
        value: &Value,
        outputs: &[&str],
        dialect: Dialect,
    ) -> Result<Self, ConfigError> {
        let optimizer = value.get("optimizer").or_else(|| value.get("optimizer_config"));
        let optimizer = match optimizer.filter(|optimizer| !optimizer.is_null()) {
            Some(optimizer) => Optimizer::from_json(optimizer, dialect)?,
            None => Optimizer::rmsprop(),
        };
        let losses = each(value.get("loss"), outputs, "loss", dialect)?;
        let weights = each(value.get("loss_weights"), outputs, "loss_weights", dialect)?;
        let missing = || ConfigError::Missing { owner: "compile".into(), argument: "loss".into() };
        let losses: Option<Vec<Loss>> = losses.into_iter().collect();
        let weights = weights.into_iter().map(|weight| weight.unwrap_or(1.0));
        let losses = losses.ok_or_else(missing)?.into_iter().zip(weights).collect();
        Ok(Self { optimizer, losses })
    }

    /// What is counted besides the loss, for the first output.
    pub fn tally(&self) -> Tally {
        self.losses.first().map_or(Tally::Regression, |(loss, _)| loss.tally())
    }

    /// The same in Keras 3's spelling.
    ///
    /// # Errors
    /// If Keras has nothing like it.
    pub fn to_json(&self, reader: Reader) -> Result<Value, ConfigError> {
        let losses = self.losses.iter().map(|(loss, _)| loss.write(reader));
        let weights = self.losses.iter().map(|(_, weight)| weight.write(reader));
        let one_or_all =
            |mut all: Vec<Value>| if all.len() == 1 { all.remove(0) } else { all.into() };
        let weights: Option<Vec<Value>> = self
            .losses
            .iter()
            .any(|(_, weight)| *weight != 1.0)
            .then(|| weights.flatten().collect());
        Ok(json!({
            "optimizer": self.optimizer.to_json(reader)?,
            "loss": one_or_all(losses.flatten().collect()),
            "loss_weights": weights.map(one_or_all),
        }))
    }
}

/// What is said for all outputs at once, for each in a list, or by name.
fn each<T: Argument + Clone>(
    value: Option<&Value>,
    outputs: &[&str],
    argument: &str,
    dialect: Dialect,
) -> Result<Vec<Option<T>>, ConfigError> {
    let refuse = |value: &Value| ConfigError::Argument {
        owner: "compile".into(),
        argument: argument.into(),
        value: super::shown(value),
        supported: T::supported(),
    };
    let one = |value: &Value| Option::<T>::read(value, dialect).ok_or_else(|| refuse(value));
    match value {
        None | Some(Value::Null) => Ok(vec![None; outputs.len()]),
        Some(Value::Array(list)) if list.len() == outputs.len() => list.iter().map(one).collect(),
        Some(Value::Object(named)) if !named.contains_key("class_name") => {
            let value = |name: &&str| named.get(*name).map_or(Ok(None), one);
            outputs.iter().map(value).collect()
        }
        Some(value @ Value::Array(_)) => Err(ConfigError::structure(format!(
            "compile: {argument} = {} has not one for each of the {} outputs",
            super::shown(value),
            outputs.len()
        ))),
        Some(value) => Ok(vec![one(value)?; outputs.len()]),
    }
}

impl Optimizer {
    /// Reads `"adam"`, or `{"class_name": "Adam", "config": ..}`.
    ///
    /// # Errors
    /// If it, or one of its arguments, is not supported.
    pub fn from_json(value: &Value, dialect: Dialect) -> Result<Self, ConfigError> {
        let odd = || ConfigError::structure(format!("{} is no optimizer", super::shown(value)));
        let (class, config) = class_and_config(value).ok_or_else(odd)?;
        let all = Self::all();
        // A suffix tells apart the implementations of one version of Keras.
        let found = all.iter().find(|(name, _)| same_name(name, class.trim_end_matches("V2")));
        let unknown = || ConfigError::Class {
            owner: "optimizer".into(),
            class: class.into(),
            supported: all.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", "),
        };
        let (name, mut optimizer) = *found.ok_or_else(unknown)?;
        let mut arguments = Arguments::given(format!("optimizer {name}"), &config, dialect);
        optimizer.arguments(&mut arguments)?;
        arguments.finish()?;
        Ok(optimizer)
    }

    /// The same in Keras 3's spelling.
    ///
    /// # Errors
    /// If Keras has nothing like it.
    pub fn to_json(&self, reader: Reader) -> Result<Value, ConfigError> {
        let mut arguments = Arguments::written(format!("optimizer {}", self.class()), reader);
        self.clone().arguments(&mut arguments)?;
        Ok(object("keras.optimizers", self.class(), arguments.finish()?.into()))
    }
}

impl Argument for Schedule {
    fn supported() -> String {
        "a number, ExponentialDecay, CosineDecay without warm-up".into()
    }

    fn read(value: &Value, _: Dialect) -> Option<Self> {
        if let Some(rate) = value.as_f64() {
            // Keras rounds a rate to f32; the number that was meant is the shortest that rounds so.
            return (rate as f32).to_string().parse().ok().map(Self::Constant);
        }
        let (class, config) = class_and_config(value)?;
        let number = |name: &str| config.get(name).and_then(Value::as_f64);
        let initial = number("initial_learning_rate")?;
        let decay_steps = number("decay_steps").filter(|steps| *steps > 0.0)?;
        match class {
            "ExponentialDecay" => Some(Self::ExponentialDecay {
                initial,
                decay_steps,
                decay_rate: number("decay_rate")?,
                staircase: config.get("staircase").is_some_and(|value| *value == true),
            }),
            "CosineDecay" => {
                let warm = config.get("warmup_target").is_some_and(|target| !target.is_null());
                let alpha = number("alpha").unwrap_or(0.0);
                (!warm).then_some(Self::CosineDecay { initial, decay_steps, alpha })
            }
            _ => None,
        }
    }

    fn write(&self, _: Reader) -> Option<Value> {
        let (class, config) = match *self {
            Self::Constant(rate) => return Some(json!(rate)),
            Self::ExponentialDecay { initial, decay_steps, decay_rate, staircase } => {
                let config = json!({
                    "initial_learning_rate": initial,
                    "decay_steps": decay_steps,
                    "decay_rate": decay_rate,
                    "staircase": staircase,
                });
                ("ExponentialDecay", config)
            }
            Self::CosineDecay { initial, decay_steps, alpha } => {
                let config = json!({
                    "initial_learning_rate": initial,
                    "decay_steps": decay_steps,
                    "alpha": alpha,
                });
                ("CosineDecay", config)
            }
        };
        Some(object("keras.optimizers.schedules", class, config))
    }
}

/// Names that Keras accepts for a loss, the one that is written first.
const LOSSES: [(&[&str], Loss); 6] = [
    (&["binary_crossentropy", "bce"], Loss::BinaryCrossentropy),
    (&["categorical_crossentropy"], Loss::CategoricalCrossentropy),
    (&["sparse_categorical_crossentropy"], Loss::SparseCategoricalCrossentropy),
    (&["mean_squared_error", "mse"], Loss::MeanSquaredError),
    (&["mean_absolute_error", "mae"], Loss::MeanAbsoluteError),
    (&["huber", "huber_loss"], Loss::Huber { delta: 1.0 }),
];

impl Argument for Loss {
    fn supported() -> String {
        let names = LOSSES.map(|(names, _)| names[0]).join(", ");
        format!("{names}, of probabilities (from_logits false, label_smoothing 0)")
    }

    fn read(value: &Value, _: Dialect) -> Option<Self> {
        let (class, config) = class_and_config(value)?;
        let named = |(names, _): &&(&[&str], Self)| names.iter().any(|n| same_name(n, class));
        let (_, found) = LOSSES.iter().find(named)?;
        let plain = |(name, value): (&String, &Value)| match name.as_str() {
            "name" | "fn" => true,
            "reduction" => matches!(value.as_str(), Some("sum_over_batch_size" | "auto" | "mean")),
            "axis" => value.as_f64() == Some(-1.0),
            "label_smoothing" => value.as_f64() == Some(0.0),
            "delta" => matches!(found, Self::Huber { .. }),
            _ => matches!(value, Value::Null | Value::Bool(false)),
        };
        if !config.iter().all(plain) {
            return None;
        }
        match (found, config.get("delta")) {
            (Self::Huber { .. }, Some(delta)) => {
                delta.as_f64().map(|delta| Self::Huber { delta: delta as f32 })
            }
            _ => Some(*found),
        }
    }

    fn write(&self, reader: Reader) -> Option<Value> {
        if let Self::Huber { delta } = self {
            let mut config = Map::new();
            config.insert("delta".into(), delta.write(reader)?);
            return Some(object("keras.losses", "Huber", config.into()));
        }
        LOSSES.iter().find(|(_, loss)| loss == self).map(|(names, _)| json!(names[0]))
    }
}
