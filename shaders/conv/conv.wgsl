// Convolutions as matrix products (implicit GEMM). A has a row for each window; it is never stored: a
// thread finds element (tap, channel) of a row through the window.
//
//   multiply          y(p) = sum over taps j of x(p stride + j dilation - before) W_j + b
//     workgroup       one tile (tile.wgsl) of windows by filters
//     thread          loads column thread % SLICE of four windows, then sums its blocks
//   multiply_pixels   dW_j = sum over windows p of x(p stride + j dilation - before)^T dy(p)
//     workgroup       one tile of (tap, channel) by filters, over a part of all windows
//   multiply_few, multiply_few_pixels   the same for at most four filters
//     workgroup       FEW_ROWS rows; threads share the terms of a row
//     shared          a_tile: the threads' partial sums, added in order after a barrier
//   add_parts         one thread per element adds the parts, in order
struct Params {
    items: u32,
    rows: u32,
    columns: u32,
    // Windows per part of the sum over windows, and number of parts.
    per_part: u32,
    parts: u32,
    // Row tiles and parts before those of a launch over a part of the grid.
    first_tile: u32,
    first_part: u32,
    a_offset: u32,
    b_offset: u32,
    bias_offset: u32,
}

// A, B and Out are f32 or f16; sums are f32.
@group(0) @binding(0) var<storage, read> a: array<A>;
@group(0) @binding(1) var<storage, read> b: array<B>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<Out>;
// Sums over parts of the windows, one matrix after another.
@group(0) @binding(4) var<storage, read> parts: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

// Channels of A.
override TERMS: u32 = 1u;
// Gradient of the input: rows are sources, and A's pixels are the targets whose windows see them.
override TRANSPOSED: bool = false;
override HAS_BIAS: bool = false;

fn taps() -> u32 {
    return SIZE_D * SIZE_H * SIZE_W;
}

// The window origin of a row; transposed, the source itself.
fn row_place(row: u32) -> Place {
    if TRANSPOSED {
        return place_of(row, params.items, source_extents());
    }
    let target_place = place_of(row, params.items, target_extents());
    return Place(target_place.item, window_start(target_place.at));
}

fn load_a(row: u32, place: Place, k: u32) -> f32 {
    let tap = k / TERMS;
    if row >= params.rows || tap >= taps() {
        return 0.0;
    }
    var pixel: u32;
    if TRANSPOSED {
        pixel = target_seeing(place, tap, params.items);
    } else {
        pixel = source_seen(place, tap, params.items);
    }
    if pixel == NO_PIXEL {
        return 0.0;
    }
    return f32(a[params.a_offset + pixel * TERMS + k % TERMS]);
}

fn load_b(k: u32, column: u32) -> f32 {
    if column >= params.columns || k >= taps() * TERMS {
        return 0.0;
    }
    var at = k * params.columns + column;
    if TRANSPOSED {
        at = (k / TERMS * params.columns + column) * TERMS + k % TERMS;
    }
    return f32(b[params.b_offset + at]);
}

@compute @workgroup_size(TILE_THREADS)
fn multiply(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row0 = (params.first_tile + group.y) * TILE_ROWS;
    let column0 = group.x * TILE_COLUMNS;
    let first = thread / SLICE;
    let stride = TILE_ROWS / 4u;
    // The window origins of the four rows that this thread loads: two arrays, as
    // HLSL takes no array of structs here.
    var items: array<u32, 4>;
    var starts: array<vec3<i32>, 4>;
    for (var i = 0u; i < 4u; i++) {
        let place = row_place(row0 + first + i * stride);
        items[i] = place.item;
        starts[i] = place.at;
    }
    let tx = thread % COLUMN_THREADS;
    let ty = thread / COLUMN_THREADS;
    var sums: Blocks;
    for (var k0 = 0u; k0 < taps() * TERMS; k0 += SLICE) {
        let k = thread % SLICE;
        for (var i = 0u; i < 4u; i++) {
            let row = first + i * stride;
            a_tile[k * A_PITCH + row] = load_a(row0 + row, Place(items[i], starts[i]), k0 + k);
        }
        for (var i = thread; i < TILE_COLUMNS * SLICE; i += TILE_THREADS) {
            let b_k = select(i / TILE_COLUMNS, i % SLICE, TRANSPOSED);
            let column = select(i % TILE_COLUMNS, i / SLICE, TRANSPOSED);
            b_tile[b_k * B_PITCH + column] = load_b(k0 + b_k, column0 + column);
        }
        workgroupBarrier();
        add_slice(&sums, tx, ty);
        workgroupBarrier();
    }
    let column = column0 + tx;
    sums.first = add_bias(column, sums.first);
    sums.beside = add_bias(column + columns_on(), sums.beside);
    sums.below = add_bias(column, sums.below);
    sums.across = add_bias(column + columns_on(), sums.across);
    store_blocks(0u, row0 + ty, column, sums);
}

