//! Models as ONNX graphs, for inference elsewhere.
//!
//! Batches may have any size; all other extents are those of the model. Tensors keep Keras's order
//! of axes, so that inputs and outputs are those of the model here. A layer becomes the operators
//! that compute the same, in [`rnn_formats::onnx::OPSET`]; what has no counterpart is an error.

use super::{InputSpec, Model};
use crate::architecture::{Architecture, Call, LayerNode, TensorRef};
use crate::error::{ExportError, ModelError};
use crate::layer::MaskFlow;
use crate::onnx::{OnnxContext, OnnxTensor};
use rnn_core::HostTensor;
use rnn_formats::onnx::{Dim, ElementType, Graph};
use std::collections::{BTreeSet, HashMap};

/// The open extent of all inputs and outputs.
const BATCH: Dim = Dim::Named("batch");

impl Model {
    /// Returns the model at inference as the bytes of an ONNX file of the operator set
    /// [`rnn_formats::onnx::OPSET`]. Inputs and outputs have the names of [`Model::inputs`] and
    /// [`Model::output_names`]; `_output` is appended to the name of an output that an input has
    /// too. Floats are f32, tokens i32. The batch may have any size.
    ///
    /// # Errors
    /// Fails with [`ExportError::Layer`] if a layer has no counterpart, keeps its state between
    /// batches or depends on a mask, and with [`ExportError::TooLarge`] if the file would take 2
    /// GiB or more.
    pub fn to_onnx(&self) -> Result<Vec<u8>, ExportError> {
        let mut export = Export {
            model: self,
            graph: Graph::new("model"),
            weights: self.weights()?.into_iter().collect(),
            tensors: HashMap::new(),
        };
        let mut names = BTreeSet::new();
        for (name, spec, tensor) in self.inputs() {
            let tokens = matches!(spec, InputSpec::Tokens(_));
            let ty = if tokens { ElementType::Int32 } else { ElementType::Float };
            let dims = spec.shape().to_vec();
            let value = export.graph.input(name, ty, &batched(&dims));
            names.insert(name.to_owned());
            let made = Made { tensor: OnnxTensor { value, dims }, tokens, masked: false };
            export.tensors.insert(tensor, made);
        }
        let Architecture { layers, calls, outputs, .. } = self.architecture();
        for (index, call) in calls.iter().enumerate() {
            export.call(&layers[call.layer], index, call)?;
        }
        for (&output, layer) in outputs.iter().zip(self.output_names()) {
            let mut name = layer;
            while !names.insert(name.clone()) {
                name.push_str("_output");
            }
            let Made { tensor: OnnxTensor { value, dims }, tokens, .. } = export.made(output)?;
            let ty = if tokens { ElementType::Int32 } else { ElementType::Float };
            export.graph.output(&value, &name, ty, &batched(&dims));
        }
        Ok(export.graph.into_bytes()?)
    }
}

/// The counterpart of a tensor of the model.
#[derive(Clone)]
struct Made {
    tensor: OnnxTensor,
    tokens: bool,
    masked: bool,
}

struct Export<'a> {
    model: &'a Model,
    graph: Graph,
    weights: HashMap<String, HostTensor>,
    tensors: HashMap<TensorRef, Made>,
}

impl Export<'_> {
    fn made(&self, tensor: TensorRef) -> Result<Made, ModelError> {
        self.tensors.get(&tensor).cloned().ok_or(ModelError::UnknownTensor(tensor))
    }

    fn call(&mut self, node: &LayerNode, index: usize, call: &Call) -> Result<(), ExportError> {
        let LayerNode { name, layer, .. } = node;
        let inputs = call.inputs.iter().map(|&input| self.made(input));
        let inputs = inputs.collect::<Result<Vec<Made>, ModelError>>()?;
        let made = self.model.outputs_of(index);
        let outputs = self.model.shapes_of(&made)?;
        let prefix = format!("{name}/");
        let weights = self.weights.iter().filter_map(|(name, weight)| {
            Some((name.strip_prefix(&prefix)?.to_owned(), weight.clone()))
        });
        self.graph.set_scope(name);
        let mut cx = OnnxContext {
            weights: weights.collect(),
            graph: &mut self.graph,
            layer: name.clone(),
            class: layer.class(),
            inputs: inputs.iter().map(|input| input.tensor.clone()).collect(),
            outputs: outputs.iter().map(|dims| dims.to_vec()).collect(),
        };
        if !layer.takes_tokens() && inputs.iter().any(|input| input.tokens) {
            return Err(cx.refuse("it is called on tokens, which only an Embedding takes"));
        }
        if layer.uses_mask() && inputs.iter().any(|input| input.masked) {
            return Err(cx.refuse("it skips steps by the mask of the layers before it"));
        }
        let values = layer.onnx(&mut cx)?;
        let masked = match layer.mask_flow() {
            MaskFlow::Tokens | MaskFlow::Steps(_) => true,
            MaskFlow::Ends => false,
            _ => inputs.iter().any(|input| input.masked),
        };
        for (number, ((tensor, value), dims)) in made.iter().zip(values).zip(outputs).enumerate() {
            let masked = masked && number == 0;
            let tensor_of = OnnxTensor { value, dims: dims.to_vec() };
            let made = Made { tensor: tensor_of, tokens: false, masked };
            self.tensors.insert(*tensor, made);
        }
        Ok(())
    }
}

fn batched(dims: &[usize]) -> Vec<Dim> {
    [BATCH].into_iter().chain(dims.iter().map(|&d| Dim::Fixed(d))).collect()
}
