// The cell of an LSTM, dense or convolutional, for one element (row, unit). The schedules scan.wgsl
// and step.wgsl call cell_forward or cell_backward once per element and step.
//
//   z = x W + b + h(t-1) U,  i, f, o = recurrent_activation(z),  g = activation(z)
//   c(t) = f c(t-1) + i g,   h(t) = o activation(c(t))
//
// `gates` is x W + b before a step. The forward pass overwrites it with what is kept of the activations
// i, f, g, o, or with 0 where a row is masked; the backward pass reads that and overwrites it with the
// gradients of the pre-activations.
@group(0) @binding(0) var<storage, read_write> gates: array<Elem>;
@group(0) @binding(2) var<storage, read> state: array<f32>;
@group(0) @binding(3) var<storage, read> mask: array<u32>;
@group(0) @binding(4) var<storage, read> dropout: array<f32>;
@group(0) @binding(5) var<storage, read_write> hidden: array<Elem>;
// c before each step.
@group(0) @binding(6) var<storage, read_write> cells: array<Elem>;
@group(0) @binding(7) var<storage, read_write> last: array<f32>;

@group(0) @binding(8) var<storage, read> cells_in: array<Elem>;
@group(0) @binding(9) var<storage, read> d_hidden: array<Elem>;
@group(0) @binding(10) var<storage, read> d_last: array<f32>;
@group(0) @binding(11) var<storage, read_write> d_state: array<f32>;
@group(0) @binding(12) var<uniform> params: Params;

const GATES = 4u;

// The state between two steps; in the backward pass, its gradients.
struct Carry { h: f32, c: f32 }

fn load_carry(t: u32, row: u32, unit: u32) -> Carry {
    let at = (rows() + row) * HIDDEN + unit;
    var c = 0.0;
    if t > 0u {
        c = last[at];
    } else if HAS_STATE {
        c = state[at];
    }
    return Carry(hidden_before(t, row, unit), c);
}

// The state at the end of the launch before.
fn resume_carry(t: u32, row: u32, unit: u32) -> Carry {
    return Carry(last[row * HIDDEN + unit], last[(rows() + row) * HIDDEN + unit]);
}

fn store_carry(row: u32, unit: u32, carry: Carry) {
    last[row * HIDDEN + unit] = carry.h;
    last[(rows() + row) * HIDDEN + unit] = carry.c;
}

// x W + b of the four gates, or what has overwritten it.
fn load_input_projection(t: u32, row: u32, unit: u32) -> vec4<f32> {
    let at = (t * rows() + row) * 4u * HIDDEN + unit;
    return vec4<f32>(
        f32(gates[at]), f32(gates[at + HIDDEN]),
        f32(gates[at + 2u * HIDDEN]), f32(gates[at + 3u * HIDDEN]));
}

fn store_gates(t: u32, row: u32, unit: u32, of_gates: vec4<f32>) {
    let at = (t * rows() + row) * 4u * HIDDEN + unit;
    gates[at] = Elem(of_gates.x);
    gates[at + HIDDEN] = Elem(of_gates.y);
    gates[at + 2u * HIDDEN] = Elem(of_gates.z);
    gates[at + 3u * HIDDEN] = Elem(of_gates.w);
}

// c(t) from the gates i, f, g, o and c(t-1).
fn cell(values: vec4<f32>, before: f32) -> f32 {
    return flush(values.y * before + values.x * values.z);
}

fn cell_forward(t: u32, row: u32, unit: u32, pre: PreActivation, carry: Carry) -> Carry {
    let at = (t * rows() + row) * HIDDEN + unit;
    cells[at] = Elem(carry.c);
    var after = carry;
    if pre.unmasked {
        let sums = pre.input_projection + pre.recurrent_product;
        let values = vec4<f32>(
            activate(RECURRENT_ACTIVATION, sums.x), activate(RECURRENT_ACTIVATION, sums.y),
            activate(ACTIVATION, sums.z), activate(RECURRENT_ACTIVATION, sums.w));
        store_gates(t, row, unit, vec4<f32>(
            kept(RECURRENT_ACTIVATION, sums.x, values.x), kept(RECURRENT_ACTIVATION, sums.y, values.y),
            kept(ACTIVATION, sums.z, values.z), kept(RECURRENT_ACTIVATION, sums.w, values.w)));
        let c = cell(values, carry.c);
        after = Carry(values.w * activate(ACTIVATION, c), c);
    } else {
        store_gates(t, row, unit, vec4<f32>(0.0));
    }
    hidden[at] = Elem(after.h);
    return after;
}

// The gradient of the final state.
fn last_step_gradient(row: u32, unit: u32) -> Carry {
    if HAS_D_LAST {
        return Carry(d_last[row * HIDDEN + unit], d_last[(rows() + row) * HIDDEN + unit]);
    }
    return Carry(0.0, 0.0);
}

fn load_carry_gradient(row: u32, unit: u32) -> Carry {
    return Carry(d_state[row * HIDDEN + unit], d_state[(rows() + row) * HIDDEN + unit]);
}

fn store_carry_gradient(row: u32, unit: u32, carry: Carry) {
    d_state[row * HIDDEN + unit] = carry.h;
    d_state[(rows() + row) * HIDDEN + unit] = carry.c;
}

// The saved values of a step: what is kept of the gates i, f, g, o; then c(t-1), the gradient of h from outside, and
// the mask (1 or 0).
fn load_saved(t: u32, row: u32, unit: u32) -> mat2x4<f32> {
    let at = (t * rows() + row) * HIDDEN + unit;
    var dh = 0.0;
    if HAS_D_HIDDEN {
        dh = f32(d_hidden[at]);
    }
    let unmasked = select(0.0, 1.0, is_unmasked(t, row));
    return mat2x4<f32>(load_input_projection(t, row, unit), vec4<f32>(f32(cells_in[at]), dh, unmasked, 0.0));
}

fn cell_backward(t: u32, row: u32, unit: u32, saved: mat2x4<f32>, carry: Carry) -> CellGradient {
    let gates_kept = saved[0];
    let c_before = saved[1].x;
    let dh = carry.h + saved[1].y;
    var back = CellGradient(vec4<f32>(0.0), Carry(dh, carry.c));
    if saved[1].z != 0.0 {
        let values = vec4<f32>(
            recall(RECURRENT_ACTIVATION, gates_kept.x), recall(RECURRENT_ACTIVATION, gates_kept.y),
            recall(ACTIVATION, gates_kept.z), recall(RECURRENT_ACTIVATION, gates_kept.w));
        let c = cell(values, c_before);
        let c_active = activate(ACTIVATION, c);
        let dc = carry.c + dh * values.w * slope(ACTIVATION, kept(ACTIVATION, c, c_active));
        back.dz = vec4<f32>(
            flush(dc * values.z * slope(RECURRENT_ACTIVATION, gates_kept.x)),
            flush(dc * c_before * slope(RECURRENT_ACTIVATION, gates_kept.y)),
            flush(dc * values.x * slope(ACTIVATION, gates_kept.z)),
            flush(dh * c_active * slope(RECURRENT_ACTIVATION, gates_kept.w)));
        back.carry = Carry(0.0, flush(dc * values.y));
    }
    store_gates(t, row, unit, back.dz);
    return back;
}

// dz of a gate.
fn gate_gradient(t: u32, row: u32, gate: u32, unit: u32) -> f32 {
    return f32(gates[((t * rows() + row) * 4u + gate) * HIDDEN + unit]);
}
