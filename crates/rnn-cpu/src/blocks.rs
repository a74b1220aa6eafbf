//! Register blocks: the sums of R rows by V vectors stay in registers while terms are added.

use crate::simd::dispatch;
use pulp::{Simd, WithSimd};

/// Smallest number of columns for which a product uses register blocks. With fewer columns most of
/// a vector would be empty.
pub const MIN_COLUMNS: usize = 8;

/// Returns the number of rows of a register block for a processor with `registers` vector registers
/// and panels of `vectors` vectors, 2 to 5. The block's sums, one row of a panel and one broadcast
/// element then take nearly all registers.
pub const fn rows_of_block(registers: usize, vectors: usize) -> usize {
    match (registers >= 32, vectors) {
        (true, 2) => 12,
        (true, 3) => 8,
        (true, 4) => 6,
        (true, _) => 5,
        (false, 2) => 6,
        (false, 3) => 4,
        (false, 4) => 3,
        (false, _) => 2,
    }
}

/// Returns the number of vectors per panel, 2 to 5, for which `columns` columns need the least
/// padding. `lanes` is the number of floats per vector.
pub fn vectors_of_panel(columns: usize, lanes: usize) -> usize {
    let vectors = columns.div_ceil(lanes);
    [4, 5, 3, 2].into_iter().min_by_key(|&v| vectors.next_multiple_of(v)).unwrap_or(4)
}

/// Returns the number of vectors per panel, 2 to 5, for which a product of `rows` rows and
/// `columns` columns needs the least padding in rows and columns together. `lanes` and `registers`
/// are those of [`processor`](crate::simd::processor).
pub fn vectors_of_panels(rows: usize, columns: usize, (lanes, registers): (usize, usize)) -> usize {
    let filled = |v: usize| {
        rows.next_multiple_of(rows_of_block(registers, v)) * columns.next_multiple_of(v * lanes)
    };
    [4, 5, 3, 2].into_iter().min_by_key(|&v| filled(v)).unwrap_or(4)
}

/// Work on register blocks of R rows and V vectors, which are constants for the compiler.
pub trait Blocked {
    /// The result of the work.
    type Output;
    /// Runs the work with blocks of R rows and V vectors.
    fn run<S: Simd, const R: usize, const V: usize>(self, simd: S) -> Self::Output;
}

/// Runs `work` with V = `vectors`, from 2 to 5, and the R of [`rows_of_block`] for the processor at
/// hand, and returns its result.
pub fn run_blocked<B: Blocked>(vectors: usize, work: B) -> B::Output {
    struct Work<B>(usize, B);
    impl<B: Blocked> WithSimd for Work<B> {
        type Output = B::Output;
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> B::Output {
            let Self(vectors, work) = self;
            match (rows_of_block(S::REGISTER_COUNT, vectors), vectors) {
                (12, 2) => work.run::<S, 12, 2>(simd),
                (8, 3) => work.run::<S, 8, 3>(simd),
                (6, 4) => work.run::<S, 6, 4>(simd),
                (5, 5) => work.run::<S, 5, 5>(simd),
                (6, 2) => work.run::<S, 6, 2>(simd),
                (4, 3) => work.run::<S, 4, 3>(simd),
                (3, 4) => work.run::<S, 3, 4>(simd),
                _ => work.run::<S, 2, 5>(simd),
            }
        }
    }
    dispatch(Work(vectors, work))
}
