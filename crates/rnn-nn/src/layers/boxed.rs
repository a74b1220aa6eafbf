//! A layer of a class that is known only when a model is read.

use super::{Build, Layer, LayerError, MaskFlow, Value, Weight};
use crate::config::{Arguments, ConfigError};
use rnn_graph::{GraphError, TensorId};

impl Layer for Box<dyn Layer> {
    fn class(&self) -> &'static str {
        (**self).class()
    }

    fn weights(&self, input: &[usize]) -> Result<Vec<Weight>, LayerError> {
        (**self).weights(input)
    }

    fn output(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        (**self).output(input)
    }

    fn build(&self, b: &mut Build<'_>, input: Value, w: &[TensorId]) -> Result<Value, GraphError> {
        (**self).build(b, input, w)
    }

    fn outputs(&self, inputs: &[&[usize]]) -> Result<Vec<Vec<usize>>, LayerError> {
        (**self).outputs(inputs)
    }

    fn push(
        &self,
        b: &mut Build<'_>,
        inputs: &[Value],
        w: &[TensorId],
    ) -> Result<Vec<Value>, GraphError> {
        (**self).push(b, inputs, w)
    }

    fn vocabulary(&self) -> Option<usize> {
        (**self).vocabulary()
    }

    fn steps(
        &self,
        b: &mut Build<'_>,
        input: Value,
        w: &[TensorId],
    ) -> Result<Option<Value>, GraphError> {
        (**self).steps(b, input, w)
    }

    fn sees_batch(&self) -> bool {
        (**self).sees_batch()
    }

    fn mask_flow(&self) -> MaskFlow {
        (**self).mask_flow()
    }

    fn merges(&self) -> bool {
        (**self).merges()
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        (**self).arguments(a)
    }
}
