use crate::layers::{Build, Layer, LayerError, Value, WeightArguments};
use rnn_core::{HostTensor, Rng, TensorError};
use rnn_graph::{Binding, Graph, GraphError, TensorId, TensorType};
use rnn_ops::{Constraint, Penalty, TransposeLeading};
use std::sync::Arc;

/// What a model is fed, without the batch axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputSpec {
    /// Token ids `[T]`.
    Tokens(usize),
    /// A sequence of floats `[T, F]`.
    Sequence(usize, usize),
    /// Floats `[F]`.
    Features(usize),
}

impl InputSpec {
    pub(crate) fn shape(&self) -> Vec<usize> {
        match *self {
            Self::Tokens(steps) => vec![steps],
            Self::Sequence(steps, width) => vec![steps, width],
            Self::Features(width) => vec![width],
        }
    }

    pub(crate) fn ty(&self, batch: usize) -> TensorType {
        let shape = [vec![batch], self.shape()].concat();
        match self {
            Self::Tokens(_) => TensorType::u32(shape),
            _ => TensorType::f32(shape),
        }
    }
}

/// Why a model cannot be built or loaded.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A layer does not fit.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// Weights from elsewhere do not fit.
    #[error("weight {name}: the model has {expected:?}, got {found}")]
    Weight {
        /// Its name.
        name: String,
        /// The model's shape.
        expected: Vec<usize>,
        /// What was given, or "nothing".
        found: String,
    },
    /// A weight is not of floats.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

/// Where a weight lies in the arena of all parameters.
#[derive(Clone, Debug)]
pub struct Slot {
    /// `layer/weight`, unique in the model.
    pub name: String,
    /// The extents.
    pub shape: Vec<usize>,
    /// The first element; aligned so that kernels can bind it.
    pub offset: usize,
    /// What its size adds to the loss.
    pub regularizer: Option<Penalty>,
    /// What it is brought back to after each step.
    pub constraint: Option<Constraint>,
    /// Gradients move it. Those that they do not move lie behind all others.
    pub trained: bool,
    layer: usize,
}

impl Slot {
    fn len(&self) -> usize {
        self.shape.iter().product()
    }
}

/// A model's tensors in a graph.
pub(crate) struct Built {
    /// The output, batch-major.
    pub output: TensorId,
    /// The weights, in the order of the slots.
    pub weights: Vec<TensorId>,
    /// What regularizers add to the loss, each `[1]`.
    pub penalties: Vec<TensorId>,
}

/// A stack of layers with their weights, which lie in one arena.
#[derive(Clone, Debug)]
pub struct Sequential {
    pub(crate) input: InputSpec,
    pub(crate) layers: Vec<(String, Arc<dyn Layer>)>,
    slots: Vec<Slot>,
    parameters: Vec<f32>,
    /// The part of the parameters that gradients move, from the first on.
    trained: usize,
    output: Vec<usize>,
    seed: u64,
}

impl Sequential {
    /// An empty model; `seed` decides the first weights.
    pub fn new(input: InputSpec, seed: u64) -> Self {
        let output = input.shape();
        Self { input, layers: vec![], slots: vec![], parameters: vec![], trained: 0, output, seed }
    }

    /// Appends a layer and draws its weights.
    #[allow(clippy::should_implement_trait, reason = "Keras's name; no one adds a layer with +")]
    pub fn add(mut self, layer: impl Layer + 'static) -> Result<Self, ModelError> {
        let weights = layer.weights(&self.output)?;
        let output = layer.output(&self.output)?;
        let name = self.unique_name(layer.class());
        for weight in weights {
            let offset = if weight.trained { self.trained } else { self.parameters.len() };
            let mut rng = Rng::new(self.seed, self.slots.len() as u64);
            let mut values = weight.arguments.initializer.draw(&weight.shape, &mut rng);
            values.resize(values.len().next_multiple_of(Binding::ALIGNMENT), 0.0);
            if weight.trained {
                self.trained += values.len();
                let behind = self.slots.iter_mut().filter(|slot| !slot.trained);
                behind.for_each(|slot| slot.offset += values.len());
            }
            self.parameters.splice(offset..offset, values);
            let name = format!("{name}/{}", weight.name);
            let WeightArguments { regularizer, constraint, .. } = weight.arguments;
            let layer = self.layers.len();
            self.slots.push(Slot {
                name,
                shape: weight.shape,
                offset,
                regularizer,
                constraint,
                trained: weight.trained,
                layer,
            });
        }
        self.output = output;
        self.layers.push((name, Arc::new(layer)));
        Ok(self)
    }

    /// Keras's names: `lstm`, then `lstm_1`, ..
    fn unique_name(&self, class: &'static str) -> String {
        let stem = snake_case(class);
        let same = self.layers.iter().filter(|(_, l)| l.class() == class).count();
        if same == 0 { stem } else { format!("{stem}_{same}") }
    }

    /// The extents of the output of a batch.
    pub fn output_shape(&self, batch: usize) -> Vec<usize> {
        [&[batch], &self.output[..]].concat()
    }

    /// The number of parameters.
    pub fn count_params(&self) -> usize {
        self.slots.iter().map(Slot::len).sum()
    }

