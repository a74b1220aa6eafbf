// Batch normalization: y = (x - mean) scale, scale = 1 / sqrt(variance + epsilon), over columns.
//
//   sum, squares, gradient_sums   workgroup: COLUMNS columns of one part of the rows. Thread: one
//                                 column, rows in order
//   finish_*                      thread: one column, adds the parts in order
//   normalize, backward           thread: one element
//   moving_average(_debiased)     thread: one column, rows in order
//
// No shared memory, no barriers.
struct Params {
    rows: u32,
    columns: u32,
    per_part: u32,
    epsilon: f32,
    // Of the mask: rows per item, columns per group.
    groups: u32,
    rows_of_item: u32,
    columns_of_group: u32,
    x_offset: u32,
    gradient_offset: u32,
    mask_offset: u32,
}

// x; backward, y; in the finish kernels, the sums of the parts.
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> gradient: array<f32>;
// The means; for a moving average, the weight of all values so far.
@group(0) @binding(2) var<storage, read> mean: array<f32>;
// The scales; in the finish kernels, the number of unmasked rows of each group.
@group(0) @binding(3) var<storage, read> scale: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
@group(0) @binding(5) var<storage, read_write> scale_out: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;
@group(0) @binding(7) var<storage, read> mask: array<u32>;

// Rows whose mask is 0 are excluded. The numbers of unmasked rows then follow the sums of the
// columns.
override MASKED: bool = false;

override MOMENTUM: f32 = 0.0;
override FACTOR: f32 = 1.0;

// Columns per workgroup of a sum, one per thread.
const COLUMNS = 64u;

struct Part { first: u32, end: u32 }

fn part_of(group: u32) -> Part {
    let first = group * params.per_part;
    return Part(first, min(first + params.per_part, params.rows));
}

fn parts() -> u32 {
    return (params.rows + params.per_part - 1u) / params.per_part;
}

// Number of sums: columns, and groups of the mask.
fn width() -> u32 {
    return select(params.columns, params.columns + params.groups, MASKED);
}

fn is_unmasked(row: u32, group: u32) -> bool {
    if !MASKED {
        return true;
    }
    return mask[params.mask_offset + row / params.rows_of_item * params.groups + group] != 0u;
}

@compute @workgroup_size(COLUMNS)
fn sum(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let column = group.x * COLUMNS + lane;
    let part = part_of(group.y);
    if column >= width() {
        return;
    }
    var total = 0.0;
    if column < params.columns {
        for (var row = part.first; row < part.end; row++) {
            if is_unmasked(row, column / params.columns_of_group) {
                total += x[params.x_offset + row * params.columns + column];
            }
        }
    } else {
        for (var row = part.first; row < part.end; row++) {
            total += select(0.0, 1.0, is_unmasked(row, column - params.columns));
        }
    }
    out[group.y * width() + column] = total;
}

@compute @workgroup_size(COLUMNS)
fn squares(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let column = group.x * COLUMNS + lane;
    let part = part_of(group.y);
    if column >= params.columns {
        return;
    }
    var total = 0.0;
    for (var row = part.first; row < part.end; row++) {
        if is_unmasked(row, column / params.columns_of_group) {
            let away = x[params.x_offset + row * params.columns + column] - mean[column];
            total += away * away;
        }
    }
    out[group.y * width() + column] = total;
}

// Adds the sums of the parts.
fn sum_of_parts(column: u32, width: u32) -> f32 {
    var total = 0.0;
    for (var part = 0u; part < parts(); part++) {
        total += x[params.x_offset + part * width + column];
    }
    return total;
}

// Keras's backend.epsilon(), added to the number of unmasked rows.
const COUNT_EPSILON: f32 = 1e-7;

@compute @workgroup_size(COLUMNS)
fn finish_mean(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < params.columns {
        var count = f32(params.rows);
        if MASKED {
            let group = params.columns + id.x / params.columns_of_group;
            count = sum_of_parts(group, width()) + COUNT_EPSILON;
        }
        out[id.x] = sum_of_parts(id.x, width()) / count;
    } else if id.x < width() {
        scale_out[id.x - params.columns] = sum_of_parts(id.x, width()) + COUNT_EPSILON;
    }
}

// Number of unmasked rows.
fn count_of(column: u32) -> f32 {
    if MASKED {
        return scale[column / params.columns_of_group];
    }
    return f32(params.rows);
}

@compute @workgroup_size(COLUMNS)
fn finish_scale(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < params.columns {
        let variance = sum_of_parts(id.x, width()) / count_of(id.x);
        out[id.x] = variance;
        scale_out[id.x] = 1.0 / sqrt(variance + params.epsilon);
    }
}

@compute @workgroup_size(THREADS)
fn normalize(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i < params.rows * params.columns {
        let column = i % params.columns;
        out[i] = (x[params.x_offset + i] - mean[column]) * scale[column];
    }
}

// Sums of dy and of dy y, side by side.
@compute @workgroup_size(COLUMNS)
fn gradient_sums(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let column = group.x * COLUMNS + lane;
    let part = part_of(group.y);
    if column >= params.columns {
        return;
    }
    var total = 0.0;
    var along = 0.0;
    for (var row = part.first; row < part.end; row++) {
        let at = row * params.columns + column;
        total += gradient[params.gradient_offset + at];
        along += gradient[params.gradient_offset + at] * x[params.x_offset + at];
    }
    out[group.y * 2u * params.columns + column] = total;
    out[(group.y * 2u + 1u) * params.columns + column] = along;
}

@compute @workgroup_size(COLUMNS)
fn finish_gradient_means(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < params.columns {
        let width = 2u * params.columns;
        let count = count_of(id.x);
        out[id.x] = sum_of_parts(id.x, width) / count;
        out[params.columns + id.x] = sum_of_parts(params.columns + id.x, width) / count;
    }
}

@compute @workgroup_size(THREADS)
fn backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i < params.rows * params.columns {
        let column = i % params.columns;
        let along = x[params.x_offset + i] * mean[params.columns + column];
        var d = gradient[params.gradient_offset + i];
        if is_unmasked(i / params.columns, column / params.columns_of_group) {
            d = d - mean[column] - along;
        }
        out[i] = scale[column] * d;
    }
}

// a = momentum a + (1 - momentum) factor x, for each row in order.
@compute @workgroup_size(THREADS)
fn moving_average(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i >= params.columns {
        return;
    }
    var average = out[i];
    for (var row = 0u; row < params.rows; row++) {
        let value = x[params.x_offset + row * params.columns + i];
        average = MOMENTUM * average + (1.0 - MOMENTUM) * FACTOR * value;
    }
    out[i] = average;
}

// The moving average of values since step 0, divided by the weight of all of them.
@compute @workgroup_size(THREADS)
fn moving_average_debiased(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) n: vec3<u32>,
) {
    let i = flat_index(id, n);
    if i >= params.columns {
        return;
    }
    var weight = mean[0];
    var average = out[i];
    for (var row = 0u; row < params.rows; row++) {
        weight = MOMENTUM * weight + (1.0 - MOMENTUM);
        let rate = (1.0 - MOMENTUM) / weight;
        let value = x[params.x_offset + row * params.columns + i];
        average = (1.0 - rate) * average + rate * FACTOR * value;
    }
    out[i] = average;
}
