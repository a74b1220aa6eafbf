use crate::layer::{Weight, WeightArguments};
use crate::resident::Resident;
use crate::{Initializer, ModelError};
use rnn_core::{HostTensor, Rng};
use rnn_graph::{Binding, Graph, GraphError, TensorId, TensorType};
use rnn_ops::{Constraint, Penalty};
use std::ops::Range;
use std::sync::OnceLock;

/// The place of a weight in [`Model::parameters`](crate::Model::parameters), with its name, shape
/// and arguments.
#[derive(Clone, Debug)]
pub struct WeightRange {
    /// The name, `layer/weight`, such as `lstm/kernel`, unique in the model.
    pub name: String,
    /// The part of the layer that holds the weight, as [`Weight::owner`].
    pub owner: String,
    /// The extents.
    pub shape: Vec<usize>,
    /// The index of the first element, a multiple of [`Binding::ALIGNMENT`].
    pub offset: usize,
    /// The penalty on the weight that is added to the loss; `None` for no penalty.
    pub regularizer: Option<Penalty>,
    /// The constraint that the weight is projected onto after each step; `None` for none.
    pub constraint: Option<Constraint>,
    /// True if gradients change the weight. All such weights lie before all others.
    pub trained: bool,
    /// The index of the weight's layer in [`Model::layers`](crate::Model::layers), from 0 on.
    pub layer: usize,
    pub(crate) initializer: Initializer,
    /// The shape from which the initializer takes its scale.
    pub(crate) drawn_shape: Vec<usize>,
}

impl WeightRange {
    pub(crate) fn len(&self) -> usize {
        self.shape.iter().product()
    }

    fn at(&self) -> Range<usize> {
        self.offset..self.offset + self.len()
    }
}

/// The initial values of the weight of this index.
fn draw(seed: u64, index: usize, initializer: &Initializer, shape: &[usize]) -> Vec<f32> {
    initializer.draw(shape, &mut Rng::new(seed, index as u64))
}

/// All weights of a model in one arena.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parameters {
    /// The place of each weight, in the order in which layers were added.
    pub ranges: Vec<WeightRange>,
    /// The number of values, gaps included.
    pub len: usize,
    /// The length of the part that gradients change, gaps included.
    pub trained: usize,
    /// Decides the initial values.
    seed: u64,
    /// The values of all weights, with gaps that align them, once they are asked for: those of a
    /// model that is only described, or whose weights are in a file, are never drawn.
    values: OnceLock<Vec<f32>>,
}

impl Parameters {
    /// An arena without weights. `seed` decides the initial values of those that are added.
    pub fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// Appends a weight of the layer of this index and name to the arena, aligned.
    pub fn push(&mut self, (layer, layer_name): (usize, &str), weight: Weight) {
        let offset = if weight.trained { self.trained } else { self.len };
        let len = weight.shape.iter().product::<usize>().next_multiple_of(Binding::ALIGNMENT);
        self.len += len;
        if weight.trained {
            self.trained += len;
            let behind = self.ranges.iter_mut().filter(|range| !range.trained);
            behind.for_each(|range| range.offset += len);
        }
        let drawn_shape = weight.drawn_shape();
        let WeightArguments { initializer, regularizer, constraint } = weight.arguments;
        if let Some(values) = self.values.get_mut() {
            let mut drawn = draw(self.seed, self.ranges.len(), &initializer, &drawn_shape);
            drawn.resize(len, 0.0);
            values.splice(offset..offset, drawn);
        }
        self.ranges.push(WeightRange {
            name: format!("{layer_name}/{}", weight.name),
            owner: weight.owner,
            shape: weight.shape,
            offset,
            regularizer,
            constraint,
            trained: weight.trained,
            layer,
            initializer,
            drawn_shape,
        });
    }

    /// The values of all weights, with gaps that align them; the initial ones, unless they were
    /// replaced.
    pub fn values(&self) -> &[f32] {
        self.values.get_or_init(|| {
            let mut values = vec![0.0; self.len];
            for (index, range) in self.ranges.iter().enumerate() {
                let drawn = draw(self.seed, index, &range.initializer, &range.drawn_shape);
                values[range.at()].copy_from_slice(&drawn);
            }
            values
        })
    }

    /// Replaces all values, of which there must be as many.
    pub fn set_values(&mut self, values: &[f32]) {
        assert_eq!(values.len(), self.len, "the number of values");
        self.values = values.to_vec().into();
    }

    /// Returns every weight with its name, in the order of the ranges.
    ///
    /// # Errors
    /// Fails if the elements of a weight do not fill its shape, which cannot happen.
    pub fn weights(&self) -> Result<Vec<(String, HostTensor)>, ModelError> {
        let tensor = |s: &WeightRange| {
            let values = self.values()[s.at()].to_vec();
            Ok((s.name.clone(), HostTensor::from_f32(s.shape.as_slice(), values)?))
        };
        self.ranges.iter().map(tensor).collect()
    }

    /// Replaces every weight by the tensor of its name; further tensors are ignored.
    ///
    /// # Errors
    /// Fails if the tensor of a weight is missing, has another shape or is not of floats; no weight
    /// is replaced then.
    pub fn set_weights(&mut self, weights: &[(String, HostTensor)]) -> Result<(), ModelError> {
        let mut values = vec![0.0; self.len];
        for range in &self.ranges {
            let given = weights.iter().find(|(name, _)| *name == range.name).map(|(_, t)| t);
            let fits = given.filter(|t| t.shape().dims() == range.shape);
            let Some(tensor) = fits else {
                return Err(ModelError::Weight {
                    name: range.name.clone(),
                    expected: range.shape.clone(),
                    found: given.map_or("nothing".into(), |t| t.shape().to_string()),
                });
            };
            values[range.at()].copy_from_slice(tensor.as_f32()?);
        }
        self.values = values.into();
        Ok(())
    }

    /// Returns the resident tensor of all parameters, f32, in a graph, which is declared at the
    /// first call.
    pub fn arena(&self, graph: &mut Graph) -> TensorId {
        graph.resident(&Resident::Parameters.to_string(), TensorType::f32([self.len]))
    }

    /// Returns a view of each weight, of its shape, in the order of the ranges.
    ///
    /// # Errors
    /// Fails if a weight does not lie within the arena, which cannot happen.
    pub fn views(&self, graph: &mut Graph) -> Result<Vec<TensorId>, GraphError> {
        let arena = self.arena(graph);
        let views = self.ranges.iter().map(|s| graph.view(arena, s.offset, s.shape.as_slice()));
        views.collect()
    }
}
