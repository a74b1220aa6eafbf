// A scan with four batch rows per workgroup (scan.wgsl): Rows holds one value per row, in registers.
const ROWS = 4u;
// Elements of a thread, at most.
const MAX_OWNED = 2u;
alias Rows = vec4<f32>;

// Of two or four threads, a thread owns two rows or one of its unit.
fn own_row_of_gates(thread: u32, n: u32) -> u32 {
    return thread % K_SPLITS * OWNED + n;
}

// Two rows of each gate; the other two are given to `thread ^ lane`.
struct Pair { x: vec2<f32>, y: vec2<f32>, z: vec2<f32>, w: vec2<f32> }

fn exchange_rows(sums: Sums, thread: u32, lane: u32) -> Pair {
    let upper = (thread & lane) != 0u;
    let of_xy = exchange(thread, lane, vec4<f32>(
        select(sums.x.zw, sums.x.xy, upper), select(sums.y.zw, sums.y.xy, upper)));
    let of_zw = exchange(thread, lane, vec4<f32>(
        select(sums.z.zw, sums.z.xy, upper), select(sums.w.zw, sums.w.xy, upper)));
    return Pair(
        select(sums.x.xy, sums.x.zw, upper) + of_xy.xy, select(sums.y.xy, sums.y.zw, upper) + of_xy.zw,
        select(sums.z.xy, sums.z.zw, upper) + of_zw.xy, select(sums.w.xy, sums.w.zw, upper) + of_zw.zw);
}

// The whole sums of a thread's own rows, one component per gate.
fn own_gates(sums: Sums, thread: u32) -> array<vec4<f32>, MAX_OWNED> {
    var result: array<vec4<f32>, MAX_OWNED>;
    if K_SPLITS == 2u {
        let own = exchange_rows(sums, thread, 1u);
        result[0] = vec4<f32>(own.x.x, own.y.x, own.z.x, own.w.x);
        result[1] = vec4<f32>(own.x.y, own.y.y, own.z.y, own.w.y);
    } else {
        let pair = exchange_rows(sums, thread, 2u);
        let first = vec4<f32>(pair.x.x, pair.y.x, pair.z.x, pair.w.x);
        let second = vec4<f32>(pair.x.y, pair.y.y, pair.z.y, pair.w.y);
        let odd = (thread & 1u) != 0u;
        result[0] = select(first, second, odd) + exchange(thread, 1u, select(second, first, odd));
    }
    return result;
}

// Writes the values of a unit's rows to `tile[at]`: the threads that own them gather them, and the first
// writes, as a vector must not be written by two threads. Two threads of a block own two rows each, as those
// of a unit in a block of four units.
fn publish_of_gates(at: u32, thread: u32, own: array<f32, MAX_OWNED>) {
    if K_SPLITS == 2u {
        publish_of_units(at, thread, own);
        return;
    }
    let odd = (thread & 1u) != 0u;
    let other = exchange_one(thread, 1u, own[0]);
    let pair = select(vec2<f32>(own[0], other), vec2<f32>(other, own[0]), odd);
    let others = exchange_two(thread, 2u, pair);
    if thread % K_SPLITS == 0u {
        tile[at] = vec4<f32>(pair, others);
    }
}

// Of the eight threads of a block of four units, a thread owns two rows of one unit.
fn own_row_of_units(thread: u32, n: u32) -> u32 {
    return (thread & 1u) * 2u + n;
}

fn own_unit(thread: u32) -> u32 {
    return thread % 8u / 2u;
}

// The whole sums of a thread's own rows of its unit.
fn own_units(sums: Sums, thread: u32) -> array<f32, MAX_OWNED> {
    let upper = (thread & 4u) != 0u;
    let first = select(sums.x, sums.z, upper) + exchange(thread, 4u, select(sums.z, sums.x, upper));
    let second = select(sums.y, sums.w, upper) + exchange(thread, 4u, select(sums.w, sums.y, upper));
    let later = (thread & 2u) != 0u;
    let unit = select(first, second, later) + exchange(thread, 2u, select(second, first, later));
    let odd = (thread & 1u) != 0u;
    let own = select(unit.xy, unit.zw, odd) + exchange_two(thread, 1u, select(unit.zw, unit.xy, odd));
    return array<f32, MAX_OWNED>(own.x, own.y);
}

// Writes the values of a unit's rows to `tile[at]`, of two threads that own two rows each.
fn publish_of_units(at: u32, thread: u32, own: array<f32, MAX_OWNED>) {
    let pair = vec2<f32>(own[0], own[1]);
    let others = exchange_two(thread, 1u, pair);
    if thread % 2u == 0u {
        tile[at] = vec4<f32>(pair, others);
    }
}
