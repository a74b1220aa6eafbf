//! Which kernel runs an op.

use crate::{
    conv, conv_lstm, dropout_matmul, embedding, gru, layout, light, matmul, normalize, pool, scan,
};
use rnn_graph::{Io, Op, Signature};
use rnn_ops::{
    Activate, ActivateBackward, Affine, AveragePool, BatchNormalize, BatchNormalizeBackward,
    Binary, Conv, ConvInput, ConvKernel, ConvLstm, ConvLstmBackward, DropoutMatmul,
    DropoutMatmulInput, DropoutMatmulWeights, Embedding, EmbeddingBackward, Gru, GruBackward, Lstm,
    LstmBackward, Matmul, MatmulWeights, MaxPool, MaxPoolBackward, SimpleRnn, SimpleRnnBackward,
    SortTokens, SumRows, TransposeLeading, Update,
};

/// Runs the op's fast kernel, or its definition where it has none.
pub fn run(op: &dyn Op, io: &mut Io<'_, f32>) {
    if let Some(op) = op.downcast::<Matmul>() {
        matmul::run(op, io);
    } else if op.downcast::<MatmulWeights>().is_some() {
        matmul::weights(io);
    } else if let Some(op) = op.downcast::<Lstm>() {
        scan::lstm::forward(op, io);
    } else if let Some(op) = op.downcast::<LstmBackward>() {
        scan::lstm_backward::backward(op, io);
    } else if let Some(op) = op.downcast::<SimpleRnn>() {
        scan::simple_rnn::forward(op, io);
    } else if let Some(op) = op.downcast::<SimpleRnnBackward>() {
        scan::simple_rnn::backward(op, io);
    } else if let Some(op) = op.downcast::<Gru>() {
        gru::forward(op, io);
    } else if let Some(op) = op.downcast::<GruBackward>() {
        gru::backward(op, io);
    } else if let Some(op) = op.downcast::<DropoutMatmul>() {
        dropout_matmul::forward(op, io);
    } else if op.downcast::<DropoutMatmulInput>().is_some() {
        dropout_matmul::input(io);
    } else if op.downcast::<DropoutMatmulWeights>().is_some() {
        dropout_matmul::weights(io);
    } else if let Some(op) = op.downcast::<Conv>() {
        conv::forward(op, io);
    } else if let Some(op) = op.downcast::<ConvInput>() {
        conv::input(op, io);
    } else if let Some(op) = op.downcast::<ConvKernel>() {
        conv::kernel(op, io);
    } else if let Some(op) = op.downcast::<ConvLstm>() {
        conv_lstm::forward(op, io);
    } else if let Some(op) = op.downcast::<ConvLstmBackward>() {
        conv_lstm::backward(op, io);
    } else if let Some(op) = op.downcast::<MaxPool>() {
        pool::max(op, io);
    } else if let Some(op) = op.downcast::<MaxPoolBackward>() {
        pool::max_backward(op, io);
    } else if let Some(op) = op.downcast::<AveragePool>() {
        pool::average(op, io);
    } else if let Some(op) = op.downcast::<BatchNormalize>() {
        normalize::forward(op, io);
    } else if op.downcast::<BatchNormalizeBackward>().is_some() {
        normalize::backward(io);
    } else if op.downcast::<Affine>().is_some() {
        normalize::affine(io);
    } else if op.downcast::<TransposeLeading>().is_some() {
        layout::transpose_leading(io);
    } else if op.downcast::<SumRows>().is_some() {
        matmul::sum_rows(io.input(0), io.output());
    } else if let Some(op) = op.downcast::<Binary>() {
        light::binary(op, io);
    } else if let Some(op) = op.downcast::<Activate>() {
        light::activate(op, io);
    } else if let Some(op) = op.downcast::<ActivateBackward>() {
        light::activate_backward(op, io);
    } else if op.downcast::<Embedding>().is_some() {
        embedding::look_up(io);
    } else if op.downcast::<EmbeddingBackward>().is_some() {
        embedding::backward(io);
    } else if op.downcast::<SortTokens>().is_some() {
        embedding::sort_tokens(io);
    } else if let Some(op) = op.downcast::<Update>() {
        light::update(op, io);
    } else {
        op.reference_f32(io);
    }
}

/// Whether the op's kernel leaves out an output that it is given no memory for, as nobody reads
/// it: h of every step; c, and the pixels of maxima, which only a backward pass needs; and the
/// gates, unless x is there first.
pub fn may_omit(op: &dyn Op, signature: &Signature, output: usize) -> bool {
    let lstm = op.downcast::<Lstm>();
    let saves = lstm.is_some() || op.downcast::<ConvLstm>().is_some();
    match output {
        0 => saves || op.downcast::<SimpleRnn>().is_some(),
        1 => match lstm {
            Some(op) => scan::source::makes_steps(op, signature),
            None => op.downcast::<MaxPool>().is_some(),
        },
        2 => saves,
        _ => false,
    }
}
