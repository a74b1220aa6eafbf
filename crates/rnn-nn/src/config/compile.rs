use crate::layer::{
    Argument, Arguments, Dialect, Numbers, Reader, class_and_config, object, same_name, shown,
};
use crate::{ConfigError, Crossentropy, Loss, MetricSums, Optimizer};
use serde_json::{Value, json};

/// The optimizer and the losses of a training: Keras's `compile_config`, without its metrics.
#[derive(Clone, Debug, PartialEq)]
pub struct Compile {
    /// The optimizer.
    pub optimizer: Optimizer,
    /// The loss of each output, in order, with its weight in the sum of losses.
    pub losses: Vec<(Loss, f32)>,
}

impl Compile {
    /// Reads a `compile_config`, or the `training_config` of an `.h5` file, for a model with
    /// outputs of the names `outputs`
    /// ([`Architecture::output_names`](crate::Architecture::output_names)). `dialect` decides the
    /// defaults. The optimizer is Adam if none is named. Metrics are ignored: all that a loss
    /// allows are computed, and [`super::metrics_not_computed`] names the others.
    ///
    /// # Errors
    /// Fails with [`ConfigError::Missing`] if an output has no loss, and with another
    /// [`ConfigError`] if the optimizer, a loss, its weight or one of their arguments is not
    /// supported.
    pub fn from_json(
        value: &Value,
        outputs: &[impl AsRef<str>],
        dialect: Dialect,
    ) -> Result<Self, ConfigError> {
        let optimizer = Self::optimizer_in(value, dialect)?.unwrap_or_else(Optimizer::adam);
        Self::of_losses(value, outputs, (optimizer, dialect))
    }

    /// Reads the losses alone, as [`Compile::from_json`] does, for an optimizer that is given.
    ///
    /// # Errors
    /// Fails as [`Compile::from_json`] for the losses and their weights.
    pub fn of_losses(
        value: &Value,
        outputs: &[impl AsRef<str>],
        (optimizer, dialect): (Optimizer, Dialect),
    ) -> Result<Self, ConfigError> {
        let loss = |value: &Value| Loss::from_json(value, dialect);
        let losses = each(value.get("loss"), outputs, "loss", loss)?;
        let weight = |value: &Value| {
            f32::read(value, dialect).ok_or_else(|| ConfigError::Argument {
                owner: "compile".into(),
                argument: "loss_weights".into(),
                value: shown(value),
                supported: f32::supported(),
            })
        };
        let weights = each(value.get("loss_weights"), outputs, "loss_weights", weight)?;
        let missing = || ConfigError::Missing { owner: "compile".into(), argument: "loss".into() };
        let losses: Option<Vec<Loss>> = losses.into_iter().collect();
        let weights = weights.into_iter().map(|weight| weight.unwrap_or(1.0));
        let losses = losses.ok_or_else(missing)?.into_iter().zip(weights).collect();
        Ok(Self { optimizer, losses })
    }

    /// Returns the optimizer in `value`, a `compile_config` or `training_config`; `None` if it has
    /// none. `dialect` decides the defaults of arguments that are left out.
    ///
    /// # Errors
    /// Fails as [`Optimizer::from_json`].
    pub fn optimizer_in(value: &Value, dialect: Dialect) -> Result<Option<Optimizer>, ConfigError> {
        let optimizer = value.get("optimizer").or_else(|| value.get("optimizer_config"));
        let optimizer = optimizer.filter(|optimizer| !optimizer.is_null());
        optimizer.map(|optimizer| Optimizer::from_json(optimizer, dialect)).transpose()
    }

    /// Returns the kind of sums from which the metrics of the first output are computed, as its
    /// loss decides; [`MetricSums::Regression`] if there are no losses.
    pub fn metric_sums(&self) -> MetricSums {
        self.losses.first().map_or(MetricSums::Regression, |(loss, _)| loss.metric_sums())
    }

    /// Returns the `compile_config` as Keras 3's JSON, for `reader`, the program that will read it.
    ///
    /// # Errors
    /// Fails with [`ConfigError::Foreign`] if `reader` has no counterpart of an argument of the
    /// optimizer or of a loss.
    pub fn to_json(&self, reader: Reader) -> Result<Value, ConfigError> {
        let losses = self.losses.iter().map(|(loss, _)| loss.to_json(reader));
        let losses = losses.collect::<Result<Vec<_>, _>>()?;
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
            "loss": one_or_all(losses),
            "loss_weights": weights.map(one_or_all),
        }))
    }
}

