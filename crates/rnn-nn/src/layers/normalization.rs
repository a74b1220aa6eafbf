use super::{Build, Layer, LayerError, Value, Weight};
use crate::Initializer;
use rnn_graph::{GraphError, TensorId};
use rnn_ops::{Binary, Normalize};

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
