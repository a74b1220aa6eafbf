// A scan: one launch runs all T time steps of a dense recurrent cell, or as many as the device's loop
// limit allows; between launches the carry (h and c) lies in memory in single precision.
//
//   batch B  row 0 ..        workgroup 0 | t = 0 -> 1 -> 2 -> .. -> T - 1    one workgroup owns ROWS
//            row ROWS ..     workgroup 1 | t = 0 -> 1 -> 2 -> .. -> T - 1    rows of the batch, from
//            row 2 ROWS ..   workgroup 2 | t = 0 -> 1 -> 2 -> .. -> T - 1    first to last step
//
// The product with U is divided among threads by columns and by K (split-K). A block is four columns:
// forward, the gates of one unit (one of three gates, a GRU, leaves the fourth idle); backward, and
// for a cell of one gate, four units. So there are BLOCKS = HIDDEN blocks forward and HIDDEN / 4 backward.
// K_SPLITS neighbouring threads share a block: forward four, or two where four were too many threads;
// backward, and for a cell of one gate, eight. Forward with four:
//
//   thread         0       1       2       3     | 4       5       6       7     | 8 ..
//   block          0       0       0       0     | 1       1       1       1     | 2 ..
//   rows k of U    0,4,8.. 1,5,9.. 2,6,..  3,7,..| 0,4,8.. 1,5,9.. 2,6,..  3,7,..| 0,4,8 ..
//
//   one step t of a thread:
//     prefetch     x W + b and the mask of its own elements, from memory to registers
//     multiply     for each of its k: four weights times h(k) of ROWS rows
//                  -> 4 x ROWS partial sums in registers
//     exchange     with the other threads of the block: each is left with the whole sums of its own
//                  elements (row, unit). The ROWS x 1 or ROWS x 4 elements of a block are divided among
//                  its K_SPLITS threads, so that a thread owns one or two; with one row some own none
//     cell         h, c -> registers;  h -> tile, in the half that the next step reads
//     barrier      ----------------------------------------------------------------------------
//
// One barrier a step suffices: the half that a step writes was read in the step before, whose barrier all
// readers have passed. Exchange by shuffles needs none; through shared memory each costs two more.
//
// Eight weights of a thread are loaded before the first of them is used, so that the loads wait
// together; with RESIDENT the first eight of the forward pass stay in registers for all steps. How rows
// are divided (rows4.wgsl, rows1.wgsl) and how threads exchange sums (exchange_subgroup.wgsl,
// exchange_shared.wgsl) changes no bit: the order of a sum depends on HIDDEN and K_SPLITS alone.
//
// The backward pass goes from the last step to the first. Its product dz U^T of step t flows into dh of
// step t - 1, so each step begins with the cell: dz -> tile, a barrier, then multiply and exchange.
// Meanwhile the saved values of step t - 1 arrive.
//
//   shared      tile      two halves, for odd and even steps. A half has a value of each row (Rows)
//                         for each k: forward h, in one copy, or with dropout in one for each gate,
//                         times the factors by which the gate sees it; backward dz, a copy for each gate
//   registers   4 x ROWS sums, eight weights (sixteen with RESIDENT), h and c of the own elements
//
// cell_kernels.rs of rnn-ops joins this file with scan_product.wgsl (tile, multiply and the constants), a
// cell (Carry, cell_forward, cell_backward, the loads and stores), recurrence.wgsl (HIDDEN, params, masks and
// dropout factors), a file of rows and one of exchange, and shared files (Elem, flush, activate).

fn rows() -> u32 {
    return params.items;
}

fn item_of(row: u32) -> u32 {
    return row;
}

// An element that a thread owns, at a place of the batch. One that is not present lies beyond the batch or
// the units; it reads those of the last, and stores nothing.
struct Element { row: u32, unit: u32, present: bool }

fn element(row0: u32, place: u32, unit: u32) -> Element {
    let row = row0 + place;
    let present = place < ROWS && row < rows() && unit < HIDDEN;
    return Element(min(row, rows() - 1u), min(unit, HIDDEN - 1u), present);
}

// The unit of a thread's elements, if a block is the gates of a unit, or four units.
fn unit_of_gates(thread: u32) -> u32 {
    return thread / K_SPLITS;
}

fn unit_of_units(thread: u32) -> u32 {
    return thread / K_SPLITS * 4u + own_unit(thread);
}

// Writes zeros to all of `tile`: rows beyond the batch and terms beyond HIDDEN stay so.
fn clear_tile(thread: u32) {
    // A loop from the thread's number on is no uniform control flow to FXC, which then refuses barriers.
    for (var n = 0u; n * THREADS < TILE; n++) {
        let at = n * THREADS + thread;
        if at < TILE {
            tile[at] = Rows();
        }
    }
    workgroupBarrier();
}

// Writes h of a thread's own elements to a half of `tile`, times the dropout factor of each copy. All
// threads call it together.
fn publish_hidden(half: u32, thread: u32, elements: array<Element, MAX_OWNED>, h: array<f32, MAX_OWNED>) {
    for (var copy = 0u; copy < HIDDEN_COPIES; copy++) {
        var own = h;
        for (var n = 0u; n < OWNED; n++) {
            own[n] *= factor(copy, elements[n].row, elements[n].unit);
        }
        if GATES > 1u {
            publish_of_gates(half + copy * COPY + unit_of_gates(thread), thread, own);
        } else {
            publish_of_units(half + copy * COPY + unit_of_units(thread), thread, own);
        }
    }
}

