// out = A . B on matrix units, which multiply SIDE x SIDE matrices: A of M x K and B of K x N in
// half precision, either stored transposed, sums in single precision.
//
//   workgroup   BLOCKS x BLOCKS blocks; no shared memory, no barriers
//   subgroup    one block at a time: 2 x 2 unit matrices of sums, held in matrix registers
//
// SIDE divides K, and 2 SIDE divides M and N. K is split into parts as in matmul.wgsl.
enable f16;
enable wgpu_cooperative_matrix;

struct Params {
    m: u32,
    n: u32,
    k: u32,
    k_part: u32,
    // Rows of workgroups and parts before those of a launch over a part of the grid.
    first_tile: u32,
    first_part: u32,
    a_offset: u32,
    b_offset: u32,
}

@group(0) @binding(0) var<storage, read> a: array<f16>;
@group(0) @binding(1) var<storage, read> b: array<f16>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

override TRANSPOSE_A: bool = false;
override TRANSPOSE_B: bool = false;

// Blocks of 2 x 2 unit matrices along each side of a workgroup's result.
const BLOCKS = 2u;

fn load_a(row: u32, k: u32) -> Left {
    if TRANSPOSE_A {
        return coopLoad<Left>(&a[params.a_offset + k * params.m + row], params.m);
    }
    return coopLoadT<Left>(&a[params.a_offset + row * params.k + k], params.k);
}

fn load_b(k: u32, column: u32) -> Right {
    if TRANSPOSE_B {
        return coopLoad<Right>(&b[params.b_offset + column * params.k + k], params.k);
    }
    return coopLoadT<Right>(&b[params.b_offset + k * params.n + column], params.n);
}

// Blocks are dealt to subgroups in turn, however many subgroups the threads form.
@compute @workgroup_size(128)
fn multiply(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
) {
    for (var block = subgroup; block < BLOCKS * BLOCKS; block += subgroups) {
        let row = 2u * SIDE * ((params.first_tile + group.y) * BLOCKS + block / BLOCKS);
        let column = 2u * SIDE * (group.x * BLOCKS + block % BLOCKS);
        if row < params.m && column < params.n {
            multiply_block(row, column, params.first_part + group.z);
        }
    }
}

fn multiply_block(row: u32, column: u32, part: u32) {
    let end = min((part + 1u) * params.k_part, params.k);
    var first: Sums;
    var beside: Sums;
    var below: Sums;
    var across: Sums;
    for (var k = part * params.k_part; k < end; k += SIDE) {
        let upper = load_a(row, k);
        let lower = load_a(row + SIDE, k);
        let left = load_b(k, column);
        let right = load_b(k, column + SIDE);
        first = coopMultiplyAdd(upper, left, first);
        beside = coopMultiplyAdd(upper, right, beside);
        below = coopMultiplyAdd(lower, left, below);
        across = coopMultiplyAdd(lower, right, across);
    }
    let at = (part * params.m + row) * params.n + column;
    let at_below = at + SIDE * params.n;
    store(first, at, params.n);
    store(beside, at + SIDE, params.n);
    store(below, at_below, params.n);
    store(across, at_below + SIDE, params.n);
}

// A function, because naga 30 does not evaluate the operands of a cooperative store after preceding
// statements; arguments are evaluated.
fn store(sums: Sums, at: u32, stride: u32) {
    coopStoreT(sums, &out[at], stride);
}
