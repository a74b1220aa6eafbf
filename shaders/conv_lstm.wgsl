// One step of a convolutional LSTM to a launch: the product with what the windows see of the
// hidden state, and all gates behind it.
struct Params { items: u32, steps: u32, step: u32 }

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

override FILTERS: u32 = 1u;
override ACTIVATION: u32 = 3u;
override RECURRENT_ACTIVATION: u32 = 2u;
override HAS_STATE: bool = false;
override HAS_MASK: bool = false;
override HAS_DROPOUT: bool = false;
override HAS_D_HIDDEN: bool = false;
override HAS_D_LAST: bool = false;

const THREADS = 256u;

// Pixels of a step, of all items.
fn pixels() -> u32 {
    return params.items * SOURCE_D * SOURCE_H * SOURCE_W;
}

fn is_masked(t: u32, pixel: u32) -> bool {
    let item = pixel / (SOURCE_D * SOURCE_H * SOURCE_W);
    return HAS_MASK && mask[t * params.items + item] == 0u;
}

// The hidden state before this step.
fn hidden_before(pixel: u32, channel: u32) -> f32 {
    if params.step > 0u {
        return hidden[((params.step - 1u) * pixels() + pixel) * FILTERS + channel];
    }
    if HAS_STATE {
        return state[pixel * FILTERS + channel];
    }
    return 0.0;
}

// By how much a gate sees it.
fn factor(gate: u32, pixel: u32, channel: u32) -> f32 {
    if HAS_DROPOUT {
        return dropout[(gate * pixels() + pixel) * FILTERS + channel];
    }
    return 1.0;
}

// A tile of 64 pixels and 16 channels; column 16 g + c is gate g of channel c, so that a thread's
// four columns are the gates of one channel. With dropout each gate has a pass of its own.
@compute @workgroup_size(256)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row0 = group.y * TILE;
    let channel0 = group.x * 16u;
    let terms = SIZE_D * SIZE_H * SIZE_W * FILTERS;
    let passes = select(1u, 4u, HAS_DROPOUT);
    let tx = thread % 16u;
    let ty = thread / 16u;
    var items: array<u32, 4>;
    var starts: array<vec3<i32>, 4>;
    for (var i = 0u; i < 4u; i++) {
        let place = place_of(row0 + ty + 16u * i, params.items, target_extents());
        items[i] = place.item;
        starts[i] = window_start(place.at);
    }
    var sums: mat4x4<f32>;
    for (var gate = 0u; gate < passes; gate++) {
        for (var k0 = 0u; k0 < terms && (HAS_STATE || params.step > 0u); k0 += SLICE) {
            for (var i = 0u; i < 4u; i++) {
                let row = ty + 16u * i;
                var seen = 0.0;
                if row0 + row < pixels() && k0 + tx < terms {
                    let start = Place(items[i], starts[i]);
                    let pixel = source_seen(start, (k0 + tx) / FILTERS, params.items);
                    let channel = (k0 + tx) % FILTERS;
                    if pixel != NO_PIXEL {
                        seen = hidden_before(pixel, channel) * factor(gate, pixel, channel);
                    }
                }
                a_tile[tx * PITCH + row] = seen;
            }
            for (var i = thread; i < TILE * SLICE; i += THREADS) {
                let k = k0 + i / TILE;
                let of_gate = i % TILE / 16u;
                let channel = channel0 + i % 16u;
                var weight = 0.0;
                if k < terms && channel < FILTERS && (!HAS_DROPOUT || of_gate == gate) {
                    weight = recurrent[(k * 4u + of_gate) * FILTERS + channel];
                }
                b_tile[i / TILE * PITCH + i % TILE] = weight;
            }
            workgroupBarrier();
            add_slice(&sums, tx, ty);
            workgroupBarrier();
        }
    }
    for (var i = 0u; i < 4u; i++) {
        let pixel = row0 + ty + 16u * i;
        if pixel < pixels() && channel0 + tx < FILTERS {
            finish(pixel, channel0 + tx, sums[i]);
        }
    }
}

// Gates, cell and hidden state of one channel of a pixel, from the product; `last` carries c.
fn finish(pixel: u32, channel: u32, product: vec4<f32>) {
    let place = params.step * pixels() + pixel;
    let at = place * 4u * FILTERS + channel;
    let z = product + vec4<f32>(x[at], x[at + FILTERS], x[at + 2u * FILTERS], x[at + 3u * FILTERS]);
    let carry = pixel * FILTERS + channel;
    let carry_c = carry + pixels() * FILTERS;
    var c_before = 0.0;
    if params.step > 0u {
        c_before = last[carry_c];
    } else if HAS_STATE {
        c_before = state[carry_c];
    }
    let cell = step_cell(z, c_before);
    let to = place * 6u * FILTERS + channel;
    saved[to] = cell.gates.x;
    saved[to + FILTERS] = cell.gates.y;
    saved[to + 2u * FILTERS] = cell.gates.z;
    saved[to + 3u * FILTERS] = cell.gates.w;
    saved[to + 4u * FILTERS] = c_before;
    saved[to + 5u * FILTERS] = cell.c_active;
    let stays = is_masked(params.step, pixel);
    let h = select(cell.gates.w * cell.c_active, hidden_before(pixel, channel), stays);
    last[carry] = h;
    last[carry_c] = select(cell.c, c_before, stays);
    hidden[place * FILTERS + channel] = h;
}

