// out = activation(A . B + bias), A of M x K and B of K x N, either stored transposed.
//
//   workgroup   (column tile, row tile, part of K): one tile of tile.wgsl, all columns of one gate
//   thread      loads every TILE_THREADS-th element of a slice, then sums its blocks
//   add_parts   one thread per element adds the parts of K, in order
//
// With dropout, the columns of B belong to gates, each of which sees A through factors of its own,
// one per feature and row; the factors repeat after `period` rows: row r uses those of r % period.
struct Params {
    m: u32,
    n: u32,
    k: u32,
    // K is split into `splits` parts of `k_part` terms, whose sums add_parts adds.
    k_part: u32,
    splits: u32,
    // Gates among the columns of the result.
    column_gates: u32,
    period: u32,
    // Row tiles and parts before those of a launch over a part of the grid.
    first_tile: u32,
    first_part: u32,
    a_offset: u32,
    b_offset: u32,
    bias_offset: u32,
    dropout_offset: u32,
}

// A, B and Out are f32 or f16; sums are f32.
@group(0) @binding(0) var<storage, read> a: array<A>;
@group(0) @binding(1) var<storage, read> b: array<B>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> dropout: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<Out>;
// Sums over parts of K, one M x N matrix after another.
@group(0) @binding(5) var<storage, read> parts: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;

override TRANSPOSE_A: bool = false;
override TRANSPOSE_B: bool = false;
override HAS_BIAS: bool = false;
override ACTIVATION: u32 = 0u;
// Factors are applied to A, or to the sums of each gate's terms.
override DROP_A: bool = false;
override DROP_SUMS: bool = false;
// Gates among the terms of each sum.
override K_GATES: u32 = 1u;

// The dropout factor of a gate for a feature of a row.
fn factor(gate: u32, row: u32, feature: u32, features: u32) -> f32 {
    let at = (gate * params.period + row % params.period) * features + feature;
    return dropout[params.dropout_offset + at];
}

fn load_a(row: u32, k: u32, k_end: u32, gate: u32) -> f32 {
    if row >= params.m || k >= k_end {
        return 0.0;
    }
    var v = f32(a[params.a_offset + select(row * params.k + k, k * params.m + row, TRANSPOSE_A)]);
    if DROP_A {
        if TRANSPOSE_A {
            v *= factor(gate, k, row, params.m);
        } else {
            v *= factor(gate, row, k, params.k);
        }
    }
    return v;
}

fn load_b(k: u32, column: u32, k_end: u32, column_end: u32) -> f32 {
    if column >= column_end || k >= k_end {
        return 0.0;
    }
    let at = select(k * params.n + column, column * params.k + k, TRANSPOSE_B);
    return f32(b[params.b_offset + at]);
}

// Adds the bias and applies the activation.
fn epilogue(sum: f32, column: u32) -> f32 {
    var z = sum;
    if HAS_BIAS {
        z += bias[params.bias_offset + column];
    }
    return activate(ACTIVATION, z);
}

// The columns of a workgroup, which all belong to one gate.
struct Columns { gate: u32, first: u32, end: u32 }

fn columns_of(group: u32) -> Columns {
    let width = params.n / params.column_gates;
    let tiles = (width + TILE_COLUMNS - 1u) / TILE_COLUMNS;
    let gate = group / tiles;
    return Columns(gate, gate * width + group % tiles * TILE_COLUMNS, (gate + 1u) * width);
}

