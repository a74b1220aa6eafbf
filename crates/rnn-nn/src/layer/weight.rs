//! Weights as layers ask for them.

use crate::Initializer;
use rnn_ops::{Constraint, Penalty};

/// A weight that a layer asks for.
#[derive(Clone, Debug)]
pub struct Weight {
    /// Its name within the layer, as Keras calls it.
    pub name: String,
    /// The part of the layer that holds it, as Keras names its attributes: `cell`,
    /// `forward_layer/cell`; empty for the layer itself.
    pub owner: String,
    /// The extents.
    pub shape: Vec<usize>,
    /// Its first values and what holds it.
    pub arguments: WeightArguments,
    /// Gradients move it; else it is the layer itself that does.
    pub trained: bool,
}

/// How a weight begins, and what holds it.
#[derive(Clone, Debug)]
pub struct WeightArguments {
    /// Its first values.
    pub initializer: Initializer,
    /// What its size adds to the loss.
    pub regularizer: Option<Penalty>,
    /// What it is brought back to after each step.
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

    /// The same, held by a part of the layer.
    pub(crate) fn of(self, part: &str) -> Self {
        let owner = match self.owner.as_str() {
            "" => part.to_owned(),
            inner => format!("{part}/{inner}"),
        };
        Self { owner, ..self }
    }

    /// The same, moved by the layer alone.
    pub(crate) fn not_trained(self) -> Self {
        Self { trained: false, ..self }
    }
}
