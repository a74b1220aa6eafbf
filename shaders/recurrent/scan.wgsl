// One launch runs all time steps, or as many as the device's loops allow; between launches the carry
// (h and c) lies in memory in single precision.
//
//   workgroup   owns ROWS rows of the batch, from the first step of the launch to the last
//   threads     four groups (GATE_GROUPS) of LANES lanes
//   registers   per thread up to MAX_ELEMENTS_PER_THREAD elements (row, unit): x W + b and the mask of
//               the step at hand; backward, the saved gates and cell state
//   shared      tile      h as the gates see it; backward, the gradients of the pre-activations
//               sums      partial products of each group
//               carries   h and c of each element, or their gradients
//
// Each step has two phases, and a barrier behind each:
//
//   1. h U      Group g computes gate g; for a cell of one gate each group takes a quarter of K. Lane l
//               computes units l, l + LANES, ..: neighbours read neighbouring weights, and a weight is
//               read once for all rows of the workgroup.
//   2. cell     Elements (row, unit) go round all threads. Each adds the partial products in a fixed
//               order, applies the cell and publishes h for the next step.
//
// Each thread loads from memory what phase 2 needs before phase 1 begins, so that the latency of
// memory hides behind the product.
override LANES: u32 = 32u;
override THREADS: u32 = GATE_GROUPS * LANES;
// Copies of h that the gates see: one, or with dropout one for each gate. Backward, GATES.
override HIDDEN_COPIES: u32 = 1u;
override ELEMENTS: u32 = ROWS * HIDDEN;
override TILE: u32 = HIDDEN_COPIES * ELEMENTS;
override SUMS: u32 = GATE_GROUPS * ELEMENTS;
// Elements (row, unit) of a thread, at most MAX_ELEMENTS_PER_THREAD.
override ELEMENTS_PER_THREAD: u32 = (ELEMENTS + THREADS - 1u) / THREADS;

const MAX_ELEMENTS_PER_THREAD = 4u;
const GATE_GROUPS = 4u;
// Groups that share the K dimension of a gate.
const K_SPLITS = GATE_GROUPS / GATES;

// What is multiplied by U: copies of h, or backward the gradients of gates; (copy, unit, row).
var<workgroup> tile: array<f32, TILE>;
// Partial products; (gate_group, row, unit).
var<workgroup> sums: array<f32, SUMS>;
// (row, unit), each of one thread alone.
var<workgroup> carries: array<Carry, ELEMENTS>;

fn rows() -> u32 {
    return params.items;
}

fn item_of(row: u32) -> u32 {
    return row;
}

// Writes h of an element where the next product reads it, once for each copy.
fn publish_hidden(element: u32, row: u32, h: f32) {
    let unit = element % HIDDEN;
    for (var copy = 0u; copy < HIDDEN_COPIES; copy++) {
        tile[(copy * HIDDEN + unit) * ROWS + element / HIDDEN] = h * factor(copy, row, unit);
    }
}

fn multiply(thread: u32) {
    let gate_group = thread / LANES;
    let gate = gate_group % GATES;
    if gate_group >= GATES * K_SPLITS {
        return;
    }
    let first = gate_group / GATES * HIDDEN / K_SPLITS;
    let end = (gate_group / GATES + 1u) * HIDDEN / K_SPLITS;
    let copy = select(0u, gate, HIDDEN_COPIES > 1u) * HIDDEN;
    for (var unit = thread % LANES; unit < HIDDEN; unit += LANES) {
        var sum: Rows;
        for (var k = first; k < end; k++) {
            let weight = f32(recurrent[(k * GATES + gate) * HIDDEN + unit]);
            sum += rows_at((copy + k) * ROWS) * weight;
        }
        for (var r = 0u; r < ROWS; r++) {
            sums[(gate_group * ROWS + r) * HIDDEN + unit] = row_of(sum, r);
        }
    }
}

// h U of an element, for each of its gates.
fn product(element: u32) -> vec4<f32> {
    var result: vec4<f32>;
    for (var gate_group = 0u; gate_group < GATES * K_SPLITS; gate_group++) {
        result[gate_group % GATES] += sums[gate_group * ELEMENTS + element];
    }
    return result;
}

