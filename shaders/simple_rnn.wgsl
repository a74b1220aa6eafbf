// A whole SimpleRNN sequence in one launch.
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> recurrent: array<f32>;
@group(0) @binding(2) var<storage, read> state: array<f32>;
@group(0) @binding(3) var<storage, read> mask: array<u32>;
@group(0) @binding(4) var<storage, read> dropout: array<f32>;
@group(0) @binding(5) var<storage, read_write> hidden: array<f32>;
@group(0) @binding(6) var<storage, read_write> last: array<f32>;

@group(0) @binding(7) var<storage, read> hidden_in: array<f32>;
@group(0) @binding(8) var<storage, read> d_hidden: array<f32>;
@group(0) @binding(9) var<storage, read> d_last: array<f32>;
@group(0) @binding(10) var<storage, read_write> d_x: array<f32>;
@group(0) @binding(11) var<storage, read_write> d_state: array<f32>;
@group(0) @binding(12) var<uniform> params: Params;

// 2 TILE
override STATE_WORDS: u32 = 256u;

// The hidden state, dropped out, of this step and of the next, taking turns; element (unit, row).
var<workgroup> h_tiles: array<f32, STATE_WORDS>;
var<workgroup> dz_tile: array<f32, TILE>;

fn is_masked(t: u32, row: u32) -> bool {
    return HAS_MASK && mask[t * params.batch + row] == 0u;
}

fn drop_out(v: f32, row: u32, unit: u32) -> f32 {
    if HAS_DROPOUT && row < params.batch {
        return v * dropout[row * HIDDEN + unit];
    }
    return v;
}

// `last` carries h from step to step.
@compute @workgroup_size(LANES)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row0 = group.x * ROWS;
    for (var unit = lane; unit < HIDDEN; unit += LANES) {
        for (var r = 0u; r < ROWS; r++) {
            let row = row0 + r;
            var h = 0.0;
            if row < params.batch {
                if HAS_STATE {
                    h = state[row * HIDDEN + unit];
                }
                last[row * HIDDEN + unit] = h;
            }
            h_tiles[unit * ROWS + r] = drop_out(h, row, unit);
        }
    }
    workgroupBarrier();
    var now = 0u;
    for (var t = 0u; t < params.steps; t++) {
        let next = TILE - now;
        for (var unit = lane; unit < HIDDEN; unit += LANES) {
            var z: array<f32, ROWS>;
            for (var k = 0u; k < HIDDEN; k++) {
                let u = recurrent[k * HIDDEN + unit];
                for (var r = 0u; r < ROWS; r++) {
                    z[r] += h_tiles[now + k * ROWS + r] * u;
                }
            }
            for (var r = 0u; r < ROWS; r++) {
                let h = finish(t, row0 + r, unit, z[r]);
                h_tiles[next + unit * ROWS + r] = drop_out(h, row0 + r, unit);
            }
        }
        workgroupBarrier();
        now = next;
    }
}

fn finish(t: u32, row: u32, unit: u32, product: f32) -> f32 {
    if row >= params.batch {
        return 0.0;
    }
    let here = (t * params.batch + row) * HIDDEN + unit;
    let carry = row * HIDDEN + unit;
    var h = last[carry];
    if !is_masked(t, row) {
        h = activate(ACTIVATION, x[here] + product);
        last[carry] = h;
    }
    hidden[here] = h;
    return h;
}

// d_state carries the gradient of h from step to step; `recurrent` is U transposed here.
@compute @workgroup_size(LANES)
fn backward(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row0 = group.x * ROWS;
    for (var s = 0u; s < params.steps; s++) {
        let t = params.steps - 1u - s;
        for (var unit = lane; unit < HIDDEN; unit += LANES) {
            for (var r = 0u; r < ROWS; r++) {
                dz_tile[unit * ROWS + r] = gradient(t, row0 + r, unit);
            }
        }
        workgroupBarrier();
        for (var unit = lane; unit < HIDDEN; unit += LANES) {
            var dh: array<f32, ROWS>;
            for (var k = 0u; k < HIDDEN; k++) {
                let u = recurrent[k * HIDDEN + unit];
                for (var r = 0u; r < ROWS; r++) {
                    dh[r] += dz_tile[k * ROWS + r] * u;
                }
            }
            for (var r = 0u; r < ROWS; r++) {
                let row = row0 + r;
                if row < params.batch && !is_masked(t, row) {
                    d_state[row * HIDDEN + unit] = flush(drop_out(dh[r], row, unit));
                }
            }
        }
        workgroupBarrier();
    }
}

fn gradient(t: u32, row: u32, unit: u32) -> f32 {
    if row >= params.batch {
        return 0.0;
    }
    let carry = row * HIDDEN + unit;
    var dh = 0.0;
    if t + 1u < params.steps {
        dh = d_state[carry];
    } else if HAS_D_LAST {
        dh = d_last[carry];
    }
    let here = (t * params.batch + row) * HIDDEN + unit;
    if HAS_D_HIDDEN {
        dh += d_hidden[here];
    }
    var dz = 0.0;
    if is_masked(t, row) {
        d_state[carry] = dh;
    } else {
        dz = flush(dh * slope(ACTIVATION, hidden_in[here]));
    }
    d_x[here] = dz;
    return dz;
}
