//! Convolutions: what some windows see is laid out as rows, which a matrix product takes from there
//! while they are in the cache. Those of 3 x 3 have a way of their own, `winograd`.

mod geometry;
mod product;

pub(crate) use geometry::Geometry;
pub(crate) use product::{GateColumns, Product, Scratch, Transposed, split};

use crate::product::{Matrix, MatrixMut, Threads, multiply};
use crate::vector::add;
use crate::winograd::{self, Tiling};
use rayon::prelude::*;
use rnn_graph::Io;
use rnn_ops::{Conv, ConvInput, ConvKernel};

pub fn forward(op: &Conv, io: &mut Io<'_, f32>) {
    let Ok((source, channels)) = op.windows.sources(&io.signature.inputs[0]) else { return };
    let filters = io.signature.inputs[1].shape.last();
    let (x, w) = (io.input(0), io.input(1));
    let bias = op.bias.then(|| io.input(2));
    let columns = GateColumns::all(filters);
    let product = Product::new(Geometry::new(op.windows, source, channels), w, columns);
    let parts = product.parts();
    let pixels = split(io.output(), filters, &parts).into_par_iter().zip(parts);
    pixels.for_each_init(Scratch::default, |scratch, (y, part)| {
        match bias {
            Some(bias) => y.chunks_exact_mut(filters).for_each(|y| y.copy_from_slice(bias)),
            None => y.fill(0.0),
        }
        product.add(x, part, (y, columns), scratch);
    });
}

pub fn input(op: &ConvInput, io: &mut Io<'_, f32>) {
    let Ok((source, channels)) = op.windows.sources(&io.signature.outputs[0]) else { return };
    let columns = GateColumns::all(io.signature.inputs[0].shape.last());
    let geometry = Geometry::new(op.windows, source, channels);
    let (dy, w) = (io.input(0), io.input(1));
    Transposed::new(geometry, w, columns).write(dy, io.output(), |_| true);
}

/// Parts of the pixels are summed in parallel, then the parts in order.
pub fn kernel(op: &ConvKernel, io: &mut Io<'_, f32>) {
    let Ok((source, channels)) = op.windows.sources(&io.signature.inputs[0]) else { return };
    let filters = io.signature.inputs[1].shape.last();
    let geometry = Geometry::new(op.windows, source, channels);
    let (x, dy) = (io.input(0), io.input(1));
    if let Some(tiling) = Tiling::of(&geometry, filters) {
        let dw = winograd::gradient(tiling, (x, channels), (dy, filters));
        return io.output().copy_from_slice(&dw);
    }
    let (width, pixels) = (geometry.width(), geometry.targets.len());
    let per_part = pixels.div_ceil((pixels / 2048).clamp(1, 16));
    let parts: Vec<Vec<f32>> = (0..pixels.div_ceil(per_part))
        .into_par_iter()
        .map(|part| {
            let mut sum = vec![0.0; width * filters];
            let mut rows = Vec::new();
            let end = ((part + 1) * per_part).min(pixels);
            for first in (part * per_part..end).step_by(geometry.rows_per_part()) {
                let count = geometry.rows_per_part().min(end - first);
                rows.resize(count * width, 0.0);
                geometry.unfold(x, first, &mut rows);
                let right = Matrix::row_major(&dy[first * filters..], filters);
                let product = (Matrix::column_major(&rows, width), right);
                let out = MatrixMut::row_major(&mut sum, filters);
                multiply(out, true, product, (width, filters, count), Threads::One);
            }
            sum
        })
        .collect();
    let dw = io.output();
    dw.fill(0.0);
    parts.iter().for_each(|part| add(dw, part));
}
