// Steps of a recurrence in one launch, all of them where the device's loops are long enough; what
// goes on from launch to launch lies in memory between them, not rounded. A workgroup owns ROWS rows, and its threads are four
// parts of LANES lanes. In the product a part has a gate, or a quarter of the terms where there is
// one gate, and a lane has units lane, lane + LANES, ..: neighbours read neighbouring weights, and
// a weight serves all rows. Behind a barrier the elements (row, unit) go round the threads, each of
// which has read what it needs of memory before the product began.
override LANES: u32 = 32u;
override THREADS: u32 = PARTS * LANES;
// Hidden states that gates see: one, or with dropout one each. Going back, GATES.
override VIEWS: u32 = 1u;
override ELEMENTS: u32 = ROWS * HIDDEN;
override TILE: u32 = VIEWS * ELEMENTS;
override SUMS: u32 = PARTS * ELEMENTS;
// Elements of a thread, at most MOST_TURNS.
override TURNS: u32 = (ELEMENTS + THREADS - 1u) / THREADS;

const MOST_TURNS = 4u;
const PARTS = 4u;
// Parts that share the terms of a gate.
const SHARES = PARTS / GATES;

// What the product multiplies by weights: h as gates see it, or gradients; (view, unit, row).
var<workgroup> tile: array<f32, TILE>;
// What each part found; (part, row, unit).
var<workgroup> sums: array<f32, SUMS>;
// (row, unit), each of one thread alone.
var<workgroup> carries: array<Carry, ELEMENTS>;

fn rows() -> u32 {
    return params.items;
}

fn item_of(row: u32) -> u32 {
    return row;
}

// What gates see of h.
fn share(element: u32, row: u32, h: f32) {
    let unit = element % HIDDEN;
    for (var view = 0u; view < VIEWS; view++) {
        tile[(view * HIDDEN + unit) * ROWS + element / HIDDEN] = h * factor(view, row, unit);
    }
}

fn multiply(thread: u32) {
    let part = thread / LANES;
    let gate = part % GATES;
    if part >= GATES * SHARES {
        return;
    }
    let first = part / GATES * HIDDEN / SHARES;
    let end = (part / GATES + 1u) * HIDDEN / SHARES;
    let view = select(0u, gate, VIEWS > 1u) * HIDDEN;
    for (var unit = thread % LANES; unit < HIDDEN; unit += LANES) {
        var sum: Rows;
        for (var k = first; k < end; k++) {
            let weight = f32(recurrent[(k * GATES + gate) * HIDDEN + unit]);
            sum += rows_at((view + k) * ROWS) * weight;
        }
        for (var r = 0u; r < ROWS; r++) {
            sums[(part * ROWS + r) * HIDDEN + unit] = row_of(sum, r);
        }
    }
}

// What the parts found for the gates of an element.
fn product(element: u32) -> vec4<f32> {
    var result: vec4<f32>;
    for (var part = 0u; part < GATES * SHARES; part++) {
        result[part % GATES] += sums[part * ELEMENTS + element];
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
                carries[e] = resumed(params.step, row, e % HIDDEN);
            } else {
                carries[e] = carried(0u, row, e % HIDDEN);
            }
            share(e, row, carries[e].h);
        }
    }
    workgroupBarrier();
    for (var t = params.step; t < params.end; t++) {
        var given: array<vec4<f32>, MOST_TURNS>;
        var there: array<bool, MOST_TURNS>;
        for (var turn = 0u; turn < TURNS; turn++) {
            let e = thread + turn * THREADS;
            let row = row0 + e / HIDDEN;
            if e < ELEMENTS && row < rows() {
                given[turn] = input(t, row, e % HIDDEN);
                there[turn] = takes_part(t, row);
            }
        }
        multiply(thread);
        workgroupBarrier();
        for (var turn = 0u; turn < TURNS; turn++) {
            let e = thread + turn * THREADS;
            let row = row0 + e / HIDDEN;
            if e < ELEMENTS && row < rows() {
                let terms = Terms(given[turn], product(e), there[turn]);
                let carry = advance(t, row, e % HIDDEN, terms, carries[e]);
                carries[e] = carry;
                share(e, row, carry.h);
            }
        }
        workgroupBarrier();
    }
    for (var e = thread; e < ELEMENTS; e += THREADS) {
        let row = row0 + e / HIDDEN;
        if row < rows() {
            keep(row, e % HIDDEN, carries[e]);
        }
    }
}

// `recurrent` is U transposed here: [GATES HIDDEN, HIDDEN].
fn multiply_back(thread: u32, row0: u32) {
    let part = thread / LANES;
    let gate = part % GATES;
    if part >= GATES * SHARES {
        return;
    }
    let first = gate * HIDDEN + part / GATES * HIDDEN / SHARES;
    let end = gate * HIDDEN + (part / GATES + 1u) * HIDDEN / SHARES;
    for (var unit = thread % LANES; unit < HIDDEN; unit += LANES) {
        var sum: Rows;
        for (var k = first; k < end; k++) {
            sum += rows_at(k * ROWS) * f32(recurrent[k * HIDDEN + unit]);
        }
        for (var r = 0u; r < ROWS; r++) {
            // Rows beyond the last are not read.
            let row = min(row0 + r, rows() - 1u);
            sums[(part * ROWS + r) * HIDDEN + unit] = row_of(sum, r) * factor(gate, row, unit);
        }
    }
}

// The gradient of h that came through the product.
fn product_back(element: u32) -> f32 {
    var dh = 0.0;
    for (var part = 0u; part < GATES * SHARES; part++) {
        dh += sums[part * ELEMENTS + element];
    }
    return dh;
}

@compute @workgroup_size(THREADS)
fn backward(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row0 = group.x * ROWS;
    var gates: array<vec4<f32>, MOST_TURNS>;
    var others: array<vec4<f32>, MOST_TURNS>;
    for (var turn = 0u; turn < TURNS; turn++) {
        let e = thread + turn * THREADS;
        let row = row0 + e / HIDDEN;
        if e < ELEMENTS && row < rows() {
            if params.end < params.steps {
                carries[e] = carried_gradient(row, e % HIDDEN);
            } else {
                carries[e] = end_gradient(row, e % HIDDEN);
            }
            let ahead = trace(params.end - 1u, row, e % HIDDEN);
            gates[turn] = ahead[0];
            others[turn] = ahead[1];
        }
    }
    for (var t = params.end; t > params.step; t--) {
        for (var turn = 0u; turn < TURNS; turn++) {
            let e = thread + turn * THREADS;
            let unit = e % HIDDEN;
            let row = row0 + e / HIDDEN;
            if e < ELEMENTS && row < rows() {
                var carry = carries[e];
                if t < params.end {
                    carry.h = flush(carry.h + product_back(e));
                }
                let saved = mat2x4<f32>(gates[turn], others[turn]);
                let back = retreat(t - 1u, row, unit, saved, carry);
                carries[e] = back.carry;
                for (var gate = 0u; gate < GATES; gate++) {
                    tile[(gate * HIDDEN + unit) * ROWS + e / HIDDEN] = back.dz[gate];
                }
                if t > params.step + 1u {
                    let ahead = trace(t - 2u, row, unit);
                    gates[turn] = ahead[0];
                    others[turn] = ahead[1];
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
            keep_gradient(row, e % HIDDEN, carry);
        }
    }
}
