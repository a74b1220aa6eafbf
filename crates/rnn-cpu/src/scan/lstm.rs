use super::{Division, Options, Tiled, by_group, pad_rows, padded, run_tiled, unpad_rows};
use crate::panels::{Panels, VECTORS, rows};
use crate::simd::{self, activate, activate_two, flush, load, store};
use pulp::Simd;
use rayon::prelude::*;
use rnn_graph::Io;
use rnn_ops::{Lstm, LstmGates};

pub fn forward(op: &Lstm, io: &mut Io<'_, f32>) {
    let &[steps, batch, width] = io.dims(0) else { return };
    let units = width / VECTORS;
    let u = io.input(1);
    let [state, mask, dropout] = op.inputs.places(2);
    let [state, dropout] = [state, dropout].map(|place| place.map(|p| io.input(p)));
    let options = Options { batch, units, mask: mask.map(|p| io.uints(p)), dropout };
    let Division { lanes, rows: per_group } = Division::of(batch);
    // A panel holds the four gates of some units.
    let panels = Panels::pack(
        lanes,
        (padded(units), units.div_ceil(lanes)),
        |k| u.chunks_exact(width).nth(k),
        |panel, gate| gate * units + panel * lanes..gate * units + units.min((panel + 1) * lanes),
    );
    let [hidden, sums, cells, last] = io.outputs();
    match state {
        Some(state) => last.copy_from_slice(state),
        None => last.fill(0.0),
    }
    let (h, c) = last.split_at_mut(batch * units);
    let group = per_group * units;
    let carries = h.par_chunks_mut(group).zip(c.par_chunks_mut(group));
    let hidden = by_group(hidden, batch * units, group);
    let sums = by_group(sums, VECTORS * batch * units, VECTORS * group);
    let cells = by_group(cells, batch * units, group);
    let groups = hidden.into_par_iter().zip(sums).zip(cells).zip(carries).enumerate();
    groups.for_each(|(group, (((hidden, sums), cells), (h, c)))| {
        let first = group * per_group;
        let (gates, panels) = (&op.gates, &panels);
        run_tiled(Forward { gates, panels, options, steps, first, hidden, sums, cells, h, c });
    });
}

/// The next state of a cell: the gates i, f, g, o; h and c.
#[inline(always)]
pub(crate) fn step<S: Simd>(
    s: S,
    gates: &LstmGates,
    z: [S::f32s; VECTORS],
    c: S::f32s,
) -> ([S::f32s; VECTORS], [S::f32s; 2]) {
    let LstmGates { activation, recurrent_activation } = *gates;
    let [i, f] = activate_two(s, [recurrent_activation; 2], [z[0], z[1]]);
    let [g, o] = activate_two(s, [activation, recurrent_activation], [z[2], z[3]]);
    let next = cell(s, [i, f, g], c);
    ([i, f, g, o], [s.mul_f32s(o, activate(s, activation, next)), next])
}

/// c(t), from the gates i, f, g and c(t-1).
#[inline(always)]
pub(crate) fn cell<S: Simd>(s: S, [i, f, g]: [S::f32s; 3], c: S::f32s) -> S::f32s {
    flush(s, s.mul_add_e_f32s(f, c, s.mul_f32s(i, g)))
}

/// The rows of one thread.
struct Forward<'a> {
    gates: &'a LstmGates,
    panels: &'a Panels,
    options: Options<'a>,
    steps: usize,
    /// The first of its rows.
    first: usize,
    /// Of each step; empty if nobody reads them.
    hidden: Vec<&'a mut [f32]>,
    /// Of each step what its gates add up besides h; their values behind it, if there are cells.
    sums: Vec<&'a mut [f32]>,
    /// c before each step; empty if nobody reads them.
    cells: Vec<&'a mut [f32]>,
    h: &'a mut [f32],
    c: &'a mut [f32],
}

/// The state of some rows, each padded.
struct Tile {
    first: usize,
    rows: usize,
    h: Vec<f32>,
    next: Vec<f32>,
    c: Vec<f32>,
    factors: Vec<f32>,
    /// h as each gate sees it, if there are factors.
    seen: Vec<f32>,
}

