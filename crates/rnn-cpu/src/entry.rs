use rnn_graph::{Io, Op};
use std::any::TypeId;

/// The fast kernel of one type of op: an entry of the table in `kernels.rs`.
pub struct Entry {
    /// Returns the type id of the op's type.
    pub op: fn() -> TypeId,
    /// Runs the kernel of an op of that type on its operands. It does nothing for an op of another
    /// type.
    pub run: fn(&dyn Op, &mut Io<'_, f32>),
    /// Indices of the outputs that the kernel skips if their slices are empty. The session passes
    /// empty slices for outputs that nobody reads.
    pub may_omit: &'static [usize],
}

/// Builds the [`Entry`] of a type of op from a function of the op and its operands.
macro_rules! entry {
    ($op:ty, $run:expr) => {
        entry!($op, $run, omits: [])
    };
    ($op:ty, $run:expr, omits: [$($output:literal),*]) => {
        $crate::entry::Entry {
            op: std::any::TypeId::of::<$op>,
            run: |op, io| {
                if let Some(op) = op.downcast::<$op>() {
                    $run(op, io);
                }
            },
            may_omit: &[$($output),*],
        }
    };
}
