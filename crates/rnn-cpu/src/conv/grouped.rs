//! Convolutions in groups: all channels of a pixel at once, pixels in parallel.

use crate::entry::Entry;
use crate::geometry::{GateColumns, Geometry};
use crate::vector::add;
use multiversion::multiversion;
use rayon::prelude::*;
use rnn_graph::Io;
use rnn_ops::{GroupedConv, GroupedConvInput, GroupedConvKernel};

/// The fast kernels of [`GroupedConv`], [`GroupedConvInput`] and [`GroupedConvKernel`], for the
/// table in `kernels.rs`.
pub const KERNELS: &[Entry] = &[
    entry!(GroupedConv, forward),
    entry!(GroupedConvInput, input),
    entry!(GroupedConvKernel, kernel),
];

/// Pixels per task.
const PART: usize = 256;
/// Parts of a sum over all pixels, at most.
const PARTS: usize = 64;

/// Channels and filters of one group.
#[derive(Clone, Copy)]
struct Group {
    channels: usize,
    filters: usize,
}

fn forward(op: &GroupedConv, io: &mut Io<'_, f32>) {
    let Ok((source, channels)) = op.windows.sources(&io.signature.inputs[0]) else { return };
    let filters = io.signature.inputs[1].shape.last();
    let group = Group { channels: channels / op.groups, filters: filters / op.groups };
    let geometry = Geometry::new(op.windows, source, channels);
    let (x, w) = (io.input(0), io.input(1));
    let bias = op.bias.then(|| io.input(2));
    let parts = io.output().par_chunks_mut(PART * filters).enumerate();
    parts.for_each_init(Vec::new, |starts, (part, y)| {
        let count = y.len() / filters;
        geometry.seen(part * PART..part * PART + count, GateColumns::all(channels), starts);
        for (i, y) in y.chunks_exact_mut(filters).enumerate() {
            match bias {
                Some(bias) => y.copy_from_slice(bias),
                None => y.fill(0.0),
            }
            for (seen, w) in
                starts.chunks_exact(count).zip(w.chunks_exact(group.channels * filters))
            {
                if let Some(x) = x.get(seen[i]..) {
                    add_filters(y, &x[..channels], w, group);
                }
            }
        }
    });
}

fn input(op: &GroupedConvInput, io: &mut Io<'_, f32>) {
    let Ok((source, channels)) = op.windows.sources(&io.signature.outputs[0]) else { return };
    let filters = io.signature.inputs[0].shape.last();
    let group = Group { channels: channels / op.groups, filters: filters / op.groups };
    let geometry = Geometry::new(op.windows, source, channels).reversed(filters);
    let (dy, w) = (io.input(0), io.input(1));
    let parts = io.output().par_chunks_mut(PART * channels).enumerate();
    parts.for_each_init(Vec::new, |starts, (part, dx)| {
        let count = dx.len() / channels;
        geometry.seen(part * PART..part * PART + count, GateColumns::all(filters), starts);
        for (i, dx) in dx.chunks_exact_mut(channels).enumerate() {
            dx.fill(0.0);
            for (seen, w) in
                starts.chunks_exact(count).zip(w.chunks_exact(group.channels * filters))
            {
                if let Some(dy) = dy.get(seen[i]..) {
                    add_channels(dx, &dy[..filters], w, group);
                }
            }
        }
    });
}

fn kernel(op: &GroupedConvKernel, io: &mut Io<'_, f32>) {
    let Ok((source, channels)) = op.windows.sources(&io.signature.inputs[0]) else { return };
    let filters = io.signature.inputs[1].shape.last();
    let group = Group { channels: channels / op.groups, filters: filters / op.groups };
    let geometry = Geometry::new(op.windows, source, channels);
    let (x, dy) = (io.input(0), io.input(1));
    let (pixels, size) = (dy.len() / filters, io.output().len());
    let per_part = pixels.div_ceil(PARTS).max(PART);
    let parts = (0..pixels.div_ceil(per_part)).into_par_iter();
    let sums: Vec<Vec<f32>> = parts
        .map_init(Vec::new, |starts, part| {
            let range = part * per_part..pixels.min((part + 1) * per_part);
            let (first, count) = (range.start, range.len());
            geometry.seen(range, GateColumns::all(channels), starts);
            let mut dw = vec![0.0; size];
            for (seen, dw) in
                starts.chunks_exact(count).zip(dw.chunks_exact_mut(group.channels * filters))
            {
                for (i, &start) in seen.iter().enumerate() {
                    if let Some(x) = x.get(start..) {
                        let dy = &dy[(first + i) * filters..][..filters];
                        add_products(dw, &x[..channels], dy, group);
                    }
                }
            }
            dw
        })
        .collect();
    let dw = io.output();
    dw.fill(0.0);
    sums.iter().for_each(|sum| add(dw, sum));
}

/// Adds x W to y, for one tap: x `[C]`, y `[F]`, W `[C / groups, F]`.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma", "aarch64+neon"))]
fn add_filters(y: &mut [f32], x: &[f32], w: &[f32], Group { channels, filters }: Group) {
    if channels == 1 && filters == 1 {
        y.iter_mut().zip(x).zip(w).for_each(|((y, x), w)| *y += x * w);
        return;
    }
    let all = y.len();
    for (g, (y, x)) in y.chunks_exact_mut(filters).zip(x.chunks_exact(channels)).enumerate() {
        for (c, &x) in x.iter().enumerate() {
            let w = &w[c * all + g * filters..][..filters];
            y.iter_mut().zip(w).for_each(|(y, w)| *y += x * w);
        }
    }
}

/// Adds dy W^T to dx, for one tap: dy `[F]`, dx `[C]`, W `[C / groups, F]`.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma", "aarch64+neon"))]
fn add_channels(dx: &mut [f32], dy: &[f32], w: &[f32], Group { channels, filters }: Group) {
    if channels == 1 && filters == 1 {
        dx.iter_mut().zip(dy).zip(w).for_each(|((dx, dy), w)| *dx += dy * w);
        return;
    }
    let all = dy.len();
    for (g, (dx, dy)) in dx.chunks_exact_mut(channels).zip(dy.chunks_exact(filters)).enumerate() {
        for (c, dx) in dx.iter_mut().enumerate() {
            let w = &w[c * all + g * filters..][..filters];
            *dx += dy.iter().zip(w).map(|(dy, w)| dy * w).sum::<f32>();
        }
    }
}

/// Adds x^T dy to dW, for one tap: x `[C]`, dy `[F]`, dW `[C / groups, F]`.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma", "aarch64+neon"))]
fn add_products(dw: &mut [f32], x: &[f32], dy: &[f32], Group { channels, filters }: Group) {
    if channels == 1 && filters == 1 {
        dw.iter_mut().zip(x).zip(dy).for_each(|((dw, x), dy)| *dw += x * dy);
        return;
    }
    let all = dy.len();
    for (g, (x, dy)) in x.chunks_exact(channels).zip(dy.chunks_exact(filters)).enumerate() {
        for (c, &x) in x.iter().enumerate() {
            let dw = &mut dw[c * all + g * filters..][..filters];
            dw.iter_mut().zip(dy).for_each(|(dw, dy)| *dw += x * dy);
        }
    }
}
