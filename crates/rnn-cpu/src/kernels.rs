//! The table of all kernels.

use crate::entry::Entry;
use crate::{
    conv, conv_lstm, dropout_matmul, elementwise, embedding, gru, layout, matmul, normalize, pool,
    scan,
};
use rnn_graph::{Io, Op};
use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::LazyLock;

static TABLE: LazyLock<HashMap<TypeId, &Entry>> = LazyLock::new(|| {
    let lists: [&[Entry]; 15] = [
        conv::KERNELS,
        conv::grouped::KERNELS,
        conv_lstm::KERNELS,
        dropout_matmul::KERNELS,
        embedding::KERNELS,
        gru::KERNELS,
        layout::KERNELS,
        elementwise::KERNELS,
        matmul::KERNELS,
        normalize::KERNELS,
        pool::KERNELS,
        scan::gru::KERNELS,
        scan::lstm::KERNELS,
        scan::lstm_backward::KERNELS,
        scan::simple_rnn::KERNELS,
    ];
    lists.into_iter().flatten().map(|entry| ((entry.op)(), entry)).collect()
});

fn entry(op: &dyn Op) -> Option<&'static Entry> {
    let op: &dyn Any = op;
    TABLE.get(&op.type_id()).copied()
}

/// Runs the fast kernel of `op` on the operands `io`, or the op's reference definition if it has no
/// fast kernel.
pub fn run(op: &dyn Op, io: &mut Io<'_, f32>) {
    match entry(op) {
        Some(entry) => (entry.run)(op, io),
        None => op.reference_f32(io),
    }
}

/// Returns true if the op has a fast kernel that can skip the output of index `output` when nobody
/// reads it.
pub fn may_omit(op: &dyn Op, output: usize) -> bool {
    entry(op).is_some_and(|entry| entry.may_omit.contains(&output))
}