// What a term of the gradient through the recurrence reads: dz of a gate one step later.
fn load_dz(source: Place, k: u32, gate: u32, per_tap: u32) -> f32 {
    let pixel = target_seeing(source, k / per_tap, params.items);
    if k >= SIZE_D * SIZE_H * SIZE_W * per_tap || pixel == NO_PIXEL {
        return 0.0;
    }
    let place = params.step * pixels() + pixel;
    return d_x[place * 4u * FILTERS + gate * FILTERS + k % per_tap];
}

// A tile of 64 pixels and 64 channels. `step` is one more than the step at hand: its dz flows
// back to the hidden state before it.
@compute @workgroup_size(256)
fn backward(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row0 = group.y * TILE;
    let channel0 = group.x * TILE;
    let passes = select(1u, 4u, HAS_DROPOUT);
    let per_tap = 4u * FILTERS / passes;
    let terms = SIZE_D * SIZE_H * SIZE_W * per_tap;
    let tx = thread % 16u;
    let ty = thread / 16u;
    var items: array<u32, 4>;
    var at: array<vec3<i32>, 4>;
    for (var i = 0u; i < 4u; i++) {
        let place = place_of(row0 + ty + 16u * i, params.items, source_extents());
        items[i] = place.item;
        at[i] = place.at;
    }
    var total: mat4x4<f32>;
    for (var gate = 0u; gate < passes && params.step < params.steps; gate++) {
        var sums: mat4x4<f32>;
        for (var k0 = 0u; k0 < terms; k0 += SLICE) {
            for (var i = 0u; i < 4u; i++) {
                let row = ty + 16u * i;
                var dz = 0.0;
                if row0 + row < pixels() {
                    dz = load_dz(Place(items[i], at[i]), k0 + tx, gate, per_tap);
                }
                a_tile[tx * PITCH + row] = dz;
            }
            for (var i = thread; i < TILE * SLICE; i += THREADS) {
                let k = k0 + i % SLICE;
                let channel = channel0 + i / SLICE;
                var weight = 0.0;
                if k < terms && channel < FILTERS {
                    let row = k / per_tap * FILTERS + channel;
                    weight = recurrent[row * 4u * FILTERS + gate * FILTERS + k % per_tap];
                }
                b_tile[i % SLICE * PITCH + i / SLICE] = weight;
            }
            workgroupBarrier();
            add_slice(&sums, tx, ty);
            workgroupBarrier();
        }
        for (var i = 0u; i < 4u; i++) {
            for (var j = 0u; j < 4u; j++) {
                let pixel = min(row0 + ty + 16u * i, pixels() - 1u);
                let channel = min(channel0 + tx + 16u * j, FILTERS - 1u);
                total[i][j] += sums[i][j] * factor(gate, pixel, channel);
            }
        }
    }
    for (var i = 0u; i < 4u; i++) {
        for (var j = 0u; j < 4u; j++) {
            let pixel = row0 + ty + 16u * i;
            let channel = channel0 + tx + 16u * j;
            if pixel < pixels() && channel < FILTERS {
                gate_gradients(pixel, channel, total[i][j]);
            }
        }
    }
}

// d_state carries the gradients of h and c from step to step; at the end it is the gradient of
// the initial state.
fn gate_gradients(pixel: u32, channel: u32, product: f32) {
    let carry = pixel * FILTERS + channel;
    let carry_c = carry + pixels() * FILTERS;
    var dh = 0.0;
    var dc = 0.0;
    if params.step < params.steps {
        dh = flush(product);
        dc = d_state[carry_c];
        if is_masked(params.step, pixel) {
            dh = d_state[carry];
        }
    } else if HAS_D_LAST {
        dh = d_last[carry];
        dc = d_last[carry_c];
    }
    if params.step == 0u {
        d_state[carry] = dh;
        d_state[carry_c] = dc;
        return;
    }
    let t = params.step - 1u;
    let place = t * pixels() + pixel;
    if HAS_D_HIDDEN {
        dh += d_hidden[place * FILTERS + channel];
    }
    var dz = vec4<f32>();
    if !is_masked(t, pixel) {
        let at_saved = place * 6u * FILTERS + channel;
        let gates = vec4<f32>(
            saved_in[at_saved], saved_in[at_saved + FILTERS],
            saved_in[at_saved + 2u * FILTERS], saved_in[at_saved + 3u * FILTERS]);
        let c_before = saved_in[at_saved + 4u * FILTERS];
        let c_active = saved_in[at_saved + 5u * FILTERS];
        let gradients = cell_gradients(gates, c_before, c_active, dh, dc);
        dz = gradients.dz;
        dc = gradients.dc;
    }
    d_state[carry] = dh;
    d_state[carry_c] = dc;
    let to = place * 4u * FILTERS + channel;
    d_x[to] = dz.x;
    d_x[to + FILTERS] = dz.y;
    d_x[to + 2u * FILTERS] = dz.z;
    d_x[to + 3u * FILTERS] = dz.w;
}
