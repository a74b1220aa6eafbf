//! Models: an architecture with the shapes of its tensors and its weights.

mod assemble;
mod forward;
mod input;
mod onnx;
mod parameters;
mod summary;

pub(crate) use forward::ForwardPass;
pub use input::InputSpec;
pub use parameters::WeightRange;

use crate::architecture::{Architecture, Call, Input, LayerNode, TensorRef};
use crate::error::elements;
use crate::layer::check;
use crate::naming::unique_name;
use crate::resident::Resident;
use crate::{Layer, LayerError, ModelError};
use parameters::Parameters;
use rnn_core::HostTensor;
use rnn_graph::{Graph, GraphError, TensorId, TensorType};
use std::sync::Arc;

/// A model: layers, the tensors between them, and the weights, which lie in one array.
///
/// A stack of layers is built with [`Model::sequential`] and [`Model::add`]. Every other model
/// begins with [`Model::new`], to which inputs, calls of layers on tensors, and outputs are added,
/// as in Keras's functional models.
#[derive(Clone, Debug)]
pub struct Model {
    architecture: Architecture,
    /// The specification of each input.
    inputs: Vec<InputSpec>,
    /// The shapes of each call's outputs, without the batch axis.
    shapes: Vec<Vec<Vec<usize>>>,
    parameters: Parameters,
}

impl Model {
    /// Creates a model without inputs, layers and outputs. `seed` decides the initial weights.
    pub fn new(seed: u64) -> Self {
        Self {
            architecture: Architecture::default(),
            inputs: vec![],
            shapes: vec![],
            parameters: Parameters::new(seed),
        }
    }

    /// Creates a stack without layers, whose output is its input of the specification `input`.
    /// `seed` decides the initial weights.
    pub fn sequential(input: InputSpec, seed: u64) -> Self {
        let mut model = Self::new(seed);
        let input = model.input(input);
        model.architecture.outputs = vec![input];
        model
    }

    /// Adds an input and returns its tensor. Its name is the first of `input_layer`,
    /// `input_layer_1` and so on that no layer and no other input has.
    pub fn input(&mut self, spec: InputSpec) -> TensorRef {
        let name = unique_name("InputLayer", |name| self.has(name));
        self.named_input(&name, spec)
    }

    pub(crate) fn named_input(&mut self, name: &str, spec: InputSpec) -> TensorRef {
        let extents = spec.shape().iter().copied().map(Some);
        let inputs = &mut self.architecture.inputs;
        inputs.push(Input {
            name: name.to_owned(),
            batch_shape: [None].into_iter().chain(extents).collect(),
            tokens: matches!(spec, InputSpec::Tokens(_)),
        });
        self.inputs.push(spec);
        TensorRef::Input(self.inputs.len() - 1)
    }

    /// The numbers that the layer of this name never changes.
    pub(crate) fn constants_of(&self, name: &str) -> Vec<f32> {
        let layer = self.architecture.layers.iter().find(|layer| layer.name == name);
        layer.map(|layer| layer.layer.constants()).unwrap_or_default()
    }

    /// Returns true if a layer or an input has this name.
    fn has(&self, name: &str) -> bool {
        let Architecture { inputs, layers, .. } = &self.architecture;
        layers.iter().any(|layer| layer.name == name)
            || inputs.iter().any(|input| input.name == name)
    }

    /// Calls a new layer on all outputs of the model, and replaces these by the layer's outputs.
    ///
    /// # Errors
    /// Fails as [`Model::apply`].
    #[allow(clippy::should_implement_trait, reason = "Keras's name; no one adds a layer with +")]
    pub fn add(mut self, layer: impl Layer + 'static) -> Result<Self, ModelError> {
        self.architecture.outputs = self.call(layer, &self.architecture.outputs.clone())?;
        Ok(self)
    }

    /// Calls a new layer on the tensors `inputs`, as [`Model::call`], and returns its first output.
    ///
    /// # Errors
    /// Fails with [`ModelError::UnknownTensor`] if the model does not have a tensor of `inputs`,
    /// with [`ModelError::Layer`] if the layer does not fit them, with [`ModelError::Argument`] if
    /// an argument of the layer is not supported, and with [`ModelError::Size`] if a tensor or all
    /// weights would have more than 2^31 elements.
    pub fn apply(
        &mut self,
        layer: impl Layer + 'static,
        inputs: &[TensorRef],
    ) -> Result<TensorRef, ModelError> {
        Ok(self.call(layer, inputs)?[0])
    }

    /// Calls a new layer on the tensors `inputs`, in this order, and returns all its outputs. The layer is named after its class, `lstm`, or `lstm_1` and so on if that name
    /// is taken.
    ///
    /// # Errors
    /// Fails as [`Model::apply`].
    pub fn call(
        &mut self,
        layer: impl Layer + 'static,
        inputs: &[TensorRef],
    ) -> Result<Vec<TensorRef>, ModelError> {
        let name = unique_name(layer.class(), |name| self.has(name));
        self.call_named(&name, true, Arc::new(layer), inputs)
    }

