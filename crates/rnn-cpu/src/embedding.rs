//! Embedding look-ups and their gradients.

use crate::entry::Entry;
use crate::vector::{add, add_four};
use rayon::prelude::*;
use rnn_graph::Io;
use rnn_ops::{Embedding, EmbeddingBackward, SortTokens};

/// The fast kernels of [`Embedding`], [`EmbeddingBackward`] and [`SortTokens`], for the table in
/// `kernels.rs`.
pub const KERNELS: &[Entry] = &[
    entry!(Embedding, |_, io| look_up(io)),
    entry!(EmbeddingBackward, |_, io| backward(io)),
    entry!(SortTokens, |_, io| sort_tokens(io)),
];

/// Positions per task.
const PART: usize = 512;

fn look_up(io: &mut Io<'_, f32>) {
    let (tokens, table, width) = (io.uints(0), io.input(1), io.dims(1)[1]);
    let parts = io.output().par_chunks_mut(PART * width).zip(tokens.par_chunks(PART));
    parts.for_each(|(rows, tokens)| {
        for (row, &token) in rows.chunks_exact_mut(width).zip(tokens) {
            row.copy_from_slice(&table[token as usize * width..][..width]);
        }
    });
}

/// Each row of the table sums the gradients at its token's positions, in ascending order; for a
/// frequent token, such as padding, in parts.
fn backward(io: &mut Io<'_, f32>) {
    let (d_out, width) = (io.input(1), io.signature.inputs[1].shape.last());
    let (order, starts) = (io.uints(2), io.uints(3));
    let sum = |sum: &mut [f32], positions: &[u32]| {
        sum.fill(0.0);
        let row = |position: u32| &d_out[position as usize * width..][..width];
        let (fours, rest) = positions.as_chunks();
        fours.iter().for_each(|&four| add_four(sum, four.map(row)));
        rest.iter().for_each(|&position| add(sum, row(position)));
    };
    io.output().par_chunks_exact_mut(width).enumerate().for_each(|(token, row)| {
        let positions = &order[starts[token] as usize..starts[token + 1] as usize];
        if positions.len() <= PART {
            return sum(row, positions);
        }
        let mut parts = vec![0.0; positions.len().div_ceil(PART) * width];
        let each = parts.par_chunks_exact_mut(width).zip(positions.par_chunks(PART));
        each.for_each(|(part, positions)| sum(part, positions));
        row.fill(0.0);
        parts.chunks_exact(width).for_each(|part| add(row, part));
    });
}

/// Counts the positions of each token, and assigns their places one by one.
fn sort_tokens(io: &mut Io<'_, f32>) {
    let tokens = io.uints(0);
    let [order, starts] = io.uint_outputs();
    starts.fill(0);
    for &token in tokens {
        starts[token as usize + 1] += 1;
    }
    let mut before = 0;
    for start in starts.iter_mut() {
        before += *start;
        *start = before;
    }
    let mut next = starts.to_vec();
    for (position, &token) in tokens.iter().enumerate() {
        let at = &mut next[token as usize];
        order[*at as usize] = position as u32;
        *at += 1;
    }
}
