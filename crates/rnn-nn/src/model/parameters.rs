use crate::ModelError;
use crate::layer::{Weight, WeightArguments};
use crate::resident::Resident;
use rnn_core::{HostTensor, Rng};
use rnn_graph::{Binding, Graph, GraphError, TensorId, TensorType};
use rnn_ops::{Constraint, Penalty};

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
}

impl WeightRange {
    pub(crate) fn len(&self) -> usize {
        self.shape.iter().product()
    }
}

/// All weights of a model in one arena.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parameters {
    /// The place of each weight, in the order in which layers were added.
    pub ranges: Vec<WeightRange>,
    /// The values of all weights, with gaps that align them; empty if they are only counted.
    pub values: Vec<f32>,
    /// The number of values, which a model without weights only counts.
    pub len: usize,
    /// The length of the part that gradients change, gaps included.
    pub trained: usize,
}

impl Parameters {
    /// Appends a weight of the layer of this index and name to the arena, aligned, and draws its
    /// values from `seed`. Without a seed it is only counted.
    pub fn push(&mut self, (layer, layer_name): (usize, &str), weight: Weight, seed: Option<u64>) {
        let offset = if weight.trained { self.trained } else { self.len };
        let len = weight.shape.iter().product::<usize>().next_multiple_of(Binding::ALIGNMENT);
        self.len += len;
        if weight.trained {
            self.trained += len;
            let behind = self.ranges.iter_mut().filter(|range| !range.trained);
            behind.for_each(|range| range.offset += len);
        }
        if let Some(seed) = seed {
            let mut rng = Rng::new(seed, self.ranges.len() as u64);
            let mut values = weight.arguments.initializer.draw(&weight.drawn_shape(), &mut rng);
            values.resize(len, 0.0);
            self.values.splice(offset..offset, values);
        }
        let WeightArguments { regularizer, constraint, .. } = weight.arguments;
        self.ranges.push(WeightRange {
            name: format!("{layer_name}/{}", weight.name),
            owner: weight.owner,
            shape: weight.shape,
            offset,
            regularizer,
            constraint,
            trained: weight.trained,
            layer,
        });
    }

    /// Returns every weight with its name, in the order of the ranges. The values must have been
    /// drawn.
    ///
    /// # Errors
    /// Fails if the elements of a weight do not fill its shape, which cannot happen.
    pub fn weights(&self) -> Result<Vec<(String, HostTensor)>, ModelError> {
        let tensor = |s: &WeightRange| {
            let values = self.values[s.offset..s.offset + s.len()].to_vec();
            Ok((s.name.clone(), HostTensor::from_f32(s.shape.as_slice(), values)?))
        };
        self.ranges.iter().map(tensor).collect()
    }

    /// Replaces every weight by the tensor of its name; further tensors are ignored.
    ///
    /// # Errors
    /// Fails if the tensor of a weight is missing, has another shape or is not of floats; weights
    /// before it are replaced then.
    pub fn set_weights(&mut self, weights: &[(String, HostTensor)]) -> Result<(), ModelError> {
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
            let at = range.offset..range.offset + range.len();
            self.values[at].copy_from_slice(tensor.as_f32()?);
        }
        Ok(())
    }

    /// Returns the resident tensor of all parameters, f32, in a graph, which is declared at the
    /// first call.
    pub fn arena(&self, graph: &mut Graph) -> TensorId {
        graph.resident(&Resident::Parameters.to_string(), TensorType::f32([self.values.len()]))
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
