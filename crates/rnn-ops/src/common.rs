//! Helpers shared by the ops: reference definitions, launch sizes, checks of operands.

use rnn_graph::{Grid, Io, OpError, Real, TensorType, iterations};

/// An op's reference definition: plain loops over its equations, generic over the precision, so
/// that one text serves f32 and f64.
pub trait Definition {
    /// Computes the outputs and the updates in `io` from its inputs, with arithmetic in `F`. The
    /// caller has checked the operands by the op's shape rule, [`rnn_graph::Op::infer`].
    fn define<F: Real>(&self, io: &mut Io<'_, F>);
}

/// Returns the larger of `a` and `b`, or NaN if either is NaN. `Float::max`, in contrast, ignores
/// NaN.
pub fn larger<F: Real>(a: F, b: F) -> F {
    if a > b || a.is_nan() { a } else { b }
}

/// Returns `x` clamped to `low..=high`; NaN stays NaN. `low` must not exceed `high`.
pub fn clip<F: Real>(x: F, low: F, high: F) -> F {
    if x < low {
        low
    } else if x > high {
        high
    } else {
        x
    }
}

/// Returns true if `x` is larger than `y`. NaN counts as less than every number, and not as larger
/// than another NaN.
pub fn exceeds<F: Real>(x: F, y: F) -> bool {
    x > y || (y.is_nan() && !x.is_nan())
}

/// Implements the two reference methods of `Op` by a [`Definition`].
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

/// Implements `Op::backward` for an op that only occurs in backward passes and optimizer updates.
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

/// Implements `Op::backward` for an op on integers, which has no gradient.
macro_rules! no_gradient {
    () => {
        fn backward(
            &self,
            _: &mut rnn_graph::Graph,
            operands: &rnn_graph::Operands,
            _: &[Option<rnn_graph::TensorId>],
        ) -> Result<Vec<Option<rnn_graph::TensorId>>, rnn_graph::OpError> {
            Ok(vec![None; operands.inputs.len()])
        }
    };
}

/// Number of threads in a workgroup of the elementwise kernels (`shaders/shared/elementwise.wgsl`).
/// These kernels have one thread per element.
pub const THREADS: usize = rnn_shaders::constant(rnn_shaders::shared::ELEMENTWISE, "THREADS");

/// Returns a grid of whole workgroups of [`THREADS`] threads, with at least one thread for each of
/// `count` elements. If `count` is 0, the grid has one workgroup.
///
/// # Errors
/// Fails with [`OpError::Limit`] if the grid exceeds WebGPU's limits.
pub fn threads(count: usize) -> Result<Grid, OpError> {
    Grid::cover(count.div_ceil(THREADS))
}

/// Number of threads that share a row in the row-wise kernels (`shaders/shared/rowwise.wgsl`).
pub const LANES: usize = rnn_shaders::constant(rnn_shaders::shared::ROWWISE, "LANES");

/// Returns an upper bound on the loop iterations of one thread of a row-wise kernel: four passes
/// over its share of a row of `columns` elements, and four tree sums over the [`LANES`] threads of
/// a row.
pub fn row_iterations(columns: usize) -> u64 {
    4 * (iterations(columns.div_ceil(LANES), 0) + iterations(LANES.ilog2() as usize, 0))
}

/// Returns the loop iterations of one thread that sums its share of `elements` elements, and then
/// takes part in one tree sum over the [`THREADS`] threads of the workgroup.
pub fn sum_iterations(elements: usize) -> u64 {
    iterations(elements.div_ceil(THREADS), 0) + iterations(THREADS.ilog2() as usize, 0)
}

/// Returns the sum of the terms, computed in a fixed order with little rounding: first blocks of
/// 128 terms, then the blocks in pairs. The rounding error grows with the logarithm of the number
/// of blocks; a running sum of ten million terms in single precision can be wrong by some percent.
/// The sum of no terms is 0.
pub fn pairwise_sum<F: Real>(terms: impl IntoIterator<Item = F>) -> F {
    const BLOCK: usize = 128;
    let mut terms = terms.into_iter().peekable();
    // One partial sum for each bit that is set in the number of blocks, the largest first.
    let (mut sums, mut blocks) = (Vec::new(), 0_usize);
    while terms.peek().is_some() {
        let mut sum = terms.by_ref().take(BLOCK).sum::<F>();
        for _ in 0..blocks.trailing_ones() {
            sum = sums.pop().unwrap_or_else(F::zero) + sum;
        }
        sums.push(sum);
        blocks += 1;
    }
    sums.into_iter().rev().sum()
}

/// Returns the operand types as an array of `N`.
///
/// # Errors
/// Fails with [`OpError::Shape`] if their number is not `N`.
pub fn arity<const N: usize>(types: &[TensorType]) -> Result<&[TensorType; N], OpError> {
    types
        .try_into()
        .map_err(|_| OpError::shape(format!("{} operands given, it takes {N}", types.len())))
}

/// Returns the extents of a tensor type as an array of `N`.
///
/// # Errors
/// Fails with [`OpError::Shape`] if the number of axes is not `N`.
pub fn dims<const N: usize>(ty: &TensorType) -> Result<[usize; N], OpError> {
    ty.dims().try_into().map_err(|_| OpError::shape(format!("{ty} should have {N} axes")))
}

/// Checks a condition on the operands of an op. `message` says what does not fit; it is called only
/// if the condition is false.
///
/// # Errors
/// Fails with [`OpError::Shape`] and the message if the condition is false.
pub fn ensure(condition: bool, message: impl FnOnce() -> String) -> Result<(), OpError> {
    if condition { Ok(()) } else { Err(OpError::Shape(message())) }
}

#[cfg(test)]
mod tests {
    use super::pairwise_sum;

    #[test]
    fn a_sum_of_many_terms_stays_exact() {
        let term = |i: u32| 0.1 + (i % 7) as f32 * 0.01;
        for count in [0, 1, 127, 128, 129, 1000, 3 * 128 + 5, 17_000_001] {
            let exact: f64 = (0..count).map(|i| f64::from(term(i))).sum();
            let sum = f64::from(pairwise_sum((0..count).map(term)));
            assert!((sum - exact).abs() <= 1e-6 * exact, "{count} terms: {sum}, not {exact}");
        }
    }
}
