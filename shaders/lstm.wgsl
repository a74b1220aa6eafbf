// A whole LSTM sequence in one launch. A workgroup owns ROWS rows of the batch for all steps;
// a thread owns hidden units lane, lane + LANES, .. and finishes all four gates of each, so the
// only exchange between threads is the hidden state (forward) or dz (backward) of one step.
struct Params { steps: u32, batch: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> recurrent: array<f32>;
@group(0) @binding(2) var<storage, read> state: array<f32>;
@group(0) @binding(3) var<storage, read_write> hidden: array<f32>;
@group(0) @binding(4) var<storage, read_write> cell: array<f32>;
@group(0) @binding(5) var<storage, read_write> gates: array<f32>;
@group(0) @binding(6) var<storage, read_write> last: array<f32>;

@group(0) @binding(7) var<storage, read> cell_in: array<f32>;
@group(0) @binding(8) var<storage, read> gates_in: array<f32>;
@group(0) @binding(9) var<storage, read> d_hidden: array<f32>;
@group(0) @binding(10) var<storage, read> d_last: array<f32>;
@group(0) @binding(11) var<storage, read_write> d_x: array<f32>;
@group(0) @binding(12) var<storage, read_write> d_state: array<f32>;
@group(0) @binding(13) var<uniform> params: Params;

override HIDDEN: u32 = 32u;
override LANES: u32 = 32u;
// ROWS * HIDDEN
override TILE: u32 = 128u;
// 2 * TILE
override TWO_TILES: u32 = 256u;
override ACTIVATION: u32 = 3u;
override RECURRENT_ACTIVATION: u32 = 2u;
override HAS_STATE: bool = false;
override HAS_D_HIDDEN: bool = false;
override HAS_D_LAST: bool = false;

// The hidden state of this step and of the next, taking turns; element (unit, row).
var<workgroup> h_tiles: array<f32, TWO_TILES>;
// The gradients of the four pre-activations; element (unit, row).
var<workgroup> dz_tile: array<vec4<f32>, TILE>;

// Gradients decay into denormal numbers, which some devices compute slowly and others flush.
fn flush(v: f32) -> f32 {
    return select(v, 0.0, abs(v) < 1.1754944e-38);
}

fn initial(part: u32, row: u32, unit: u32) -> f32 {
    if HAS_STATE && row < params.batch {
        return state[(part * params.batch + row) * HIDDEN + unit];
    }
    return 0.0;
}

@compute @workgroup_size(LANES)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row0 = group.x * ROWS;
    for (var i = lane; i < TILE; i += LANES) {
        h_tiles[i] = initial(0u, row0 + i % ROWS, i / ROWS);
    }
    workgroupBarrier();
    var now = 0u;
    for (var t = 0u; t < params.steps; t++) {
        let next = TILE - now;
        for (var unit = lane; unit < HIDDEN; unit += LANES) {
            var z: array<vec4<f32>, ROWS>;
            for (var k = 0u; k < HIDDEN; k++) {
                let at = k * 4u * HIDDEN + unit;
                let u = vec4<f32>(
                    recurrent[at], recurrent[at + HIDDEN],
                    recurrent[at + 2u * HIDDEN], recurrent[at + 3u * HIDDEN]);
                for (var r = 0u; r < ROWS; r++) {
                    z[r] += h_tiles[now + k * ROWS + r] * u;
                }
            }
            for (var r = 0u; r < ROWS; r++) {
                let h = finish(t, row0 + r, unit, z[r]);
                h_tiles[next + unit * ROWS + r] = h;
            }
        }
        workgroupBarrier();
        now = next;
    }
}

// Gates, cell and hidden state of one unit of one row, from h . U.
fn finish(t: u32, row: u32, unit: u32, product: vec4<f32>) -> f32 {
    if row >= params.batch {
        return 0.0;
    }
    let at = (t * params.batch + row) * 4u * HIDDEN + unit;
    let z = product + vec4<f32>(x[at], x[at + HIDDEN], x[at + 2u * HIDDEN], x[at + 3u * HIDDEN]);
    let i = activate(RECURRENT_ACTIVATION, z.x);
    let f = activate(RECURRENT_ACTIVATION, z.y);
    let g = activate(ACTIVATION, z.z);
    let o = activate(RECURRENT_ACTIVATION, z.w);
    let here = (t * params.batch + row) * HIDDEN + unit;
    var c = initial(1u, row, unit);
    if t > 0u {
        c = cell[here - params.batch * HIDDEN];
    }
    c = flush(f * c + i * g);
    let h = o * activate(ACTIVATION, c);
    gates[at] = i;
    gates[at + HIDDEN] = f;
    gates[at + 2u * HIDDEN] = g;
    gates[at + 3u * HIDDEN] = o;
    cell[here] = c;
    hidden[here] = h;
    if t + 1u == params.steps {
        last[row * HIDDEN + unit] = h;
        last[(params.batch + row) * HIDDEN + unit] = c;
    }
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
            var dh: array<f32, ROWS>;
            for (var k = 0u; k < HIDDEN; k++) {
                let at = k * HIDDEN + unit;
                let gate = HIDDEN * HIDDEN;
                let u = vec4<f32>(
                    recurrent[at], recurrent[at + gate],
                    recurrent[at + 2u * gate], recurrent[at + 3u * gate]);
                for (var r = 0u; r < ROWS; r++) {
                    dh[r] += dot(dz_tile[k * ROWS + r], u);
                }
            }
            for (var r = 0u; r < ROWS; r++) {
                if row0 + r < params.batch {
                    d_state[(row0 + r) * HIDDEN + unit] = flush(dh[r]);
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
    let here = (t * params.batch + row) * HIDDEN + unit;
    if HAS_D_HIDDEN {
        dh += d_hidden[here];
    }
    let at = (t * params.batch + row) * 4u * HIDDEN + unit;
    let i = gates_in[at];
    let f = gates_in[at + HIDDEN];
    let g = gates_in[at + 2u * HIDDEN];
    let o = gates_in[at + 3u * HIDDEN];
    var c_before = initial(1u, row, unit);
    if t > 0u {
        c_before = cell_in[here - params.batch * HIDDEN];
    }
    let c_active = activate(ACTIVATION, cell_in[here]);
    dc += dh * o * slope(ACTIVATION, c_active);
    let dz = vec4<f32>(
        flush(dc * g * slope(RECURRENT_ACTIVATION, i)),
        flush(dc * c_before * slope(RECURRENT_ACTIVATION, f)),
        flush(dc * i * slope(ACTIVATION, g)),
        flush(dh * c_active * slope(RECURRENT_ACTIVATION, o)));
    d_x[at] = dz.x;
    d_x[at + HIDDEN] = dz.y;
    d_x[at + 2u * HIDDEN] = dz.z;
    d_x[at + 3u * HIDDEN] = dz.w;
    d_state[carry_c] = flush(dc * f);
    return dz;
}