impl Tiled for Forward<'_> {
    #[inline(always)]
    fn run<S: Simd, const R: usize>(mut self, simd: S) {
        let (units, stride) = (self.options.units, padded(self.options.units));
        let states = self.h.chunks(R * units).zip(self.c.chunks(R * units)).enumerate();
        let tile = |(i, (h, c)): (usize, (&[f32], &[f32]))| {
            let first = self.first + i * R;
            let factors = self.options.factors(VECTORS, first, R, stride);
            Tile {
                first,
                rows: h.len() / units,
                h: pad_rows(h, units, R, stride),
                next: vec![0.0; R * stride],
                c: pad_rows(c, units, R, stride),
                seen: vec![0.0; factors.len()],
                factors,
            }
        };
        let mut tiles: Vec<Tile> = states.map(tile).collect();
        for t in 0..self.steps {
            for tile in &mut tiles {
                self.step::<S, R>(simd, t, tile);
            }
        }
        let states = self.h.chunks_mut(R * units).zip(self.c.chunks_mut(R * units));
        for (tile, (h, c)) in tiles.iter().zip(states) {
            unpad_rows(&tile.h, stride, h, units);
            unpad_rows(&tile.c, stride, c, units);
        }
    }
}

impl Forward<'_> {
    #[inline(always)]
    fn step<S: Simd, const R: usize>(&mut self, simd: S, t: usize, tile: &mut Tile) {
        let Options { units, dropout, .. } = self.options;
        let (stride, lanes) = (padded(units), S::F32_LANES);
        let begins = tile.first - self.first;
        simd::scale_each(simd, &mut tile.seen, &tile.factors, &tile.h);
        let sums = &mut self.sums[t][begins * VECTORS * units..];
        let cells = self.cells.get_mut(t);
        let keeps = cells.is_some();
        if let Some(cells) = cells {
            let cells = &mut cells[begins * units..][..tile.rows * units];
            unpad_rows(&tile.c, stride, cells, units);
        }
        for panel in 0..units.div_ceil(lanes) {
            let unit = panel * lanes;
            let width = lanes.min(units - unit);
            let mut z = [[simd.splat_f32s(0.0); VECTORS]; R];
            for (r, z) in z.iter_mut().enumerate().take(tile.rows) {
                let x = &sums[r * VECTORS * units..];
                for (gate, z) in z.iter_mut().enumerate() {
                    *z = load(simd, &x[gate * units + unit..][..width]);
                }
            }
            if dropout.is_none() {
                self.panels.multiply(simd, (panel, 0), rows(&tile.h, stride), &mut z);
            } else {
                let mut seen = [[&[][..]; R]; VECTORS];
                for (gate, seen) in seen.iter_mut().enumerate() {
                    *seen = rows(&tile.seen[gate * R * stride..], stride);
                }
                self.panels.multiply_each(simd, panel, seen, &mut z);
            }
            for (r, z) in z.into_iter().enumerate().take(tile.rows) {
                let at = r * stride + unit;
                let c = &mut tile.c[at..at + lanes];
                let (values, [h, next]) = step(simd, self.gates, z, load(simd, c));
                if keeps {
                    let to = &mut sums[r * VECTORS * units..];
                    for (gate, value) in values.into_iter().enumerate() {
                        store(simd, &mut to[gate * units + unit..][..width], value);
                    }
                }
                let h = match self.options.takes_part(t, tile.first + r) {
                    true => {
                        store(simd, c, next);
                        h
                    }
                    false => load(simd, &tile.h[at..at + lanes]),
                };
                store(simd, &mut tile.next[at..at + lanes], h);
            }
        }
        std::mem::swap(&mut tile.h, &mut tile.next);
        if let Some(hidden) = self.hidden.get_mut(t) {
            let hidden = &mut hidden[begins * units..][..tile.rows * units];
            unpad_rows(&tile.h, stride, hidden, units);
        }
    }
}
