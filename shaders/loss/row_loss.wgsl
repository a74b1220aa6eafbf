// forward:   out[r] = l(x[r], y[r])
// backward:  out[r, c] = d_loss[r] times the derivative of l(x[r], y[r]) with respect to x[r, c]
//
//   workgroup   one row; threads, shared memory and barriers as in rowwise.wgsl
struct Params {
    rows: u32,
    columns: u32,
    alpha: f32,
    beta: f32,
    gamma: f32,
    epsilon: f32,
}

@group(0) @binding(0) var<storage, read> predictions: array<f32>;
@group(0) @binding(1) var<storage, read> labels: array<f32>;
@group(0) @binding(2) var<storage, read> d_loss: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

// RowLoss::code of crates/rnn-ops/src/loss/row.rs has the kinds.
override KIND: u32 = 0u;

const CROSS_ENTROPY = 0u;
const SPARSE_CROSS_ENTROPY = 1u;
const FOCAL = 2u;
const DIVERGENCE = 3u;
const COSINE = 4u;
const HINGE = 5u;
const TVERSKY = 6u;

fn row_of(group: vec3<u32>, groups: vec3<u32>) -> u32 {
    return group.x + group.y * groups.x;
}

// What a row contributes as a whole: sums over its columns, or a maximum.
fn whole_of(base: u32, lane: u32) -> vec3<f32> {
    var whole = vec3<f32>();
    var highest = -3.4028234e38;
    for (var c = lane; c < params.columns; c += LANES) {
        let x = predictions[base + c];
        let y = labels[base + c];
        switch KIND {
            case SPARSE_CROSS_ENTROPY: { whole += vec3(inside(x), y, 0.0); }
            case COSINE: { whole += vec3(x * x, y * y, x * y); }
            default: { whole += vec3(x, y, x * y); }
        }
        highest = max(highest, (1.0 - y) * x);
    }
    if KIND == HINGE {
        highest = row_maximum(lane, highest);
        var ties = 0.0;
        for (var c = lane; c < params.columns; c += LANES) {
            ties += select(0.0, 1.0, (1.0 - labels[base + c]) * predictions[base + c] == highest);
        }
        return vec3(highest, row_sum(lane, ties), row_sum(lane, whole.z));
    }
    let first = row_sum(lane, whole.x);
    let second = row_sum(lane, whole.y);
    return vec3(first, second, row_sum(lane, whole.z));
}

// 1 / |v| of a vector whose squares add up to this, at most 1 / epsilon.
fn inverse_length(squares: f32) -> f32 {
    return keep_nan(squares, 1.0 / max(sqrt(squares), params.epsilon));
}

// A probability within a divergence.
fn above_epsilon(p: f32) -> f32 {
    return keep_nan(p, clamp(p, EPSILON, 1.0));
}

// What a column adds to the loss.
fn term(x: f32, y: f32, whole: vec3<f32>) -> f32 {
    switch KIND {
        case CROSS_ENTROPY: { return -y * logarithm(inside(x / whole.x)); }
        case SPARSE_CROSS_ENTROPY: { return -y * logarithm(inside(x) / whole.x); }
        case FOCAL: {
            let q = inside(x / whole.x);
            return -params.alpha * y * power(1.0 - q, params.gamma) * logarithm(q);
        }
        case DIVERGENCE: {
            return above_epsilon(y) * logarithm(above_epsilon(y) / above_epsilon(x));
        }
        default: { return 0.0; }
    }
}

// The sizes of an overlap: of what is shared, and of what it is divided by.
fn overlap(whole: vec3<f32>) -> vec2<f32> {
    let shared_part = whole.z;
    let missed = params.alpha * (whole.y - whole.z) + params.beta * (whole.x - whole.z);
    return vec2(shared_part, shared_part + missed + params.epsilon);
}

// The loss of a row that is no sum over its columns.
fn loss_of(whole: vec3<f32>) -> f32 {
    switch KIND {
        case COSINE: { return -whole.z * inverse_length(whole.x) * inverse_length(whole.y); }
        case HINGE: {
            let excess = whole.x - whole.z + 1.0;
            return keep_nan(whole.z, max(excess, 0.0));
        }
        default: {
            let parts = overlap(whole);
            return 1.0 - parts.x / parts.y;
        }
    }
}

@compute @workgroup_size(LANES)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
           @builtin(local_invocation_index) lane: u32) {
    let row = row_of(group, groups);
    if row >= params.rows {
        return;
    }
    let base = row * params.columns;
    let whole = whole_of(base, lane);
    var loss = 0.0;
    if KIND < COSINE {
        for (var c = lane; c < params.columns; c += LANES) {
            loss += term(predictions[base + c], labels[base + c], whole);
        }
        loss = row_sum(lane, loss);
    } else {
        loss = loss_of(whole);
    }
    if lane == 0u {
        out[row] = loss;
    }
}

// The derivative of the loss with respect to a column's share p of its row.
fn slope_of_share(p: f32, y: f32) -> f32 {
    let q = inside(p);
    if KIND == CROSS_ENTROPY {
        return -slope_inside(p) * y / q;
    }
    let rest = 1.0 - q;
    var of_factor = 0.0;
    if params.gamma != 0.0 {
        of_factor = params.gamma * power(rest, params.gamma - 1.0) * logarithm(q);
    }
    return slope_inside(p) * params.alpha * y * (of_factor - power(rest, params.gamma) / q);
}

// The derivative of the loss with respect to a prediction; `turned` is the sum over the row of p
// times slope_of_share(p), where shares count.
fn slope(x: f32, y: f32, whole: vec3<f32>, turned: f32) -> f32 {
    switch KIND {
        case CROSS_ENTROPY, FOCAL: { return (slope_of_share(x / whole.x, y) - turned) / whole.x; }
        case SPARSE_CROSS_ENTROPY: {
            return slope_inside(x) * (whole.y / whole.x - y / inside(x));
        }
        case DIVERGENCE: {
            let within = select(0.0, 1.0, x >= EPSILON && x <= 1.0);
            return -within * above_epsilon(y) / above_epsilon(x);
        }
        case COSINE: {
            let length = inverse_length(whole.x);
            let along = select(0.0, whole.z * length * length, sqrt(whole.x) >= params.epsilon);
            return (along * x - y) * length * inverse_length(whole.y);
        }
        case HINGE: {
            let attained = select(0.0, (1.0 - y) / whole.y, (1.0 - y) * x == whole.x);
            let slope = attained - y;
            return keep_nan(whole.z, select(0.0, slope, whole.x - whole.z + 1.0 >= 0.0));
        }
        default: {
            let parts = overlap(whole);
            let grown = (1.0 - params.alpha - params.beta) * y + params.beta;
            return (parts.x * grown - y * parts.y) / (parts.y * parts.y);
        }
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
    let whole = whole_of(base, lane);
    var turned = 0.0;
    if KIND == CROSS_ENTROPY || KIND == FOCAL {
        for (var c = lane; c < params.columns; c += LANES) {
            let p = predictions[base + c] / whole.x;
            turned += p * slope_of_share(p, labels[base + c]);
        }
        turned = row_sum(lane, turned);
    }
    for (var c = lane; c < params.columns; c += LANES) {
        let derivative = slope(predictions[base + c], labels[base + c], whole, turned);
        out[base + c] = derivative * d_loss[row];
    }
}
