// Columns of zero mean and unit variance: sums over parts of the rows, then over the parts, in
// order.
struct Params {
    rows: u32,
    columns: u32,
    per_part: u32,
    epsilon: f32,
    x_offset: u32,
    gradient_offset: u32,
}

// What came in or, backward, what forward put out; in the second pass of a sum its parts.
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> gradient: array<f32>;
// For a moving average the weight of all values so far.
@group(0) @binding(2) var<storage, read> mean: array<f32>;
@group(0) @binding(3) var<storage, read> scale: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
@group(0) @binding(5) var<storage, read_write> scale_out: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;

override MOMENTUM: f32 = 0.0;
override FACTOR: f32 = 1.0;

struct Part { first: u32, end: u32 }

fn part_of(group: u32) -> Part {
    let first = group * params.per_part;
    return Part(first, min(first + params.per_part, params.rows));
}

fn parts() -> u32 {
    return (params.rows + params.per_part - 1u) / params.per_part;
}

@compute @workgroup_size(64)
fn sum(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let column = group.x * 64u + lane;
    let part = part_of(group.y);
    if column >= params.columns {
        return;
    }
    var total = 0.0;
    for (var row = part.first; row < part.end; row++) {
        total += x[params.x_offset + row * params.columns + column];
    }
    out[group.y * params.columns + column] = total;
}

@compute @workgroup_size(64)
fn squares(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let column = group.x * 64u + lane;
    let part = part_of(group.y);
    if column >= params.columns {
        return;
    }
    var total = 0.0;
    for (var row = part.first; row < part.end; row++) {
        let away = x[params.x_offset + row * params.columns + column] - mean[column];
        total += away * away;
    }
    out[group.y * params.columns + column] = total;
}

// The mean over all rows, from one number a column of each part.
fn mean_of_parts(column: u32, width: u32) -> f32 {
    var total = 0.0;
    for (var part = 0u; part < parts(); part++) {
        total += x[params.x_offset + part * width + column];
    }
    return total / f32(params.rows);
}

@compute @workgroup_size(64)
fn finish_mean(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < params.columns {
        out[id.x] = mean_of_parts(id.x, params.columns);
    }
}

@compute @workgroup_size(64)
fn finish_scale(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < params.columns {
        let variance = mean_of_parts(id.x, params.columns);
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

// Sums of the gradient and of its product with what forward put out, side by side.
@compute @workgroup_size(64)
fn gradient_sums(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let column = group.x * 64u + lane;
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

@compute @workgroup_size(64)
fn finish_gradient_means(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < params.columns {
        let width = 2u * params.columns;
        out[id.x] = mean_of_parts(id.x, width);
        out[params.columns + id.x] = mean_of_parts(params.columns + id.x, width);
    }
}

@compute @workgroup_size(THREADS)
fn backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i < params.rows * params.columns {
        let column = i % params.columns;
        let along = x[params.x_offset + i] * mean[params.columns + column];
        out[i] = scale[column] * (gradient[params.gradient_offset + i] - mean[column] - along);
    }
}

@compute @workgroup_size(THREADS)
fn follow(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i < params.columns {
        out[i] = MOMENTUM * out[i] + (1.0 - MOMENTUM) * FACTOR * x[params.x_offset + i];
    }
}

// The same of an average that began at zero, divided by the weight of all values so far.
@compute @workgroup_size(THREADS)
fn follow_debiased(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) n: vec3<u32>,
) {
    let i = flat_index(id, n);
    if i < params.columns {
        let rate = (1.0 - MOMENTUM) / mean[0];
        out[i] = (1.0 - rate) * out[i] + rate * FACTOR * x[params.x_offset + i];
    }
}