/// The values for each output, which are given for all at once, in a list, or by name.
fn each<T: Clone>(
    value: Option<&Value>,
    outputs: &[impl AsRef<str>],
    argument: &str,
    read: impl Fn(&Value) -> Result<T, ConfigError>,
) -> Result<Vec<Option<T>>, ConfigError> {
    let one = |value: &Value| match value {
        Value::Null => Ok(None),
        value => read(value).map(Some),
    };
    match value {
        None | Some(Value::Null) => Ok(vec![None; outputs.len()]),
        Some(Value::Array(list)) if list.len() == outputs.len() => list.iter().map(one).collect(),
        Some(Value::Object(named)) if !named.contains_key("class_name") => {
            let names: Vec<&str> = outputs.iter().map(AsRef::as_ref).collect();
            if let Some(unknown) = named.keys().find(|name| !names.contains(&name.as_str())) {
                return Err(ConfigError::structure(format!(
                    "compile: {argument} names {unknown}, which is no output of the model; its \
                     outputs are {}",
                    names.join(", ")
                )));
            }
            names.into_iter().map(|name| named.get(name).map_or(Ok(None), one)).collect()
        }
        Some(value @ Value::Array(_)) => Err(ConfigError::structure(format!(
            "compile: {argument} = {} has not one for each of the {} outputs",
            shown(value),
            outputs.len()
        ))),
        Some(value) => Ok(vec![one(value)?; outputs.len()]),
    }
}

impl Optimizer {
    /// Reads an optimizer from Keras's JSON: `"adam"`, or `{"class_name": "Adam", "config": ..}`.
    /// `dialect` decides the defaults of arguments that are left out.
    ///
    /// # Errors
    /// Fails with [`ConfigError::Structure`] if `value` has another form or asks for two kinds of
    /// clipping, and with [`ConfigError::Class`] or [`ConfigError::Argument`] if the optimizer or
    /// an argument is not supported.
    pub fn from_json(value: &Value, dialect: Dialect) -> Result<Self, ConfigError> {
        let odd = || ConfigError::structure(format!("{} is no optimizer", shown(value)));
        let (class, config) = class_and_config(value).ok_or_else(odd)?;
        let class = without_package(class);
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

    /// Returns the optimizer as Keras 3's JSON, for `reader`, the program that will read it.
    ///
    /// # Errors
    /// Fails with [`ConfigError::Foreign`] if `reader` has no counterpart of an argument.
    pub fn to_json(&self, reader: Reader) -> Result<Value, ConfigError> {
        let mut arguments = Arguments::written(format!("optimizer {}", self.class()), reader);
        self.clone().arguments(&mut arguments)?;
        Ok(object("keras.optimizers", self.class(), arguments.finish()?.into()))
    }
}

/// The name of a class without that of the package under which it was registered, as in
/// `Custom>Adam` and `Addons>AdamW` (keras/src/saving/object_registration.py).
fn without_package(class: &str) -> &str {
    class.rsplit('>').next().unwrap_or(class)
}

/// Names that Keras accepts for a loss, its class first.
fn losses() -> [(&'static [&'static str], Loss); 21] {
    let of = Crossentropy::default();
    let (gamma, alpha) = (2.0, 0.25);
    [
        (&["BinaryCrossentropy", "bce"], Loss::binary_crossentropy()),
        (&["CategoricalCrossentropy"], Loss::categorical_crossentropy()),
        (&["SparseCategoricalCrossentropy"], Loss::sparse_categorical_crossentropy()),
        (
            &["BinaryFocalCrossentropy"],
            Loss::BinaryFocalCrossentropy { of, gamma, alpha, apply_class_balancing: false },
        ),
        (
            &["CategoricalFocalCrossentropy"],
            Loss::CategoricalFocalCrossentropy { of, gamma, alpha },
        ),
        (&["MeanSquaredError", "mse"], Loss::MeanSquaredError),
        (&["MeanAbsoluteError", "mae"], Loss::MeanAbsoluteError),
        (&["MeanAbsolutePercentageError", "mape"], Loss::MeanAbsolutePercentageError),
        (&["MeanSquaredLogarithmicError", "msle"], Loss::MeanSquaredLogarithmicError),
        (&["Huber", "huber_loss"], Loss::Huber { delta: 1.0 }),
        (&["Pinball"], Loss::Pinball { quantile: 0.5 }),
        (&["LogCosh"], Loss::LogCosh),
        (&["Poisson"], Loss::Poisson),
        (&["Hinge"], Loss::Hinge),
        (&["SquaredHinge"], Loss::SquaredHinge),
        (&["CategoricalHinge"], Loss::CategoricalHinge),
        (&["KLDivergence", "kld", "kullback_leibler_divergence"], Loss::KLDivergence),
        (&["CosineSimilarity"], Loss::CosineSimilarity),
        (&["CTC"], Loss::Ctc),
        (&["Dice"], Loss::Dice),
        (&["Tversky"], Loss::Tversky { alpha: 0.5, beta: 0.5 }),
    ]
}

