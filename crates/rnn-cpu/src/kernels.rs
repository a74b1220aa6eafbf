//! Which kernel runs an op.

use crate::product::{Matrix, MatrixMut, Threads, multiply};
use crate::{conv, conv_lstm, dropout_matmul, gru, normalize, pool, scan, vector};
use rayon::prelude::*;
use rnn_graph::{Io, Op};
use rnn_ops::{
    AveragePool, BatchNormalize, BatchNormalizeBackward, Binary, Conv, ConvInput, ConvKernel,
    ConvLstm, ConvLstmBackward, DropoutMatmul, DropoutMatmulInput, DropoutMatmulWeights, Gru,
    GruBackward, Lstm, LstmBackward, Matmul, MaxPool, SimpleRnn, SimpleRnnBackward, SumRows,
};

/// Runs the op's fast kernel, or its definition where it has none.
pub fn run(op: &dyn Op, io: &mut Io<'_, f32>) {
    if let Some(op) = op.downcast::<Matmul>() {
        matmul(op, io);
    } else if let Some(op) = op.downcast::<Lstm>() {
        scan::lstm(op, io);
    } else if let Some(op) = op.downcast::<LstmBackward>() {
        scan::lstm_backward(op, io);
    } else if let Some(op) = op.downcast::<SimpleRnn>() {
        scan::simple_rnn(op, io);
    } else if let Some(op) = op.downcast::<SimpleRnnBackward>() {
        scan::simple_rnn_backward(op, io);
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
        binary(op, io);
    } else {
        op.reference_f32(io);
    }
}

fn binary(op: &Binary, io: &mut Io<'_, f32>) {
    match op {
        Binary::Add => elementwise(io, |a, b| a + b),
        Binary::Sub => elementwise(io, |a, b| a - b),
        Binary::Mul => elementwise(io, |a, b| a * b),
    }
}

/// Parts of a in parallel. b is as long, or repeated along a; then each part begins where b does.
fn elementwise(io: &mut Io<'_, f32>, combine: impl Fn(f32, f32) -> f32 + Sync) {
    const PART: usize = 1 << 14;
    let (a, b) = (io.input(0), io.input(1));
    let repeated = a.len() > b.len();
    let part = if repeated { PART.next_multiple_of(b.len()) } else { PART };
    let parts = io.output().par_chunks_mut(part).zip(a.par_chunks(part)).enumerate();
    parts.for_each(|(index, (out, a))| {
        let b = if repeated { b } else { &b[index * part..][..a.len()] };
        for (out, a) in out.chunks_mut(b.len()).zip(a.chunks(b.len())) {
            out.iter_mut().zip(a).zip(b).for_each(|((out, &a), &b)| *out = combine(a, b));
        }
    });
}

fn matmul(op: &Matmul, io: &mut Io<'_, f32>) {
    let s = io.signature;
    let (a_type, b_type) = (&s.inputs[0], &s.inputs[1]);
    let (rows, columns) = (a_type.shape.rows(), a_type.shape.last());
    let (a, b) = (io.input(0), io.input(1));
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
    if let Some(bias) = bias {
        out.par_chunks_exact_mut(n).with_min_len(64).for_each(|row| row.copy_from_slice(bias));
    }
    multiply(MatrixMut::row_major(out, n), bias.is_some(), (a, b), (m, n, k), Threads::All);
    if op.activation != rnn_ops::Activation::Linear {
        out.par_chunks_mut(1 << 14).for_each(|part| vector::activate(op.activation, part));
    }
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