@compute @workgroup_size(THREADS)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row0 = group.x * ROWS;
    var elements: array<Element, MAX_OWNED>;
    var carries: array<Carry, MAX_OWNED>;
    // h of the elements that are present, and zero.
    var h: array<f32, MAX_OWNED>;
    clear_tile(thread);
    for (var n = 0u; n < OWNED; n++) {
        if GATES > 1u {
            elements[n] = element(row0, own_row_of_gates(thread, n), unit_of_gates(thread));
        } else {
            elements[n] = element(row0, own_row_of_units(thread, n), unit_of_units(thread));
        }
        if params.step > 0u {
            carries[n] = resume_carry(params.step, elements[n].row, elements[n].unit);
        } else {
            carries[n] = load_carry(0u, elements[n].row, elements[n].unit);
        }
        h[n] = select(0.0, carries[n].h, elements[n].present);
    }
    publish_hidden(0u, thread, elements, h);
    // Without RESIDENT nothing uses them, and compilers drop the loads, of which some would lie beyond U.
    // A branch around them would lengthen the hot loop on NVIDIA cards (gpu-compilers).
    let resident = load_weights(thread);
    workgroupBarrier();
    var half = 0u;
    for (var t = params.step; t < params.end; t++) {
        var input_projection: array<vec4<f32>, MAX_OWNED>;
        var unmasked: array<bool, MAX_OWNED>;
        for (var n = 0u; n < OWNED; n++) {
            input_projection[n] = load_input_projection(t, elements[n].row, elements[n].unit);
            unmasked[n] = is_unmasked(t, elements[n].row);
        }
        var sums: Sums;
        if RESIDENT {
            sums = add_eight(sums, resident, half + thread % K_SPLITS, HIDDEN_COPIES);
        }
        sums = multiply(sums, u32(RESIDENT), 0u, half, thread, HIDDEN_COPIES);
        var products: array<vec4<f32>, MAX_OWNED>;
        if GATES > 1u {
            products = own_gates(sums, thread);
        } else {
            let of_units = own_units(sums, thread);
            for (var n = 0u; n < OWNED; n++) {
                products[n] = vec4<f32>(of_units[n], 0.0, 0.0, 0.0);
            }
        }
        for (var n = 0u; n < OWNED; n++) {
            if elements[n].present {
                let pre = PreActivation(input_projection[n], products[n], unmasked[n]);
                carries[n] = cell_forward(t, elements[n].row, elements[n].unit, pre, carries[n]);
                h[n] = carries[n].h;
            }
        }
        half = HALF - half;
        publish_hidden(half, thread, elements, h);
        workgroupBarrier();
    }
    for (var n = 0u; n < OWNED; n++) {
        if elements[n].present {
            store_carry(elements[n].row, elements[n].unit, carries[n]);
        }
    }
}

// The gradient of h of a thread's own elements through the product dz U^T: the sum over gates, each
// times the dropout factor by which the gate saw h.
fn product_back(half: u32, elements: array<Element, MAX_OWNED>, thread: u32) -> array<f32, MAX_OWNED> {
    var result: array<f32, MAX_OWNED>;
    var sums: Sums;
    for (var gate = 0u; gate < GATES; gate++) {
        let first = gate * TERMS * THREADS;
        sums = multiply(sums, 0u, first, half + gate * COPY, thread, 1u);
        if HAS_DROPOUT {
            let of_gate = own_units(sums, thread);
            for (var n = 0u; n < OWNED; n++) {
                result[n] += of_gate[n] * factor(gate, elements[n].row, elements[n].unit);
            }
            sums = Sums();
        }
    }
    if HAS_DROPOUT {
        return result;
    }
    return own_units(sums, thread);
}

@compute @workgroup_size(THREADS)
fn backward(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row0 = group.x * ROWS;
    var elements: array<Element, MAX_OWNED>;
    var carries: array<Carry, MAX_OWNED>;
    var saved: array<mat2x4<f32>, MAX_OWNED>;
    clear_tile(thread);
    for (var n = 0u; n < OWNED; n++) {
        elements[n] = element(row0, own_row_of_units(thread, n), unit_of_units(thread));
        if params.end < params.steps {
            carries[n] = load_carry_gradient(elements[n].row, elements[n].unit);
        } else {
            carries[n] = last_step_gradient(elements[n].row, elements[n].unit);
        }
        saved[n] = load_saved(params.end - 1u, elements[n].row, elements[n].unit);
    }
    var half = 0u;
    for (var t = params.end; t > params.step; t--) {
        // dz of the elements that are present, and zero.
        var dz: array<vec4<f32>, MAX_OWNED>;
        for (var n = 0u; n < OWNED; n++) {
            if elements[n].present {
                let back = cell_backward(t - 1u, elements[n].row, elements[n].unit, saved[n], carries[n]);
                carries[n] = back.carry;
                dz[n] = back.dz;
            }
            if t > params.step + 1u {
                saved[n] = load_saved(t - 2u, elements[n].row, elements[n].unit);
            }
        }
        for (var gate = 0u; gate < GATES; gate++) {
            var own: array<f32, MAX_OWNED>;
            for (var n = 0u; n < OWNED; n++) {
                own[n] = dz[n][gate];
            }
            publish_of_units(half + gate * COPY + unit_of_units(thread), thread, own);
        }
        workgroupBarrier();
        let product = product_back(half, elements, thread);
        for (var n = 0u; n < OWNED; n++) {
            carries[n].h = flush(carries[n].h + product[n]);
        }
        half = HALF - half;
    }
    for (var n = 0u; n < OWNED; n++) {
        if elements[n].present {
            store_carry_gradient(elements[n].row, elements[n].unit, carries[n]);
        }
    }
}
