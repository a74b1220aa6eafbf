//! The graph of a model: inputs, layers, and the calls of layers on tensors.

mod attached_masks;
mod keras_order;

use crate::naming::distinct_names;
pub use crate::tensor_ref::TensorRef;
use crate::{ConfigError, Layer};
use std::sync::Arc;

/// An input of a model: its name, extents and kind of values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// The name, which no other input or layer of the model has.
    pub name: String,
    /// The extents, the batch first; `None` for an extent that is open, as that of the batch
    /// usually is.
    pub batch_shape: Vec<Option<usize>>,
    /// True for token ids, false for floats.
    pub tokens: bool,
}

impl Input {
    /// Its shape as Keras prints it: `[None, 5, 3]`.
    pub(crate) fn shown(&self) -> String {
        let extent = |n: &Option<usize>| n.map_or("None".into(), |n| n.to_string());
        format!("[{}]", self.batch_shape.iter().map(extent).collect::<Vec<String>>().join(", "))
    }
}

/// A layer with its name and state in a model.
#[derive(Clone, Debug)]
pub(crate) struct LayerNode {
    /// The name of the layer, unique in the model.
    pub name: String,
    /// The names of the models that it was nested in, from the outermost, and its own.
    pub path: Vec<String>,
    /// The layer with its arguments.
    pub layer: Arc<dyn Layer>,
    /// True if gradients change its weights, false if they stay as they are.
    pub trainable: bool,
    /// What only a training needs of its description and is not supported.
    pub unread: Vec<Unread>,
}

/// An argument of a layer that is not supported and that inference does not need.
#[derive(Clone, Debug)]
pub(crate) struct Unread {
    /// True if it only matters before weights are set, false if in any training.
    pub initial: bool,
    /// The message, with the layer.
    pub message: String,
}

/// A call of a layer on tensors.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// The index of the layer among those of the model, from 0 on.
    pub layer: usize,
    /// The tensors that it is called on, in order.
    pub inputs: Vec<TensorRef>,
}

/// The graph of a model without weights: inputs, layers and calls of layers, as in Keras's
/// `config.json`. Unlike a [`Model`](crate::Model) it may leave extents open, such as the length of
/// sequences.
#[derive(Clone, Debug, Default)]
pub struct Architecture {
    pub(crate) inputs: Vec<Input>,
    pub(crate) layers: Vec<LayerNode>,
    /// The calls, each after those that made its inputs.
    pub(crate) calls: Vec<Call>,
    pub(crate) outputs: Vec<TensorRef>,
}

impl Architecture {
    /// Returns the inputs, in the order in which the model takes its arrays.
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// Returns the batch size that the description fixes, as Keras requires for stateful layers;
    /// `None` if it fixes none.
    pub fn fixed_batch(&self) -> Option<usize> {
        self.inputs.iter().find_map(|input| *input.batch_shape.first()?)
    }

    /// Returns a unique name for each output, in order. It is the name of the layer that makes the
    /// output, or of the input that is the output. Further outputs of one layer, and repeated ones,
    /// are numbered: `dec`, `dec_1`, `dec_2`.
    ///
    /// # Panics
    /// Panics if an output is not a tensor of the model, which
    /// [`Model::with_outputs`](crate::Model::with_outputs) does not check.
    pub fn output_names(&self) -> Vec<String> {
        self.names_of_outputs(|layer| &layer.name)
    }

    /// Returns Keras's names of the outputs, in order. An output of a nested model is named after
    /// that model, every other as by [`Self::output_names`], which also describes the panic.
    pub fn keras_output_names(&self) -> Vec<String> {
        self.names_of_outputs(|layer| layer.path.first().unwrap_or(&layer.name))
    }

