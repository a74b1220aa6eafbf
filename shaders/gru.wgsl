// A whole GRU sequence in one launch.
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> recurrent: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> state: array<f32>;
@group(0) @binding(4) var<storage, read> mask: array<u32>;
@group(0) @binding(5) var<storage, read> dropout: array<f32>;
@group(0) @binding(6) var<storage, read_write> hidden: array<f32>;
@group(0) @binding(7) var<storage, read_write> saved: array<f32>;

@group(0) @binding(8) var<storage, read> saved_in: array<f32>;
@group(0) @binding(9) var<storage, read> d_hidden: array<f32>;
@group(0) @binding(10) var<storage, read_write> d_x: array<f32>;
@group(0) @binding(11) var<storage, read_write> d_inner: array<f32>;
@group(0) @binding(12) var<storage, read_write> d_state: array<f32>;
@group(0) @binding(13) var<uniform> params: Params;

override RESET_AFTER: bool = true;
override HAS_BIAS: bool = false;
// Words of h_tiles: 2 TILE, or three times as many with dropout.
override STATE_WORDS: u32 = 256u;

// The hidden state of this step and of the next, taking turns; element (unit, row), or with
// dropout element (unit, row, gate): what that gate sees of it.
var<workgroup> h_tiles: array<f32, STATE_WORDS>;
// What passed the reset gate, where that comes before the product.
var<workgroup> reset_tile: array<f32, TILE>;
// The gradients of what stands before z, r and the candidate; element (unit, row).
var<workgroup> da_tile: array<vec3<f32>, TILE>;

fn is_masked(t: u32, row: u32) -> bool {
    return HAS_MASK && mask[t * params.batch + row] == 0u;
}

// The factors of the three gates' dropout of one hidden unit.
fn dropped(row: u32, unit: u32) -> vec3<f32> {
    if !HAS_DROPOUT || row >= params.batch {
        return vec3<f32>(1.0);
    }
    let at = row * HIDDEN + unit;
    let gate = params.batch * HIDDEN;
    return vec3<f32>(dropout[at], dropout[at + gate], dropout[at + 2u * gate]);
}

fn share(base: u32, unit: u32, r: u32, row: u32, h: f32) {
    let i = unit * ROWS + r;
    if HAS_DROPOUT {
        let seen = h * dropped(row, unit);
        let at = base + 3u * i;
        h_tiles[at] = seen.x;
        h_tiles[at + 1u] = seen.y;
        h_tiles[at + 2u] = seen.z;
    } else {
        h_tiles[base + i] = h;
    }
}

fn seen(base: u32, i: u32) -> vec3<f32> {
    if HAS_DROPOUT {
        let at = base + 3u * i;
        return vec3<f32>(h_tiles[at], h_tiles[at + 1u], h_tiles[at + 2u]);
    }
    return vec3<f32>(h_tiles[base + i]);
}

// h before step t.
fn before(t: u32, row: u32, unit: u32) -> f32 {
    let carry = row * HIDDEN + unit;
    if t > 0u {
        return hidden[(t - 1u) * params.batch * HIDDEN + carry];
    }
    if HAS_STATE {
        return state[carry];
    }
    return 0.0;
}