fn add_bias(column0: u32, sums: mat4x4<f32>) -> mat4x4<f32> {
    if !HAS_BIAS {
        return sums;
    }
    let added = vec4<f32>(
        load_bias(column0), load_bias(column0 + COLUMN_THREADS),
        load_bias(column0 + 2u * COLUMN_THREADS), load_bias(column0 + 3u * COLUMN_THREADS));
    return sums + mat4x4<f32>(added, added, added, added);
}

// The bias of a column; columns beyond the last are not stored.
fn load_bias(column: u32) -> f32 {
    return bias[params.bias_offset + min(column, params.columns - 1u)];
}

// Rows of a workgroup of 256 threads in products of at most four columns.
const FEW_ROWS = 64u;

// At most four columns. 16 threads share the terms of a row; each thread has four rows, 16 apart.
@compute @workgroup_size(256)
fn multiply_few(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row0 = (params.first_tile + group.y) * FEW_ROWS + thread / 16u;
    var items: array<u32, 4>;
    var starts: array<vec3<i32>, 4>;
    for (var i = 0u; i < 4u; i++) {
        let place = row_place(row0 + 16u * i);
        items[i] = place.item;
        starts[i] = place.at;
    }
    var sums: mat4x4<f32>;
    for (var k = thread % 16u; k < taps() * TERMS; k += 16u) {
        let right = vec4<f32>(load_b(k, 0u), load_b(k, 1u), load_b(k, 2u), load_b(k, 3u));
        for (var i = 0u; i < 4u; i++) {
            sums[i] += load_a(row0 + 16u * i, Place(items[i], starts[i]), k) * right;
        }
    }
    let column = thread % 16u;
    for (var i = 0u; i < 4u; i++) {
        let row = row0 + 16u * i;
        var sum = sum_shares(sums[i], thread, 16u, 1u);
        if row < params.rows && column < params.columns {
            if HAS_BIAS {
                sum += bias[params.bias_offset + column];
            }
            out[row * params.columns + column] = Out(sum);
        }
    }
}

// Adds the partial sums of `count` threads, `stride` apart, in order; the j-th of them returns the
// sum of column j.
fn sum_shares(values: vec4<f32>, thread: u32, count: u32, stride: u32) -> f32 {
    for (var j = 0u; j < 4u; j++) {
        a_tile[j * 256u + thread] = values[j];
    }
    workgroupBarrier();
    var sum = 0.0;
    if thread / stride % count < 4u {
        let first = thread - thread / stride % count * stride;
        for (var share = 0u; share < count; share++) {
            sum += a_tile[thread / stride % count * 256u + first + share * stride];
        }
    }
    workgroupBarrier();
    return sum;
}

fn store_blocks(part: u32, row: u32, column: u32, sums: Blocks) {
    store(part, row, column, sums.first);
    if COLUMN_BLOCKS > 1u {
        store(part, row, column + columns_on(), sums.beside);
    }
    if ROW_BLOCKS > 1u {
        store(part, row + rows_on(), column, sums.below);
    }
    if COLUMN_BLOCKS > 1u && ROW_BLOCKS > 1u {
        store(part, row + rows_on(), column + columns_on(), sums.across);
    }
}

