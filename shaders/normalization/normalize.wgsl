// forward:   y = (x - mean) scale, scale = 1 / sqrt(variance + epsilon)
// backward:  dx = scale (dy - mean(dy) - y mean(dy y)),  y in `x`
//
//   workgroup   one row; threads, shared memory and barriers as in rowwise.wgsl
struct Params { rows: u32, columns: u32, epsilon: f32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> gradient: array<f32>;
@group(0) @binding(2) var<storage, read> scale_in: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<storage, read_write> scale: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(LANES)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
           @builtin(local_invocation_index) lane: u32) {
    let row = group.x + group.y * groups.x;
    if row >= params.rows {
        return;
    }
    let base = row * params.columns;
    let count = f32(params.columns);
    var sum = 0.0;
    for (var c = lane; c < params.columns; c += LANES) {
        sum += x[base + c];
    }
    let mean = row_sum(lane, sum) / count;
    var squares = 0.0;
    for (var c = lane; c < params.columns; c += LANES) {
        squares += (x[base + c] - mean) * (x[base + c] - mean);
    }
    let factor = 1.0 / sqrt(row_sum(lane, squares) / count + params.epsilon);
    for (var c = lane; c < params.columns; c += LANES) {
        out[base + c] = (x[base + c] - mean) * factor;
    }
    if lane == 0u {
        scale[row] = factor;
    }
}

@compute @workgroup_size(LANES)
fn backward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
            @builtin(local_invocation_index) lane: u32) {
    let row = group.x + group.y * groups.x;
    if row >= params.rows {
        return;
    }
    let base = row * params.columns;
    let count = f32(params.columns);
    var sum = 0.0;
    var product = 0.0;
    for (var c = lane; c < params.columns; c += LANES) {
        sum += gradient[base + c];
        product += gradient[base + c] * x[base + c];
    }
    let mean = row_sum(lane, sum) / count;
    let along = row_sum(lane, product) / count;
    for (var c = lane; c < params.columns; c += LANES) {
        out[base + c] = scale_in[row] * (gradient[base + c] - mean - x[base + c] * along);
    }
}
