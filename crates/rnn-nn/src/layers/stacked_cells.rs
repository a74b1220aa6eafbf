use super::axes::sample;
use super::rnn::StackedCell;
use crate::layer::{Arguments, ForwardContext, MaskFlow, Value, Weight};
use crate::naming::snake_case;
use crate::onnx::{ExportError, OnnxContext, OnnxTensor};
use crate::{ConfigError, Layer, LayerError};
use rnn_formats::onnx::ValueName;
use rnn_graph::{GraphError, TensorId};
use rnn_ops::{Penalty, ReverseLeading};

/// Recurrent layers one on the other, as Keras describes them by an RNN around several cells,
/// `RNN([LSTMCell(8), GRUCell(4)])` (keras/src/layers/rnn/stacked_rnn_cells.py): `[T, F]` -> `[H]`
/// of the last cell, or `[T, H]` with [`Self::return_sequences`].
///
/// Each cell takes h of all steps of the one before. A step that is masked is so for all cells. The
/// states are those of the first cell, then those of the next. Keras's `stateful` is not supported.
#[derive(Clone, Debug)]
pub struct StackedRnn {
    cells: Cells,
    return_sequences: bool,
    return_state: bool,
    go_backwards: bool,
    zero_output_for_mask: bool,
    activity_regularizer: Option<Penalty>,
}

const EXPECTED: &str = "a sequence [T, F], and no or all states";

impl StackedRnn {
    /// Creates a stack of the cells of these layers, such as `Lstm::new(8).into()`, from the one that
    /// takes the input to the one that makes the output. Of their arguments those of Keras's cells
    /// count. A stack without cells is refused when a model adds it.
    pub fn new(layers: impl IntoIterator<Item = Box<dyn StackedCell>>) -> Self {
        Self {
            cells: Cells(layers.into_iter().collect()),
            return_sequences: false,
            return_state: false,
            go_backwards: false,
            zero_output_for_mask: false,
            activity_regularizer: None,
        }
    }

    /// Makes the layer output h of every step instead of h of the last: Keras's
    /// `return_sequences=True`.
    pub fn return_sequences(mut self) -> Self {
        self.return_sequences = true;
        self
    }

    /// Makes the layer output, after its output, each tensor of the final states: Keras's
    /// `return_state=True`.
    pub fn return_state(mut self) -> Self {
        self.return_state = true;
        self
    }

    /// Makes the layer take the last step first: Keras's `go_backwards=True`.
    pub fn go_backwards(mut self) -> Self {
        self.go_backwards = true;
        self
    }

    /// The layers of the cells, all of which return their states, with the names of the cells. Of
    /// cells of one class the second is numbered 1.
    fn layers(&self) -> Vec<(String, usize, Box<dyn Layer>)> {
        let mut names: Vec<String> = Vec::new();
        let last = self.cells.0.len().saturating_sub(1);
        let cells = self.cells.0.iter().map(|cell| &**cell).enumerate();
        let layer = |(i, cell): (usize, &dyn StackedCell)| {
            let class = snake_case(cell.class());
            let before = names.iter().filter(|name| **name == class).count();
            names.push(class.clone());
            let name = if before == 0 { class } else { format!("{class}_{before}") };
            let sequences = i < last || self.return_sequences;
            let zeros = i == last && self.zero_output_for_mask;
            (name, cell.states(), cell.layer(sequences, zeros))
        };
        cells.map(layer).collect()
    }
}

