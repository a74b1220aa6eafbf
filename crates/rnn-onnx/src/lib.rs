//! Models as ONNX graphs, for inference elsewhere.
//!
//! Batches may have any size; all other extents are those of the model. Tensors keep Keras's order
//! of axes, so that inputs and outputs are those of the model here. A layer becomes the operators
//! that compute the same, in [`rnn_formats::onnx::OPSET`]; what has no counterpart is an error.

mod conv_lstm;
mod convert;
mod layer;
mod recurrent;
mod window;

use layer::{Layer, Tensor};
use rnn_core::HostTensor;
use rnn_formats::onnx::{Dim, ElementType, Graph, TooLarge};
use rnn_nn::{ConfigError, InputSpec, LayerUse, Model, ModelError, TensorRef};
use std::collections::{BTreeSet, HashMap};

/// Why a model cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A layer, or what it is asked to do, has no counterpart.
    #[error("layer {layer} ({class}) has no counterpart in ONNX: {what}")]
    Layer {
        /// Its name.
        layer: String,
        /// Its class.
        class: String,
        /// What is missing, and what to do.
        what: String,
    },
    /// A layer does not say its arguments.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A weight cannot be read.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The file would be too large.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
}

/// Layers whose output the mask of their input belongs to as well.
const KEEP_MASKS: [&str; 14] = [
    "Activation",
    "Add",
    "Average",
    "BatchNormalization",
    "Concatenate",
    "Dense",
    "Dropout",
    "LayerNormalization",
    "Masking",
    "Multiply",
    "Softmax",
    "SpatialDropout1D",
    "Subtract",
    "TimeDistributed",
];

/// The open extent of all inputs and outputs.
const BATCH: Dim = Dim::Named("batch");

/// The model at inference as an ONNX file. Inputs and outputs are named as the model's inputs and
/// outputs, [`Model::output_names`]; an output that shares its name with an input has `_output`
/// behind it. Tokens are i32.
///
/// # Errors
/// [`ExportError`] if a layer has no counterpart, keeps its state between batches or skips steps
/// by a mask, or the file would take 2 GiB.
pub fn export(model: &Model) -> Result<Vec<u8>, ExportError> {
    let mut export = Export {
        model,
        graph: Graph::new("model"),
        weights: model.weights()?.into_iter().collect(),
        tensors: HashMap::new(),
        masked: Vec::new(),
    };
    let mut names = BTreeSet::new();
    for (name, spec, symbol) in model.inputs() {
        let (ty, dims) = match spec {
            InputSpec::Tokens(steps) => (ElementType::Int32, vec![*steps]),
            InputSpec::Floats(dims) => (ElementType::Float, dims.clone()),
        };
        let value = export.graph.input(name, ty, &batched(&dims));
        names.insert(name.to_owned());
        export.tensors.insert(symbol, Tensor { value, dims });
    }
    for call in model.uses()? {
        export.layer(&call)?;
    }
    let is_tokens = |symbol: TensorRef| {
        let mut inputs = model.inputs();
        inputs.any(|(_, spec, input)| input == symbol && matches!(spec, InputSpec::Tokens(_)))
    };
    for (&symbol, layer) in model.outputs().iter().zip(model.output_names()) {
        let mut name = layer;
        while !names.insert(name.clone()) {
            name.push_str("_output");
        }
        let Tensor { value, dims } = export.tensor(symbol)?;
        let ty = if is_tokens(symbol) { ElementType::Int32 } else { ElementType::Float };
        export.graph.output(&value, &name, ty, &batched(&dims));
    }
    Ok(export.graph.into_bytes()?)
}

struct Export<'a> {
    model: &'a Model,
    graph: Graph,
    weights: HashMap<String, HostTensor>,
    /// What each symbol became.
    tensors: HashMap<TensorRef, Tensor>,
    /// Those that have a mask.
    masked: Vec<TensorRef>,
}

impl Export<'_> {
    fn tensor(&self, symbol: TensorRef) -> Result<Tensor, ModelError> {
        self.tensors.get(&symbol).cloned().ok_or(ModelError::UnknownTensor(symbol))
    }

    fn is_tokens(&self, symbol: TensorRef) -> bool {
        let tokens = |spec: &InputSpec| matches!(spec, InputSpec::Tokens(_));
        self.model.inputs().any(|(_, spec, input)| input == symbol && tokens(spec))
    }

    fn layer(&mut self, call: &LayerUse) -> Result<(), ExportError> {
        let prefix = format!("{}/", call.name);
        let weights = self.weights.iter().filter_map(|(name, weight)| {
            Some((name.strip_prefix(&prefix)?.to_owned(), weight.clone()))
        });
        let inputs = call.inputs.iter().map(|&symbol| self.tensor(symbol));
        let outputs = call.outputs.iter().map(|&symbol| Ok(self.model.shape(symbol)?.to_vec()));
        let layer = Layer {
            name: call.name.clone(),
            class: call.class.to_owned(),
            arguments: call.arguments.clone(),
            weights: weights.collect(),
            inputs: inputs.collect::<Result<_, ModelError>>()?,
            outputs: outputs.collect::<Result<_, ModelError>>()?,
        };
        if call.class != "Embedding" && call.inputs.iter().any(|symbol| self.is_tokens(*symbol)) {
            return Err(layer.refuse("it is applied to tokens, which only an Embedding takes"));
        }
        let masked = call.inputs.iter().any(|symbol| self.masked.contains(symbol));
        if masked && layer.uses_mask() {
            let what = "it skips steps by the mask of what stands before it";
            return Err(layer.refuse(what));
        }
        let masks = layer.makes_mask() || masked && KEEP_MASKS.contains(&call.class);
        self.graph.set_scope(&call.name);
        let values = convert::layer(&mut self.graph, &layer)?;
        for ((&symbol, value), dims) in call.outputs.iter().zip(values).zip(layer.outputs) {
            self.tensors.insert(symbol, Tensor { value, dims });
        }
        self.masked.extend(call.outputs.first().filter(|_| masks));
        Ok(())
    }
}

fn batched(dims: &[usize]) -> Vec<Dim> {
    [BATCH].into_iter().chain(dims.iter().map(|&d| Dim::Fixed(d))).collect()
}