impl Crossentropy {
    /// Keras's names of the options.
    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.optional("from_logits", &mut self.from_logits)?;
        a.number("label_smoothing", &mut self.label_smoothing, Numbers::Fraction)?;
        a.fixed("axis", -1)
    }
}

impl Loss {
    /// Returns Keras's class name of the loss, such as `BinaryCrossentropy`.
    pub fn name(&self) -> &'static str {
        let kind = std::mem::discriminant(self);
        let all = losses();
        let found = all.iter().find(|(_, loss)| std::mem::discriminant(loss) == kind);
        found.map_or("loss", |(names, _)| names[0])
    }

    /// Keras's names of the arguments.
    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.ignored(&["name", "fn", "dtype"]);
        match self {
            Self::BinaryCrossentropy(of) | Self::CategoricalCrossentropy(of) => of.arguments(a),
            Self::SparseCategoricalCrossentropy { from_logits } => {
                a.optional("from_logits", from_logits)?;
                a.fixed("axis", -1)
            }
            Self::BinaryFocalCrossentropy { of, gamma, alpha, apply_class_balancing } => {
                a.optional("apply_class_balancing", apply_class_balancing)?;
                a.number("alpha", alpha, Numbers::Fraction)?;
                a.number("gamma", gamma, Numbers::NotNegative)?;
                of.arguments(a)
            }
            Self::CategoricalFocalCrossentropy { of, gamma, alpha } => {
                a.number("alpha", alpha, Numbers::NotNegative)?;
                a.number("gamma", gamma, Numbers::NotNegative)?;
                of.arguments(a)
            }
            Self::Huber { delta } => a.number("delta", delta, Numbers::NotNegative),
            Self::Pinball { quantile } => a.number("quantile", quantile, Numbers::Fraction),
            Self::CosineSimilarity => a.fixed("axis", -1),
            Self::Dice => a.fixed("axis", Value::Null),
            Self::Tversky { alpha, beta } => {
                a.number("alpha", alpha, Numbers::NotNegative)?;
                a.number("beta", beta, Numbers::NotNegative)?;
                a.fixed("axis", Value::Null)
            }
            _ => Ok(()),
        }
    }

    /// Reads `"mse"`, or `{"class_name": "Huber", "config": ..}`.
    fn from_json(value: &Value, dialect: Dialect) -> Result<Self, ConfigError> {
        let all = losses();
        let unknown = || ConfigError::Class {
            owner: "loss".into(),
            class: shown(value),
            supported: all.iter().map(|(names, _)| names[0]).collect::<Vec<_>>().join(", "),
        };
        let (class, mut config) = class_and_config(value).ok_or_else(unknown)?;
        let class = without_package(class);
        let named = |(names, _): &&(&[&str], Self)| names.iter().any(|n| same_name(n, class));
        let (names, mut loss) = *all.iter().find(named).ok_or_else(unknown)?;
        // One number of them all, whatever it is called.
        if matches!(
            config.get("reduction").and_then(Value::as_str),
            Some("sum_over_batch_size" | "auto" | "mean")
        ) {
            config.remove("reduction");
        }
        let mut arguments = Arguments::given(format!("loss {}", names[0]), &config, dialect);
        loss.arguments(&mut arguments)?;
        arguments.finish()?;
        Ok(loss)
    }

    /// The loss as an object of Keras 3.
    fn to_json(self, reader: Reader) -> Result<Value, ConfigError> {
        if let (Self::Pinball { .. }, Reader::Keras) = (self, reader) {
            let what = "Keras has no such loss".into();
            return Err(ConfigError::Foreign { owner: "loss Pinball".into(), what });
        }
        let mut loss = self;
        let mut arguments = Arguments::written(format!("loss {}", self.name()), reader);
        loss.arguments(&mut arguments)?;
        Ok(object("keras.losses", self.name(), arguments.finish()?.into()))
    }
}
