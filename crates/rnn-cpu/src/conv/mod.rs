//! Convolutions, as products of gathered rows: what a window sees is a row, made of pieces that are
//! read where they lie. 3 x 3 windows use `winograd`.

pub mod grouped;
mod product;

pub(crate) use product::{ConvProduct, Scratch, split};

use crate::entry::Entry;
use crate::gemm_at_b::{Rows, sum_outer_products};
use crate::gemm_tall::Epilogue;
use crate::geometry::{GateColumns, Geometry};
use crate::winograd::{self, Tiling};
use rayon::prelude::*;
use rnn_graph::Io;
use rnn_ops::{Activation, Conv, ConvInput, ConvKernel};
use std::ops::Range;

/// The fast kernels of [`Conv`], [`ConvInput`] and [`ConvKernel`], for the table in `kernels.rs`.
pub const KERNELS: &[Entry] =
    &[entry!(Conv, forward), entry!(ConvInput, input), entry!(ConvKernel, kernel)];

fn forward(op: &Conv, io: &mut Io<'_, f32>) {
    let Ok((source, channels)) = op.windows.sources(&io.signature.inputs[0]) else { return };
    let filters = io.signature.inputs[1].shape.last();
    let (x, w) = (io.input(0), io.input(1));
    let epilogue = Epilogue::new(op.bias.then(|| io.input(2)), Activation::Linear);
    let columns = GateColumns::all(filters);
    let product = ConvProduct::new(Geometry::new(op.windows, source, channels), w, columns);
    let parts = product.parts();
    let pixels = split(io.output(), filters, &parts).into_par_iter().zip(parts);
    pixels.for_each_init(Scratch::default, |scratch, (y, part)| {
        product.put(x, part, epilogue, (y, columns), scratch);
    });
}

fn input(op: &ConvInput, io: &mut Io<'_, f32>) {
    let Ok((source, channels)) = op.windows.sources(&io.signature.outputs[0]) else { return };
    let columns = GateColumns::all(io.signature.inputs[0].shape.last());
    let geometry = Geometry::new(op.windows, source, channels);
    let (dy, w) = (io.input(0), io.input(1));
    ConvProduct::transposed(geometry, w, columns).write(dy, (io.output(), channels), |_| true);
}

fn kernel(op: &ConvKernel, io: &mut Io<'_, f32>) {
    let Ok((source, channels)) = op.windows.sources(&io.signature.inputs[0]) else { return };
    let filters = io.signature.inputs[1].shape.last();
    let geometry = Geometry::new(op.windows, source, channels);
    let (x, dy) = (io.input(0), io.input(1));
    match Tiling::of(&geometry, filters) {
        Some(tiling) => {
            let dw = winograd::gradient(tiling, (x, channels), (dy, filters));
            io.output().copy_from_slice(&dw);
        }
        None => sum_outer_products(&Seen { geometry, x }, (dy, filters), io.output(), None),
    }
}

/// The rows that the windows see in x, one row per window.
struct Seen<'a> {
    geometry: Geometry,
    x: &'a [f32],
}

impl Rows for Seen<'_> {
    fn width(&self) -> usize {
        self.geometry.width()
    }

    fn gather(&self, _: usize, rows: Range<usize>, to: &mut [f32], stride: usize) {
        let columns = GateColumns::all(self.geometry.channels);
        self.geometry.gather((self.x, columns), rows, (to, stride), &mut Vec::new());
    }

    fn memory(&self, _: Range<usize>) -> &[f32] {
        &[]
    }
}