    fn names_of_outputs<'a>(&'a self, of: impl Fn(&'a LayerNode) -> &'a String) -> Vec<String> {
        let name = |source: &TensorRef| match *source {
            TensorRef::Input(input) => self.inputs[input].name.as_str(),
            TensorRef::Output { call, .. } => of(&self.layers[self.calls[call].layer]),
        };
        let names: Vec<&str> = self.outputs.iter().map(name).collect();
        distinct_names(&names, str::to_owned)
    }

    /// Iterates over the names and Keras's classes of the layers, in the order in which they were
    /// added or described.
    pub fn layers(&self) -> impl Iterator<Item = (&str, &'static str)> {
        self.layers.iter().map(|described| (described.name.as_str(), described.layer.class()))
    }

    /// Iterates over the arguments of layers that were left out of the description because they are
    /// not supported and only matter in training: initializers, regularizers and constraints. Each is
    /// a message with the layer.
    pub fn unread(&self) -> impl Iterator<Item = &str> {
        self.unread_in_training(false)
    }

    /// Iterates over those of [`Self::unread`] that a training needs; it does not need initializers
    /// if the model `has_weights`.
    pub fn unread_in_training(&self, has_weights: bool) -> impl Iterator<Item = &str> {
        let all = self.layers.iter().flat_map(|layer| &layer.unread);
        all.filter(move |unread| !unread.initial || !has_weights)
            .map(|unread| unread.message.as_str())
    }

    /// Iterates over the paths of the layers, in the order of [`Self::layers`]. A path has the
    /// names of the models that the layer was nested in, the outermost first, and then the layer's
    /// own.
    pub fn layer_paths(&self) -> impl Iterator<Item = &[String]> {
        self.layers.iter().map(|described| described.path.as_slice())
    }

    /// Replaces the extents of each input by those of an example: `samples` has them for each
    /// input, in order and without the batch.
    ///
    /// # Errors
    /// Fails with [`ConfigError::Structure`] if there is not one shape for each input, or a shape
    /// has another number of axes than its input, or another number along an axis that is not open.
    pub fn with_shapes(mut self, samples: &[&[usize]]) -> Result<Self, ConfigError> {
        if samples.len() != self.inputs.len() {
            let names: Vec<&str> = self.inputs.iter().map(|input| input.name.as_str()).collect();
            return Err(ConfigError::structure(format!(
                "the model has {} inputs ({}), got {} arrays",
                names.len(),
                names.join(", "),
                samples.len()
            )));
        }
        for (input, sample) in self.inputs.iter_mut().zip(samples) {
            let described = input.batch_shape.get(1..).unwrap_or_default();
            let fits = described.len() == sample.len()
                && described.iter().zip(*sample).all(|(n, given)| n.is_none_or(|n| n == *given));
            if !fits {
                return Err(ConfigError::structure(format!(
                    "input {} takes arrays of shape {}, got {sample:?} after the batch axis",
                    input.name,
                    input.shown()
                )));
            }
            input.batch_shape.truncate(1);
            input.batch_shape.extend(sample.iter().map(|&n| Some(n)));
        }
        Ok(self)
    }

    /// Replaces every open extent but that of the batch by `extent`. Weights do not depend on open
    /// extents.
    pub fn with_open_extents(mut self, extent: usize) -> Self {
        let axes = self.inputs.iter_mut().flat_map(|input| input.batch_shape.iter_mut().skip(1));
        axes.filter(|axis| axis.is_none()).for_each(|axis| *axis = Some(extent));
        self
    }

    /// True if every layer is called once, on the output of the one before it, and the output of
    /// the last is that of the model. Keras has no operations in such models.
    pub(crate) fn is_stack(&self) -> bool {
        let mut last = TensorRef::Input(0);
        for (index, call) in self.calls.iter().enumerate() {
            if call.layer != index || call.inputs != [last] {
                return false;
            }
            last = TensorRef::Output { call: index, index: 0 };
        }
        let layers = self.layers.iter().all(|node| node.layer.operation().is_none());
        layers
            && self.inputs.len() == 1
            && self.calls.len() == self.layers.len()
            && self.outputs == [last]
    }
}