@compute @workgroup_size(THREADS)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row0 = group.x * ROWS;
    for (var e = thread; e < ELEMENTS; e += THREADS) {
        let row = row0 + e / HIDDEN;
        if row < rows() {
            if params.step > 0u {
                carries[e] = resume_carry(params.step, row, e % HIDDEN);
            } else {
                carries[e] = load_carry(0u, row, e % HIDDEN);
            }
            publish_hidden(e, row, carries[e].h);
        }
    }
    workgroupBarrier();
    for (var t = params.step; t < params.end; t++) {
        var input_projection: array<vec4<f32>, MAX_ELEMENTS_PER_THREAD>;
        var unmasked: array<bool, MAX_ELEMENTS_PER_THREAD>;
        for (var n = 0u; n < ELEMENTS_PER_THREAD; n++) {
            let e = thread + n * THREADS;
            let row = row0 + e / HIDDEN;
            if e < ELEMENTS && row < rows() {
                input_projection[n] = load_input_projection(t, row, e % HIDDEN);
                unmasked[n] = is_unmasked(t, row);
            }
        }
        multiply(thread);
        workgroupBarrier();
        for (var n = 0u; n < ELEMENTS_PER_THREAD; n++) {
            let e = thread + n * THREADS;
            let row = row0 + e / HIDDEN;
            if e < ELEMENTS && row < rows() {
                let pre = PreActivation(input_projection[n], product(e), unmasked[n]);
                let carry = cell_forward(t, row, e % HIDDEN, pre, carries[e]);
                carries[e] = carry;
                publish_hidden(e, row, carry.h);
            }
        }
        workgroupBarrier();
    }
    for (var e = thread; e < ELEMENTS; e += THREADS) {
        let row = row0 + e / HIDDEN;
        if row < rows() {
            store_carry(row, e % HIDDEN, carries[e]);
        }
    }
}

// `recurrent` is U transposed here: [GATES HIDDEN, HIDDEN].
fn multiply_back(thread: u32, row0: u32) {
    let gate_group = thread / LANES;
    let gate = gate_group % GATES;
    if gate_group >= GATES * K_SPLITS {
        return;
    }
    let first = gate * HIDDEN + gate_group / GATES * HIDDEN / K_SPLITS;
    let end = gate * HIDDEN + (gate_group / GATES + 1u) * HIDDEN / K_SPLITS;
    for (var unit = thread % LANES; unit < HIDDEN; unit += LANES) {
        var sum: Rows;
        for (var k = first; k < end; k++) {
            sum += rows_at(k * ROWS) * f32(recurrent[k * HIDDEN + unit]);
        }
        for (var r = 0u; r < ROWS; r++) {
            // Rows beyond the last are not read.
            let row = min(row0 + r, rows() - 1u);
            sums[(gate_group * ROWS + r) * HIDDEN + unit] = row_of(sum, r) * factor(gate, row, unit);
        }
    }
}

// The gradient of h that came through the product.
fn product_back(element: u32) -> f32 {
    var dh = 0.0;
    for (var gate_group = 0u; gate_group < GATES * K_SPLITS; gate_group++) {
        dh += sums[gate_group * ELEMENTS + element];
    }
    return dh;
}

@compute @workgroup_size(THREADS)
fn backward(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row0 = group.x * ROWS;
    var gates: array<vec4<f32>, MAX_ELEMENTS_PER_THREAD>;
    var others: array<vec4<f32>, MAX_ELEMENTS_PER_THREAD>;
    for (var n = 0u; n < ELEMENTS_PER_THREAD; n++) {
        let e = thread + n * THREADS;
        let row = row0 + e / HIDDEN;
        if e < ELEMENTS && row < rows() {
            if params.end < params.steps {
                carries[e] = load_carry_gradient(row, e % HIDDEN);
            } else {
                carries[e] = last_step_gradient(row, e % HIDDEN);
            }
            let ahead = load_saved(params.end - 1u, row, e % HIDDEN);
            gates[n] = ahead[0];
            others[n] = ahead[1];
        }
    }
    for (var t = params.end; t > params.step; t--) {
        for (var n = 0u; n < ELEMENTS_PER_THREAD; n++) {
            let e = thread + n * THREADS;
            let unit = e % HIDDEN;
            let row = row0 + e / HIDDEN;
            if e < ELEMENTS && row < rows() {
                var carry = carries[e];
                if t < params.end {
                    carry.h = flush(carry.h + product_back(e));
                }
                let saved = mat2x4<f32>(gates[n], others[n]);
                let back = cell_backward(t - 1u, row, unit, saved, carry);
                carries[e] = back.carry;
                for (var gate = 0u; gate < GATES; gate++) {
                    tile[(gate * HIDDEN + unit) * ROWS + e / HIDDEN] = back.dz[gate];
                }
                if t > params.step + 1u {
                    let ahead = load_saved(t - 2u, row, unit);
                    gates[n] = ahead[0];
                    others[n] = ahead[1];
                }
            }
        }
        workgroupBarrier();
        multiply_back(thread, row0);
        workgroupBarrier();
    }
    for (var e = thread; e < ELEMENTS; e += THREADS) {
        let row = row0 + e / HIDDEN;
        if row < rows() {
            var carry = carries[e];
            carry.h = flush(carry.h + product_back(e));
            store_carry_gradient(row, e % HIDDEN, carry);
        }
    }
}
