//! Models from architectures.

use super::Model;
use super::summary::Open;
use crate::architecture::{Architecture, Call, Input, LayerNode, TensorRef};
use crate::{ConfigError, InputSpec};

impl Architecture {
    /// Returns the model with initial weights, which `seed` decides. They are drawn where they are
    /// asked for, so that a model whose weights are set costs none of it.
    ///
    /// # Errors
    /// Fails with [`ConfigError::Structure`] if an extent other than that of the batch is open or
    /// something was left out ([`Architecture::unread`]), and with [`ConfigError::Layer`] if a layer
    /// does not fit its inputs.
    pub fn model(&self, seed: u64) -> Result<Model, ConfigError> {
        if let Some(argument) = self.unread().next() {
            return Err(ConfigError::structure(argument));
        }
        self.assemble(seed)
    }

    /// Returns the model for weights that are set afterwards.
    ///
    /// # Errors
    /// Fails as [`Architecture::model`], but not if something was left out that only a training needs.
    pub fn blank_model(&self) -> Result<Model, ConfigError> {
        self.assemble(0)
    }

    fn assemble(&self, seed: u64) -> Result<Model, ConfigError> {
        let mut model = Model::new(seed);
        for input in &self.inputs {
            model.named_input(&input.name, input_spec(input)?);
        }
        let mut first_calls: Vec<Option<usize>> = vec![None; self.layers.len()];
        for (index, Call { layer: of, inputs }) in self.calls.iter().enumerate() {
            let LayerNode { name, layer, trainable, .. } = &self.layers[*of];
            let missing = || {
                ConfigError::structure(format!(
                    "layer {name} takes an output that the layer before it does not make"
                ))
            };
            model.shapes_of(inputs).map_err(|_| missing())?;
            let outputs = match first_calls[*of] {
                Some(call) => model.call_again(TensorRef::Output { call, index: 0 }, inputs),
                None => model.call_named(name, *trainable, layer.clone(), inputs),
            };
            first_calls[*of].get_or_insert(index);
            outputs.map_err(|source| ConfigError::Layer {
                name: name.clone(),
                source: Box::new(source),
            })?;
        }
        let missing = |_| ConfigError::structure("an output of the model is made by no layer");
        model.with_outputs(self.outputs.clone()).map_err(missing)
    }

    /// Returns the number of parameters of the model, trained and other.
    ///
    /// # Errors
    /// Fails as [`Architecture::model`].
    pub fn count_params(&self) -> Result<usize, ConfigError> {
        Ok(self.assemble(0)?.count_params())
    }

    /// Returns the table of [`Model::summary`], with None for open extents and for all extents that
    /// depend on them.
    ///
    /// # Errors
    /// Fails as [`Architecture::with_some_extents`].
    pub fn summary(&self) -> Result<String, ConfigError> {
        let batch = self.inputs.first().and_then(|input| *input.batch_shape.first()?);
        let (model, other) = self.in_two_sizes()?.1;
        Ok(model.summary_of(&Open { batch, other: Some(&other) }))
    }

    /// Replaces every open extent but that of the batch by one number that all layers accept. It
    /// tries 5040, 840, 240, 60, 24 and 12 in this order. Where extents are open, weights do not
    /// depend on them.
    ///
    /// # Errors
    /// Fails with the error for the first number if a layer fits its inputs with none of the
    /// numbers.
    pub fn with_some_extents(self) -> Result<Self, ConfigError> {
        let (extent, _) = self.in_two_sizes()?;
        Ok(self.with_open_extents(extent))
    }

    /// An extent for the open axes, and the model with it and with its double.
    fn in_two_sizes(&self) -> Result<(usize, (Model, Model)), ConfigError> {
        let sized = |n| self.clone().with_open_extents(n).assemble(0);
        let both = |n| Ok((n, (sized(n)?, sized(2 * n)?)));
        let mut found = both(SOME_EXTENTS[0]);
        for extent in &SOME_EXTENTS[1..] {
            found = found.or_else(|first| both(*extent).map_err(|_| first));
        }
        found
    }
}

/// Values for open extents: large, so that windows fit, and with many divisors, so that shapes can
/// be divided; smaller, where several axes are open and a tensor would have too many elements.
const SOME_EXTENTS: [usize; 6] = [5040, 840, 240, 60, 24, 12];

fn input_spec(input: &Input) -> Result<InputSpec, ConfigError> {
    let open = || {
        ConfigError::structure(format!(
            "input {} of shape {} has an axis without a length, which only data can give",
            input.name,
            input.shown()
        ))
    };
    let extents: Option<Vec<usize>> = input.batch_shape.iter().skip(1).copied().collect();
    let extents = extents.ok_or_else(open)?;
    match input.tokens {
        true => Ok(InputSpec::Tokens(extents)),
        false if extents.is_empty() => Err(ConfigError::structure(format!(
            "input {} is of shape {}, which only an Embedding takes",
            input.name,
            input.shown()
        ))),
        false => Ok(InputSpec::Floats(extents)),
    }
}
