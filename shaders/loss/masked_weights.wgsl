// Weights of the losses of a masked sequence: v(b, t) = w(b, t) T B / V where m(t, b) is not 0, else
// 0; V = number of m(t, b) that are not 0.
//
//   count   one workgroup computes V: each thread every THREADS-th step, then tree_sum.wgsl
//   weigh   one thread per element of v; no shared memory, no barriers
struct Params {
    steps: u32,
    batch: u32,
    mask_offset: u32,
    weights_offset: u32,
    valid_offset: u32,
}

@group(0) @binding(0) var<storage, read> mask: array<u32>;
@group(0) @binding(1) var<storage, read> weights: array<f32>;
@group(0) @binding(2) var<storage, read> valid: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

override HAS_WEIGHTS: bool = false;

@compute @workgroup_size(THREADS)
fn count(@builtin(local_invocation_index) thread: u32) {
    var sum = 0.0;
    for (var i = thread; i < params.steps * params.batch; i += THREADS) {
        sum += select(0.0, 1.0, mask[params.mask_offset + i] != 0u);
    }
    sum = tree_sum(thread, sum);
    if thread == 0u {
        out[0] = sum;
    }
}

@compute @workgroup_size(THREADS)
fn weigh(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    let total = params.steps * params.batch;
    if i >= total {
        return;
    }
    let example = i / params.steps;
    let step = i % params.steps;
    let unmasked = mask[params.mask_offset + step * params.batch + example] != 0u;
    let counted = valid[params.valid_offset];
    var value = 0.0;
    if unmasked && counted > 0.0 {
        value = f32(total) / counted;
        if HAS_WEIGHTS {
            value *= weights[params.weights_offset + i];
        }
    }
    out[i] = value;
}
