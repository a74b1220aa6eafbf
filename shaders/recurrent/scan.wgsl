// A scan: one launch runs all T time steps of a dense recurrent cell, or as many as the device's loop
// limit allows; between launches the carry (h and c) lies in memory in single precision.
//
//   batch B  row 0 ..        workgroup 0 | t = 0 -> 1 -> 2 -> .. -> T - 1    one workgroup owns ROWS
//            row ROWS ..     workgroup 1 | t = 0 -> 1 -> 2 -> .. -> T - 1    rows of the batch, from
//            row 2 ROWS ..   workgroup 2 | t = 0 -> 1 -> 2 -> .. -> T - 1    first to last step
//
// The product with U is divided among threads by columns and by K (split-K). A block is four columns:
// forward, the gates of one unit (one of three gates, a GRU, leaves the fourth idle); backward, and
// for a cell of one gate, four units. K_SPLITS neighbouring threads share a block:
//
//   thread         0       1       2       3     | 4       5       6       7     | 8 ..
//   block          0       0       0       0     | 1       1       1       1     | 2 ..
//   rows k of U    0,4,8.. 1,5,9.. 2,6,..  3,7,..| 0,4,8.. 1,5,9.. 2,6,..  3,7,..| 0,4,8 ..
//
//   one step t of a thread:
//     prefetch     x W + b and the mask of its own elements, from memory to registers
//     multiply     for each of its k: four weights times h(k) of ROWS rows
//                  -> 4 x ROWS partial sums in registers
//     exchange     with the other threads of the block: each keeps the whole sums of its own elements
//                  (row, unit), at most MAX_OWNED
//     cell         h, c -> registers;  h -> tile, in the half that the next step reads
//     barrier      ----------------------------------------------------------------------------
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
//   shared      tile      two halves, for odd and even steps: h as the gates see it, of all rows;
//                         backward, dz of all gates
//   registers   4 x ROWS sums, eight weights (sixteen with RESIDENT), h and c of the own elements
//
// cell_kernels.rs of rnn-ops joins this file with a cell (Carry, cell_forward, cell_backward, the loads and
// stores), recurrence.wgsl (HIDDEN, params, masks and dropout factors), a file of rows and one of exchange,
// and shared files (Elem, flush, activate).
override K_SPLITS: u32 = 4u;
// Blocks of four columns.
override BLOCKS: u32 = HIDDEN;
// Rows of U per thread and gate: a multiple of 4, of which those beyond HIDDEN are zero.
override TERMS: u32 = 8u;
// Copies of h in `tile`: one, or with dropout one for each gate. Backward, GATES.
override HIDDEN_COPIES: u32 = 1u;
// Elements of a thread.
override OWNED: u32 = 1u;
override RESIDENT: bool = false;
override THREADS: u32 = BLOCKS * K_SPLITS;
override COPY: u32 = TERMS * K_SPLITS;
override HALF: u32 = HIDDEN_COPIES * COPY;
override TILE: u32 = 2u * HALF;

// U packed for the threads at hand, by pack.wgsl.
@group(0) @binding(1) var<storage, read> recurrent: array<vec4<Elem>>;

// The left factor of the product with U, a value for each row; index (half, copy, k).
var<workgroup> tile: array<Rows, TILE>;

fn rows() -> u32 {
    return params.items;
}

fn item_of(row: u32) -> u32 {
    return row;
}

// Partial sums of a block's columns, each for all rows of the workgroup.
struct Sums { x: Rows, y: Rows, z: Rows, w: Rows }

// Eight weights of a thread, each for four columns.
struct Weights {
    a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32>,
    e: vec4<f32>, f: vec4<f32>, g: vec4<f32>, h: vec4<f32>,
}

fn load_weight(at: u32) -> vec4<f32> {
    return vec4<f32>(recurrent[at]);
}

fn load_weights(at: u32) -> Weights {
    return Weights(
        load_weight(at), load_weight(at + THREADS),
        load_weight(at + 2u * THREADS), load_weight(at + 3u * THREADS),
        load_weight(at + 4u * THREADS), load_weight(at + 5u * THREADS),
        load_weight(at + 6u * THREADS), load_weight(at + 7u * THREADS));
}

// Adds one row of U; `at` is its place in `tile`. With dropout each gate sees a copy of its own.
fn add(sums: Sums, weight: vec4<f32>, at: u32, copies: u32) -> Sums {
    let h = tile[at];
    if copies == 1u {
        return Sums(
            sums.x + h * weight.x, sums.y + h * weight.y,
            sums.z + h * weight.z, sums.w + h * weight.w);
    }
    var result = sums;
    result.x += h * weight.x;
    result.y += tile[at + COPY] * weight.y;
    if GATES > 2u {
        result.z += tile[at + 2u * COPY] * weight.z;
    }
    if GATES > 3u {
        result.w += tile[at + 3u * COPY] * weight.w;
    }
    return result;
}

fn add_four(sums: Sums, a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32>, at: u32, copies: u32) -> Sums {
    let first = add(sums, a, at, copies);
    let second = add(first, b, at + K_SPLITS, copies);
    let third = add(second, c, at + 2u * K_SPLITS, copies);
    return add(third, d, at + 3u * K_SPLITS, copies);
}

fn add_eight(sums: Sums, weights: Weights, at: u32, copies: u32) -> Sums {
    let half = add_four(sums, weights.a, weights.b, weights.c, weights.d, at, copies);
    let rest = at + 4u * K_SPLITS;
    return add_four(half, weights.e, weights.f, weights.g, weights.h, rest, copies);
}

// Adds the products of a thread's rows of U from row 8 `groups` on, for one gate of the backward pass or
// for all of the forward pass. `first` is the index of the first weight, `begin` the place of the copy in
// `tile`.
fn multiply(sums: Sums, groups: u32, first: u32, begin: u32, thread: u32, copies: u32) -> Sums {
    var result = sums;
    var at = begin + thread % K_SPLITS + 8u * groups * K_SPLITS;
    var weight = first + thread + 8u * groups * THREADS;
    for (var j = 8u * groups; j + 8u <= params.terms; j += 8u) {
        result = add_eight(result, load_weights(weight), at, copies);
        at += 8u * K_SPLITS;
        weight += 8u * THREADS;
    }
    if TERMS % 8u != 0u {
        let a = load_weight(weight);
        let b = load_weight(weight + THREADS);
        let c = load_weight(weight + 2u * THREADS);
        let d = load_weight(weight + 3u * THREADS);
        result = add_four(result, a, b, c, d, at, copies);
    }
    return result;
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
