// forward:   sum of w l(x, y) / count, in two launches: parts, then their sum
//     workgroup   every `parts`-th block of 256 predictions
//     thread      every THREADS-th of those, then tree_sum.wgsl
// backward:  dx = w l'(x, y) d_loss / count; one thread per prediction
// `parameter` is Huber's delta, or the quantile q of the pinball loss
struct Params { count: u32, examples: u32, parameter: f32, parts: u32 }

@group(0) @binding(0) var<storage, read> predictions: array<f32>;
@group(0) @binding(1) var<storage, read> labels: array<f32>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read> d_loss: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

// 0: binary cross-entropy of logits, 1: squared error, 2: absolute error, 3: Huber's, 4: pinball
override KIND: u32 = 0u;
override HAS_WEIGHTS: bool = false;

fn loss(x: f32, y: f32) -> f32 {
    let error = abs(x - y);
    switch KIND {
        case 0u: {
            // max(x, 0) - x y + log(1 + e^-|x|) does not overflow at either end.
            return max(x, 0.0) - x * y + log_of_one_and(decay(x));
        }
        case 1u: { return error * error; }
        case 2u: { return error; }
        case 4u: {
            return error * select(1.0 - params.parameter, params.parameter, y >= x);
        }
        default: {
            let far = params.parameter * (error - 0.5 * params.parameter);
            return select(far, 0.5 * error * error, error <= params.parameter);
        }
    }
}

fn loss_slope(x: f32, y: f32) -> f32 {
    switch KIND {
        case 0u: { return sigmoid(x) - y; }
        case 1u: { return 2.0 * (x - y); }
        case 2u: { return keep_nan(x - y, sign(x - y)); }
        case 4u: {
            let q = params.parameter;
            return keep_nan(x - y, select(select(0.0, 1.0 - q, x > y), -q, x < y));
        }
        default: { return keep_nan(x - y, clamp(x - y, -params.parameter, params.parameter)); }
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
