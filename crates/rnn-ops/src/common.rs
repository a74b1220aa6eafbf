//! Helpers shared by the ops: reference definitions, launch sizes, checks of operands.

use rnn_graph::{Grid, Io, OpError, Real, TensorType, iterations};

/// An op's reference definition, written once for both precisions: plain loops over the equations.
pub trait Definition {
    /// Computes the outputs and updates from the inputs.
    fn define<F: Real>(&self, io: &mut Io<'_, F>);
}

/// Returns the larger of `a` and `b`, or NaN if either is NaN, unlike `Float::max`, which ignores
/// NaN.
pub fn larger<F: Real>(a: F, b: F) -> F {
    if a > b || a.is_nan() { a } else { b }
}

/// Returns `x` clamped to `low..=high`, where `low` must not exceed `high`; NaN stays NaN.
pub fn clip<F: Real>(x: F, low: F, high: F) -> F {
    if x < low {
        low
    } else if x > high {
        high
    } else {
        x
    }
}

/// Returns true if `x` is larger than `y`, where NaN counts as less than every number; of two NaN,
/// neither is larger.
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

/// Threads in a workgroup of the elementwise kernels (`shaders/shared/elementwise.wgsl`), which
/// have one thread per element.
pub const THREADS: usize = rnn_shaders::constant(rnn_shaders::shared::ELEMENTWISE, "THREADS");

/// Returns a grid with at least one thread for each of `count` elements, in whole workgroups of
/// [`THREADS`]; for no elements it has one workgroup.
///
/// # Errors
/// Fails with [`OpError::Limit`] if the grid exceeds WebGPU's limits.
pub fn threads(count: usize) -> Result<Grid, OpError> {
    Grid::cover(count.div_ceil(THREADS))
}

/// Threads that share a row in the row-wise kernels (`shaders/shared/rowwise.wgsl`).
pub const LANES: usize = rnn_shaders::constant(rnn_shaders::shared::ROWWISE, "LANES");

/// Returns an upper bound on the loop iterations of a row-wise kernel's thread: four passes over
/// its share of a row's `columns` elements, and four tree sums over the [`LANES`] of a row.
pub fn row_iterations(columns: usize) -> u64 {
    4 * (iterations(columns.div_ceil(LANES), 0) + iterations(LANES.ilog2() as usize, 0))
}

/// Returns the loop iterations of a thread that sums its share of `elements` elements and takes
/// part in one tree sum over the workgroup's [`THREADS`].
pub fn sum_iterations(elements: usize) -> u64 {
    iterations(elements.div_ceil(THREADS), 0) + iterations(THREADS.ilog2() as usize, 0)
}

/// Sums the terms in a fixed order with little rounding: blocks of 128 terms, then pairwise sums of
/// the blocks. The error grows with the logarithm of the number of blocks; that of a running sum in
/// single precision reaches some percent at ten million terms. The sum of no terms is 0.
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

/// Returns the operand types as an array, after a check of their number.
///
/// # Errors
/// Fails with [`OpError::Shape`] if there are not exactly `N`.
pub fn arity<const N: usize>(types: &[TensorType]) -> Result<&[TensorType; N], OpError> {
    types
        .try_into()
        .map_err(|_| OpError::shape(format!("{} operands given, it takes {N}", types.len())))
}

/// Returns the extents as an array, after a check of the number of axes.
///
/// # Errors
/// Fails with [`OpError::Shape`] if the tensor does not have exactly `N` axes.
pub fn dims<const N: usize>(ty: &TensorType) -> Result<[usize; N], OpError> {
    ty.dims().try_into().map_err(|_| OpError::shape(format!("{ty} should have {N} axes")))
}

/// Checks a condition on the operands of an op; `message` is called if it is false, and says what
/// does not fit.
///
/// # Errors
/// Fails with [`OpError::Shape`] and that message if the condition is false.
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
