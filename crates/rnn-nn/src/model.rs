use crate::config::check;
use crate::error::elements;
use crate::layers::{ForwardContext, Layer, LayerError, Value};
use crate::naming::unique_name;
use crate::parameters::Parameters;
use crate::{InputSpec, ModelError, Precision, WeightRange};
use rnn_core::HostTensor;
use rnn_graph::{Graph, GraphError, TensorId, TensorType};
use rnn_ops::TransposeLeading;
use std::sync::Arc;

/// A tensor of a model that is being described: an input, or what a layer puts out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Symbol(usize);

impl Symbol {
    pub(crate) fn index(self) -> usize {
        self.0
    }
}

/// One use of a layer.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub layer: usize,
    pub inputs: Vec<Symbol>,
    pub outputs: Vec<Symbol>,
}

/// What a model is fed.
#[derive(Clone, Debug)]
pub(crate) struct ModelInput {
    pub name: String,
    pub spec: InputSpec,
    pub symbol: Symbol,
}

/// A layer of a model.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub name: String,
    pub layer: Arc<dyn Layer>,
    /// Gradients move its weights.
    pub trainable: bool,
}

/// A model's tensors in a graph.
pub(crate) struct Forward {
    /// The outputs, batch-major.
    pub outputs: Vec<TensorId>,
    /// The mask that arrives at each output, `[T, B]`.
    pub masks: Vec<Option<TensorId>>,
    /// The weights, in the order of the slots.
    pub weights: Vec<TensorId>,
    /// What regularizers add to the loss, each `[1]`.
    pub penalties: Vec<TensorId>,
    /// What the first layer that looks up tokens puts out, `[T, B, E]`.
    pub embedded: Option<TensorId>,
}

/// Layers, what flows between them, and their weights, which lie in one arena.
///
/// A stack is [`Model::sequential`] and [`Model::add`]. Anything else begins with [`Model::new`]:
/// inputs, layers applied to what is there, and the outputs, as in Keras's functional models.
#[derive(Clone, Debug)]
pub struct Model {
    pub(crate) inputs: Vec<ModelInput>,
    pub(crate) layers: Vec<Named>,
    pub(crate) calls: Vec<Call>,
    outputs: Vec<Symbol>,
    /// Of each symbol, without the batch axis.
    shapes: Vec<Vec<usize>>,
    parameters: Parameters,
    /// Decides the first weights; without it they are counted, not drawn.
    seed: Option<u64>,
}

impl Model {
    /// A model without inputs and layers; `seed` decides the first weights.
    pub fn new(seed: u64) -> Self {
        Self::with_seed(Some(seed))
    }

    /// The same; without a seed it has no weights and is of use for their number alone.
    pub(crate) fn with_seed(seed: Option<u64>) -> Self {
        Self {
            inputs: vec![],
            layers: vec![],
            calls: vec![],
            outputs: vec![],
            shapes: vec![],
            parameters: Parameters::default(),
            seed,
        }
    }

    /// The beginning of a stack of layers.
    pub fn sequential(input: InputSpec, seed: u64) -> Self {
        let mut model = Self::new(seed);
        let input = model.input(input);
        model.with_outputs([input])
    }

    /// Another input.
    pub fn input(&mut self, spec: InputSpec) -> Symbol {
        let name = unique_name("InputLayer", |name| self.has(name));
        self.named_input(&name, spec)
    }

    pub(crate) fn named_input(&mut self, name: &str, spec: InputSpec) -> Symbol {
        let symbol = self.symbol(spec.shape());
        self.inputs.push(ModelInput { name: name.to_owned(), spec, symbol });
        symbol
    }

    /// Whether a layer or an input has this name.
    fn has(&self, name: &str) -> bool {
        self.layers.iter().any(|layer| layer.name == name)
            || self.inputs.iter().any(|input| input.name == name)
    }

