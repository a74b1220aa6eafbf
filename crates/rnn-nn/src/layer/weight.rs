//! Weights as layers ask for them.

use crate::Initializer;
use rnn_ops::{Constraint, Penalty};

/// A weight that a layer needs: its name, shape and arguments.
#[derive(Clone, Debug)]
pub struct Weight {
    /// Its name within the layer, as Keras calls it.
    pub name: String,
    /// The part of the layer that holds it, as Keras names its attributes: `cell`,
    /// `forward_layer/cell`; empty for the layer itself.
    pub owner: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its initializer, regularizer and constraint.
    pub arguments: WeightArguments,
    /// True if gradients change it; false, if the layer itself does, or nothing.
    pub trained: bool,
}

/// The initializer, regularizer and constraint of a weight.
#[derive(Clone, Debug)]
pub struct WeightArguments {
    /// The distribution of its first values.
    pub initializer: Initializer,
    /// The penalty on it that is added to the loss; `None` for no penalty.
    pub regularizer: Option<Penalty>,
    /// The constraint that is applied after each step; `None` for none.
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
        Self { name, owner, shape, arguments, trained: true }
    }

    /// The weight as one held by a part of the layer.
    pub(crate) fn of(self, part: &str) -> Self {
        let owner = match self.owner.as_str() {
            "" => part.to_owned(),
            inner => format!("{part}/{inner}"),
        };
        Self { owner, ..self }
    }

    /// The weight as one that gradients do not change.
    pub(crate) fn not_trained(self) -> Self {
        Self { trained: false, ..self }
    }
}