    /// Calls a new layer of a name that no other layer may have.
    pub(crate) fn call_named(
        &mut self,
        name: &str,
        trainable: bool,
        layer: Arc<dyn Layer>,
        inputs: &[TensorRef],
    ) -> Result<Vec<TensorRef>, ModelError> {
        if self.has(name) {
            return Err(ModelError::Name(name.to_owned()));
        }
        check(format!("layer {name} ({})", layer.class()), &*layer)?;
        for shape in self.shapes_of(inputs)? {
            elements("an input", shape)?;
        }
        self.check_tokens(&*layer, inputs)?;
        let weights = layer.weights_of(&self.shapes_of(inputs)?)?;
        layer.output_shapes(&self.shapes_of(inputs)?)?;
        let mut all = self.parameters.len;
        for weight in &weights {
            all += elements(&format!("the weight {}", weight.name), &weight.shape)?;
            elements("the arena of all weights, with this layer's,", &[all])?;
        }
        let index = self.architecture.layers.len();
        for weight in weights {
            let weight = if trainable { weight } else { weight.not_trained() };
            self.parameters.push((index, name), weight);
        }
        let (name, path) = (name.to_owned(), vec![name.to_owned()]);
        let node = LayerNode { name, path, layer, trainable, unread: vec![] };
        self.architecture.layers.push(node);
        self.record(index, inputs)
    }

    /// Calls the layer that made the tensor `output` once more, on the tensors `inputs`, with the
    /// same weights, and returns all outputs of this call.
    ///
    /// # Errors
    /// Fails with [`ModelError::NoLayer`] if `output` is an input, with
    /// [`ModelError::UnknownTensor`] if the model does not have a tensor, and with
    /// [`ModelError::Layer`] or [`ModelError::Size`] if the layer or its weights do not fit
    /// `inputs`.
    pub fn call_again(
        &mut self,
        output: TensorRef,
        inputs: &[TensorRef],
    ) -> Result<Vec<TensorRef>, ModelError> {
        let TensorRef::Output { call, .. } = output else {
            return Err(ModelError::NoLayer(output));
        };
        let unknown = || ModelError::UnknownTensor(output);
        let Call { layer, inputs: first } =
            self.architecture.calls.get(call).ok_or_else(unknown)?;
        let node = &self.architecture.layers[*layer];
        let weights = |inputs: &[TensorRef]| -> Result<Vec<Vec<usize>>, ModelError> {
            let weights = node.layer.weights_of(&self.shapes_of(inputs)?)?;
            Ok(weights.into_iter().map(|weight| weight.shape).collect())
        };
        if weights(first)? != weights(inputs)? {
            let found = self.first_shape(inputs)?;
            let expected = "an input that its weights fit";
            return Err(LayerError::new(node.layer.class(), expected, found).into());
        }
        self.record(*layer, inputs)
    }

    /// The outputs of a call.
    pub(crate) fn outputs_of(&self, call: usize) -> Vec<TensorRef> {
        let outputs = 0..self.shapes.get(call).map_or(0, Vec::len);
        outputs.map(|index| TensorRef::Output { call, index }).collect()
    }

    fn record(&mut self, layer: usize, inputs: &[TensorRef]) -> Result<Vec<TensorRef>, ModelError> {
        let shapes =
            self.architecture.layers[layer].layer.output_shapes(&self.shapes_of(inputs)?)?;
        for shape in &shapes {
            elements("the output", shape)?;
        }
        self.shapes.push(shapes);
        self.architecture.calls.push(Call { layer, inputs: inputs.to_vec() });
        Ok(self.outputs_of(self.shapes.len() - 1))
    }

    /// Replaces the outputs of the model by `outputs`, whose order is that of predictions and
    /// labels. A model of [`Model::new`] has none before.
    ///
    /// # Errors
    /// Fails with [`ModelError::UnknownTensor`] if the model does not have one of the tensors.
    pub fn with_outputs(mut self, outputs: impl Into<Vec<TensorRef>>) -> Result<Self, ModelError> {
        let outputs = outputs.into();
        self.shapes_of(&outputs)?;
        self.architecture.outputs = outputs;
        Ok(self)
    }

    /// Returns the extents of one example of a tensor, without the batch axis.
    ///
    /// # Errors
    /// Fails with [`ModelError::UnknownTensor`] if the model does not have the tensor.
    pub fn shape(&self, tensor: TensorRef) -> Result<&[usize], ModelError> {
        let shape = match tensor {
            TensorRef::Input(input) => self.inputs.get(input).map(InputSpec::shape),
            TensorRef::Output { call, index } => {
                self.shapes.get(call).and_then(|shapes| shapes.get(index)).map(Vec::as_slice)
            }
        };
        shape.ok_or(ModelError::UnknownTensor(tensor))
    }

    pub(crate) fn shapes_of(&self, tensors: &[TensorRef]) -> Result<Vec<&[usize]>, ModelError> {
        tensors.iter().map(|&tensor| self.shape(tensor)).collect()
    }

