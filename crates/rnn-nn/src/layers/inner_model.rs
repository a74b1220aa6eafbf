//! A model in the place of a layer.

use super::axes::sample;
use super::time_distributed::step_by_step;
use crate::architecture::{Architecture, LayerNode, TensorRef};
use crate::config::{inner_from_json, inner_to_json};
use crate::layer::{Arguments, ForwardContext, MaskFlow, Value, Weight};
use crate::onnx::{ExportError, OnnxContext, OnnxTensor};
use crate::{ConfigError, Layer, LayerError};
use rnn_formats::onnx::ValueName;
use rnn_graph::{GraphError, TensorId};
use std::collections::{HashMap, HashSet};

/// A model of one input and one output as the layer within a
/// [`TimeDistributed`](crate::TimeDistributed), such as a convolutional encoder that is applied to
/// every frame of a video.
///
/// Its weights are named `layer/weight`. As in Keras (keras/src/models/functional.py) the mask of
/// its input flows through its layers, and activity regularizers of its layers act.
#[derive(Clone, Debug)]
pub struct InnerModel {
    /// Keras's class, which decides the form of the description.
    class: &'static str,
    name: String,
    architecture: Architecture,
}

/// The shapes of the outputs of each call, in order.
type Shapes = Vec<Vec<Vec<usize>>>;

impl InnerModel {
    /// Creates a layer that computes a model, whose input may have open extents.
    pub fn new(architecture: Architecture) -> Self {
        let class = if architecture.is_stack() { "Sequential" } else { "Functional" };
        Self { class, name: class.to_lowercase(), architecture }
    }

    /// A model whose description is still to be read.
    pub(crate) fn blank(class: &str) -> Self {
        let class = if class == "Sequential" { "Sequential" } else { "Functional" };
        Self { class, name: class.to_lowercase(), architecture: Architecture::default() }
    }

    fn nodes(&self) -> impl Iterator<Item = &LayerNode> {
        self.architecture.layers.iter()
    }

    fn shapes(&self, input: &[usize]) -> Result<Shapes, LayerError> {
        let mut made = Shapes::new();
        for call in &self.architecture.calls {
            let inputs = call.inputs.iter().map(|&of| self.shape(of, input, &made));
            let inputs = inputs.collect::<Result<Vec<&[usize]>, LayerError>>()?;
            let outputs = self.architecture.layers[call.layer].layer.output_shapes(&inputs)?;
            made.push(outputs);
        }
        Ok(made)
    }

    fn shape<'a>(
        &self,
        of: TensorRef,
        input: &'a [usize],
        made: &'a Shapes,
    ) -> Result<&'a [usize], LayerError> {
        let found = match of {
            TensorRef::Input(_) => Some(input),
            TensorRef::Output { call, index } => {
                made.get(call).and_then(|of| of.get(index)).map(Vec::as_slice)
            }
        };
        let expected = "layers that make the outputs that others take";
        found.ok_or_else(|| LayerError::new(self.class, expected, input))
    }

    /// The weights of each layer with its index, in Keras's order.
    fn weights_by_layer(&self, input: &[usize]) -> Result<Vec<(usize, Vec<Weight>)>, LayerError> {
        let made = self.shapes(input)?;
        let mut all = Vec::new();
        for (layer, path) in self.architecture.keras_paths() {
            let LayerNode { name, layer: of, trainable, .. } = &self.architecture.layers[layer];
            let call = self.architecture.calls.iter().find(|call| call.layer == layer);
            let Some(&first) = call.and_then(|call| call.inputs.first()) else { continue };
            let own = of.weights(self.shape(first, input, &made)?)?;
            let named = |weight: Weight| {
                let name = format!("{name}/{}", weight.name);
                let weight = Weight { name, trained: weight.trained && *trainable, ..weight };
                weight.of(&path)
            };
            all.push((layer, own.into_iter().map(named).collect()));
        }
        Ok(all)
    }

    fn output(&self) -> TensorRef {
        self.architecture.outputs.first().copied().unwrap_or(TensorRef::Input(0))
    }

    /// Makes sure that what was read can stand in the place of a layer.
    fn check(&self, a: &Arguments<'_>) -> Result<(), ConfigError> {
        let Architecture { inputs, outputs, calls, .. } = &self.architecture;
        let structure = |what: String| ConfigError::Structure(format!("{}: {what}", a.owner()));
        if (inputs.len(), outputs.len()) != (1, 1) {
            let (inputs, outputs) = (inputs.len(), outputs.len());
            let given = format!("the model within it has {inputs} inputs and {outputs} outputs");
            return Err(structure(format!("{given}; supported: one of each")));
        }
        let mut names = HashSet::new();
        for (layer, LayerNode { name, layer: of, .. }) in self.nodes().enumerate() {
            if !names.insert(name) {
                return Err(structure(format!("two layers within it are called {name}")));
            }
            // Models that call each other often are many.
            let often = calls.iter().filter(|call| call.layer == layer).count() > 1;
            if often && is_model(of.class()) {
                return Err(structure(format!("the model {name} within it is called twice")));
            }
        }
        Ok(())
    }
}

/// Returns true for the class of a model; false for that of a layer.
pub(crate) fn is_model(class: &str) -> bool {
    matches!(class, "Sequential" | "Functional" | "Model")
}

