// forward:   loss[r] = sum over c of y[r, c] (log(sum e^x[r]) - x[r, c])
// backward:  dx[r, c] = (softmax(x[r])[c] sum(y[r]) - y[r, c]) d_loss[r]
// one_hot:   out[r, c] = 1 where c is the class of row r, else 0
//
//   workgroup   one row; threads, shared memory and barriers as in rowwise.wgsl
struct Params { rows: u32, columns: u32 }

@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> labels: array<f32>;
@group(0) @binding(2) var<storage, read> d_loss: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<storage, read> classes: array<u32>;
@group(0) @binding(5) var<uniform> params: Params;

fn row_of(group: vec3<u32>, groups: vec3<u32>) -> u32 {
    return group.x + group.y * groups.x;
}

// The largest logit of a row.
fn highest_of(base: u32, lane: u32) -> f32 {
    var highest = -3.4028234e38;
    for (var c = lane; c < params.columns; c += LANES) {
        highest = max(highest, logits[base + c]);
    }
    return row_maximum(lane, highest);
}

// The sum of e^(logit - highest) over a row.
fn exponentials(base: u32, lane: u32, highest: f32) -> f32 {
    var sum = 0.0;
    for (var c = lane; c < params.columns; c += LANES) {
        sum += decay(logits[base + c] - highest);
    }
    return row_sum(lane, sum);
}

// The largest logit is subtracted from all others before they are added, so that a small loss of
// large logits keeps its digits.
@compute @workgroup_size(LANES)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
           @builtin(local_invocation_index) lane: u32) {
    let row = row_of(group, groups);
    if row >= params.rows {
        return;
    }
    let base = row * params.columns;
    let highest = highest_of(base, lane);
    let log_sum = log_from_one(exponentials(base, lane, highest));
    var loss = 0.0;
    for (var c = lane; c < params.columns; c += LANES) {
        loss += labels[base + c] * (log_sum + (highest - logits[base + c]));
    }
    loss = row_sum(lane, loss);
    if lane == 0u {
        out[row] = loss;
    }
}

@compute @workgroup_size(LANES)
fn backward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
            @builtin(local_invocation_index) lane: u32) {
    let row = row_of(group, groups);
    if row >= params.rows {
        return;
    }
    let base = row * params.columns;
    let highest = highest_of(base, lane);
    let all = exponentials(base, lane, highest);
    var mass = 0.0;
    for (var c = lane; c < params.columns; c += LANES) {
        mass += labels[base + c];
    }
    mass = row_sum(lane, mass);
    for (var c = lane; c < params.columns; c += LANES) {
        let softmax = decay(logits[base + c] - highest) / all;
        out[base + c] = (softmax * mass - labels[base + c]) * d_loss[row];
    }
}

@compute @workgroup_size(LANES)
fn one_hot(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
           @builtin(local_invocation_index) lane: u32) {
    let row = row_of(group, groups);
    if row >= params.rows {
        return;
    }
    for (var c = lane; c < params.columns; c += LANES) {
        out[row * params.columns + c] = select(0.0, 1.0, classes[row] == c);
    }
}