    /// The number of those that gradients move.
    pub fn count_trained(&self) -> usize {
        self.slots.iter().filter(|slot| slot.trained).map(Slot::len).sum()
    }

    /// How much of the arena gradients move, gaps included.
    pub(crate) fn trained(&self) -> usize {
        self.trained
    }

    pub(crate) fn layer_params(&self, layer: usize) -> usize {
        self.slots.iter().filter(|s| s.layer == layer).map(Slot::len).sum()
    }

    /// The weights' places.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// All parameters, with the gaps of alignment between weights.
    pub fn parameters(&self) -> &[f32] {
        &self.parameters
    }

    pub(crate) fn set_parameters(&mut self, values: &[f32]) {
        self.parameters.copy_from_slice(values);
    }

    /// Every weight by name.
    pub fn weights(&self) -> Result<Vec<(String, HostTensor)>, ModelError> {
        let tensor = |s: &Slot| {
            let values = self.parameters[s.offset..s.offset + s.len()].to_vec();
            Ok((s.name.clone(), HostTensor::from_f32(s.shape.as_slice(), values)?))
        };
        self.slots.iter().map(tensor).collect()
    }

    /// Replaces every weight; all must be given.
    pub fn set_weights(&mut self, weights: &[(String, HostTensor)]) -> Result<(), ModelError> {
        for slot in &self.slots {
            let given = weights.iter().find(|(name, _)| *name == slot.name).map(|(_, t)| t);
            let fits = given.filter(|t| t.shape().dims() == slot.shape);
            let Some(tensor) = fits else {
                return Err(ModelError::Weight {
                    name: slot.name.clone(),
                    expected: slot.shape.clone(),
                    found: given.map_or("nothing".into(), |t| t.shape().to_string()),
                });
            };
            let at = slot.offset..slot.offset + slot.len();
            self.parameters[at].copy_from_slice(tensor.as_f32()?);
        }
        Ok(())
    }

    /// The largest token id plus one, if the model takes token ids.
    pub fn vocabulary(&self) -> Option<usize> {
        self.layers.first().and_then(|(_, layer)| layer.vocabulary())
    }

    /// The resident tensor of all parameters.
    pub(crate) fn arena(&self, graph: &mut Graph) -> TensorId {
        graph.resident("parameters", TensorType::f32([self.parameters.len()]))
    }

    /// A resident tensor of a number for each parameter that gradients move.
    pub(crate) fn trained_arena(&self, graph: &mut Graph, name: &str) -> TensorId {
        graph.resident(name, TensorType::f32([self.trained]))
    }

    /// Adds the forward pass; dropout acts if `random` is given.
    pub(crate) fn build(
        &self,
        graph: &mut Graph,
        input: TensorId,
        random: Option<TensorId>,
    ) -> Result<Built, GraphError> {
        let arena = self.arena(graph);
        let views = self.slots.iter().map(|s| graph.view(arena, s.offset, s.shape.as_slice()));
        let weights = views.collect::<Result<Vec<_>, _>>()?;
        let mut value = Value::from(match self.input {
            InputSpec::Features(_) => input,
            _ => graph.apply(TransposeLeading, &[input])?,
        });
        let mut build = Build::new(graph, random);
        for (index, (name, layer)) in self.layers.iter().enumerate() {
            let own = self.slots.iter().zip(&weights).filter(|(s, _)| s.layer == index);
            let own: Vec<TensorId> = own.map(|(_, &w)| w).collect();
            build.name.clone_from(name);
            value = layer.build(&mut build, value, &own)?;
        }
        let output = match self.output.len() {
            0 | 1 => value.tensor,
            _ => build.graph.apply(TransposeLeading, &[value.tensor])?,
        };
        let mut penalties = build.penalties;
        for (slot, &weight) in self.slots.iter().zip(&weights) {
            let penalty = slot.regularizer.clone().map(|p| graph.apply(p, &[weight]));
            penalties.extend(penalty.transpose()?);
        }
        Ok(Built { output, weights, penalties })
    }
}

/// As keras/src/utils/naming.py: SimpleRNN is simple_rnn, MaxPooling1D max_pooling1d.
fn snake_case(class: &str) -> String {
    let letters: Vec<char> = class.chars().collect();
    let mut name = String::new();
    for (i, letter) in letters.iter().enumerate() {
        let after_lower = i > 0 && letters[i - 1].is_lowercase();
        let before_lower = letters.get(i + 1).is_some_and(|c| c.is_lowercase());
        let after_letter = i > 0 && letters[i - 1].is_uppercase();
        if letter.is_uppercase() && (after_lower || (after_letter && before_lower)) {
            name.push('_');
        }
        name.extend(letter.to_lowercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::snake_case;

    #[test]
    fn layers_are_named_as_keras_names_them() {
        let names = ["SimpleRNN", "LSTM", "GRU", "MaxPooling1D", "Conv1D", "TimeDistributed"];
        let wanted = ["simple_rnn", "lstm", "gru", "max_pooling1d", "conv1d", "time_distributed"];
        assert_eq!(names.map(snake_case), wanted);
    }
}