    /// Applies a new layer to the outputs, which those of the layer replace: another layer of a
    /// stack.
    #[allow(clippy::should_implement_trait, reason = "Keras's name; no one adds a layer with +")]
    pub fn add(mut self, layer: impl Layer + 'static) -> Result<Self, ModelError> {
        self.outputs = self.call(layer, &self.outputs.clone())?;
        Ok(self)
    }

    /// Applies a new layer, draws its weights and returns its first output.
    pub fn apply(
        &mut self,
        layer: impl Layer + 'static,
        inputs: &[Symbol],
    ) -> Result<Symbol, ModelError> {
        Ok(self.call(layer, inputs)?[0])
    }

    /// The same, with all that the layer puts out.
    pub fn call(
        &mut self,
        layer: impl Layer + 'static,
        inputs: &[Symbol],
    ) -> Result<Vec<Symbol>, ModelError> {
        let name = unique_name(layer.class(), |name| self.has(name));
        self.call_named(&name, true, layer, inputs)
    }

    /// The same by a name, that no other layer may have.
    pub(crate) fn call_named(
        &mut self,
        name: &str,
        trainable: bool,
        layer: impl Layer + 'static,
        inputs: &[Symbol],
    ) -> Result<Vec<Symbol>, ModelError> {
        if self.has(name) {
            return Err(ModelError::Name(name.to_owned()));
        }
        check(format!("layer {name} ({})", layer.class()), &layer)?;
        for shape in self.shapes_of(inputs)? {
            elements("an input", shape)?;
        }
        self.check_tokens(&layer, inputs)?;
        let weights = layer.weights(self.first_shape(inputs)?)?;
        layer.output_shapes(&self.shapes_of(inputs)?)?;
        let mut all = self.parameters.len;
        for weight in &weights {
            all += elements(&format!("the weight {}", weight.name), &weight.shape)?;
            elements("the arena of all weights, with this layer's,", &[all])?;
        }
        for weight in weights {
            let weight = if trainable { weight } else { weight.not_trained() };
            self.parameters.push((self.layers.len(), name), weight, self.seed);
        }
        self.layers.push(Named { name: name.to_owned(), layer: Arc::new(layer), trainable });
        self.record(self.layers.len() - 1, inputs)
    }

    /// Applies the layer that put out `symbol` once more, with the same weights.
    pub fn call_again(
        &mut self,
        symbol: Symbol,
        inputs: &[Symbol],
    ) -> Result<Vec<Symbol>, ModelError> {
        let maker = self.calls.iter().find(|call| call.outputs.contains(&symbol));
        let Call { layer, inputs: first, .. } = maker.ok_or(ModelError::NoLayer(symbol))?;
        let weights = |inputs: &[Symbol]| -> Result<Vec<Vec<usize>>, ModelError> {
            let weights = self.layers[*layer].layer.weights(self.first_shape(inputs)?)?;
            Ok(weights.into_iter().map(|weight| weight.shape).collect())
        };
        if weights(first)? != weights(inputs)? {
            let class = self.layers[*layer].layer.class();
            let found = self.first_shape(inputs)?;
            return Err(LayerError::new(class, "an input that its weights fit", found).into());
        }
        self.record(*layer, inputs)
    }

    fn record(&mut self, layer: usize, inputs: &[Symbol]) -> Result<Vec<Symbol>, ModelError> {
        let shapes = self.layers[layer].layer.output_shapes(&self.shapes_of(inputs)?)?;
        for shape in &shapes {
            elements("the output", shape)?;
        }
        let outputs: Vec<Symbol> = shapes.into_iter().map(|shape| self.symbol(shape)).collect();
        self.calls.push(Call { layer, inputs: inputs.to_vec(), outputs: outputs.clone() });
        Ok(outputs)
    }

    /// Says what the model puts out.
    pub fn with_outputs(mut self, outputs: impl Into<Vec<Symbol>>) -> Self {
        self.outputs = outputs.into();
        self
    }

