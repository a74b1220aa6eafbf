// The cell of a GRU with reset_after, for one element (row, unit). The schedules scan.wgsl and
// step.wgsl call cell_forward or cell_backward once per element and step.
//
//   a = h(t-1) U + b,  z, r = recurrent_activation(x_z + a_z, x_r + a_r)
//   g = activation(x_h + r a_h)
//   h(t) = z h(t-1) + (1 - z) g
@group(0) @binding(0) var<storage, read> x: array<f32>;
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

const GATES = 3u;

override HAS_BIAS: bool = false;

// The state between two steps; in the backward pass, its gradient.
struct Carry { h: f32 }

fn load_carry(t: u32, row: u32, unit: u32) -> Carry {
    return Carry(hidden_before(t, row, unit));
}

// Every launch ends with the last step that it wrote to the sequence.
fn resume_carry(t: u32, row: u32, unit: u32) -> Carry {
    return load_carry(t, row, unit);
}

fn store_carry(row: u32, unit: u32, carry: Carry) {}

fn load_input_projection(t: u32, row: u32, unit: u32) -> vec4<f32> {
    let at = (t * rows() + row) * 3u * HIDDEN + unit;
    return vec4<f32>(x[at], x[at + HIDDEN], x[at + 2u * HIDDEN], 0.0);
}

// Saves what is kept of z, r and g, then h(t-1) and `inner`: a_h, or r h(t-1) without reset_after.
fn save(place: u32, unit: u32, gates: vec3<f32>, h_before: f32, inner: f32) {
    let to = place * 5u * HIDDEN + unit;
    saved[to] = gates.x;
    saved[to + HIDDEN] = gates.y;
    saved[to + 2u * HIDDEN] = gates.z;
    saved[to + 3u * HIDDEN] = h_before;
    saved[to + 4u * HIDDEN] = inner;
}

fn cell_forward(t: u32, row: u32, unit: u32, pre: PreActivation, carry: Carry) -> Carry {
    var inner = pre.recurrent_product.xyz;
    if HAS_BIAS {
        let b = params.bias_offset + unit;
        inner += vec3<f32>(bias[b], bias[b + HIDDEN], bias[b + 2u * HIDDEN]);
    }
    let z_sum = pre.input_projection.x + inner.x;
    let z = activate(RECURRENT_ACTIVATION, z_sum);
    let reset_sum = pre.input_projection.y + inner.y;
    let reset = activate(RECURRENT_ACTIVATION, reset_sum);
    let g_sum = pre.input_projection.z + reset * inner.z;
    let g = activate(ACTIVATION, g_sum);
    let place = t * rows() + row;
    var after = carry;
    if pre.unmasked {
        let gates = vec3<f32>(
            kept(RECURRENT_ACTIVATION, z_sum, z), kept(RECURRENT_ACTIVATION, reset_sum, reset),
            kept(ACTIVATION, g_sum, g));
        save(place, unit, gates, carry.h, inner.z);
        after.h = flush(z * carry.h + (1.0 - z) * g);
    } else {
        save(place, unit, vec3<f32>(0.0), 0.0, 0.0);
    }
    hidden[place * HIDDEN + unit] = after.h;
    return after;
}

// The final state is the sequence's last step, so it has no gradient of its own.
fn last_step_gradient(row: u32, unit: u32) -> Carry {
    return Carry(0.0);
}

fn load_carry_gradient(row: u32, unit: u32) -> Carry {
    return Carry(d_state[row * HIDDEN + unit]);
}

fn store_carry_gradient(row: u32, unit: u32, carry: Carry) {
    d_state[row * HIDDEN + unit] = carry.h;
}

// The saved values of a step: what is kept of z, r and g, h(t-1); then inner, the gradient of h from outside, and the
// mask (1 or 0).
fn load_saved(t: u32, row: u32, unit: u32) -> mat2x4<f32> {
    let place = t * rows() + row;
    let at = place * 5u * HIDDEN + unit;
    return mat2x4<f32>(
        vec4<f32>(
            saved_in[at], saved_in[at + HIDDEN],
            saved_in[at + 2u * HIDDEN], saved_in[at + 3u * HIDDEN]),
        vec4<f32>(
            saved_in[at + 4u * HIDDEN], d_hidden[place * HIDDEN + unit],
            select(0.0, 1.0, is_unmasked(t, row)), 0.0));
}

fn cell_backward(t: u32, row: u32, unit: u32, saved: mat2x4<f32>, carry: Carry) -> CellGradient {
    let z = recall(RECURRENT_ACTIVATION, saved[0].x);
    let reset = recall(RECURRENT_ACTIVATION, saved[0].y);
    let g = recall(ACTIVATION, saved[0].z);
    let dh = carry.h + saved[1].y;
    var back = CellGradient(vec4<f32>(0.0), Carry(dh));
    var d_candidate = 0.0;
    if saved[1].z != 0.0 {
        d_candidate = flush(dh * (1.0 - z) * slope(ACTIVATION, saved[0].z));
        back.dz = vec4<f32>(
            flush(dh * (saved[0].w - g) * slope(RECURRENT_ACTIVATION, saved[0].x)),
            flush(d_candidate * saved[1].x * slope(RECURRENT_ACTIVATION, saved[0].y)),
            flush(d_candidate * reset), 0.0);
        back.carry.h = flush(dh * z);
    }
    let at = (t * rows() + row) * 3u * HIDDEN + unit;
    d_x[at] = back.dz.x;
    d_x[at + HIDDEN] = back.dz.y;
    d_x[at + 2u * HIDDEN] = d_candidate;
    d_inner[at] = back.dz.x;
    d_inner[at + HIDDEN] = back.dz.y;
    d_inner[at + 2u * HIDDEN] = back.dz.z;
    return back;
}

// da of a gate.
fn gate_gradient(t: u32, row: u32, gate: u32, unit: u32) -> f32 {
    return d_inner[((t * rows() + row) * 3u + gate) * HIDDEN + unit];
}
