use super::{Cell, Gru, GruCell, Lstm, LstmCell, Recurrent, SimpleRnn, SimpleRnnCell};
use crate::layer::{Arguments, ForwardContext, MaskFlow, Value, Weight};
use crate::onnx::{ExportError, OnnxContext};
use crate::{ConfigError, Layer, LayerError};
use rnn_formats::onnx::ValueName;
use rnn_graph::{GraphError, TensorId};

/// A cell that Keras's RNN takes.
pub trait RnnCell: Cell {
    /// Keras's class name of the cell, such as `LSTMCell`.
    const NAME: &'static str;
}

impl RnnCell for SimpleRnnCell {
    const NAME: &'static str = "SimpleRNNCell";
}

impl RnnCell for LstmCell {
    const NAME: &'static str = "LSTMCell";
}

impl RnnCell for GruCell {
    const NAME: &'static str = "GRUCell";
}

/// A recurrent layer that Keras describes as an RNN around a cell, `RNN(LSTMCell(8))`
/// (keras/src/layers/rnn/rnn.py). It is the layer of that cell, [`Lstm`](crate::Lstm),
/// [`Gru`](crate::Gru) or [`SimpleRnn`](crate::SimpleRnn), under another name.
#[derive(Clone, Debug)]
pub struct Rnn<C>(OfCell<C>);

/// Recurrent layers as Keras describes their cells.
#[derive(Clone, Debug)]
struct OfCell<C>(Recurrent<C>);

/// A layer as one of the cells of a [`StackedRnn`](crate::StackedRnn).
pub trait StackedCell: Layer {
    /// Returns the number of tensors in the cell's state.
    fn states(&self) -> usize;

    /// Returns the layer of the cell, which returns its states; `sequences` and `zeros` are its
    /// `return_sequences` and `zero_output_for_mask`.
    fn layer(&self, sequences: bool, zeros: bool) -> Box<dyn Layer>;
}

dyn_clone::clone_trait_object!(StackedCell);

impl dyn StackedCell {
    /// A cell by Keras's name of its class, with one unit.
    pub(super) fn blank(class: &str) -> Option<Box<dyn StackedCell>> {
        match class {
            SimpleRnnCell::NAME => Some(Box::new(OfCell(SimpleRnn::new(1)))),
            LstmCell::NAME => Some(Box::new(OfCell(Lstm::new(1)))),
            GruCell::NAME => Some(Box::new(OfCell(Gru::new(1)))),
            _ => None,
        }
    }
}

impl<C: RnnCell> StackedCell for OfCell<C> {
    fn states(&self) -> usize {
        C::STATES
    }

    fn layer(&self, sequences: bool, zeros: bool) -> Box<dyn Layer> {
        let mut layer = self.0.clone();
        (layer.return_sequences, layer.return_state) = (sequences, true);
        layer.zero_output_for_mask = zeros;
        Box::new(layer)
    }
}

impl<C: RnnCell> From<Recurrent<C>> for Box<dyn StackedCell> {
    fn from(layer: Recurrent<C>) -> Self {
        Box::new(OfCell(layer))
    }
}

impl<C: RnnCell> Rnn<C> {
    /// Creates the layer, which has the arguments of `layer`.
    pub fn new(layer: Recurrent<C>) -> Self {
        Self(OfCell(layer))
    }

    fn layer(&self) -> &Recurrent<C> {
        &self.0.0
    }
}

impl<C> OfCell<C> {
    fn layer(&self) -> &Recurrent<C> {
        &self.0
    }
}

/// All but the name and the arguments is the layer's.
macro_rules! is_the_layer {
    () => {
        fn weights(&self, input: &[usize]) -> Result<Vec<Weight>, LayerError> {
            self.layer().weights(input)
        }

        fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
            self.layer().output_shape(input)
        }

        fn forward(
            &self,
            cx: &mut ForwardContext<'_>,
            input: Value,
            w: &[TensorId],
        ) -> Result<Value, GraphError> {
            self.layer().forward(cx, input, w)
        }

        fn output_shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Vec<usize>>, LayerError> {
            self.layer().output_shapes(inputs)
        }

        fn forward_all(
            &self,
            cx: &mut ForwardContext<'_>,
            inputs: &[Value],
            w: &[TensorId],
        ) -> Result<Vec<Value>, GraphError> {
            self.layer().forward_all(cx, inputs, w)
        }

        fn mask_flow(&self) -> MaskFlow {
            self.layer().mask_flow()
        }

        fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
            self.layer().onnx(cx)
        }

        fn uses_mask(&self) -> bool {
            self.layer().uses_mask()
        }
    };
}

impl<C: RnnCell> Layer for Rnn<C> {
    fn class(&self) -> &'static str {
        "RNN"
    }

    is_the_layer!();

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        if !a.layer("cell", &mut self.0)? {
            return Err(a.missing("cell"));
        }
        self.0.0.scan_arguments(a)
    }
}

impl<C: RnnCell> Layer for OfCell<C> {
    fn class(&self) -> &'static str {
        C::NAME
    }

    is_the_layer!();

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        self.0.cell_arguments(a)
    }
}