impl Layer for InnerModel {
    fn class(&self) -> &'static str {
        self.class
    }

    fn weights(&self, input: &[usize]) -> Result<Vec<Weight>, LayerError> {
        Ok(self.weights_by_layer(input)?.into_iter().flat_map(|(_, own)| own).collect())
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        let made = self.shapes(input)?;
        Ok(self.shape(self.output(), input, &made)?.to_vec())
    }

    fn forward(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        w: &[TensorId],
    ) -> Result<Value, GraphError> {
        let shape = sample(cx, input.tensor);
        let misfit = |cx: &ForwardContext<'_>| cx.misfit(self.class, input.tensor, "its input");
        let by_layer = self.weights_by_layer(&shape).map_err(|_| misfit(cx))?;
        let (name, frozen) = (cx.name.clone(), cx.frozen);
        let mut rest = w.iter().copied();
        let weights: HashMap<usize, Vec<TensorId>> = by_layer
            .into_iter()
            .map(|(layer, own)| (layer, rest.by_ref().take(own.len()).collect()))
            .collect();
        let mut made: Vec<Vec<Value>> = Vec::new();
        let value = |of: &TensorRef, made: &[Vec<Value>]| match *of {
            TensorRef::Input(_) => Some(input),
            TensorRef::Output { call, index } => made.get(call)?.get(index).copied(),
        };
        for call in &self.architecture.calls {
            let node = &self.architecture.layers[call.layer];
            let inputs: Vec<Value> = call.inputs.iter().filter_map(|of| value(of, &made)).collect();
            let own = weights.get(&call.layer).map_or(&[][..], Vec::as_slice);
            cx.name = format!("{name}/{}", node.name);
            cx.frozen = frozen || !node.trainable;
            made.push(node.layer.forward_all(cx, &inputs, own)?);
        }
        (cx.name, cx.frozen) = (name, frozen);
        value(&self.output(), &made).ok_or_else(|| misfit(cx))
    }

    fn steps(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        w: &[TensorId],
    ) -> Result<Option<Value>, GraphError> {
        step_by_step(self, cx, input, w)
    }

    fn sees_batch(&self) -> bool {
        self.nodes().any(|node| node.trainable && node.layer.sees_batch())
    }

    fn vocabulary(&self) -> Option<usize> {
        let Architecture { layers, calls, .. } = &self.architecture;
        let users = calls.iter().filter(|call| call.inputs.contains(&TensorRef::Input(0)));
        users.filter_map(|call| layers[call.layer].layer.vocabulary()).min()
    }

    fn uses_mask(&self) -> bool {
        self.nodes().any(|node| node.layer.uses_mask())
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let input = cx.input()?;
        let shapes = self.shapes(&input.dims).map_err(|error| cx.refuse(error.to_string()))?;
        let mut made: Vec<Vec<(OnnxTensor, bool)>> = Vec::new();
        let value = |of: &TensorRef, made: &[Vec<(OnnxTensor, bool)>]| match *of {
            TensorRef::Input(_) => Some((input.clone(), false)),
            TensorRef::Output { call, index } => made.get(call)?.get(index).cloned(),
        };
        for (call, outputs) in self.architecture.calls.iter().zip(shapes) {
            let LayerNode { name, layer, .. } = &self.architecture.layers[call.layer];
            let inputs: Vec<_> = call.inputs.iter().filter_map(|of| value(of, &made)).collect();
            let masked = inputs.iter().any(|(_, masked)| *masked);
            let mut inner = cx.within(layer.class(), &format!("{name}/"));
            if layer.uses_mask() && masked {
                return Err(inner.refuse("it skips steps by the mask of the layers before it"));
            }
            inner.inputs = inputs.into_iter().map(|(tensor, _)| tensor).collect();
            inner.outputs = outputs.clone();
            let values = layer.onnx(&mut inner)?;
            let masked = match layer.mask_flow() {
                MaskFlow::Tokens | MaskFlow::Steps(_) => true,
                MaskFlow::Ends => false,
                _ => masked,
            };
            let tensors =
                values.into_iter().zip(outputs).enumerate().map(|(index, (value, dims))| {
                    (OnnxTensor { value, dims }, masked && index == 0)
                });
            made.push(tensors.collect());
        }
        Ok(value(&self.output(), &made).into_iter().map(|(tensor, _)| tensor.value).collect())
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        if let Some(described) = a.described() {
            self.name = described["name"].as_str().unwrap_or(&self.name).to_owned();
            self.architecture = inner_from_json(self.class, &described, a.dialect())?;
            // Keras sets what the model says for all of its layers.
            let frozen = described["trainable"] == false;
            self.architecture.layers.iter_mut().for_each(|layer| layer.trainable &= !frozen);
            let left_out = self.architecture.layers.iter_mut();
            a.unread.extend(left_out.flat_map(|layer| std::mem::take(&mut layer.unread)));
            return self.check(a);
        }
        let Some(reader) = a.reader().filter(|_| !a.checks()) else { return Ok(()) };
        for (name, value) in inner_to_json(self.class, &self.name, &self.architecture, reader)? {
            a.put(&name, value);
        }
        Ok(())
    }
}