fn store(part: u32, row0: u32, column0: u32, sums: mat4x4<f32>) {
    for (var i = 0u; i < 4u; i++) {
        for (var j = 0u; j < 4u; j++) {
            let row = row0 + i * ROW_THREADS;
            let column = column0 + j * COLUMN_THREADS;
            if row < params.rows && column < params.columns {
                out[(part * params.rows + row) * params.columns + column] = Out(sums[i][j]);
            }
        }
    }
}

// Gradient of the kernel: rows are (tap, channel), terms are the windows of a part.
@compute @workgroup_size(TILE_THREADS)
fn multiply_pixels(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row0 = (params.first_tile + group.y) * TILE_ROWS;
    let column0 = group.x * TILE_COLUMNS;
    let part = params.first_part + group.z;
    let end = min(params.items * TARGET_D * TARGET_H * TARGET_W, (part + 1u) * params.per_part);
    let tx = thread % COLUMN_THREADS;
    let ty = thread / COLUMN_THREADS;
    var sums: Blocks;
    for (var first = part * params.per_part; first < end; first += SLICE) {
        for (var i = thread; i < TILE_ROWS * SLICE; i += TILE_THREADS) {
            let k = i / TILE_ROWS;
            a_tile[k * A_PITCH + i % TILE_ROWS] = seen_element(first + k, end, row0 + i % TILE_ROWS);
        }
        for (var i = thread; i < TILE_COLUMNS * SLICE; i += TILE_THREADS) {
            let pixel = first + i / TILE_COLUMNS;
            let column = column0 + i % TILE_COLUMNS;
            b_tile[i / TILE_COLUMNS * B_PITCH + i % TILE_COLUMNS] = target_element(pixel, end, column);
        }
        workgroupBarrier();
        add_slice(&sums, tx, ty);
        workgroupBarrier();
    }
    store_blocks(part, row0 + ty, column0 + tx, sums);
}

// Element of a row (tap, channel) that a target's window sees.
fn seen_element(pixel: u32, end: u32, row: u32) -> f32 {
    if pixel >= end || row >= params.rows {
        return 0.0;
    }
    let place = place_of(pixel, params.items, target_extents());
    let start = Place(place.item, window_start(place.at));
    let source = source_seen(start, row / TERMS, params.items);
    if source == NO_PIXEL {
        return 0.0;
    }
    return f32(a[params.a_offset + source * TERMS + row % TERMS]);
}

// Element of a target.
fn target_element(pixel: u32, end: u32, column: u32) -> f32 {
    if pixel >= end || column >= params.columns {
        return 0.0;
    }
    return f32(b[params.b_offset + pixel * params.columns + column]);
}

// Gradient of the kernel for at most four columns: thread i has row i % FEW_ROWS and every fourth
// target.
@compute @workgroup_size(256)
fn multiply_few_pixels(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row = (params.first_tile + group.y) * FEW_ROWS + thread % FEW_ROWS;
    let part = params.first_part + group.z;
    let end = min(params.items * TARGET_D * TARGET_H * TARGET_W, (part + 1u) * params.per_part);
    var sums: vec4<f32>;
    for (var pixel = part * params.per_part + thread / FEW_ROWS; pixel < end; pixel += 4u) {
        // Columns beyond the last are not stored.
        sums += seen_element(pixel, end, row) * vec4<f32>(
            target_element(pixel, end, 0u), target_element(pixel, end, 1u),
            target_element(pixel, end, 2u), target_element(pixel, end, 3u));
    }
    let column = thread / FEW_ROWS;
    let sum = sum_shares(sums, thread, 4u, FEW_ROWS);
    if row < params.rows && column < params.columns {
        out[(part * params.rows + row) * params.columns + column] = Out(sum);
    }
}

// Adds the parts in order.
@compute @workgroup_size(THREADS)
fn add_parts(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    let count = params.rows * params.columns;
    if i >= count {
        return;
    }
    var sum = 0.0;
    for (var part = 0u; part < params.parts; part++) {
        sum += parts[part * count + i];
    }
    out[i] = Out(sum);
}