// Loads a slice of A and B into shared memory; neighbouring threads read neighbouring elements.
fn load_tiles(row0: u32, columns: Columns, k0: u32, k_end: u32, thread: u32) {
    for (var i = thread; i < TILE_ROWS * SLICE; i += TILE_THREADS) {
        let k = select(i % SLICE, i / TILE_ROWS, TRANSPOSE_A);
        let row = select(i / SLICE, i % TILE_ROWS, TRANSPOSE_A);
        a_tile[k * A_PITCH + row] = load_a(row0 + row, k0 + k, k_end, columns.gate);
    }
    for (var i = thread; i < TILE_COLUMNS * SLICE; i += TILE_THREADS) {
        let k = select(i / TILE_COLUMNS, i % SLICE, TRANSPOSE_B);
        let column = select(i % TILE_COLUMNS, i / SLICE, TRANSPOSE_B);
        b_tile[k * B_PITCH + column] = load_b(k0 + k, columns.first + column, k_end, columns.end);
    }
}

@compute @workgroup_size(TILE_THREADS)
fn multiply(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row0 = (params.first_tile + group.y) * TILE_ROWS;
    let columns = columns_of(group.x);
    let part = params.first_part + group.z;
    let k_start = part * params.k_part;
    let k_end = min(k_start + params.k_part, params.k);
    let k_width = params.k / K_GATES;
    let tx = thread % COLUMN_THREADS;
    let ty = thread / COLUMN_THREADS;
    let row = row0 + ty;
    let column = columns.first + tx;
    let row_on = row + rows_on();
    let column_on = column + columns_on();
    var total: Blocks;
    for (var gate = 0u; gate < K_GATES; gate++) {
        let gate_end = min(k_end, (gate + 1u) * k_width);
        var sums: Blocks;
        for (var k0 = max(k_start, gate * k_width); k0 < gate_end; k0 += SLICE) {
            load_tiles(row0, columns, k0, gate_end, thread);
            workgroupBarrier();
            add_slice(&sums, tx, ty);
            workgroupBarrier();
        }
        total.first += drop_sums(gate, row, column, sums.first);
        total.beside += drop_sums(gate, row, column_on, sums.beside);
        total.below += drop_sums(gate, row_on, column, sums.below);
        total.across += drop_sums(gate, row_on, column_on, sums.across);
    }
    store(row, column, columns.end, part, total.first);
    if COLUMN_BLOCKS > 1u {
        store(row, column_on, columns.end, part, total.beside);
    }
    if ROW_BLOCKS > 1u {
        store(row_on, column, columns.end, part, total.below);
    }
    if COLUMN_BLOCKS > 1u && ROW_BLOCKS > 1u {
        store(row_on, column_on, columns.end, part, total.across);
    }
}

// Multiplies a block's sums by the gate's factors.
fn drop_sums(gate: u32, row0: u32, column0: u32, sums: mat4x4<f32>) -> mat4x4<f32> {
    var result = sums;
    if DROP_SUMS {
        for (var i = 0u; i < 4u; i++) {
            for (var j = 0u; j < 4u; j++) {
                // Columns beyond the last are not stored.
                let column = min(column0 + j * COLUMN_THREADS, params.n - 1u);
                result[i][j] *= factor(gate, row0 + i * ROW_THREADS, column, params.n);
            }
        }
    }
    return result;
}

// Stores a block: the result, or a part of it.
fn store(row0: u32, column0: u32, column_end: u32, split: u32, sums: mat4x4<f32>) {
    for (var i = 0u; i < 4u; i++) {
        for (var j = 0u; j < 4u; j++) {
            let row = row0 + i * ROW_THREADS;
            let column = column0 + j * COLUMN_THREADS;
            if row < params.m && column < column_end {
                let at = (split * params.m + row) * params.n + column;
                if params.splits == 1u {
                    out[at] = Out(epilogue(sums[i][j], column));
                } else {
                    out[at] = Out(sums[i][j]);
                }
            }
        }
    }
}

// Adds the parts in order.
@compute @workgroup_size(THREADS)
fn add_parts(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    let count = params.m * params.n;
    if i >= count {
        return;
    }
    var sum = 0.0;
    for (var s = 0u; s < params.splits; s++) {
        sum += parts[s * count + i];
    }
    out[i] = Out(epilogue(sum, i % params.n));
}
