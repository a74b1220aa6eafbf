// A whole LSTM sequence in one launch.
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> recurrent: array<f32>;
@group(0) @binding(2) var<storage, read> state: array<f32>;
@group(0) @binding(3) var<storage, read> mask: array<u32>;
@group(0) @binding(4) var<storage, read> dropout: array<f32>;
@group(0) @binding(5) var<storage, read_write> hidden: array<f32>;
@group(0) @binding(6) var<storage, read_write> saved: array<f32>;
@group(0) @binding(7) var<storage, read_write> last: array<f32>;

@group(0) @binding(8) var<storage, read> saved_in: array<f32>;
@group(0) @binding(9) var<storage, read> d_hidden: array<f32>;
@group(0) @binding(10) var<storage, read> d_last: array<f32>;
@group(0) @binding(11) var<storage, read_write> d_x: array<f32>;
@group(0) @binding(12) var<storage, read_write> d_state: array<f32>;
@group(0) @binding(13) var<uniform> params: Params;

// Words of h_tiles: 2 TILE, or four times as many with dropout.
override STATE_WORDS: u32 = 256u;

// The hidden state of this step and of the next, taking turns; element (unit, row), or with
// dropout element (unit, row, gate): what that gate sees of it.
var<workgroup> h_tiles: array<f32, STATE_WORDS>;
// The gradients of the four pre-activations; element (unit, row).
var<workgroup> dz_tile: array<vec4<f32>, TILE>;

fn is_masked(t: u32, row: u32) -> bool {
    return HAS_MASK && mask[t * params.batch + row] == 0u;
}

// The factors of the four gates' dropout of one hidden unit.
fn dropped(row: u32, unit: u32) -> vec4<f32> {
    let at = row * HIDDEN + unit;
    let gate = params.batch * HIDDEN;
    return vec4<f32>(
        dropout[at], dropout[at + gate], dropout[at + 2u * gate], dropout[at + 3u * gate]);
}

fn share(base: u32, unit: u32, r: u32, row: u32, h: f32) {
    let i = unit * ROWS + r;
    if HAS_DROPOUT {
        var seen = vec4<f32>();
        if row < params.batch {
            seen = h * dropped(row, unit);
        }
        let at = base + 4u * i;
        h_tiles[at] = seen.x;
        h_tiles[at + 1u] = seen.y;
        h_tiles[at + 2u] = seen.z;
        h_tiles[at + 3u] = seen.w;
    } else {
        h_tiles[base + i] = h;
    }
}

fn seen(base: u32, i: u32) -> vec4<f32> {
    if HAS_DROPOUT {
        let at = base + 4u * i;
        return vec4<f32>(h_tiles[at], h_tiles[at + 1u], h_tiles[at + 2u], h_tiles[at + 3u]);
    }
    return vec4<f32>(h_tiles[base + i]);
}

// `last` carries h and c from step to step.
@compute @workgroup_size(LANES)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row0 = group.x * ROWS;
    for (var unit = lane; unit < HIDDEN; unit += LANES) {
        for (var r = 0u; r < ROWS; r++) {
            share(0u, unit, r, row0 + r, begin(row0 + r, unit));
        }
    }
    workgroupBarrier();
    var now = 0u;
    for (var t = 0u; t < params.steps; t++) {
        let next = STATE_WORDS / 2u - now;
        for (var unit = lane; unit < HIDDEN; unit += LANES) {
            var z: array<vec4<f32>, ROWS>;
            for (var k = 0u; k < HIDDEN; k++) {
                let at = k * 4u * HIDDEN + unit;
                let u = vec4<f32>(
                    recurrent[at], recurrent[at + HIDDEN],
                    recurrent[at + 2u * HIDDEN], recurrent[at + 3u * HIDDEN]);
                for (var r = 0u; r < ROWS; r++) {
                    z[r] += seen(now, k * ROWS + r) * u;
                }
            }
            for (var r = 0u; r < ROWS; r++) {
                share(next, unit, r, row0 + r, finish(t, row0 + r, unit, z[r]));
            }
        }
        workgroupBarrier();
        now = next;
    }
}

// Sets the carried state of one unit of one row; returns h.
fn begin(row: u32, unit: u32) -> f32 {
    if row >= params.batch {
        return 0.0;
    }
    let carry = row * HIDDEN + unit;
    let carry_c = carry + params.batch * HIDDEN;
    var h = 0.0;
    var c = 0.0;
    if HAS_STATE {
        h = state[carry];
        c = state[carry_c];
    }
    last[carry] = h;
    last[carry_c] = c;
    return h;
}