@compute @workgroup_size(LANES)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row0 = group.x * ROWS;
    for (var unit = lane; unit < HIDDEN; unit += LANES) {
        for (var r = 0u; r < ROWS; r++) {
            var h = 0.0;
            if row0 + r < params.batch {
                h = before(0u, row0 + r, unit);
            }
            share(0u, unit, r, row0 + r, h);
        }
    }
    workgroupBarrier();
    var now = 0u;
    for (var t = 0u; t < params.steps; t++) {
        let next = STATE_WORDS / 2u - now;
        for (var unit = lane; unit < HIDDEN; unit += LANES) {
            var z: array<vec3<f32>, ROWS>;
            for (var k = 0u; k < HIDDEN; k++) {
                let at = k * 3u * HIDDEN + unit;
                var u = vec3<f32>(recurrent[at], recurrent[at + HIDDEN], 0.0);
                if RESET_AFTER {
                    u.z = recurrent[at + 2u * HIDDEN];
                }
                for (var r = 0u; r < ROWS; r++) {
                    z[r] += seen(now, k * ROWS + r) * u;
                }
            }
            for (var r = 0u; r < ROWS; r++) {
                gates(t, row0 + r, unit, r, z[r], seen(now, unit * ROWS + r).z);
                if RESET_AFTER {
                    share(next, unit, r, row0 + r, finish(t, row0 + r, unit, 0.0));
                }
            }
        }
        workgroupBarrier();
        if !RESET_AFTER {
            for (var unit = lane; unit < HIDDEN; unit += LANES) {
                var sums: array<f32, ROWS>;
                for (var k = 0u; k < HIDDEN; k++) {
                    let u = recurrent[k * 3u * HIDDEN + 2u * HIDDEN + unit];
                    for (var r = 0u; r < ROWS; r++) {
                        sums[r] += reset_tile[k * ROWS + r] * u;
                    }
                }
                for (var r = 0u; r < ROWS; r++) {
                    share(next, unit, r, row0 + r, finish(t, row0 + r, unit, sums[r]));
                }
            }
            workgroupBarrier();
        }
        now = next;
    }
}

// Saves both gates, h before, and what the candidate adds to x: the product behind the reset gate,
// or what passes the reset gate before the product.
fn gates(t: u32, row: u32, unit: u32, r: u32, product: vec3<f32>, h_seen: f32) {
    if row >= params.batch {
        reset_tile[unit * ROWS + r] = 0.0;
        return;
    }
    let place = t * params.batch + row;
    let at = place * 3u * HIDDEN + unit;
    var inner = product;
    if HAS_BIAS {
        let b = params.bias_offset + unit;
        inner += vec3<f32>(bias[b], bias[b + HIDDEN], bias[b + 2u * HIDDEN]);
    }
    let z = activate(RECURRENT_ACTIVATION, x[at] + inner.x);
    let reset = activate(RECURRENT_ACTIVATION, x[at + HIDDEN] + inner.y);
    let to = place * 5u * HIDDEN + unit;
    saved[to] = z;
    saved[to + HIDDEN] = reset;
    saved[to + 3u * HIDDEN] = before(t, row, unit);
    saved[to + 4u * HIDDEN] = select(reset * h_seen, inner.z, RESET_AFTER);
    reset_tile[unit * ROWS + r] = reset * h_seen;
}

// The candidate and the new state of one unit of one row.
fn finish(t: u32, row: u32, unit: u32, product: f32) -> f32 {
    if row >= params.batch {
        return 0.0;
    }
    let place = t * params.batch + row;
    let to = place * 5u * HIDDEN + unit;
    let z = saved[to];
    let h_before = saved[to + 3u * HIDDEN];
    let inner = select(product, saved[to + HIDDEN] * saved[to + 4u * HIDDEN], RESET_AFTER);
    let g = activate(ACTIVATION, x[place * 3u * HIDDEN + 2u * HIDDEN + unit] + inner);
    saved[to + 2u * HIDDEN] = g;
    var h = h_before;
    if !is_masked(t, row) {
        h = flush(z * h_before + (1.0 - z) * g);
    }
    hidden[place * HIDDEN + unit] = h;
    return h;
}

