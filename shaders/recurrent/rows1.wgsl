// A scan with one batch row per workgroup (scan.wgsl): Rows holds one value per row, in a register. After
// the exchange all threads of a block hold the same sums; the first of those that have a unit owns its element.
const ROWS = 1u;
// Elements of a thread, at most.
const MAX_OWNED = 1u;
alias Rows = f32;

fn own_row_of_gates(thread: u32, n: u32) -> u32 {
    return thread % K_SPLITS;
}

// The whole sums of the row, one component per gate.
fn own_gates(sums: Sums, thread: u32) -> array<vec4<f32>, MAX_OWNED> {
    var own = vec4<f32>(sums.x, sums.y, sums.z, sums.w);
    if K_SPLITS > 2u {
        own += exchange(thread, 2u, own);
    }
    own += exchange(thread, 1u, own);
    return array<vec4<f32>, MAX_OWNED>(own);
}

fn own_row_of_units(thread: u32, n: u32) -> u32 {
    return thread & 1u;
}

fn own_unit(thread: u32) -> u32 {
    return thread % 8u / 2u;
}

// The whole sum of a thread's unit.
fn own_units(sums: Sums, thread: u32) -> array<f32, MAX_OWNED> {
    let all = vec4<f32>(sums.x, sums.y, sums.z, sums.w);
    let upper = (thread & 4u) != 0u;
    let pair = select(all.xy, all.zw, upper) + exchange_two(thread, 4u, select(all.zw, all.xy, upper));
    let later = (thread & 2u) != 0u;
    let given = select(pair.y, pair.x, later);
    let unit = select(pair.x, pair.y, later) + exchange_one(thread, 2u, given);
    let own = unit + exchange_one(thread, 1u, unit);
    return array<f32, MAX_OWNED>(own);
}

// Writes the value of a unit to `tile[at]`.
fn publish_of_gates(at: u32, thread: u32, own: array<f32, MAX_OWNED>) {
    if thread % K_SPLITS == 0u {
        tile[at] = own[0];
    }
}

fn publish_of_units(at: u32, thread: u32, own: array<f32, MAX_OWNED>) {
    if thread % 2u == 0u {
        tile[at] = own[0];
    }
}
