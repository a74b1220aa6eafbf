use rnn_graph::{Graph, GraphError, TensorId};
use rnn_ops::{Adam, Sgd};
use std::sync::Arc;

/// How weights follow their gradients; Keras's defaults.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Optimizer {
    /// Stochastic gradient descent.
    Sgd {
        /// Step size.
        learning_rate: f64,
        /// The part of the last step that is repeated.
        momentum: f32,
        /// Looks ahead along the velocity.
        nesterov: bool,
    },
    /// Adam.
    Adam {
        /// Step size.
        learning_rate: f64,
        /// Decay of the first moment.
        beta_1: f32,
        /// Decay of the second moment.
        beta_2: f32,
        /// Keeps the quotient finite.
        epsilon: f32,
    },
}

impl Optimizer {
    /// Adam with a learning rate of 0.001.
    pub fn adam() -> Self {
        Self::Adam { learning_rate: 1e-3, beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7 }
    }

    /// Plain gradient descent with a learning rate of 0.01.
    pub fn sgd() -> Self {
        Self::Sgd { learning_rate: 0.01, momentum: 0.0, nesterov: false }
    }

    /// How many values it keeps for each weight.
    pub fn slots(&self) -> usize {
        match self {
            Self::Sgd { momentum: 0.0, .. } => 0,
            Self::Sgd { .. } => 1,
            Self::Adam { .. } => 2,
        }
    }

    /// The rate that the kernel is given at step 1, 2, ..: for Adam with both bias corrections,
    /// lr sqrt(1 - beta_2^t) / (1 - beta_1^t).
    pub fn rate(&self, step: u64) -> f32 {
        match *self {
            Self::Sgd { learning_rate, .. } => learning_rate as f32,
            Self::Adam { learning_rate, beta_1, beta_2, .. } => {
                let decay = |beta: f32| 1.0 - f64::from(beta).powf(step as f64);
                (learning_rate * decay(beta_2).sqrt() / decay(beta_1)) as f32
            }
        }
    }

    /// Adds the update of all parameters; `arenas` are the parameters and then the slots.
    pub fn push(
        &self,
        graph: &mut Graph,
        gradients: TensorId,
        rate: TensorId,
        arenas: &[TensorId],
    ) -> Result<(), GraphError> {
        let inputs = [gradients, rate];
        match *self {
            Self::Sgd { momentum, nesterov, .. } => {
                graph.push_node(Arc::new(Sgd { momentum, nesterov }), &inputs, arenas)?
            }
            Self::Adam { beta_1, beta_2, epsilon, .. } => {
                graph.push_node(Arc::new(Adam { beta_1, beta_2, epsilon }), &inputs, arenas)?
            }
        };
        Ok(())
    }
}
