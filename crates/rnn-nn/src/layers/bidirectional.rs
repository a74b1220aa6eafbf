use super::axes::stack;
use super::cell::Cell;
use super::recurrence::Recurred;
use super::recurrent::Recurrent;
use crate::layer::{Argument, Arguments, Dialect, ForwardContext, MaskFlow, Reader, Value, Weight};
use crate::onnx::{ExportError, OnnxContext};
use crate::{ConfigError, Layer, LayerError};
use rnn_formats::onnx::{Attribute::Int, ValueName};
use rnn_graph::{GraphError, TensorId};
use rnn_ops::{Binary, Concat, ReverseLeading, Scale};
use serde_json::json;

/// The way in which a [`Bidirectional`] layer combines the outputs of its two layers, Keras's
/// `merge_mode`; the default is [`Self::Concat`]. For all others both outputs must have one shape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Merge {
    /// The outputs are concatenated along the last axis, the forward layer's first.
    #[default]
    Concat,
    /// The sum of the outputs, element by element.
    Sum,
    /// The product of the outputs, element by element.
    Mul,
    /// The mean of the outputs, element by element.
    Average,
    /// Two outputs, the forward layer's first.
    Apart,
}

/// Two recurrent layers of H units, of which the backward one takes the sequence from its end: `[T,
/// F]` -> `[2H]`, or `[T, 2H]` with `return_sequences`. If the outputs are not concatenated, it is
/// `[H]` or `[T, H]`.
///
/// ```text
/// y = merge(forward(x), backward(x)),  a sequence of backward in the order of time
/// ```
///
/// Each layer has its own weights, named `forward_..` and `backward_..`
/// (keras/src/layers/rnn/bidirectional.py). A model file may describe the backward layer by itself,
/// with other arguments, and with another width if outputs are concatenated. With `return_state` of
/// both layers their final states follow the outputs, those of the forward layer first; behind the
/// sequence the layer may be given as many to begin with.
#[derive(Clone, Debug)]
pub struct Bidirectional<C> {
    forward: Recurrent<C>,
    backward: Recurrent<C>,
    merge: Merge,
}

impl<C: Cell> Bidirectional<C> {
    /// Creates a layer of two recurrent layers with the arguments of `layer`, the second in the
    /// other direction. Their outputs are concatenated. As in Keras, both output zeros at masked
    /// steps if `layer` returns sequences.
    pub fn new(layer: Recurrent<C>) -> Self {
        let layer = layer.zero_masked_sequences();
        let backward = layer.clone().reversed();
        Self { forward: layer, backward, merge: Merge::Concat }
    }

    /// Sets the way in which the outputs of both directions are combined; the default is
    /// [`Merge::Concat`].
    pub fn merge_mode(mut self, merge: Merge) -> Self {
        self.merge = merge;
        self
    }

    /// Adds the forward pass to the graph and returns the outputs of the forward and of the
    /// backward layer, sequences in the order of time: Keras's merge mode None. `input` is `[T, B,
    /// ..]`. `w` holds the weights of the forward layer, then those of the backward layer, each as
    /// in [`Recurrent::call`].
    ///
    /// # Errors
    /// Fails if the shape of an operand does not fit.
    ///
    /// # Panics
    /// Panics if `w` has too few weights, or the input fewer than two axes.
    pub fn call(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        w: &[TensorId],
    ) -> Result<[Value; 2], GraphError> {
        Ok(self.both(cx, input, [None; 2], w)?.map(|recurred| recurred.output))
    }

    /// The same, from an initial state for each direction, with the final ones.
    fn both(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        [ahead, back]: [Option<TensorId>; 2],
        w: &[TensorId],
    ) -> Result<[Recurred; 2], GraphError> {
        let name = cx.name.clone();
        let (forward_weights, backward_weights) = w.split_at(self.forward.count_weights());
        cx.name = format!("{name}/forward");
        let forward = self.forward.call(cx, input, ahead, forward_weights)?;
        cx.name = format!("{name}/backward");
        let mut backward = self.backward.call(cx, input, back, backward_weights)?;
        cx.name = name;
        if self.backward.returns_sequences() {
            let reversed = cx.graph.apply(ReverseLeading, &[backward.output.tensor])?;
            backward.output.tensor = reversed;
        }
        Ok([forward, backward])
    }

