use rnn_graph::{Io, Op};
use std::any::TypeId;

/// The fast kernel of one type of op.
pub struct Entry {
    /// The type of the op.
    pub op: fn() -> TypeId,
    /// Runs an op of that type.
    pub run: fn(&dyn Op, &mut Io<'_, f32>),
    /// The outputs that the kernel leaves out where it is given no memory for them, as nobody reads
    /// them.
    pub may_omit: &'static [usize],
}

/// The entry of a type of op, from a function of the op and its operands.
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
