//! Descriptions of models with what they say of the training.

use super::{ModelFile, Result, Weights, explained, foreign};
use crate::Tell;
use crate::nn::{Architecture, Compile, ConfigError, Dialect, Optimizer};
use serde_json::Value;

impl ModelFile {
    /// Reads a description, for weights that there may be, of a file of Keras's `version`.
    pub(super) fn described(
        value: &Value,
        version: Option<&str>,
        weights: Weights,
        tell: Tell,
    ) -> Result<Self> {
        foreign::check_json(value)?;
        foreign::check_version(value.get("keras_version").and_then(Value::as_str))?;
        let architecture = Architecture::from_json(value, version)?;
        let described = matches!(weights, Weights::Missing);
        for argument in architecture.unread() {
            tell(&format!("not used: {argument}"));
        }
        let stated = value.get("compile_config").cloned().unwrap_or_default();
        let stated = with_own_names(stated, &architecture);
        let dialect = version.map_or(Dialect::default(), Dialect::of_version);
        // What only a training needs is no reason to refuse a model that has its weights: it can
        // predict, and be evaluated by the loss that it has and trained with another optimizer.
        let needed = |what: &str, error: ConfigError| match described {
            true => Err(error),
            false => {
                tell(&format!("not used: {what}: {}", explained(&error)));
                Ok(())
            }
        };
        let optimizer = Compile::optimizer_in(&stated, dialect).or_else(|error| {
            needed("the model's optimizer, in whose place is Adam", error).map(|()| None)
        })?;
        // A model that was never compiled has a configuration without a loss.
        let has_loss = stated.get("loss").is_some_and(|loss| !loss.is_null());
        let outputs = architecture.output_names();
        let losses = |optimizer| Compile::of_losses(&stated, &outputs, (optimizer, dialect));
        let compile = match has_loss {
            true => losses(optimizer.unwrap_or_else(Optimizer::adam))
                .map(Some)
                .or_else(|error| needed("the model's loss", error).map(|()| None))?,
            false => None,
        };
        Ok(Self { optimizer, stated, tell, ..Self::new(architecture, compile, weights) })
    }
}

/// How a model was trained, with this program's names of the outputs in place of Keras's.
fn with_own_names(mut stated: Value, architecture: &Architecture) -> Value {
    let names: Vec<(String, String)> =
        architecture.keras_output_names().into_iter().zip(architecture.output_names()).collect();
    for argument in ["loss", "loss_weights", "metrics", "weighted_metrics"] {
        let Some(Value::Object(said)) = stated.get_mut(argument) else { continue };
        let of_outputs = names.iter().filter_map(|(theirs, own)| Some((own, said.remove(theirs)?)));
        let of_outputs: Vec<_> = of_outputs.collect();
        said.extend(of_outputs.into_iter().map(|(own, value)| (own.clone(), value)));
    }
    stated
}