    /// The outputs before the states: one, or two that are not merged.
    fn merged(
        &self,
        cx: &mut ForwardContext<'_>,
        [forward, backward]: [Value; 2],
    ) -> Result<Vec<Value>, GraphError> {
        let both = [forward.tensor, backward.tensor];
        let tensor = match self.merge {
            Merge::Apart => return Ok(vec![forward, backward]),
            Merge::Concat => cx.graph.apply(Concat, &both)?,
            Merge::Sum => cx.graph.apply(Binary::Add, &both)?,
            Merge::Mul => cx.graph.apply(Binary::Mul, &both)?,
            Merge::Average => {
                let sum = cx.graph.apply(Binary::Add, &both)?;
                cx.graph.apply(Scale(0.5), &[sum])?
            }
        };
        Ok(vec![Value { tensor, ..forward }])
    }

    /// The shapes of the outputs before the states.
    fn merged_shapes(&self, input: &[usize]) -> Result<Vec<Vec<usize>>, LayerError> {
        let mut output = self.forward.output_shape(input)?;
        let backward = self.backward.output_shape(input)?;
        let fits = match (self.merge, output.split_last_mut(), backward.split_last()) {
            (Merge::Apart, ..) => return Ok(vec![output, backward]),
            (Merge::Concat, Some((width, extents)), Some((other, others))) => {
                *width += other;
                extents == others
            }
            _ => output == backward,
        };
        let expected = "two layers of one shape of outputs; to be put side by side they may differ \
                        in width";
        let misfit = || LayerError::of("Bidirectional", expected, &[&output, &backward]);
        if fits { Ok(vec![output]) } else { Err(misfit()) }
    }
}

