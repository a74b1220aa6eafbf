//! Weights as layers ask for them.

use crate::Initializer;
use rnn_ops::{Constraint, Penalty};

/// A weight that a layer needs.
#[derive(Clone, Debug)]
pub struct Weight {
    /// The name within the layer, as in Keras, such as `kernel`.
    pub name: String,
    /// The part of the layer that holds the weight, as the path of Keras's attributes: `cell`,
    /// `forward_layer/cell`; empty for the layer itself.
    pub owner: String,
    /// The extents.
    pub shape: Vec<usize>,
    /// The initializer, regularizer and constraint.
    pub arguments: WeightArguments,
    /// The number of terms of an output, and of outputs that an input is a term of, which scale the
    /// initializers of Glorot, He and LeCun; `None` where the shape tells them.
    pub fans: Option<[usize; 2]>,
    /// True if gradients change the weight; false if the layer itself changes it, as a moving
    /// average, or nothing does.
    pub trained: bool,
}

/// The initializer, regularizer and constraint of a weight.
#[derive(Clone, Debug)]
pub struct WeightArguments {
    /// The distribution of the initial values.
    pub initializer: Initializer,
    /// The penalty on the weight that is added to the loss; `None` for no penalty.
    pub regularizer: Option<Penalty>,
    /// The constraint that the weight is projected onto after each step; `None` for none.
    pub constraint: Option<Constraint>,
}

impl From<Initializer> for WeightArguments {
    fn from(initializer: Initializer) -> Self {
        Self { initializer, regularizer: None, constraint: None }
    }
}

impl Weight {
    pub(crate) fn new(name: &str, shape: &[usize], arguments: &WeightArguments) -> Self {
        let (name, shape) = (name.into(), shape.to_vec());
        let (owner, arguments) = (String::new(), arguments.clone());
        Self { name, owner, shape, arguments, fans: None, trained: true }
    }

    /// The weight as one held by a part of the layer.
    pub(crate) fn of(self, part: &str) -> Self {
        let owner = match self.owner.as_str() {
            "" => part.to_owned(),
            inner => format!("{part}/{inner}"),
        };
        Self { owner, ..self }
    }

    /// The weight as a product of `inputs` terms for each output.
    pub(crate) fn of_terms(self, inputs: usize) -> Self {
        let outputs = self.shape.iter().product::<usize>() / inputs.max(1);
        Self { fans: Some([inputs, outputs]), ..self }
    }

    /// A shape of as many elements from which the initializer takes its scale.
    pub(crate) fn drawn_shape(&self) -> Vec<usize> {
        match (&self.arguments.initializer, self.fans) {
            (Initializer::Orthogonal | Initializer::Identity, _) | (_, None) => self.shape.clone(),
            (_, Some(fans)) => fans.to_vec(),
        }
    }

    /// The weight as one that gradients do not change.
    pub(crate) fn not_trained(self) -> Self {
        Self { trained: false, ..self }
    }
}
