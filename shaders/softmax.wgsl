// forward:   y[c] = exp(x[c] - max x) / sum over k of exp(x[k] - max x)
// backward:  dx[c] = y[c] (dy[c] - sum over k of dy[k] y[k]),  y in `x`
// log_forward:   y[c] = x[c] - log(sum over k of exp(x[k]))
// log_backward:  dx[c] = dy[c] - exp(y[c]) sum over k of dy[k],  y in `x`
//
//   workgroup   one row; threads, shared memory and barriers as in rowwise.wgsl
struct Params { rows: u32, columns: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> gradient: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(LANES)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
           @builtin(local_invocation_index) lane: u32) {
    let row = group.x + group.y * groups.x;
    if row >= params.rows {
        return;
    }
    let base = row * params.columns;
    var highest = -3.4028234e38;
    for (var c = lane; c < params.columns; c += LANES) {
        highest = max(highest, x[base + c]);
    }
    highest = row_maximum(lane, highest);
    var sum = 0.0;
    for (var c = lane; c < params.columns; c += LANES) {
        sum += decay(x[base + c] - highest);
    }
    sum = row_sum(lane, sum);
    for (var c = lane; c < params.columns; c += LANES) {
        out[base + c] = decay(x[base + c] - highest) / sum;
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
    var dot = 0.0;
    for (var c = lane; c < params.columns; c += LANES) {
        dot += gradient[base + c] * x[base + c];
    }
    dot = row_sum(lane, dot);
    for (var c = lane; c < params.columns; c += LANES) {
        out[base + c] = x[base + c] * (gradient[base + c] - dot);
    }
}

@compute @workgroup_size(LANES)
fn log_forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
               @builtin(local_invocation_index) lane: u32) {
    let row = group.x + group.y * groups.x;
    if row >= params.rows {
        return;
    }
    let base = row * params.columns;
    var highest = -3.4028234e38;
    for (var c = lane; c < params.columns; c += LANES) {
        highest = max(highest, x[base + c]);
    }
    highest = row_maximum(lane, highest);
    var sum = 0.0;
    for (var c = lane; c < params.columns; c += LANES) {
        sum += decay(x[base + c] - highest);
    }
    // The largest element adds 1.
    let whole = log_from_one(row_sum(lane, sum));
    for (var c = lane; c < params.columns; c += LANES) {
        out[base + c] = x[base + c] - highest - whole;
    }
}

@compute @workgroup_size(LANES)
fn log_backward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
                @builtin(local_invocation_index) lane: u32) {
    let row = group.x + group.y * groups.x;
    if row >= params.rows {
        return;
    }
    let base = row * params.columns;
    var sum = 0.0;
    for (var c = lane; c < params.columns; c += LANES) {
        sum += gradient[base + c];
    }
    sum = row_sum(lane, sum);
    for (var c = lane; c < params.columns; c += LANES) {
        out[base + c] = gradient[base + c] - growth(x[base + c]) * sum;
    }
}
