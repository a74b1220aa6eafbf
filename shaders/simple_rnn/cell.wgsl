// The cell of a SimpleRNN, for one element (row, unit). The schedules scan.wgsl and step.wgsl call
// cell_forward or cell_backward once per element and step.
//
//   h(t) = activation(x(t) + h(t-1) U)
@group(0) @binding(0) var<storage, read> x: array<Elem>;
@group(0) @binding(2) var<storage, read> state: array<f32>;
@group(0) @binding(3) var<storage, read> mask: array<u32>;
@group(0) @binding(4) var<storage, read> dropout: array<f32>;
@group(0) @binding(5) var<storage, read_write> hidden: array<Elem>;
@group(0) @binding(6) var<storage, read_write> last: array<f32>;

@group(0) @binding(7) var<storage, read> hidden_in: array<Elem>;
@group(0) @binding(8) var<storage, read> d_hidden: array<Elem>;
@group(0) @binding(9) var<storage, read> d_last: array<f32>;
@group(0) @binding(10) var<storage, read_write> d_x: array<Elem>;
@group(0) @binding(11) var<storage, read_write> d_state: array<f32>;
@group(0) @binding(12) var<uniform> params: Params;

const GATES = 1u;

// The state between two steps; in the backward pass, its gradient.
struct Carry { h: f32 }

fn load_carry(t: u32, row: u32, unit: u32) -> Carry {
    return Carry(hidden_before(t, row, unit));
}

// The state at the end of the launch before.
fn resume_carry(t: u32, row: u32, unit: u32) -> Carry {
    return Carry(last[row * HIDDEN + unit]);
}

fn store_carry(row: u32, unit: u32, carry: Carry) {
    last[row * HIDDEN + unit] = carry.h;
}

fn load_input_projection(t: u32, row: u32, unit: u32) -> vec4<f32> {
    return vec4<f32>(f32(x[(t * rows() + row) * HIDDEN + unit]), 0.0, 0.0, 0.0);
}

fn cell_forward(t: u32, row: u32, unit: u32, pre: PreActivation, carry: Carry) -> Carry {
    var after = carry;
    if pre.unmasked {
        after.h = activate(ACTIVATION, pre.input_projection.x + pre.recurrent_product.x);
    }
    hidden[(t * rows() + row) * HIDDEN + unit] = Elem(after.h);
    return after;
}

// The gradient of the final state.
fn last_step_gradient(row: u32, unit: u32) -> Carry {
    if HAS_D_LAST {
        return Carry(d_last[row * HIDDEN + unit]);
    }
    return Carry(0.0);
}

fn load_carry_gradient(row: u32, unit: u32) -> Carry {
    return Carry(d_state[row * HIDDEN + unit]);
}

fn store_carry_gradient(row: u32, unit: u32, carry: Carry) {
    d_state[row * HIDDEN + unit] = carry.h;
}

// The saved values of a step: what is kept of h(t), the gradient of h from outside, and the mask (1 or 0).
fn load_saved(t: u32, row: u32, unit: u32) -> mat2x4<f32> {
    let at = (t * rows() + row) * HIDDEN + unit;
    var dh = 0.0;
    if HAS_D_HIDDEN {
        dh = f32(d_hidden[at]);
    }
    let unmasked = select(0.0, 1.0, is_unmasked(t, row));
    return mat2x4<f32>(vec4<f32>(f32(hidden_in[at]), dh, unmasked, 0.0), vec4<f32>(0.0));
}

fn cell_backward(t: u32, row: u32, unit: u32, saved: mat2x4<f32>, carry: Carry) -> CellGradient {
    let dh = carry.h + saved[0].y;
    var back = CellGradient(vec4<f32>(0.0), Carry(dh));
    if saved[0].z != 0.0 {
        back.dz.x = flush(dh * slope(ACTIVATION, saved[0].x));
        back.carry.h = 0.0;
    }
    d_x[(t * rows() + row) * HIDDEN + unit] = Elem(back.dz.x);
    return back;
}

// dz.
fn gate_gradient(t: u32, row: u32, gate: u32, unit: u32) -> f32 {
    return f32(d_x[(t * rows() + row) * HIDDEN + unit]);
}
