use crate::layer::{Arguments, ForwardContext};
use crate::onnx::{ExportError, OnnxContext, OnnxScan, ScanOptions};
use crate::{ConfigError, Initializer};
use rnn_core::DType;
use rnn_graph::{GraphError, TensorId};
use rnn_ops::{Activation, DropoutMatmul, Embedding, Matmul, ScanInputs};

/// The equations of a recurrent layer, on which [`Recurrent`](super::Recurrent) is built. Letters:
/// T steps, B examples, x the input, h the state that is the output, W kernel, U recurrent kernel,
/// b bias.
pub trait Cell: Clone + std::fmt::Debug + Send + Sync + 'static {
    /// Keras's class name of the layer, such as `LSTM`.
    const CLASS: &'static str;
    /// The number of gates: the columns of W and U for each unit.
    const GATES: usize;
    /// The number of tensors in the state, of which h is the first.
    const STATES: usize;
    /// True if [`Self::scan`] takes x W + b in half precision in
    /// [`Precision::Mixed`](crate::Precision::Mixed).
    const HALF: bool = false;
    /// Keras's name of the argument with the number of units.
    const UNITS: &'static str = "units";

    /// Returns the place of the cell's `activation`, which
    /// [`Recurrent::activation`](super::Recurrent::activation) sets.
    fn activation(&mut self) -> &mut Activation;

    /// Returns the shapes of W, U and the state for one example's input of the shape `input`, `[T,
    /// ..]`, and `units` units; `None` if the input does not fit. By default they are those of a
    /// cell that takes `[T, F]`.
    fn shapes(&self, input: &[usize], units: usize) -> Option<CellShapes> {
        let &[_, width] = input else { return None };
        let columns = Self::GATES * units;
        Some(CellShapes {
            kernel: vec![width, columns],
            recurrent_kernel: vec![units, columns],
            state: vec![units],
        })
    }

    /// Returns a description of the inputs that the cell takes, for messages.
    fn expected(&self) -> &'static str {
        "a sequence [T, F]"
    }

    /// Returns the number of dropout factors of x: 1 if all gates share one, or [`Self::GATES`] if
    /// each has its own. By default each has its own if h is dropped out too, `recurrent_dropout`
    /// (keras/src/layers/rnn/lstm.py).
    fn input_drops(&self, recurrent_dropout: bool) -> usize {
        if recurrent_dropout { Self::GATES } else { 1 }
    }

    /// Adds x W + b of all steps to the graph, and returns it, `[T, B, .., GATES units]`. x is `[T,
    /// B, ..]`. The array holds W, b and dropout factors of x, `[drops, B, ..]`, where drops is
    /// [`Self::input_drops`]; without b or factors, these are left out of the equation.
    ///
    /// # Errors
    /// Fails if the shape of an operand does not fit.
    fn project(
        &self,
        cx: &mut ForwardContext<'_>,
        x: TensorId,
        [w, bias, factors]: [Option<TensorId>; 3],
    ) -> Result<TensorId, GraphError> {
        let operands =
            |x| [Some(x), w, factors, bias].into_iter().flatten().collect::<Vec<TensorId>>();
        // Views of half precision begin at whole words, and so do steps then.
        let columns = w.map_or(0, |w| cx.graph.shape(w).last());
        let whole = (cx.graph.shape(x).dims()[1] * columns).is_multiple_of(2);
        let output = if Self::HALF && whole { cx.sequences() } else { DType::F32 };
        let bias = bias.is_some();
        if factors.is_some() {
            return cx.graph.apply(DropoutMatmul { bias, output }, &operands(x));
        }
        let product = Matmul { bias, output, ..Matmul::default() };
        match cx.looked_up(x) {
            None => cx.graph.apply(product, &operands(x)),
            // Rows of E W + b are (rows of E) W + b.
            Some([tokens, table]) => {
                let table = cx.graph.apply(product, &operands(table))?;
                cx.graph.apply(Embedding, &[tokens, table])
            }
        }
    }

    /// Returns the shape and the initializer of the bias, given the number of units and the layer's
    /// bias initializer.
    fn bias(&self, units: usize, initializer: &Initializer) -> (Vec<usize>, Initializer) {
        (vec![Self::GATES * units], initializer.clone())
    }

    /// Adds the cell's run over a whole sequence to the graph. Returns h of every step, `[T, B,
    /// ..]`, and the final state `[STATES, B, ..]`.
    ///
    /// # Errors
    /// Fails if the shape of an operand does not fit.
    fn scan(
        &self,
        cx: &mut ForwardContext<'_>,
        scan: Scan<'_>,
    ) -> Result<(TensorId, TensorId), GraphError>;

    /// Adds ONNX operators that run the cell over the whole first input, as `options` say.
    ///
    /// # Errors
    /// Fails if ONNX has no counterpart of the cell.
    fn onnx(&self, cx: &mut OnnxContext<'_>, options: ScanOptions)
    -> Result<OnnxScan, ExportError>;

    /// Passes each argument of the cell itself to `a`, by Keras's name.
    ///
    /// # Errors
    /// Fails with the error of an argument.
    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError>;
}

/// The shapes of a cell's weights and of its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellShapes {
    /// The shape of W, the kernel.
    pub kernel: Vec<usize>,
    /// The shape of U, the recurrent kernel.
    pub recurrent_kernel: Vec<usize>,
    /// The shape of each tensor of the state, for one example.
    pub state: Vec<usize>,
}

/// The operands of [`Cell::scan`], in the graph.
#[derive(Clone, Copy, Debug)]
pub struct Scan<'a> {
    /// The number of steps T.
    pub steps: usize,
    /// The results of [`Cell::project`], x W + b, `[T, B, .., GATES units]`, and U.
    pub projected: [TensorId; 2],
    /// The whole bias; `None` without one. Its first `GATES units` elements are already added in
    /// `projected`.
    pub bias: Option<TensorId>,
    /// The kinds of tensors that are in `optional`.
    pub inputs: ScanInputs,
    /// The initial state, the mask and the dropout factors of h, in this order and with the shapes
    /// that [`ScanInputs`] describes, without those that are absent.
    pub optional: &'a [TensorId],
}
