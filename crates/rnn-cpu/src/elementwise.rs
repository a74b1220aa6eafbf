//! Elementwise ops, in parts that threads share.

use crate::entry::Entry;
use crate::simd;
use pulp::{Simd, WithSimd};
use rayon::prelude::*;
use rnn_graph::{Io, Op, Slice, SliceMut};
use rnn_ops::{Activate, ActivateBackward, Activation, Binary, Definition, Update};

/// The fast kernels of [`Binary`], [`Activate`], [`ActivateBackward`] and [`Update`], for the table
/// in `kernels.rs`.
pub const KERNELS: &[Entry] = &[
    entry!(Binary, binary),
    entry!(Activate, activate),
    entry!(ActivateBackward, activate_backward),
    entry!(Update, update),
];

/// Elements per task.
const PART: usize = 1 << 14;

fn binary(op: &Binary, io: &mut Io<'_, f32>) {
    match op {
        Binary::Add => elementwise(io, |a, b| a + b),
        Binary::Sub => elementwise(io, |a, b| a - b),
        Binary::Mul => elementwise(io, |a, b| a * b),
        Binary::Div => elementwise(io, |a, b| a / b),
        Binary::Max | Binary::Min | Binary::Equal | Binary::Greater | Binary::GreaterEqual => {
            op.define(io);
        }
    }
}

/// Combines a and b in parallel parts. b has a's length or is repeated along a; then each part
/// begins where b does.
fn elementwise(io: &mut Io<'_, f32>, combine: impl Fn(f32, f32) -> f32 + Sync) {
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

/// y = activation(x), or with y as x: dx = dy activation'(y).
struct Activating<'a> {
    activation: Activation,
    x: &'a [f32],
    gradient: Option<&'a [f32]>,
    out: &'a mut [f32],
}

impl WithSimd for Activating<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { activation, x, gradient, out } = self;
        let lanes = S::F32_LANES;
        for (i, (out, x)) in out.chunks_mut(lanes).zip(x.chunks(lanes)).enumerate() {
            let x = simd::load(simd, x);
            let value = match gradient {
                None => simd::activate::<S, true>(simd, activation, x),
                Some(dy) => {
                    let dy = simd::load(simd, &dy[i * lanes..][..out.len()]);
                    simd.mul_f32s(dy, simd::slope::<S, true>(simd, activation, x))
                }
            };
            simd::store(simd, out, value);
        }
    }
}

fn activate(op: &Activate, io: &mut Io<'_, f32>) {
    let (activation, x) = (op.0, io.input(0));
    let parts = io.output().par_chunks_mut(PART).zip(x.par_chunks(PART));
    parts.for_each(|(out, x)| {
        simd::dispatch(Activating { activation, x, gradient: None, out });
    });
}

fn activate_backward(op: &ActivateBackward, io: &mut Io<'_, f32>) {
    let (activation, y, dy) = (op.0, io.input(0), io.input(1));
    let parts = y.par_chunks(PART).zip(dy.par_chunks(PART));
    io.output().par_chunks_mut(PART).zip(parts).for_each(|(out, (x, dy))| {
        simd::dispatch(Activating { activation, x, gradient: Some(dy), out });
    });
}

/// Runs the reference definition on parts of all parameter buffers in parallel.
fn update(op: &Update, io: &mut Io<'_, f32>) {
    let (gradients, step, signature) = (io.input(0), Slice::Float(io.input(1)), io.signature);
    let mut parts: Vec<Vec<SliceMut<'_, f32>>> = Vec::new();
    parts.resize_with(gradients.len().div_ceil(PART), Vec::new);
    for arena in io.all_updates() {
        for (part, elements) in parts.iter_mut().zip(arena.chunks_mut(PART)) {
            part.push(SliceMut::Float(elements));
        }
    }
    let parts = parts.into_par_iter().zip(gradients.par_chunks(PART));
    parts.for_each(|(updates, gradients)| {
        let inputs = vec![Slice::Float(gradients), step];
        op.reference_f32(&mut Io { signature, inputs, updates, outputs: vec![] });
    });
}
