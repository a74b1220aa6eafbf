// One step of the optimizer over all parameters at once.
struct Params { count: u32, momentum: f32, beta_1: f32, beta_2: f32, epsilon: f32 }

@group(0) @binding(0) var<storage, read> gradients: array<f32>;
// The learning rate of this step; for Adam with both bias corrections in it.
@group(0) @binding(1) var<storage, read> rate: array<f32>;
@group(0) @binding(2) var<storage, read_write> parameters: array<f32>;
@group(0) @binding(3) var<storage, read_write> first: array<f32>;
@group(0) @binding(4) var<storage, read_write> second: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

override NESTEROV: bool = false;

@compute @workgroup_size(THREADS)
fn sgd(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i < params.count {
        parameters[i] -= rate[0] * gradients[i];
    }
}

// `first` is the velocity.
@compute @workgroup_size(THREADS)
fn sgd_momentum(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i >= params.count {
        return;
    }
    let step = rate[0] * gradients[i];
    let velocity = params.momentum * first[i] - step;
    first[i] = velocity;
    parameters[i] += select(velocity, params.momentum * velocity - step, NESTEROV);
}

// `first` and `second` are the moments.
@compute @workgroup_size(THREADS)
fn adam(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i >= params.count {
        return;
    }
    let g = gradients[i];
    let m = first[i] + (g - first[i]) * (1.0 - params.beta_1);
    let v = second[i] + (g * g - second[i]) * (1.0 - params.beta_2);
    first[i] = m;
    second[i] = v;
    parameters[i] -= rate[0] * m / (sqrt(v) + params.epsilon);
}