    fn symbol(&mut self, shape: Vec<usize>) -> Symbol {
        self.shapes.push(shape);
        Symbol(self.shapes.len() - 1)
    }

    /// The extents of a tensor, without the batch axis.
    pub fn shape(&self, symbol: Symbol) -> Result<&[usize], ModelError> {
        Ok(self.shapes.get(symbol.0).ok_or(ModelError::Symbol(symbol))?)
    }

    pub(crate) fn shapes_of(&self, symbols: &[Symbol]) -> Result<Vec<&[usize]>, ModelError> {
        symbols.iter().map(|&symbol| self.shape(symbol)).collect()
    }

    /// What a layer's weights are made for.
    fn first_shape(&self, symbols: &[Symbol]) -> Result<&[usize], ModelError> {
        symbols.first().map_or(Ok(&[]), |&symbol| self.shape(symbol))
    }

    pub(crate) fn count_symbols(&self) -> usize {
        self.shapes.len()
    }

    /// Names and classes of the layers, in the order in which they were added.
    pub fn layers(&self) -> impl Iterator<Item = (&str, &'static str)> {
        self.layers.iter().map(|named| (named.name.as_str(), named.layer.class()))
    }

    /// What the model puts out.
    pub fn outputs(&self) -> &[Symbol] {
        &self.outputs
    }

    /// The extents of each output of a batch.
    pub fn output_shapes(&self, batch: usize) -> Vec<Vec<usize>> {
        let shape = |symbol: &Symbol| [&[batch], &self.shapes[symbol.0][..]].concat();
        self.outputs.iter().map(shape).collect()
    }

    /// The layer or input that makes an output.
    pub(crate) fn output_name(&self, output: usize) -> String {
        let Some(symbol) = self.outputs.get(output) else { return String::new() };
        let call = self.calls.iter().find(|call| call.outputs.contains(symbol));
        let input = || self.inputs.iter().find(|input| input.symbol == *symbol);
        let name = call.map(|call| &self.layers[call.layer].name);
        name.or_else(|| input().map(|input| &input.name)).cloned().unwrap_or_default()
    }

    /// The number of parameters.
    pub fn count_params(&self) -> usize {
        self.weight_ranges().iter().map(WeightRange::len).sum()
    }

    /// The number of those that gradients move.
    pub fn count_trained(&self) -> usize {
        self.weight_ranges().iter().filter(|range| range.trained).map(WeightRange::len).sum()
    }

    /// How much of the arena gradients move, gaps included.
    pub(crate) fn trained(&self) -> usize {
        self.parameters.trained
    }

    pub(crate) fn layer_params(&self, layer: usize) -> usize {
        self.weight_ranges().iter().filter(|s| s.layer == layer).map(WeightRange::len).sum()
    }

    /// The weights' places.
    pub fn weight_ranges(&self) -> &[WeightRange] {
        &self.parameters.ranges
    }

    /// All parameters, with the gaps of alignment between weights.
    pub fn parameters(&self) -> &[f32] {
        &self.parameters.values
    }

    pub(crate) fn set_parameters(&mut self, values: &[f32]) {
        self.parameters.values.copy_from_slice(values);
    }

    /// Every weight by name.
    pub fn weights(&self) -> Result<Vec<(String, HostTensor)>, ModelError> {
        self.parameters.weights()
    }

    /// Replaces every weight; all must be given.
    pub fn set_weights(&mut self, weights: &[(String, HostTensor)]) -> Result<(), ModelError> {
        self.parameters.set_weights(weights)
    }

    /// The smallest vocabulary of the layers that look up the tokens of an input.
    pub(crate) fn vocabulary(&self, input: Symbol) -> Option<usize> {
        let users = self.calls.iter().filter(|call| call.inputs.contains(&input));
        users.filter_map(|call| self.layers[call.layer].layer.vocabulary()).min()
    }

