//! What the op files share.

use crate::{Binary, Fill, Matmul};
use rnn_graph::{
    Graph, GraphError, Grid, Io, Launch, Limits, OpError, Real, Shader, TensorId, TensorType,
};

/// An op's meaning, written once for both precisions: loops over the equations, no cleverness.
pub trait Definition {
    /// Computes the outputs and updates from the inputs.
    fn define<F: Real>(&self, io: &mut Io<'_, F>);
}

/// The two methods of `Op` that run a [`Definition`].
macro_rules! defined {
    () => {
        fn reference_f64(&self, io: &mut rnn_graph::Io<'_, f64>) {
            $crate::Definition::define(self, io);
        }

        fn reference_f32(&self, io: &mut rnn_graph::Io<'_, f32>) {
            $crate::Definition::define(self, io);
        }
    };
}

/// `Op::backward` of an op that only occurs in backward passes and updates.
macro_rules! not_differentiable {
    () => {
        fn backward(
            &self,
            _: &mut rnn_graph::Graph,
            _: &rnn_graph::Operands,
            _: &[Option<rnn_graph::TensorId>],
        ) -> Result<Vec<Option<rnn_graph::TensorId>>, rnn_graph::OpError> {
            Err(rnn_graph::OpError::NotDifferentiable)
        }
    };
}

/// Threads in a workgroup of the one-thread-an-element kernels; `THREADS` in flat.wgsl.
pub const THREADS: usize = 256;

/// A grid with a thread for each of `count` elements.
pub fn threads(count: usize) -> Result<Grid, OpError> {
    Grid::cover(count.div_ceil(THREADS))
}

/// The operands, if there are as many as the op takes.
pub fn arity<const N: usize>(types: &[TensorType]) -> Result<&[TensorType; N], OpError> {
    types
        .try_into()
        .map_err(|_| OpError::shape(format!("{} operands given, it takes {N}", types.len())))
}

/// The extents, if there are `N` of them.
pub fn dims<const N: usize>(ty: &TensorType) -> Result<[usize; N], OpError> {
    ty.dims().try_into().map_err(|_| OpError::shape(format!("{ty} should have {N} axes")))
}

/// An error unless the condition holds.
pub fn ensure(condition: bool, message: impl FnOnce() -> String) -> Result<(), OpError> {
    if condition { Ok(()) } else { Err(OpError::Shape(message())) }
}

/// A node of a backward pass that did not fit.
pub fn nested(error: GraphError) -> OpError {
    OpError::Graph(Box::new(error))
}

/// How the kernels of a scan divide a batch.
pub struct ScanShape {
    /// The shader compiled for this many batch rows to a workgroup.
    pub shader: &'static Shader,
    /// Batch rows to a workgroup.
    pub rows: usize,
    /// Threads to a workgroup.
    pub lanes: usize,
}

impl ScanShape {
    /// As many rows as fit: `words` are the words of workgroup memory that one hidden unit of
    /// one row takes.
    pub fn choose(
        four_rows: &'static Shader,
        one_row: &'static Shader,
        hidden: usize,
        words: usize,
        limits: &Limits,
    ) -> Result<Self, OpError> {
        let lanes = hidden.next_multiple_of(32).min(limits.max_invocations as usize);
        let bytes = |rows: usize| 4 * words * rows * hidden;
        let fits = |rows| bytes(rows) <= limits.max_workgroup_bytes as usize;
        match (fits(4), fits(1)) {
            (true, _) => Ok(Self { shader: four_rows, rows: 4, lanes }),
            (_, true) => Ok(Self { shader: one_row, rows: 1, lanes }),
            _ => Err(OpError::Limit(format!(
                "{hidden} hidden units need {} bytes of workgroup memory, the device has {}; use fewer units or --device cpu",
                bytes(1),
                limits.max_workgroup_bytes
            ))),
        }
    }

    /// A launch with the constants and sizes that every scan kernel takes.
    pub fn launch(
        &self,
        entry: &'static str,
        steps: usize,
        batch: usize,
        hidden: usize,
    ) -> Result<Launch, OpError> {
        let tile = self.rows * hidden;
        Ok(Launch::new(self.shader, entry, Grid::new(batch.div_ceil(self.rows), 1, 1)?)
            .constant("HIDDEN", hidden as u32)
            .constant("LANES", self.lanes as u32)
            .constant("TILE", tile as u32)
            .constant("TWO_TILES", 2 * tile as u32)
            .param("steps", steps)
            .param("batch", batch))
    }
}

/// The gradient of a recurrent matrix: sum over time of h(t-1)^T dz(t), one product over all steps.
///
/// hidden `[T, B, H]`, dz `[T, B, G]`, initial state `[>=1, B, H]` if any -> `[H, G]`.
pub fn recurrent_gradient(
    graph: &mut Graph,
    hidden: TensorId,
    dz: TensorId,
    state: Option<TensorId>,
) -> Result<TensorId, OpError> {
    let [steps, batch, units] = dims(&graph[hidden].ty)?;
    let gates = graph.shape(dz).last();
    let product = Matmul { transpose_a: true, ..Matmul::default() };
    let mut add = |a: TensorId, a_rows: usize, dz_from: usize| -> Result<TensorId, GraphError> {
        let a = graph.view(a, 0, [a_rows, units])?;
        let b = graph.view(dz, dz_from * batch * gates, [a_rows, gates])?;
        graph.apply(product.clone(), &[a, b])
    };
    let later = (steps > 1).then(|| add(hidden, (steps - 1) * batch, 1)).transpose();
    let first = state.map(|state| add(state, batch, 0)).transpose();
    match (later.map_err(nested)?, first.map_err(nested)?) {
        (Some(a), Some(b)) => graph.apply(Binary::Add, &[a, b]),
        (Some(only), None) | (None, Some(only)) => Ok(only),
        (None, None) => graph.apply(Fill { shape: [units, gates].into(), value: 0.0 }, &[]),
    }
    .map_err(nested)
}
