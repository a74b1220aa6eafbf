// The cell of an LSTM, dense or convolutional: one unit of one row at a time.
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

const GATES = 4u;

// From step to step; going back in time, the gradients of both.
struct Carry { h: f32, c: f32 }

fn carried(t: u32, row: u32, unit: u32) -> Carry {
    let at = (rows() + row) * HIDDEN + unit;
    var c = 0.0;
    if t > 0u {
        c = last[at];
    } else if HAS_STATE {
        c = state[at];
    }
    return Carry(hidden_before(t, row, unit), c);
}

fn keep(row: u32, unit: u32, carry: Carry) {
    last[row * HIDDEN + unit] = carry.h;
    last[(rows() + row) * HIDDEN + unit] = carry.c;
}

fn input(t: u32, row: u32, unit: u32) -> vec4<f32> {
    let at = (t * rows() + row) * 4u * HIDDEN + unit;
    return vec4<f32>(x[at], x[at + HIDDEN], x[at + 2u * HIDDEN], x[at + 3u * HIDDEN]);
}

fn advance(t: u32, row: u32, unit: u32, z: Terms, carry: Carry) -> Carry {
    let sums = z.given + z.product;
    let gates = vec4<f32>(
        activate(RECURRENT_ACTIVATION, sums.x), activate(RECURRENT_ACTIVATION, sums.y),
        activate(ACTIVATION, sums.z), activate(RECURRENT_ACTIVATION, sums.w));
    let c = flush(gates.y * carry.c + gates.x * gates.z);
    let c_active = activate(ACTIVATION, c);
    let place = t * rows() + row;
    let to = place * 6u * HIDDEN + unit;
    saved[to] = gates.x;
    saved[to + HIDDEN] = gates.y;
    saved[to + 2u * HIDDEN] = gates.z;
    saved[to + 3u * HIDDEN] = gates.w;
    saved[to + 4u * HIDDEN] = carry.c;
    saved[to + 5u * HIDDEN] = c_active;
    var after = carry;
    if z.there {
        after = Carry(gates.w * c_active, c);
    }
    hidden[place * HIDDEN + unit] = after.h;
    return after;
}

fn end_gradient(row: u32, unit: u32) -> Carry {
    if HAS_D_LAST {
        return Carry(d_last[row * HIDDEN + unit], d_last[(rows() + row) * HIDDEN + unit]);
    }
    return Carry(0.0, 0.0);
}

fn carried_gradient(row: u32, unit: u32) -> Carry {
    return Carry(d_state[row * HIDDEN + unit], d_state[(rows() + row) * HIDDEN + unit]);
}

fn keep_gradient(row: u32, unit: u32, carry: Carry) {
    d_state[row * HIDDEN + unit] = carry.h;
    d_state[(rows() + row) * HIDDEN + unit] = carry.c;
}

// The gates; c before, activation of c, the gradient of h from outside, and whether the row takes
// part.
fn trace(t: u32, row: u32, unit: u32) -> mat2x4<f32> {
    let place = t * rows() + row;
    let at = place * 6u * HIDDEN + unit;
    var dh = 0.0;
    if HAS_D_HIDDEN {
        dh = d_hidden[place * HIDDEN + unit];
    }
    return mat2x4<f32>(
        vec4<f32>(
            saved_in[at], saved_in[at + HIDDEN],
            saved_in[at + 2u * HIDDEN], saved_in[at + 3u * HIDDEN]),
        vec4<f32>(
            saved_in[at + 4u * HIDDEN], saved_in[at + 5u * HIDDEN],
            dh, select(0.0, 1.0, takes_part(t, row))));
}

fn retreat(t: u32, row: u32, unit: u32, saved: mat2x4<f32>, carry: Carry) -> Retreat {
    let gates = saved[0];
    let c_before = saved[1].x;
    let c_active = saved[1].y;
    let dh = carry.h + saved[1].z;
    var back = Retreat(vec4<f32>(0.0), Carry(dh, carry.c));
    if saved[1].w != 0.0 {
        let dc = carry.c + dh * gates.w * slope(ACTIVATION, c_active);
        back.dz = vec4<f32>(
            flush(dc * gates.z * slope(RECURRENT_ACTIVATION, gates.x)),
            flush(dc * c_before * slope(RECURRENT_ACTIVATION, gates.y)),
            flush(dc * gates.x * slope(ACTIVATION, gates.z)),
            flush(dh * c_active * slope(RECURRENT_ACTIVATION, gates.w)));
        back.carry = Carry(0.0, flush(dc * gates.y));
    }
    let at = (t * rows() + row) * 4u * HIDDEN + unit;
    d_x[at] = back.dz.x;
    d_x[at + HIDDEN] = back.dz.y;
    d_x[at + 2u * HIDDEN] = back.dz.z;
    d_x[at + 3u * HIDDEN] = back.dz.w;
    return back;
}

fn gate_gradient(t: u32, row: u32, gate: u32, unit: u32) -> f32 {
    return d_x[((t * rows() + row) * 4u + gate) * HIDDEN + unit];
}