// Gates, cell and hidden state of one unit of one row, from h . U.
fn finish(t: u32, row: u32, unit: u32, product: vec4<f32>) -> f32 {
    if row >= params.batch {
        return 0.0;
    }
    let place = t * params.batch + row;
    let at = place * 4u * HIDDEN + unit;
    let z = product + vec4<f32>(x[at], x[at + HIDDEN], x[at + 2u * HIDDEN], x[at + 3u * HIDDEN]);
    let carry = row * HIDDEN + unit;
    let carry_c = carry + params.batch * HIDDEN;
    let c_before = last[carry_c];
    let cell = step_cell(z, c_before);
    let to = place * 6u * HIDDEN + unit;
    saved[to] = cell.gates.x;
    saved[to + HIDDEN] = cell.gates.y;
    saved[to + 2u * HIDDEN] = cell.gates.z;
    saved[to + 3u * HIDDEN] = cell.gates.w;
    saved[to + 4u * HIDDEN] = c_before;
    saved[to + 5u * HIDDEN] = cell.c_active;
    var h = last[carry];
    if !is_masked(t, row) {
        h = cell.gates.w * cell.c_active;
        last[carry] = h;
        last[carry_c] = cell.c;
    }
    hidden[place * HIDDEN + unit] = h;
    return h;
}

// Going back in time, d_state carries the gradients of h and c from step to step; at the end it
// is the gradient of the initial state. `recurrent` is U transposed here: [4 HIDDEN, HIDDEN].
@compute @workgroup_size(LANES)
fn backward(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row0 = group.x * ROWS;
    for (var s = 0u; s < params.steps; s++) {
        let t = params.steps - 1u - s;
        for (var unit = lane; unit < HIDDEN; unit += LANES) {
            for (var r = 0u; r < ROWS; r++) {
                dz_tile[unit * ROWS + r] = gate_gradients(t, row0 + r, unit);
            }
        }
        workgroupBarrier();
        for (var unit = lane; unit < HIDDEN; unit += LANES) {
            // One sum a gate: each is dropped out in its own way.
            var dh: array<vec4<f32>, ROWS>;
            for (var k = 0u; k < HIDDEN; k++) {
                let at = k * HIDDEN + unit;
                let gate = HIDDEN * HIDDEN;
                let u = vec4<f32>(
                    recurrent[at], recurrent[at + gate],
                    recurrent[at + 2u * gate], recurrent[at + 3u * gate]);
                for (var r = 0u; r < ROWS; r++) {
                    dh[r] += dz_tile[k * ROWS + r] * u;
                }
            }
            for (var r = 0u; r < ROWS; r++) {
                let row = row0 + r;
                if row < params.batch && !is_masked(t, row) {
                    var factors = vec4<f32>(1.0);
                    if HAS_DROPOUT {
                        factors = dropped(row, unit);
                    }
                    d_state[row * HIDDEN + unit] = flush(dot(dh[r], factors));
                }
            }
        }
        workgroupBarrier();
    }
}

fn gate_gradients(t: u32, row: u32, unit: u32) -> vec4<f32> {
    if row >= params.batch {
        return vec4<f32>();
    }
    let carry = row * HIDDEN + unit;
    let carry_c = carry + params.batch * HIDDEN;
    var dh = 0.0;
    var dc = 0.0;
    if t + 1u < params.steps {
        dh = d_state[carry];
        dc = d_state[carry_c];
    } else if HAS_D_LAST {
        dh = d_last[carry];
        dc = d_last[carry_c];
    }
    let place = t * params.batch + row;
    if HAS_D_HIDDEN {
        dh += d_hidden[place * HIDDEN + unit];
    }
    var dz = vec4<f32>();
    if is_masked(t, row) {
        d_state[carry] = dh;
    } else {
        let at_saved = place * 6u * HIDDEN + unit;
        let gates = vec4<f32>(
            saved_in[at_saved], saved_in[at_saved + HIDDEN],
            saved_in[at_saved + 2u * HIDDEN], saved_in[at_saved + 3u * HIDDEN]);
        let c_before = saved_in[at_saved + 4u * HIDDEN];
        let c_active = saved_in[at_saved + 5u * HIDDEN];
        let gradients = cell_gradients(gates, c_before, c_active, dh, dc);
        dz = gradients.dz;
        dc = gradients.dc;
    }
    d_state[carry_c] = dc;
    let at = place * 4u * HIDDEN + unit;
    d_x[at] = dz.x;
    d_x[at + HIDDEN] = dz.y;
    d_x[at + 2u * HIDDEN] = dz.z;
    d_x[at + 3u * HIDDEN] = dz.w;
    return dz;
}
