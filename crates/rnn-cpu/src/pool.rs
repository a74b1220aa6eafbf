//! Pooling: all channels of a pixel at once, pixels in parallel.

use crate::conv::Geometry;
use crate::vector::add;
use rayon::prelude::*;
use rnn_graph::{Io, SliceMut};
use rnn_ops::{AveragePool, MaxPool};

/// Windows to a part of the work.
const WINDOWS: usize = 256;

pub fn max(op: &MaxPool, io: &mut Io<'_, f32>) {
    let Ok((source, channels)) = op.0.sources(&io.signature.inputs[0]) else { return };
    let geometry = Geometry::new(op.0, source, channels);
    let x = io.input(0);
    let [SliceMut::Float(y), SliceMut::Uint(at)] = &mut io.outputs[..] else { return };
    let parts = y.par_chunks_mut(WINDOWS * channels).zip(at.par_chunks_mut(WINDOWS * channels));
    parts.enumerate().for_each(|(part, (y, at))| {
        let windows = y.chunks_exact_mut(channels).zip(at.chunks_exact_mut(channels));
        for (i, (y, at)) in windows.enumerate() {
            y.fill(0.0);
            at.fill(u32::MAX);
            geometry.runs(part * WINDOWS + i, |_, first, count| {
                for pixel in first..first + count {
                    let seen = &x[pixel * channels..(pixel + 1) * channels];
                    for ((y, at), &x) in y.iter_mut().zip(at.iter_mut()).zip(seen) {
                        if *at == u32::MAX || x > *y {
                            (*y, *at) = (x, pixel as u32);
                        }
                    }
                }
            });
        }
    });
}

pub fn average(op: &AveragePool, io: &mut Io<'_, f32>) {
    let Ok((source, channels)) = op.0.sources(&io.signature.inputs[0]) else { return };
    let geometry = Geometry::new(op.0, source, channels);
    let x = io.input(0);
    io.output().par_chunks_mut(WINDOWS * channels).enumerate().for_each(|(part, y)| {
        for (i, y) in y.chunks_exact_mut(channels).enumerate() {
            let mut seen = 0;
            y.fill(0.0);
            geometry.runs(part * WINDOWS + i, |_, first, count| {
                seen += count;
                let pixels = x[first * channels..(first + count) * channels].chunks_exact(channels);
                pixels.for_each(|pixel| add(y, pixel));
            });
            let share = 1.0 / seen.max(1) as f32;
            y.iter_mut().for_each(|y| *y *= share);
        }
    });
}