    /// The shape that decides those of a layer's weights.
    fn first_shape(&self, tensors: &[TensorRef]) -> Result<&[usize], ModelError> {
        tensors.first().map_or(Ok(&[]), |&tensor| self.shape(tensor))
    }

    /// Returns the graph of layers that the model is made of.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// Iterates over the names and Keras's classes of the layers, in the order in which they were
    /// added.
    pub fn layers(&self) -> impl Iterator<Item = (&str, &'static str)> {
        self.architecture.layers()
    }

    /// Iterates over the name, specification and tensor of each input, in the order in which inputs
    /// were added.
    pub fn inputs(&self) -> impl Iterator<Item = (&str, &InputSpec, TensorRef)> {
        let names = self.architecture.inputs.iter().map(|input| input.name.as_str());
        let inputs = names.zip(&self.inputs).enumerate();
        inputs.map(|(index, (name, spec))| (name, spec, TensorRef::Input(index)))
    }

    /// Returns the tensors that are the outputs, in order.
    pub fn outputs(&self) -> &[TensorRef] {
        &self.architecture.outputs
    }

    /// Returns the names of the outputs, as [`Architecture::output_names`].
    pub fn output_names(&self) -> Vec<String> {
        self.architecture.output_names()
    }

    /// Returns the extents `[batch, ..]` of each output for a batch of `batch` examples. Outputs
    /// that the model does not have are left out.
    pub fn output_shapes(&self, batch: usize) -> Vec<Vec<usize>> {
        let shapes = self.outputs().iter().filter_map(|&output| self.shape(output).ok());
        shapes.map(|shape| [&[batch], shape].concat()).collect()
    }

    /// The name of the layer or input that makes an output; empty, where there is no such output.
    pub(crate) fn output_name(&self, output: usize) -> String {
        let Architecture { inputs, layers, calls, .. } = &self.architecture;
        let name = self.outputs().get(output).and_then(|output| match *output {
            TensorRef::Input(input) => Some(&inputs.get(input)?.name),
            TensorRef::Output { call, .. } => Some(&layers[calls.get(call)?.layer].name),
        });
        name.cloned().unwrap_or_default()
    }

    /// Returns the number of parameters: the elements of all weights.
    pub fn count_params(&self) -> usize {
        self.weight_ranges().iter().map(WeightRange::len).sum()
    }

    /// Returns the number of parameters that gradients change: those of frozen layers and the
    /// moving averages do not count.
    pub fn count_trained(&self) -> usize {
        self.weight_ranges().iter().filter(|range| range.trained).map(WeightRange::len).sum()
    }

    /// The length of the part of the arena that gradients change, gaps included.
    pub(crate) fn trained(&self) -> usize {
        self.parameters.trained
    }

    pub(crate) fn layer_params(&self, layer: usize) -> usize {
        self.weight_ranges().iter().filter(|s| s.layer == layer).map(WeightRange::len).sum()
    }

    /// Returns the place of each weight in [`Model::parameters`], in the order in which layers were
    /// added.
    pub fn weight_ranges(&self) -> &[WeightRange] {
        &self.parameters.ranges
    }

    /// Returns all weights as one array, at the places of [`Model::weight_ranges`], with gaps
    /// between them that align each weight. Initial weights are drawn at the first call.
    pub fn parameters(&self) -> &[f32] {
        self.parameters.values()
    }

    pub(crate) fn set_parameters(&mut self, values: &[f32]) {
        self.parameters.set_values(values);
    }

    /// Returns every weight with its name, such as `lstm/kernel`, in the order of
    /// [`Model::weight_ranges`].
    ///
    /// # Errors
    /// Fails if a weight does not have as many elements as its shape, which does not happen.
    pub fn weights(&self) -> Result<Vec<(String, HostTensor)>, ModelError> {
        self.parameters.weights()
    }

    /// Replaces every weight by the tensor of its name in `weights`; other tensors are ignored.
    ///
    /// # Errors
    /// Fails with [`ModelError::Weight`] if the tensor of a weight is missing or has another shape,
    /// and with [`ModelError::Tensor`] if it is not of floats. No weight is replaced then.
    pub fn set_weights(&mut self, weights: &[(String, HostTensor)]) -> Result<(), ModelError> {
        self.parameters.set_weights(weights)
    }

    /// The resident tensor of all parameters.
    pub(crate) fn arena(&self, graph: &mut Graph) -> TensorId {
        self.parameters.arena(graph)
    }

    /// A view of each weight.
    pub(crate) fn weight_views(&self, graph: &mut Graph) -> Result<Vec<TensorId>, GraphError> {
        self.parameters.views(graph)
    }

    /// A resident tensor with a number for each parameter that gradients change.
    pub(crate) fn trained_arena(&self, graph: &mut Graph, name: Resident) -> TensorId {
        graph.resident(&name.to_string(), TensorType::f32([self.parameters.trained]))
    }
}