impl<C: Cell> Layer for Bidirectional<C> {
    fn class(&self) -> &'static str {
        "Bidirectional"
    }

    fn weights(&self, input: &[usize]) -> Result<Vec<Weight>, LayerError> {
        let named = |prefix: &str, weights: Vec<Weight>| {
            let name = |w: Weight| {
                let name = format!("{prefix}_{}", w.name);
                Weight { name, ..w.of(&format!("{prefix}_layer")) }
            };
            weights.into_iter().map(name).collect::<Vec<_>>()
        };
        let forward = named("forward", self.forward.weights(input)?);
        let backward = named("backward", self.backward.weights(input)?);
        Ok([forward, backward].concat())
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        match <[Vec<usize>; 1]>::try_from(self.merged_shapes(input)?) {
            Ok([output]) => Ok(output),
            Err(_) => {
                Err(LayerError::new("Bidirectional", "merge_mode for a single output", input))
            }
        }
    }

    fn forward(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        w: &[TensorId],
    ) -> Result<Value, GraphError> {
        let outputs = self.call(cx, input, w)?;
        match self.merged(cx, outputs)?[..] {
            [merged] => Ok(merged),
            _ => Err(cx.misfit(
                "Bidirectional",
                input.tensor,
                "merge_mode where one output is wanted",
            )),
        }
    }

    fn output_shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Vec<usize>>, LayerError> {
        let expected = "a sequence, and no states or all of both directions";
        let misfit = || LayerError::of("Bidirectional", expected, inputs);
        let (&sequence, states) = inputs.split_first().ok_or_else(misfit)?;
        let (ahead, back) = states.split_at(states.len() / 2);
        let forward = self.forward.output_shapes(&[&[sequence], ahead].concat());
        let backward = self.backward.output_shapes(&[&[sequence], back].concat());
        let (Ok(mut forward), Ok(mut backward)) = (forward, backward) else { return Err(misfit()) };
        let states = [forward.split_off(1), backward.split_off(1)].concat();
        Ok([self.merged_shapes(sequence)?, states].concat())
    }

    fn forward_all(
        &self,
        cx: &mut ForwardContext<'_>,
        inputs: &[Value],
        w: &[TensorId],
    ) -> Result<Vec<Value>, GraphError> {
        let Some((&input, states)) = inputs.split_first() else { return Ok(vec![]) };
        let (ahead, back) = states.split_at(states.len() / 2);
        let (mut masked, mut initial) = (input, [None; 2]);
        if !states.is_empty() {
            // As Recurrent, which Keras 3 hands no mask where it is given states.
            masked.mask = None;
            initial = [Some(stack(cx, ahead)?), Some(stack(cx, back)?)];
        }
        let [forward, backward] = self.both(cx, masked, initial, w)?;
        let mut outputs = self.merged(cx, [forward.output, backward.output])?;
        let mask = input.mask.filter(|_| self.forward.returns_sequences());
        outputs.iter_mut().for_each(|output| output.mask = mask);
        let ahead = self.forward.returned_states(cx, forward.state)?;
        let back = self.backward.returned_states(cx, backward.state)?;
        Ok([outputs, ahead, back].concat())
    }

    fn mask_flow(&self) -> MaskFlow {
        self.forward.mask_flow()
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let (mut outputs, mut states) = (Vec::new(), Vec::new());
        let given = cx.inputs.len().saturating_sub(1) / 2;
        for (layer, prefix, others) in [
            (&self.forward, "forward_", given + 1..2 * given + 1),
            (&self.backward, "backward_", 1..given + 1),
        ] {
            let mut inner = cx.within(C::CLASS, prefix);
            // Without the states of the other direction.
            inner.inputs.drain(others);
            let mut made = layer.onnx(&mut inner)?.into_iter();
            outputs.extend(made.next());
            states.extend(made);
        }
        let Ok([forward, mut backward]) = <[ValueName; 2]>::try_from(outputs) else {
            return Err(cx.refuse("it has no outputs"));
        };
        if self.backward.returns_sequences() {
            backward = cx.reverse(&backward);
        }
        let both = [&forward, &backward];
        let merged = match self.merge {
            Merge::Concat => cx.node("Concat", &both, &[("axis", Int(-1))]),
            Merge::Sum => cx.node("Add", &both, &[]),
            Merge::Mul => cx.node("Mul", &both, &[]),
            Merge::Average => cx.node("Mean", &both, &[]),
            Merge::Apart => return Ok([vec![forward, backward], states].concat()),
        };
        Ok([vec![merged], states].concat())
    }

    fn uses_mask(&self) -> bool {
        true
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        if !a.layer("layer", &mut self.forward)? {
            return Err(a.missing("layer"));
        }
        // A given backward layer says itself which way it reads.
        let mirror = self.forward.clone().reversed();
        if !a.layer("backward_layer", &mut self.backward)? {
            self.backward = mirror;
        }
        let [ahead, back] = [&self.forward, &self.backward].map(Recurrent::order);
        if ahead.0 == back.0 || ahead.1 != back.1 {
            let wanted = "a layer that reads the other way and returns sequences like the other";
            let given = format!("go_backwards {}, return_sequences {}", back.0, back.1);
            return Err(a.refuse("backward_layer", &given.into(), wanted.into()));
        }
        let [ahead, back] = [&self.forward, &self.backward].map(Recurrent::returns_state);
        if ahead != back {
            let wanted = "a layer that returns its state if the other does".into();
            return Err(a.refuse("backward_layer", &format!("return_state {back}").into(), wanted));
        }
        // Keras sets it whatever the layers say (keras/src/layers/rnn/bidirectional.py).
        self.forward = self.forward.clone().zero_masked_sequences();
        self.backward = self.backward.clone().zero_masked_sequences();
        a.optional("merge_mode", &mut self.merge)
    }
}

impl Argument for Merge {
    fn supported() -> String {
        "concat, sum, mul, ave, null".into()
    }

    fn read(value: &serde_json::Value, _: Dialect) -> Option<Self> {
        if value.is_null() {
            return Some(Self::Apart);
        }
        match value.as_str()? {
            "concat" => Some(Self::Concat),
            "sum" => Some(Self::Sum),
            "mul" => Some(Self::Mul),
            "ave" => Some(Self::Average),
            _ => None,
        }
    }

    fn write(&self, _: Reader) -> Option<serde_json::Value> {
        Some(match self {
            Self::Concat => json!("concat"),
            Self::Sum => json!("sum"),
            Self::Mul => json!("mul"),
            Self::Average => json!("ave"),
            Self::Apart => json!(null),
        })
    }
}
