//! The forward pass of a model in a graph.

use super::Model;
use crate::architecture::{Architecture, Call, LayerNode, TensorRef};
use crate::layer::{ForwardContext, Value};
use crate::{InputSpec, Precision};
use rnn_graph::{Graph, GraphError, TensorId, TensorType};
use rnn_ops::TransposeLeading;

/// The tensors of a forward pass.
pub(crate) struct ForwardPass {
    /// The outputs, batch-major.
    pub outputs: Vec<TensorId>,
    /// The mask that arrives at each output, u32 `[T, B]`, where T counts all axes that are masked.
    pub masks: Vec<Option<TensorId>>,
    /// The weights, in the order of [`Model::weight_ranges`].
    pub weights: Vec<TensorId>,
    /// The terms that regularizers add to the loss, each `[1]`.
    pub penalties: Vec<TensorId>,
    /// The first output of the first layer that looks up tokens, `[T, B, E]`; `None` if no layer
    /// does.
    pub embedded: Option<TensorId>,
}

/// The values of all tensors of a model, as far as they are computed.
struct Values {
    inputs: Vec<Value>,
    calls: Vec<Vec<Value>>,
}

impl Values {
    fn get(&self, tensor: TensorRef) -> Option<Value> {
        match tensor {
            TensorRef::Input(input) => self.inputs.get(input).copied(),
            TensorRef::Output { call, index } => self.calls.get(call)?.get(index).copied(),
        }
    }
}

/// The mask of an output as `[T, B]`. One of tokens within steps, `[T, B, N]`, masks N losses of each,
/// which follow each other.
fn of_steps(graph: &mut Graph, mask: TensorId) -> Result<TensorId, GraphError> {
    let [steps, batch, within @ ..] = graph.shape(mask).dims() else { return Ok(mask) };
    if within.is_empty() {
        return Ok(mask);
    }
    let rows = [*batch, steps * within.iter().product::<usize>()];
    let by_example = graph.apply(TransposeLeading, &[mask])?;
    let rows = graph.reshape(by_example, rows)?;
    graph.apply(TransposeLeading, &[rows])
}

impl Model {
    /// The types of the inputs of a batch.
    pub(crate) fn input_types(&self, batch: usize) -> Vec<TensorType> {
        self.inputs.iter().map(|spec| spec.ty(batch)).collect()
    }

    /// A graph of the forward pass over one example, for what can be told from it.
    pub(crate) fn example_graph(
        &self,
        trains: bool,
        precision: Precision,
    ) -> Result<(Graph, ForwardPass), GraphError> {
        let mut graph = Graph::new();
        let types = self.input_types(1).into_iter();
        let inputs: Vec<TensorId> = types.map(|ty| graph.input("inputs", ty)).collect();
        let random = trains.then(|| graph.input("random", TensorType::u32([4])));
        let forward = self.forward(&mut graph, &inputs, random, precision)?;
        Ok((graph, forward))
    }

    /// Adds the forward pass over a tensor for each input; dropout acts if `random` is given.
    pub(crate) fn forward(
        &self,
        graph: &mut Graph,
        inputs: &[TensorId],
        random: Option<TensorId>,
        precision: Precision,
    ) -> Result<ForwardPass, GraphError> {
        self.forward_in(ForwardContext::new(graph, random).precision(precision), inputs)
    }

    /// Adds a forward pass in which the output of the embedding layer is on the way from the inputs
    /// to the outputs.
    pub(crate) fn forward_through_embedded(
        &self,
        graph: &mut Graph,
        inputs: &[TensorId],
    ) -> Result<ForwardPass, GraphError> {
        self.forward_in(ForwardContext::new(graph, None).reads_embedded(), inputs)
    }

    fn forward_in(
        &self,
        mut cx: ForwardContext<'_>,
        inputs: &[TensorId],
    ) -> Result<ForwardPass, GraphError> {
        let Architecture { layers, calls, outputs: ends, .. } = &self.architecture;
        let weights = self.weight_views(cx.graph)?;
        let ranges = || self.weight_ranges().iter().zip(&weights);
        let mut values = Values { inputs: vec![], calls: vec![] };
        for (spec, &input) in self.inputs.iter().zip(inputs) {
            let tensor = match spec.leads() {
                true => cx.graph.apply(TransposeLeading, &[input])?,
                false => input,
            };
            values.inputs.push(tensor.into());
        }
        let missing = self.architecture.missing_masks();
        for (call, Call { layer: index, inputs }) in calls.iter().enumerate() {
            let LayerNode { name, layer, trainable, .. } = &layers[*index];
            let own = ranges().filter(|(range, _)| range.layer == *index);
            let own: Vec<TensorId> = own.map(|(_, &weight)| weight).collect();
            cx.name.clone_from(name);
            cx.frozen = !trainable;
            // A call comes after those that made its inputs.
            let mut operands: Vec<Value> = inputs.iter().filter_map(|&of| values.get(of)).collect();
            let first = operands.first().and_then(|first| first.mask);
            for (operand, &of) in operands.iter_mut().zip(inputs) {
                operand.mask = operand.mask.filter(|_| !missing.at(call, of));
            }
            let mut made = layer.forward_all(&mut cx, &operands, &own)?;
            // What is missing there is known to layers that were given a mask.
            if let (Some(output), Some(&of)) = (made.first_mut(), inputs.first())
                && missing.at(call, of)
            {
                output.mask = first;
            }
            values.calls.push(made);
        }
        let ForwardContext { graph, mut penalties, .. } = cx;
        let (mut outputs, mut masks) = (Vec::new(), Vec::new());
        for &end in ends {
            let Some(value) = values.get(end) else { continue };
            let mask = value.mask.filter(|_| !missing.at_output(end));
            masks.push(mask.map(|mask| of_steps(graph, mask)).transpose()?);
            // Tokens, [T] without the batch, lead as sequences do.
            let leads = match end {
                TensorRef::Input(input) => self.inputs.get(input).is_some_and(InputSpec::leads),
                TensorRef::Output { .. } => self.shape(end).is_ok_and(|shape| shape.len() > 1),
            };
            outputs.push(match leads {
                true => graph.apply(TransposeLeading, &[value.tensor])?,
                false => value.tensor,
            });
        }
        for (range, &weight) in ranges().filter(|(range, _)| range.trained) {
            let penalty = range.regularizer.clone().map(|p| graph.apply(p, &[weight]));
            penalties.extend(penalty.transpose()?);
        }
        let embedded = self.embedded().and_then(|output| values.get(output));
        let embedded = embedded.map(|value| value.tensor);
        Ok(ForwardPass { outputs, masks, weights, penalties, embedded })
    }

    /// The smallest vocabulary of the layers that look up the tokens of an input.
    pub(crate) fn vocabulary(&self, input: TensorRef) -> Option<usize> {
        let Architecture { layers, calls, .. } = &self.architecture;
        let users = calls.iter().filter(|call| call.inputs.contains(&input));
        users.filter_map(|call| layers[call.layer].layer.vocabulary()).min()
    }

    /// The first output of the first layer that looks up tokens.
    fn embedded(&self) -> Option<TensorRef> {
        let Architecture { layers, calls, .. } = &self.architecture;
        let looks_up = |call: &Call| layers[call.layer].layer.vocabulary().is_some();
        let call = calls.iter().position(looks_up)?;
        Some(TensorRef::Output { call, index: 0 })
    }
}