impl Layer for StackedRnn {
    fn class(&self) -> &'static str {
        "RNN"
    }

    fn weights(&self, input: &[usize]) -> Result<Vec<Weight>, LayerError> {
        let (mut all, mut input) = (Vec::new(), input.to_vec());
        for (cell, _, layer) in self.layers() {
            all.extend(layer.weights(&input)?.into_iter().map(|weight| Weight {
                name: format!("{cell}_{}", weight.name),
                owner: format!("cell/cells/{cell}"),
                ..weight
            }));
            input = layer.output_shape(&input)?;
        }
        Ok(all)
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        let layers = self.layers();
        layers.iter().try_fold(input.to_vec(), |shape, (.., layer)| layer.output_shape(&shape))
    }

    fn forward(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        w: &[TensorId],
    ) -> Result<Value, GraphError> {
        Ok(self.forward_all(cx, &[input], w)?[0])
    }

    fn output_shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Vec<usize>>, LayerError> {
        let misfit = || LayerError::of("RNN", EXPECTED, inputs);
        let (&sequence, given) = inputs.split_first().ok_or_else(misfit)?;
        let (mut shape, mut states) = (sequence.to_vec(), vec![]);
        for (.., layer) in self.layers() {
            let outputs = layer.output_shapes(&[&shape])?;
            let (output, own) = outputs.split_first().ok_or_else(misfit)?;
            shape.clone_from(output);
            states.extend_from_slice(own);
        }
        if !given.is_empty() && given != states.iter().map(Vec::as_slice).collect::<Vec<_>>() {
            return Err(misfit());
        }
        Ok([vec![shape], if self.return_state { states } else { vec![] }].concat())
    }

    fn forward_all(
        &self,
        cx: &mut ForwardContext<'_>,
        inputs: &[Value],
        w: &[TensorId],
    ) -> Result<Vec<Value>, GraphError> {
        let (input, mut given) = (inputs[0], &inputs[1..]);
        // Keras 3 does not hand a mask to a layer that is given states; behind it there is one.
        let mut x = if given.is_empty() { input } else { input.tensor.into() };
        if self.go_backwards {
            let mut reverse = |t: TensorId| cx.graph.apply(ReverseLeading, &[t]);
            x = Value { tensor: reverse(x.tensor)?, mask: x.mask.map(reverse).transpose()? };
        }
        let (mut states, mut w) = (Vec::new(), w);
        for (_, count, layer) in self.layers() {
            let example = sample(cx, x.tensor);
            let misfit = |_| cx.misfit("RNN", input.tensor, EXPECTED);
            let (own, rest) = w.split_at(layer.weights(&example).map_err(misfit)?.len());
            let (begin, others) = given.split_at(count.min(given.len()));
            let outputs = layer.forward_all(cx, &[&[x], begin].concat(), own)?;
            x.tensor = outputs[0].tensor;
            states.extend_from_slice(&outputs[1..]);
            (w, given) = (rest, others);
        }
        let mask = input.mask.filter(|_| self.return_sequences);
        let mut outputs = vec![Value { tensor: x.tensor, mask }];
        outputs.extend(states.into_iter().filter(|_| self.return_state));
        // Keras regularizes all that a layer returns (keras/src/layers/layer.py).
        for output in &outputs {
            cx.regularize(output.tensor, self.activity_regularizer.as_ref())?;
        }
        Ok(outputs)
    }

    fn mask_flow(&self) -> MaskFlow {
        if self.return_sequences { MaskFlow::Passes } else { MaskFlow::Ends }
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let OnnxTensor { mut value, mut dims } = cx.input()?;
        if self.go_backwards {
            value = cx.reverse(&value);
        }
        let given: Vec<OnnxTensor> = cx.inputs.iter().skip(1).cloned().collect();
        let (mut given, mut states) = (given.into_iter(), Vec::new());
        for (cell, count, layer) in self.layers() {
            let shapes = layer.output_shapes(&[&dims]);
            let shapes = shapes.map_err(|error| cx.refuse(error.to_string()))?;
            let mut inner = cx.within(layer.class(), &format!("{cell}_"));
            inner.inputs = vec![OnnxTensor { value, dims }];
            inner.inputs.extend(given.by_ref().take(count));
            inner.outputs.clone_from(&shapes);
            let mut made = layer.onnx(&mut inner)?.into_iter();
            value = made.next().ok_or_else(|| cx.refuse("it has no outputs"))?;
            dims = shapes.into_iter().next().unwrap_or_default();
            states.extend(made);
        }
        let states = if self.return_state { states } else { vec![] };
        Ok([value].into_iter().chain(states).collect())
    }

    fn uses_mask(&self) -> bool {
        true
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        if !a.layer("cell", &mut self.cells)? {
            return Err(a.missing("cell"));
        }
        a.optional("return_sequences", &mut self.return_sequences)?;
        a.optional("return_state", &mut self.return_state)?;
        a.optional("go_backwards", &mut self.go_backwards)?;
        a.fixed("stateful", false)?;
        a.optional("zero_output_for_mask", &mut self.zero_output_for_mask)?;
        a.ignored(&["unroll"]);
        a.in_training("activity_regularizer", &mut self.activity_regularizer)
    }
}

/// The cells as Keras describes them, a layer within the layer.
#[derive(Clone, Debug)]
struct Cells(Vec<Box<dyn StackedCell>>);

impl Layer for Cells {
    fn class(&self) -> &'static str {
        "StackedRNNCells"
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        Ok(input.to_vec())
    }

    fn forward(
        &self,
        _: &mut ForwardContext<'_>,
        input: Value,
        _: &[TensorId],
    ) -> Result<Value, GraphError> {
        Ok(input)
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        let supported = "LSTMCell, GRUCell, SimpleRNNCell";
        a.layers("cells", &mut self.0, supported, <dyn StackedCell>::blank, |cell| &mut **cell)
    }
}
