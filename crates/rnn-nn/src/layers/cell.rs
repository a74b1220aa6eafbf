use crate::layer::{Arguments, ForwardContext};
use crate::onnx::{ExportError, OnnxContext, OnnxScan, ScanOptions};
use crate::{ConfigError, Initializer};
use rnn_core::DType;
use rnn_graph::{GraphError, TensorId};
use rnn_ops::{Activation, DropoutMatmul, Embedding, Matmul, ScanInputs};

/// The equations of a recurrent layer: what [`Recurrent`](super::Recurrent) needs to know of its
/// cell.
pub trait Cell: Clone + std::fmt::Debug + Send + Sync + 'static {
    /// Keras's class name of the layer.
    const CLASS: &'static str;
    /// The number of columns of a kernel for each unit.
    const GATES: usize;
    /// Tensors in the state, the first of them h.
    const STATES: usize;
    /// True if its scan takes sequences of half precision.
    const HALF: bool = false;
    /// Keras's name of the number of units.
    const UNITS: &'static str = "units";

    /// The activation of the new state.
    fn activation(&mut self) -> &mut Activation;

    /// The extents of kernel and recurrent kernel for an input `[T, ..]` of a sample, and those of
    /// a unit's state `[.., units]`; none, where the input does not fit.
    fn shapes(&self, input: &[usize], units: usize) -> Option<CellShapes> {
        let &[_, width] = input else { return None };
        let columns = Self::GATES * units;
        Some(CellShapes {
            kernel: vec![width, columns],
            recurrent_kernel: vec![units, columns],
            state: vec![units],
        })
    }

    /// A description of the inputs that it takes, for messages.
    fn expected(&self) -> &'static str {
        "a sequence [T, F]"
    }

    /// Inputs that are dropped out each in its own way. With dropout of h each gate sees x through
    /// dropout of its own; without, all see the same (keras/src/layers/rnn/lstm.py).
    fn input_drops(&self, recurrent_dropout: bool) -> usize {
        if recurrent_dropout { Self::GATES } else { 1 }
    }

    /// x W + b for all steps at once, x `[T, B, ..]`, through dropout factors `[drops, B, ..]` if
    /// given.
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

    /// The shape and first values of the bias.
    fn bias(&self, units: usize, initializer: &Initializer) -> (Vec<usize>, Initializer) {
        (vec![Self::GATES * units], initializer.clone())
    }

    /// Runs over the whole sequence. Returns h of every step and the final state
    /// `[STATES, B, ..]`.
    fn scan(
        &self,
        cx: &mut ForwardContext<'_>,
        scan: Scan<'_>,
    ) -> Result<(TensorId, TensorId), GraphError>;

    /// Adds ONNX operators that run the cell over the whole sequence.
    ///
    /// # Errors
    /// Fails if ONNX has no counterpart.
    fn onnx(&self, cx: &mut OnnxContext<'_>, options: ScanOptions)
    -> Result<OnnxScan, ExportError>;

    /// Keras's names of the arguments that are the cell's own.
    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError>;
}

/// The extents of a cell's tensors for one example, without steps and batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellShapes {
    /// The shape of W, the kernel.
    pub kernel: Vec<usize>,
    /// The shape of U, the recurrent kernel.
    pub recurrent_kernel: Vec<usize>,
    /// The shape of h of one example, without the batch.
    pub state: Vec<usize>,
}

/// The operands of a cell that runs over a sequence, in the graph.
#[derive(Clone, Copy, Debug)]
pub struct Scan<'a> {
    /// The number of steps T.
    pub steps: usize,
    /// x W + b, `[T, B, GATES H]`, and U.
    pub projected: [TensorId; 2],
    /// The whole bias, of which the first `GATES H` elements are already in `projected`; `None`
    /// without a bias.
    pub bias: Option<TensorId>,
    /// The kinds of tensors in `optional`.
    pub inputs: ScanInputs,
    /// The initial state, the mask and the dropout factors, as far as there are such.
    pub optional: &'a [TensorId],
}
