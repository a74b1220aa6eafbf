// A scan: one launch runs all T time steps of a dense recurrent cell, or as many as the device's loop
// limit allows; between launches the carry (h and c) lies in memory in single precision.
//
//   batch B  row 0 ..        workgroup 0 | t = 0 -> 1 -> 2 -> .. -> T - 1    one workgroup owns ROWS
//            row ROWS ..     workgroup 1 | t = 0 -> 1 -> 2 -> .. -> T - 1    rows of the batch, from
//            row 2 ROWS ..   workgroup 2 | t = 0 -> 1 -> 2 -> .. -> T - 1    first to last step
//
//   one step t of a workgroup, for an LSTM (GATES = 4, H = HIDDEN units):
//
//     thread      0 .. LANES - 1   | LANES ..         | 2 LANES ..       | 3 LANES ..
//     group g     0                | 1                | 2                | 3
//     prefetch    as in phase 2, each thread for its elements: x W + b of all gates, and the mask,
//                 from memory to registers
//     phase 1     h U_i            | h U_f            | h U_g            | h U_o      -> sums
//     barrier     -------------------------------------------------------------------------------
//     phase 2     element e = thread, thread + THREADS, ..: adds its sums, applies the cell
//                 h, c -> carries (own element);  h -> tile (for the next step's phase 1)
//     barrier     -------------------------------------------------------------------------------
//
// An element is a pair (row, unit), numbered e = row * H + unit; thread e % THREADS owns it.
//
// Phase 1: lane l of a group computes the units l, l + LANES, .. of one gate, for all ROWS rows at
// once: neighbouring lanes read neighbouring weights, and each weight is read once per workgroup. A
// cell of one gate (SimpleRNN) has each group sum a quarter of K instead; one of three gates (GRU)
// leaves group 3 idle.
//
// The prefetch comes first so that the latency of memory hides behind the product. The backward pass
// goes from the last step to the first, and each step begins with the cell: its gradient dz of step
// t -> tile, a barrier, then the product dz U^T -> sums, a barrier. Before that product it prefetches
// the saved values of step t - 1, the next one that it takes.
//
//   shared      tile      h as the gates see it; backward, dz of all gates
//               sums      partial products of each group
//               carries   h and c of each element; backward, their gradients
//   registers   per thread the prefetched values of at most MAX_ELEMENTS_PER_THREAD elements
override LANES: u32 = 32u;
override THREADS: u32 = GATE_GROUPS * LANES;
// Copies of h in `tile`: one, or with dropout one for each gate. Backward, GATES.
override HIDDEN_COPIES: u32 = 1u;
override ELEMENTS: u32 = ROWS * HIDDEN;
override TILE: u32 = HIDDEN_COPIES * ELEMENTS;
override SUMS: u32 = GATE_GROUPS * ELEMENTS;
// Elements (row, unit) per thread, at most MAX_ELEMENTS_PER_THREAD.
override ELEMENTS_PER_THREAD: u32 = (ELEMENTS + THREADS - 1u) / THREADS;

const MAX_ELEMENTS_PER_THREAD = 4u;
const GATE_GROUPS = 4u;
// Groups that share the K dimension of a gate.
const K_SPLITS = GATE_GROUPS / GATES;

// The left factor of the product with U: copies of h or, backward, the gradients of the
// pre-activations; index (copy, unit, row).
var<workgroup> tile: array<f32, TILE>;
// Partial products; index (gate group, row, unit).
var<workgroup> sums: array<f32, SUMS>;
// The carry of each element; index (row, unit). Each is accessed by one thread only, but lies here
// rather than in a register, because it lives through all steps while registers are short in phase 1.
var<workgroup> carries: array<Carry, ELEMENTS>;

fn rows() -> u32 {
    return params.items;
}

fn item_of(row: u32) -> u32 {
    return row;
}

// Writes h of an element to `tile`, times the dropout factor of each copy.
fn publish_hidden(element: u32, row: u32, h: f32) {
    let unit = element % HIDDEN;
    for (var copy = 0u; copy < HIDDEN_COPIES; copy++) {
        tile[(copy * HIDDEN + unit) * ROWS + element / HIDDEN] = h * factor(copy, row, unit);
    }
}

// Phase 1 of the forward pass: partial sums of h U for all rows of the workgroup.
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

// Sums the partial products of an element, for each of its gates.
fn product(element: u32) -> vec4<f32> {
    var result: vec4<f32>;
    for (var split = 0u; split < K_SPLITS; split++) {
        let at = split * GATES * ELEMENTS + element;
        result.x += sums[at];
        if GATES > 1u {
            result.y += sums[at + ELEMENTS];
        }
        if GATES > 2u {
            result.z += sums[at + 2u * ELEMENTS];
        }
        if GATES > 3u {
            result.w += sums[at + 3u * ELEMENTS];
        }
    }
    return result;
}

@compute @workgroup_size(THREADS)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row0 = group.x * ROWS;
    for (var n = 0u; n < ELEMENTS_PER_THREAD; n++) {
        let e = thread + n * THREADS;
        let row = row0 + e / HIDDEN;
        if e < ELEMENTS && row < rows() {
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

// The product of the backward pass: partial sums of dz U^T. `recurrent` is U transposed: [GATES HIDDEN,
// HIDDEN].
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

// Sums the partial products of an element: the gradient of h that flowed through the product.
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
