//! A layer of a class that is known only when a model is read.

use crate::layer::{Arguments, ForwardContext, MaskFlow, Value, Weight};
use crate::onnx::{ExportError, OnnxContext};
use crate::{ConfigError, Layer, LayerError};
use rnn_formats::onnx::ValueName;
use rnn_graph::{GraphError, TensorId};

impl Layer for Box<dyn Layer> {
    fn class(&self) -> &'static str {
        (**self).class()
    }

    fn weights(&self, input: &[usize]) -> Result<Vec<Weight>, LayerError> {
        (**self).weights(input)
    }

    fn weights_of(&self, inputs: &[&[usize]]) -> Result<Vec<Weight>, LayerError> {
        (**self).weights_of(inputs)
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        (**self).output_shape(input)
    }

    fn forward(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        w: &[TensorId],
    ) -> Result<Value, GraphError> {
        (**self).forward(cx, input, w)
    }

    fn output_shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Vec<usize>>, LayerError> {
        (**self).output_shapes(inputs)
    }

    fn forward_all(
        &self,
        cx: &mut ForwardContext<'_>,
        inputs: &[Value],
        w: &[TensorId],
    ) -> Result<Vec<Value>, GraphError> {
        (**self).forward_all(cx, inputs, w)
    }

    fn vocabulary(&self) -> Option<usize> {
        (**self).vocabulary()
    }

    fn steps(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        w: &[TensorId],
    ) -> Result<Option<Value>, GraphError> {
        (**self).steps(cx, input, w)
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

    fn separates(&self) -> bool {
        (**self).separates()
    }

    fn switches(&self) -> Vec<&'static str> {
        (**self).switches()
    }

    fn uses_mask(&self) -> bool {
        (**self).uses_mask()
    }

    fn operation(&self) -> Option<&'static str> {
        (**self).operation()
    }

    fn constants(&self) -> Vec<f32> {
        (**self).constants()
    }

    fn takes_tokens(&self) -> bool {
        (**self).takes_tokens()
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        (**self).onnx(cx)
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        (**self).arguments(a)
    }
}
