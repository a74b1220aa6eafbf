//! Which kernel runs an op.

use crate::product::{Matrix, MatrixMut, Threads, multiply};
use crate::{
    conv, conv_lstm, dropout_matmul, embedding, gru, light, normalize, pool, scan, vector,
};
use rayon::prelude::*;
use rnn_graph::{Io, Op, Signature};
use rnn_ops::{
    Activate, ActivateBackward, AveragePool, BatchNormalize, BatchNormalizeBackward, Binary, Conv,
    ConvInput, ConvKernel, ConvLstm, ConvLstmBackward, DropoutMatmul, DropoutMatmulInput,
    DropoutMatmulWeights, Embedding, EmbeddingBackward, Gru, GruBackward, Lstm, LstmBackward,
    Matmul, MaxPool, SimpleRnn, SimpleRnnBackward, SumRows, Update,
};

/// Runs the op's fast kernel, or its definition where it has none.
pub fn run(op: &dyn Op, io: &mut Io<'_, f32>) {
    if let Some(op) = op.downcast::<Matmul>() {
        matmul(op, io);
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
    } else if let Some(op) = op.downcast::<AveragePool>() {
        pool::average(op, io);
    } else if let Some(op) = op.downcast::<BatchNormalize>() {
        normalize::forward(op, io);
    } else if op.downcast::<BatchNormalizeBackward>().is_some() {
        normalize::backward(io);
    } else if op.downcast::<SumRows>().is_some() {
        sum_rows(io);
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
    } else if let Some(op) = op.downcast::<Update>() {
        light::update(op, io);
    } else {
        op.reference_f32(io);
    }
}

/// Whether the op's kernel leaves out an output that it is given no memory for, as nobody reads
/// it: h of every step; c, which only a backward pass needs; and the gates, unless x is there first.
pub fn may_omit(op: &dyn Op, signature: &Signature, output: usize) -> bool {
    let lstm = op.downcast::<Lstm>();
    let saves = lstm.is_some() || op.downcast::<ConvLstm>().is_some();
    match output {
        0 => saves || op.downcast::<SimpleRnn>().is_some(),
        1 => lstm.is_some_and(|op| scan::source::makes_steps(op, signature)),
        2 => saves,
        _ => false,
    }
}

/// Rows whose products one thread sums, a block of them at a time, which its caches hold.
const ROWS_PER_SUM: usize = 8192;
const ROWS_PER_BLOCK: usize = 256;

/// out = A^T B for tall A and B: parts of the rows are summed in parallel, then the parts in order.
fn sum_outer_products(a: &[f32], b: &[f32], (m, n): (usize, usize), out: &mut [f32]) {
    let parts = a.par_chunks(ROWS_PER_SUM * m).zip(b.par_chunks(ROWS_PER_SUM * n));
    let sum = |(a, b): (&[f32], &[f32])| {
        let mut sum = vec![0.0; m * n];
        for (a, b) in a.chunks(ROWS_PER_BLOCK * m).zip(b.chunks(ROWS_PER_BLOCK * n)) {
            let product = (Matrix::column_major(a, m), Matrix::row_major(b, n));
            let extents = (m, n, a.len() / m);
            multiply(MatrixMut::row_major(&mut sum, n), true, product, extents, Threads::One);
        }
        sum
    };
    let sums: Vec<Vec<f32>> = parts.map(sum).collect();
    out.fill(0.0);
    sums.iter().for_each(|sum| vector::add(out, sum));
}

fn matmul(op: &Matmul, io: &mut Io<'_, f32>) {
    let s = io.signature;
    let (a_type, b_type) = (&s.inputs[0], &s.inputs[1]);
    let (rows, columns) = (a_type.shape.rows(), a_type.shape.last());
    let (a, b) = (io.input(0), io.input(1));
    let plain = Matmul { transpose_a: true, ..Matmul::default() };
    if *op == plain && rows >= 2 * ROWS_PER_SUM {
        return sum_outer_products(a, b, (columns, b_type.shape.last()), io.output());
    }
    let (m, k, a) = match op.transpose_a {
        false => (rows, columns, Matrix::row_major(a, columns)),
        true => (columns, rows, Matrix::column_major(a, columns)),
    };
    let (n, b) = match op.transpose_b {
        false => (b_type.shape.last(), Matrix::row_major(b, b_type.shape.last())),
        true => (b_type.shape.rows(), Matrix::column_major(b, k)),
    };
    let bias = op.bias.then(|| io.input(2));
    let out = io.output();
    let finish = |out: &mut [f32]| vector::activate(op.activation, out);
    let start = |out: &mut [f32]| {
        if let Some(bias) = bias {
            out.chunks_exact_mut(n).for_each(|row| row.copy_from_slice(bias));
        }
    };
    // Of a tall product each thread finishes rows while its caches hold them.
    if m >= 8 * ROWS_PER_BLOCK && !op.transpose_a {
        let blocks =
            a.data.par_chunks(ROWS_PER_BLOCK * k).zip(out.par_chunks_mut(ROWS_PER_BLOCK * n));
        blocks.for_each(|(a, out)| {
            start(out);
            let extents = (out.len() / n, n, k);
            let product = (Matrix::row_major(a, k), b);
            let to = MatrixMut::row_major(&mut *out, n);
            multiply(to, bias.is_some(), product, extents, Threads::One);
            finish(out);
        });
        return;
    }
    out.par_chunks_mut(ROWS_PER_BLOCK * n).for_each(start);
    multiply(MatrixMut::row_major(out, n), bias.is_some(), (a, b), (m, n, k), Threads::All);
    out.par_chunks_mut(1 << 14).for_each(finish);
}

/// Parts of the rows are summed in parallel, then the parts in order.
fn sum_rows(io: &mut Io<'_, f32>) {
    const ROWS_PER_PART: usize = 1024;
    let (x, width) = (io.input(0), io.signature.inputs[0].shape.last());
    let parts: Vec<Vec<f32>> = x
        .par_chunks(ROWS_PER_PART * width)
        .map(|rows| {
            let mut sum = vec![0.0; width];
            rows.chunks_exact(width).for_each(|row| vector::add(&mut sum, row));
            sum
        })
        .collect();
    let out = io.output();
    out.fill(0.0);
    parts.iter().for_each(|part| vector::add(out, part));
}
