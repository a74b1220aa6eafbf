//! The pickles inside NumPy object arrays: one-dimensional arrays of lists of integers.
//!
//! A pickle is a program for a stack machine that may call any Python function. This reader runs
//! that machine over inert values. The handful of callables with which NumPy rebuilds an array
//! are recognised by name and represented, never executed; every other name is refused. Pickle
//! protocols 0 to 5 are read (<https://peps.python.org/pep-0307/>, PEP 3154, PEP 574; the opcodes
//! are documented in CPython's `pickletools`).
//!
//! The stack, the memo and all lists together take at most about 100 bytes per byte of input, and
//! an input longer than [`MAX_BYTES`] is refused. A caller may set a lower limit.

mod machine;
mod opcode;
mod reader;
mod value;

use crate::budget::OverBudget;

/// The size of the longest pickle that is read, in bytes: 64 MiB. The reviews of IMDB take 14 MB.
pub const MAX_BYTES: usize = 64 << 20;

/// The reason why a pickle could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PickleError {
    /// The pickle is longer than [`MAX_BYTES`].
    #[error("a pickle of {len} bytes is longer than the {MAX_BYTES} read; split the array")]
    TooLong {
        /// The length of the pickle in bytes.
        len: usize,
    },
    /// What the pickle describes takes more memory than its file may.
    #[error("the array is too large: {0}")]
    Memory(#[from] OverBudget),
    /// The pickle names a function or class other than those that rebuild an array.
    #[error(
        "refuses to call {name} (pickle byte {at}): only NumPy object arrays of integer lists are \
         read; do not open this file with tools that run pickles unless you trust its source"
    )]
    Callable {
        /// The module and the name, joined by a dot.
        name: String,
        /// The offset of the opcode in the pickle, in bytes.
        at: usize,
    },
    /// The pickle is damaged, or holds something other than lists of integers.
    #[error(
        "{problem} (pickle byte {at}); expected a NumPy object array of integer lists, as saved by \
         numpy.save or numpy.savez"
    )]
    Content {
        /// The problem.
        problem: String,
        /// The offset of the opcode in the pickle, in bytes.
        at: usize,
    },
}

/// Reads a pickled one-dimensional NumPy object array whose elements are lists of integers, and
/// returns the lists.
///
/// # Errors
/// Fails with [`PickleError::TooLong`] if the pickle is longer than [`MAX_BYTES`], with
/// [`PickleError::Callable`] if it refers to any other callable, and with [`PickleError::Content`]
/// if it is malformed or holds anything other than lists of integers that fit 64 bits.
pub fn ragged_integer_lists(pickle: &[u8]) -> Result<Vec<Vec<i64>>, PickleError> {
    ragged_integer_lists_within(pickle, u64::MAX)
}

/// Reads a pickle as [`ragged_integer_lists`] does, in at most `memory` bytes.
///
/// # Errors
/// Fails as [`ragged_integer_lists`], and with [`PickleError::Memory`] if it takes more.
pub fn ragged_integer_lists_within(
    pickle: &[u8],
    memory: u64,
) -> Result<Vec<Vec<i64>>, PickleError> {
    if pickle.len() > MAX_BYTES {
        return Err(PickleError::TooLong { len: pickle.len() });
    }
    machine::Machine::new(pickle, memory).run()
}

#[cfg(test)]
mod tests;
