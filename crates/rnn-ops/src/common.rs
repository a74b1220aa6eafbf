//! What the op files share.

use rnn_graph::{Grid, Io, OpError, Real, TensorType, iterations};

/// An op's meaning, written once for both precisions: loops over the equations, no cleverness.
pub trait Definition {
    /// Computes the outputs and updates from the inputs.
    fn define<F: Real>(&self, io: &mut Io<'_, F>);
}

/// The larger of two; what is not a number where either is, which `Float::max` passes over.
pub fn larger<F: Real>(a: F, b: F) -> F {
    if a > b || a.is_nan() { a } else { b }
}

/// x within bounds; what is not a number stays so.
pub fn clip<F: Real>(x: F, low: F, high: F) -> F {
    if x < low {
        low
    } else if x > high {
        high
    } else {
        x
    }
}

/// Whether x is larger than y, where what is not a number is less than all others.
pub fn exceeds<F: Real>(x: F, y: F) -> bool {
    x > y || (y.is_nan() && !x.is_nan())
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

/// `Op::backward` of an op of integers, through which nothing flows back.
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

/// Threads in a workgroup of the one-thread-an-element kernels.
pub const THREADS: usize = rnn_shaders::constant(rnn_shaders::shared::ELEMENTWISE, "THREADS");

/// A grid with a thread for each of `count` elements.
pub fn threads(count: usize) -> Result<Grid, OpError> {
    Grid::cover(count.div_ceil(THREADS))
}

/// Threads that share a row.
pub const LANES: usize = rnn_shaders::constant(rnn_shaders::shared::ROWWISE, "LANES");

/// Iterations of a thread that goes four times over its share of a row and takes part in four sums
/// of all shares: no kernel of rows does more.
pub fn row_iterations(columns: usize) -> u64 {
    4 * (iterations(columns.div_ceil(LANES), 0) + iterations(LANES.ilog2() as usize, 0))
}

/// Iterations of a thread that adds its share of so many numbers, and its sum to those of others.
pub fn sum_iterations(numbers: usize) -> u64 {
    iterations(numbers.div_ceil(THREADS), 0) + iterations(THREADS.ilog2() as usize, 0)
}

/// The sum of terms in an order that keeps it exact: of blocks of 128, then of pairs of sums of as
/// many blocks. Rounding grows with the logarithm of the number of blocks, where that of a plain sum
/// in single precision reaches some percent at ten million terms.
pub fn pairwise_sum<F: Real>(terms: impl IntoIterator<Item = F>) -> F {
    const BLOCK: usize = 128;
    let mut terms = terms.into_iter().peekable();
    // One sum for each bit that is set in the number of blocks, the largest first.
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
