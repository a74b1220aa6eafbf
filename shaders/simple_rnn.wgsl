// A whole SimpleRNN sequence in one launch; the same division of labour as lstm.wgsl.
struct Params { steps: u32, batch: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> recurrent: array<f32>;
@group(0) @binding(2) var<storage, read> state: array<f32>;
@group(0) @binding(3) var<storage, read_write> hidden: array<f32>;
@group(0) @binding(4) var<storage, read_write> last: array<f32>;

@group(0) @binding(5) var<storage, read> hidden_in: array<f32>;
@group(0) @binding(6) var<storage, read> d_hidden: array<f32>;
@group(0) @binding(7) var<storage, read> d_last: array<f32>;
@group(0) @binding(8) var<storage, read_write> d_x: array<f32>;
@group(0) @binding(9) var<storage, read_write> d_state: array<f32>;
@group(0) @binding(10) var<uniform> params: Params;

override HIDDEN: u32 = 32u;
override LANES: u32 = 32u;
// ROWS * HIDDEN
override TILE: u32 = 128u;
// 2 * TILE
override TWO_TILES: u32 = 256u;
override ACTIVATION: u32 = 3u;
override HAS_STATE: bool = false;
override HAS_D_HIDDEN: bool = false;
override HAS_D_LAST: bool = false;

// The hidden state of this step and of the next, taking turns; element (unit, row).
var<workgroup> h_tiles: array<f32, TWO_TILES>;
var<workgroup> dz_tile: array<f32, TILE>;

// Gradients decay into denormal numbers, which some devices compute slowly and others flush.
fn flush(v: f32) -> f32 {
    return select(v, 0.0, abs(v) < 1.1754944e-38);
}

@compute @workgroup_size(LANES)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row0 = group.x * ROWS;
    for (var i = lane; i < TILE; i += LANES) {
        let row = row0 + i % ROWS;
        h_tiles[i] = 0.0;
        if HAS_STATE && row < params.batch {
            h_tiles[i] = state[row * HIDDEN + i / ROWS];
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
                h_tiles[next + unit * ROWS + r] = finish(t, row0 + r, unit, z[r]);
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
    let h = activate(ACTIVATION, x[here] + product);
    hidden[here] = h;
    if t + 1u == params.steps {
        last[row * HIDDEN + unit] = h;
    }
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
                if row0 + r < params.batch {
                    d_state[(row0 + r) * HIDDEN + unit] = flush(dh[r]);
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
    let dz = flush(dh * slope(ACTIVATION, hidden_in[here]));
    d_x[here] = dz;
    return dz;
}