// Going back in time, d_state carries the gradient of h from step to step; at the end it is the
// gradient of the initial state. `recurrent` is U transposed here: [3 HIDDEN, HIDDEN].
@compute @workgroup_size(LANES)
fn backward(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row0 = group.x * ROWS;
    let gate = HIDDEN * HIDDEN;
    for (var s = 0u; s < params.steps; s++) {
        let t = params.steps - 1u - s;
        for (var unit = lane; unit < HIDDEN; unit += LANES) {
            for (var r = 0u; r < ROWS; r++) {
                da_tile[unit * ROWS + r] = gate_gradients(t, row0 + r, unit, s == 0u);
            }
        }
        workgroupBarrier();
        if !RESET_AFTER {
            // Through the product with what passed the reset gate.
            for (var unit = lane; unit < HIDDEN; unit += LANES) {
                var sums: array<f32, ROWS>;
                for (var k = 0u; k < HIDDEN; k++) {
                    let u = recurrent[2u * gate + k * HIDDEN + unit];
                    for (var r = 0u; r < ROWS; r++) {
                        sums[r] += da_tile[k * ROWS + r].z * u;
                    }
                }
                for (var r = 0u; r < ROWS; r++) {
                    reset_tile[unit * ROWS + r] = reset_gradient(t, row0 + r, unit, sums[r]);
                }
            }
            workgroupBarrier();
            for (var unit = lane; unit < HIDDEN; unit += LANES) {
                for (var r = 0u; r < ROWS; r++) {
                    da_tile[unit * ROWS + r].y = reset_tile[unit * ROWS + r];
                }
            }
            workgroupBarrier();
        }
        for (var unit = lane; unit < HIDDEN; unit += LANES) {
            // One sum a gate: each is dropped out in its own way.
            var dh: array<vec3<f32>, ROWS>;
            for (var k = 0u; k < HIDDEN; k++) {
                let at = k * HIDDEN + unit;
                var u = vec3<f32>(recurrent[at], recurrent[at + gate], 0.0);
                if RESET_AFTER {
                    u.z = recurrent[at + 2u * gate];
                }
                for (var r = 0u; r < ROWS; r++) {
                    dh[r] += da_tile[k * ROWS + r] * u;
                }
            }
            for (var r = 0u; r < ROWS; r++) {
                let row = row0 + r;
                if row < params.batch && !is_masked(t, row) {
                    let carry = row * HIDDEN + unit;
                    let sum = dot(dh[r], dropped(row, unit));
                    d_state[carry] = flush(d_state[carry] + sum);
                }
            }
        }
        workgroupBarrier();
    }
}

// Writes the gradients of x and of what the recurrence adds to it, as far as they are known, and
// leaves in d_state the part of the gradient of h that does not pass through a product.
fn gate_gradients(t: u32, row: u32, unit: u32, first: bool) -> vec3<f32> {
    if row >= params.batch {
        return vec3<f32>();
    }
    let place = t * params.batch + row;
    let carry = row * HIDDEN + unit;
    var dh = 0.0;
    if !first {
        dh = d_state[carry];
    }
    dh += d_hidden[place * HIDDEN + unit];
    let at = place * 3u * HIDDEN + unit;
    let base = place * 5u * HIDDEN + unit;
    let z = saved_in[base];
    let reset = saved_in[base + HIDDEN];
    let g = saved_in[base + 2u * HIDDEN];
    let h_before = saved_in[base + 3u * HIDDEN];
    let inner = saved_in[base + 4u * HIDDEN];
    var d = vec3<f32>();
    var d_candidate = 0.0;
    if !is_masked(t, row) {
        d.x = flush(dh * (h_before - g) * slope(RECURRENT_ACTIVATION, z));
        d_candidate = flush(dh * (1.0 - z) * slope(ACTIVATION, g));
        d.z = d_candidate;
        if RESET_AFTER {
            d.y = flush(d_candidate * inner * slope(RECURRENT_ACTIVATION, reset));
            d.z = flush(d_candidate * reset);
        }
        dh = flush(dh * z);
    }
    d_state[carry] = dh;
    d_x[at] = d.x;
    d_x[at + HIDDEN] = d.y;
    d_x[at + 2u * HIDDEN] = d_candidate;
    d_inner[at] = d.x;
    d_inner[at + HIDDEN] = d.y;
    d_inner[at + 2u * HIDDEN] = d.z;
    return d;
}

// The gradient of what stands before the reset gate, from that of reset * h.
fn reset_gradient(t: u32, row: u32, unit: u32, d_passed: f32) -> f32 {
    if row >= params.batch || is_masked(t, row) {
        return 0.0;
    }
    let place = t * params.batch + row;
    let base = place * 5u * HIDDEN + unit;
    let reset = saved_in[base + HIDDEN];
    let factor = dropped(row, unit).z;
    let d = flush(
        d_passed * factor * saved_in[base + 3u * HIDDEN] * slope(RECURRENT_ACTIVATION, reset));
    let carry = row * HIDDEN + unit;
    d_state[carry] += d_passed * reset * factor;
    let at = place * 3u * HIDDEN + HIDDEN + unit;
    d_x[at] = d;
    d_inner[at] = d;
    return d;
}
