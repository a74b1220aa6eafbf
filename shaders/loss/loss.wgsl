// forward:   sum of w l(x, y) / count, in two launches: parts, then their sum
//     workgroup   every `parts`-th block of 256 predictions
//     thread      every THREADS-th of those, then tree_sum.wgsl
// backward:  dx = w l'(x, y) d_loss / count; one thread per prediction
// `alpha` is the weight of the positive class, or the quantile of the pinball loss.
struct Params { count: u32, examples: u32, delta: f32, gamma: f32, alpha: f32, parts: u32 }

@group(0) @binding(0) var<storage, read> predictions: array<f32>;
@group(0) @binding(1) var<storage, read> labels: array<f32>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read> d_loss: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

// ElementLoss::code of crates/rnn-ops/src/loss/element.rs has the kinds.
override KIND: u32 = 0u;
override HAS_WEIGHTS: bool = false;

const LOG_2 = 0.6931472;

// max(x, 0) - x y + log(1 + e^-|x|) does not overflow at either end.
fn cross_entropy_of_logit(x: f32, y: f32) -> f32 {
    return max(x, 0.0) - x * y + log_of_one_and(decay(x));
}

fn cross_entropy(p: f32, y: f32) -> f32 {
    let q = inside(p);
    return -(y * logarithm(q) + (1.0 - y) * logarithm(1.0 - q));
}

fn cross_entropy_slope(p: f32, y: f32) -> f32 {
    let q = inside(p);
    return slope_inside(p) * ((1.0 - y) / (1.0 - q) - y / q);
}

// 1 - p_t for a probability p and 1 - p.
fn missed(p: f32, rest: f32, y: f32) -> f32 {
    return y * rest + (1.0 - y) * p;
}

// The weight of a class; alpha below zero stands for none.
fn balance(y: f32) -> f32 {
    let weight = y * params.alpha + (1.0 - y) * (1.0 - params.alpha);
    return select(weight, 1.0, params.alpha < 0.0);
}

// The share of a focal loss's slope that comes from its factor (1 - p_t)^gamma.
fn focal_slope(missed: f32, y: f32) -> f32 {
    if params.gamma == 0.0 {
        return 0.0;
    }
    return params.gamma * power(missed, params.gamma - 1.0) * (1.0 - 2.0 * y);
}

fn loss(x: f32, y: f32) -> f32 {
    let error = abs(x - y);
    switch KIND {
        case 0u: { return cross_entropy_of_logit(x, y); }
        case 1u: { return error * error; }
        case 2u: { return error; }
        case 3u: {
            let far = params.delta * (error - 0.5 * params.delta);
            return select(far, 0.5 * error * error, error <= params.delta);
        }
        case 4u: { return cross_entropy(x, y); }
        case 5u: { return 100.0 * error / keep_nan(y, max(abs(y), EPSILON)); }
        case 6u: {
            let difference = logarithm(1.0 + floored(x)) - logarithm(1.0 + floored(y));
            return difference * difference;
        }
        case 7u: { return error + (log_of_one_and(decay(2.0 * error)) - LOG_2); }
        case 8u: { return x - y * logarithm(x + EPSILON); }
        case 9u: { return margin(x, y); }
        case 10u: { return margin(x, y) * margin(x, y); }
        case 11u: {
            let factor = power(missed(sigmoid(x), sigmoid(-x), y), params.gamma);
            return balance(y) * factor * cross_entropy_of_logit(x, y);
        }
        case 12u: {
            return balance(y) * power(missed(x, 1.0 - x, y), params.gamma) * cross_entropy(x, y);
        }
        default: {
            return error * select(1.0 - params.alpha, params.alpha, y >= x);
        }
    }
}

// max(x, epsilon)
fn floored(x: f32) -> f32 {
    return keep_nan(x, max(x, EPSILON));
}

// max(1 - x y, 0)
fn margin(x: f32, y: f32) -> f32 {
    let left = 1.0 - x * y;
    return keep_nan(left, max(left, 0.0));
}

fn loss_slope(x: f32, y: f32) -> f32 {
    switch KIND {
        case 0u: { return sigmoid(x) - y; }
        case 1u: { return 2.0 * (x - y); }
        case 2u: { return keep_nan(x - y, sign(x - y)); }
        case 3u: { return keep_nan(x - y, clamp(x - y, -params.delta, params.delta)); }
        case 4u: { return cross_entropy_slope(x, y); }
        case 5u: {
            return 100.0 * keep_nan(x - y, sign(x - y)) / keep_nan(y, max(abs(y), EPSILON));
        }
        case 6u: {
            let difference = logarithm(1.0 + floored(x)) - logarithm(1.0 + floored(y));
            let slope = 2.0 * difference / (1.0 + floored(x));
            return keep_nan(slope, select(0.0, slope, x >= EPSILON));
        }
        case 7u: { return tanh_stable(x - y); }
        case 8u: { return 1.0 - y / (x + EPSILON); }
        case 9u: {
            let left = 1.0 - x * y;
            return keep_nan(left, select(0.0, -y, left >= 0.0));
        }
        case 10u: { return -2.0 * y * margin(x, y); }
        case 11u: {
            let p = sigmoid(x);
            let rest = sigmoid(-x);
            let far = missed(p, rest, y);
            let of_factor = focal_slope(far, y) * p * rest * cross_entropy_of_logit(x, y);
            return balance(y) * (of_factor + power(far, params.gamma) * (p - y));
        }
        case 12u: {
            let far = missed(x, 1.0 - x, y);
            let of_factor = focal_slope(far, y) * cross_entropy(x, y);
            return balance(y) * (of_factor + power(far, params.gamma) * cross_entropy_slope(x, y));
        }
        default: {
            let q = params.alpha;
            return keep_nan(x - y, select(select(0.0, 1.0 - q, x > y), -q, x < y));
        }
    }
}

fn weight(i: u32) -> f32 {
    if HAS_WEIGHTS {
        return weights[i / (params.count / params.examples)];
    }
    return 1.0;
}

@compute @workgroup_size(THREADS)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    var sum = 0.0;
    for (var i = group.x * THREADS + thread; i < params.count; i += params.parts * THREADS) {
        sum += weight(i) * loss(predictions[i], labels[i]);
    }
    sum = tree_sum(thread, sum);
    if thread == 0u {
        out[group.x] = select(sum, sum / f32(params.count), params.parts == 1u);
    }
}

// Adds the workgroups' sums, which are in `predictions`.
@compute @workgroup_size(THREADS)
fn add_parts(@builtin(local_invocation_index) thread: u32) {
    var sum = 0.0;
    for (var i = thread; i < params.parts; i += THREADS) {
        sum += predictions[i];
    }
    sum = tree_sum(thread, sum);
    if thread == 0u {
        out[0] = sum / f32(params.count);
    }
}

@compute @workgroup_size(THREADS)
fn backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i < params.count {
        let slope = weight(i) * loss_slope(predictions[i], labels[i]);
        out[i] = slope * d_loss[0] / f32(params.count);
    }
}
