//! Pooling: all channels of a pixel at once, pixels in parallel.

use crate::entry::Entry;
use crate::geometry::{GateColumns, Geometry};
use crate::vector::add;
use multiversion::multiversion;
use rayon::prelude::*;
use rnn_graph::{Io, SliceMut};
use rnn_ops::{AveragePool, MaxPool, MaxPoolBackward};

/// The fast kernels of [`MaxPool`], [`MaxPoolBackward`] and [`AveragePool`], for the table in
/// `kernels.rs`.
pub const KERNELS: &[Entry] = &[
    entry!(MaxPool, max, omits: [1]),
    entry!(MaxPoolBackward, max_backward),
    entry!(AveragePool, average),
];

/// Pixels per task.
const PART: usize = 256;
/// Channels that are compared together.
const LANES: usize = 16;

/// Computes the pixel that each pixel of a part sees through each tap: `[taps, pixels]`.
fn seen(geometry: &Geometry, part: usize, pixels: usize, seen: &mut Vec<usize>) {
    let numbers = GateColumns { first: 0, count: 1, stride: 1 };
    geometry.seen(part * PART..part * PART + pixels, numbers, seen);
}

fn max(op: &MaxPool, io: &mut Io<'_, f32>) {
    let Ok((source, channels)) = op.0.sources(&io.signature.inputs[0]) else { return };
    let geometry = Geometry::new(op.0, source, channels);
    let x = io.input(0);
    let [SliceMut::Float(y), SliceMut::Uint(at)] = &mut io.outputs[..] else { return };
    // The pixel indices may have no reader.
    let mut at = at.chunks_mut(PART * channels);
    let parts = y.chunks_mut(PART * channels).map(|y| (y, at.next().unwrap_or_default()));
    let parts: Vec<_> = parts.enumerate().collect();
    let scratch = || (Vec::new(), Vec::new());
    parts.into_par_iter().for_each_init(scratch, |(taps, unread), (part, (y, at))| {
        seen(&geometry, part, y.len() / channels, taps);
        unread.resize(if at.is_empty() { y.len() } else { 0 }, 0);
        largest(x, channels, taps, y, if at.is_empty() { unread } else { at });
    });
}

/// Finds the maximum of each channel over the pixels that each window sees, the first of equal
/// ones, and its pixel.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma", "aarch64+neon"))]
fn largest(x: &[f32], channels: usize, taps: &[usize], y: &mut [f32], at: &mut [u32]) {
    let count = y.len() / channels;
    let pixels = y.chunks_exact_mut(channels).zip(at.chunks_exact_mut(channels));
    for (i, (y, at)) in pixels.enumerate() {
        let parts = y.chunks_mut(LANES).zip(at.chunks_mut(LANES));
        for (part, (y, at)) in parts.enumerate() {
            let (mut best, mut best_at) = ([0.0f32; LANES], [u32::MAX; LANES]);
            for seen in taps.chunks_exact(count) {
                let pixel = seen[i];
                let from = pixel.saturating_mul(channels).saturating_add(part * LANES);
                let Some(x) = x.get(from..) else { continue };
                let mut values = [0.0; LANES];
                match x.first_chunk() {
                    Some(whole) if y.len() == LANES => values = *whole,
                    _ => values[..y.len()].copy_from_slice(&x[..y.len()]),
                }
                for c in 0..LANES {
                    // Larger, or the first NaN.
                    let first_nan = values[c].is_nan() & !best[c].is_nan();
                    let larger = (values[c] > best[c]) | first_nan | (best_at[c] == u32::MAX);
                    best[c] = if larger { values[c] } else { best[c] };
                    best_at[c] = if larger { pixel as u32 } else { best_at[c] };
                }
            }
            match y.first_chunk_mut::<LANES>().zip(at.first_chunk_mut::<LANES>()) {
                Some((y, at)) => (*y, *at) = (best, best_at),
                None => {
                    y.copy_from_slice(&best[..y.len()]);
                    at.copy_from_slice(&best_at[..at.len()]);
                }
            }
        }
    }
}

fn max_backward(op: &MaxPoolBackward, io: &mut Io<'_, f32>) {
    let Ok((source, channels)) = op.windows.sources(&io.signature.outputs[0]) else { return };
    let geometry = Geometry::new(op.windows, source, channels).reversed(channels);
    let (d, at) = (io.input(0), io.uints(1));
    let parts = io.output().par_chunks_mut(PART * channels).enumerate();
    parts.for_each_init(Vec::new, |taps, (part, dx)| {
        seen(&geometry, part, dx.len() / channels, taps);
        add_own(d, at, channels, taps, dx, part * PART);
    });
}

/// Adds the gradients of the windows that see a pixel, in the channels in which it is their
/// maximum.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma", "aarch64+neon"))]
fn add_own(d: &[f32], at: &[u32], channels: usize, taps: &[usize], dx: &mut [f32], first: usize) {
    let count = dx.len() / channels;
    for (i, dx) in dx.chunks_exact_mut(channels).enumerate() {
        dx.fill(0.0);
        let pixel = (first + i) as u32;
        for windows in taps.chunks_exact(count) {
            let from = windows[i].saturating_mul(channels);
            let (Some(d), Some(at)) = (d.get(from..), at.get(from..)) else { continue };
            let (d, d_rest) = d[..channels].as_chunks::<LANES>();
            let (at, at_rest) = at[..channels].as_chunks::<LANES>();
            let (dx, dx_rest) = dx.as_chunks_mut::<LANES>();
            for ((dx, d), at) in dx.iter_mut().zip(d).zip(at) {
                for c in 0..LANES {
                    dx[c] += own(d[c], at[c], pixel);
                }
            }
            for ((dx, &d), &at) in dx_rest.iter_mut().zip(d_rest).zip(at_rest) {
                *dx += own(d, at, pixel);
            }
        }
    }
}

/// Returns d if it belongs to this pixel, else zero, without an unpredictable branch.
#[inline(always)]
fn own(d: f32, at: u32, pixel: u32) -> f32 {
    f32::from_bits(d.to_bits() & u32::from(at == pixel).wrapping_neg())
}

fn average(op: &AveragePool, io: &mut Io<'_, f32>) {
    let Ok((source, channels)) = op.0.sources(&io.signature.inputs[0]) else { return };
    let geometry = Geometry::new(op.0, source, channels);
    let x = io.input(0);
    let parts = io.output().par_chunks_mut(PART * channels).enumerate();
    parts.for_each_init(Vec::new, |taps, (part, y)| {
        let count = y.len() / channels;
        seen(&geometry, part, count, taps);
        for (i, y) in y.chunks_exact_mut(channels).enumerate() {
            let mut pixels = 0;
            y.fill(0.0);
            for seen in taps.chunks_exact(count) {
                if let Some(x) = x.get(seen[i].saturating_mul(channels)..) {
                    pixels += 1;
                    add(y, &x[..channels]);
                }
            }
            let share = 1.0 / pixels.max(1) as f32;
            y.iter_mut().for_each(|y| *y *= share);
        }
    });
}
