use super::{Build, Layer, LayerError, Value, Weight};
use crate::Initializer;
use rnn_graph::{GraphError, TensorId};
use rnn_ops::{BatchNormalize, Binary, InverseRoot, MovingAverage, Normalize};
use std::sync::Arc;

/// Zero mean and unit variance over the last axis, then gamma and beta.
#[derive(Clone, Debug)]
pub struct LayerNormalization {
    epsilon: f32,
}

impl LayerNormalization {
    /// With an epsilon of 0.001.
    pub fn new() -> Self {
        Self { epsilon: 1e-3 }
    }

    /// Replaces what keeps the quotient finite.
    pub fn epsilon(mut self, epsilon: f32) -> Self {
        self.epsilon = epsilon;
        self
    }
}

impl Default for LayerNormalization {
    fn default() -> Self {
        Self::new()
    }
}

impl Layer for LayerNormalization {
    fn class(&self) -> &'static str {
        "LayerNormalization"
    }

    fn weights(&self, input: &[usize]) -> Result<Vec<Weight>, LayerError> {
        let width = *self.output(input)?.last().unwrap_or(&0);
        Ok(vec![
            Weight::new("gamma", &[width], &Initializer::Ones.into()),
            Weight::new("beta", &[width], &Initializer::Zeros.into()),
        ])
    }

    fn output(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        match input {
            [] => Err(LayerError::new("LayerNormalization", "[.., F]", input)),
            _ => Ok(input.to_vec()),
        }
    }

    fn build(&self, b: &mut Build<'_>, input: Value, w: &[TensorId]) -> Result<Value, GraphError> {
        let normal = b.graph.push(Normalize { epsilon: self.epsilon }, &[input.tensor])?[0];
        let scaled = b.graph.apply(Binary::Mul, &[normal, w[0]])?;
        Ok(Value { tensor: b.graph.apply(Binary::Add, &[scaled, w[1]])?, ..input })
    }
}

/// Zero mean and unit variance of each feature over the batch, then gamma and beta; at inference
/// with the moving averages of both, which training keeps as weights that are not trained.
#[derive(Clone, Debug)]
pub struct BatchNormalization {
    momentum: f32,
    epsilon: f32,
    corrected: bool,
}

impl BatchNormalization {
    /// With a momentum of 0.99 and an epsilon of 0.001.
    pub fn new() -> Self {
        Self { momentum: 0.99, epsilon: 1e-3, corrected: false }
    }

    /// What the moving averages keep at each step.
    pub fn momentum(mut self, momentum: f32) -> Self {
        self.momentum = momentum;
        self
    }

    /// Replaces what keeps the quotient finite.
    pub fn epsilon(mut self, epsilon: f32) -> Self {
        self.epsilon = epsilon;
        self
    }

    /// The moving variance follows the batch's times n / (n - 1 - epsilon), as in Keras 2
    /// (keras/layers/normalization.py of 2.2.4).
    pub fn corrected_variance(mut self) -> Self {
        self.corrected = true;
        self
    }
}

impl Default for BatchNormalization {
    fn default() -> Self {
        Self::new()
    }
}

impl Layer for BatchNormalization {
    fn class(&self) -> &'static str {
        "BatchNormalization"
    }

    fn weights(&self, input: &[usize]) -> Result<Vec<Weight>, LayerError> {
        let width = *self.output(input)?.last().unwrap_or(&0);
        let weight = |name: &str, first: Initializer| Weight::new(name, &[width], &first.into());
        Ok(vec![
            weight("gamma", Initializer::Ones),
            weight("beta", Initializer::Zeros),
            weight("moving_mean", Initializer::Zeros).not_trained(),
            weight("moving_variance", Initializer::Ones).not_trained(),
        ])
    }

    fn output(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        match input {
            [] => Err(LayerError::new("BatchNormalization", "[.., F]", input)),
            _ => Ok(input.to_vec()),
        }
    }

    fn build(&self, b: &mut Build<'_>, input: Value, w: &[TensorId]) -> Result<Value, GraphError> {
        let x = input.tensor;
        let normal = if b.random.is_some() {
            let out = b.graph.push(BatchNormalize { epsilon: self.epsilon }, &[x])?;
            let rows = b.graph.shape(x).rows() as f32;
            let correction = if self.corrected { rows / (rows - 1.0 - self.epsilon) } else { 1.0 };
            for (value, average, factor) in [(out[2], w[2], 1.0), (out[3], w[3], correction)] {
                let follow = MovingAverage { momentum: self.momentum, factor };
                b.graph.push_node(Arc::new(follow), &[value], &[average])?;
            }
            out[0]
        } else {
            let scale = b.graph.apply(InverseRoot { epsilon: self.epsilon }, &[w[3]])?;
            let centered = b.graph.apply(Binary::Sub, &[x, w[2]])?;
            b.graph.apply(Binary::Mul, &[centered, scale])?
        };
        let scaled = b.graph.apply(Binary::Mul, &[normal, w[0]])?;
        Ok(Value { tensor: b.graph.apply(Binary::Add, &[scaled, w[1]])?, ..input })
    }
}
