// Binary cross-entropy of logits, its gradient, and the running sums of an epoch.
struct Params { count: u32 }

@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> labels: array<f32>;
// The loss (metrics), or the gradient of the loss (backward).
@group(0) @binding(2) var<storage, read> scalar: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

var<workgroup> lanes: array<f32, THREADS>;

// The sum of one value a thread, in thread 0, as a tree: the same order on every device.
fn tree_sum(thread: u32, value: f32) -> f32 {
    lanes[thread] = value;
    for (var half = THREADS / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if thread < half {
            lanes[thread] += lanes[thread + half];
        }
    }
    return lanes[0];
}

// max(x, 0) - x y + log(1 + e^-|x|): no overflow at either end.
@compute @workgroup_size(THREADS)
fn forward(@builtin(local_invocation_index) thread: u32) {
    var sum = 0.0;
    for (var i = thread; i < params.count; i += THREADS) {
        let x = logits[i];
        let e = exp(-min(abs(x), 87.0));
        // log(1 + e) loses e below 1e-4, where e - e^2/2 is exact to f32.
        sum += max(x, 0.0) - x * labels[i] + select(log(1.0 + e), e - 0.5 * e * e, e < 1e-4);
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
        out[i] = (sigmoid(logits[i]) - labels[i]) * scalar[0] / f32(params.count);
    }
}

// out += (loss * count, correct predictions, count)
@compute @workgroup_size(THREADS)
fn metrics(@builtin(local_invocation_index) thread: u32) {
    var correct = 0.0;
    for (var i = thread; i < params.count; i += THREADS) {
        correct += select(0.0, 1.0, (logits[i] > 0.0) == (labels[i] > 0.5));
    }
    correct = tree_sum(thread, correct);
    if thread == 0u {
        out[0] += scalar[0] * f32(params.count);
        out[1] += correct;
        out[2] += f32(params.count);
    }
}