    /// What the first layer that looks up tokens puts out.
    fn embedded(&self) -> Option<Symbol> {
        let looks_up = |call: &&Call| self.layers[call.layer].layer.vocabulary().is_some();
        self.calls.iter().find(looks_up)?.outputs.first().copied()
    }

    /// The resident tensor of all parameters.
    pub(crate) fn arena(&self, graph: &mut Graph) -> TensorId {
        self.parameters.arena(graph)
    }

    /// A view of each weight.
    pub(crate) fn views(&self, graph: &mut Graph) -> Result<Vec<TensorId>, GraphError> {
        self.parameters.views(graph)
    }

    /// A resident tensor of a number for each parameter that gradients move.
    pub(crate) fn trained_arena(&self, graph: &mut Graph, name: &str) -> TensorId {
        graph.resident(name, TensorType::f32([self.parameters.trained]))
    }

    /// Adds the forward pass over a tensor for each input; dropout acts if `random` is given.
    pub(crate) fn forward(
        &self,
        graph: &mut Graph,
        inputs: &[TensorId],
        random: Option<TensorId>,
        precision: Precision,
    ) -> Result<Forward, GraphError> {
        self.forward_into(ForwardContext::new(graph, random).precision(precision), inputs)
    }

    /// The same where `embedded` is on the way from the inputs to the outputs.
    pub(crate) fn forward_through_embedded(
        &self,
        graph: &mut Graph,
        inputs: &[TensorId],
    ) -> Result<Forward, GraphError> {
        self.forward_into(ForwardContext::new(graph, None).reads_embedded(), inputs)
    }

    fn forward_into(
        &self,
        mut cx: ForwardContext<'_>,
        inputs: &[TensorId],
    ) -> Result<Forward, GraphError> {
        let weights = self.views(cx.graph)?;
        let mut values: Vec<Option<Value>> = vec![None; self.shapes.len()];
        for (ModelInput { spec, symbol, .. }, &input) in self.inputs.iter().zip(inputs) {
            let tensor = match spec.leads() {
                true => cx.graph.apply(TransposeLeading, &[input])?,
                false => input,
            };
            values[symbol.0] = Some(tensor.into());
        }
        for call in &self.calls {
            let Named { name, layer, trainable } = &self.layers[call.layer];
            let own =
                self.weight_ranges().iter().zip(&weights).filter(|(s, _)| s.layer == call.layer);
            let own: Vec<TensorId> = own.map(|(_, &w)| w).collect();
            cx.name.clone_from(name);
            cx.frozen = !trainable;
            // A call comes after those that made its inputs.
            let operands: Vec<Value> = call.inputs.iter().filter_map(|s| values[s.0]).collect();
            let made = layer.forward_all(&mut cx, &operands, &own)?;
            for (symbol, value) in call.outputs.iter().zip(made) {
                values[symbol.0] = Some(value);
            }
        }
        let ForwardContext { graph, mut penalties, .. } = cx;
        let (mut outputs, mut masks) = (Vec::new(), Vec::new());
        for symbol in &self.outputs {
            let Some(value) = values[symbol.0] else { continue };
            masks.push(value.mask);
            // Tokens, [T] without the batch, lead as sequences do.
            let input = self.inputs.iter().find(|input| input.symbol == *symbol);
            let leads = match input {
                Some(input) => input.spec.leads(),
                None => self.shapes[symbol.0].len() > 1,
            };
            outputs.push(match leads {
                true => graph.apply(TransposeLeading, &[value.tensor])?,
                false => value.tensor,
            });
        }
        for (range, &weight) in
            self.weight_ranges().iter().zip(&weights).filter(|(range, _)| range.trained)
        {
            let penalty = range.regularizer.clone().map(|p| graph.apply(p, &[weight]));
            penalties.extend(penalty.transpose()?);
        }
        let embedded = self.embedded().and_then(|symbol| values[symbol.0]).map(|v| v.tensor);
        Ok(Forward { outputs, masks, weights, penalties, embedded })
    }
}
