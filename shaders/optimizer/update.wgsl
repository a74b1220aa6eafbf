// One optimizer step over all parameters: g is clipped, w decays, the rule moves w and its slots.
// crates/rnn-ops/src/optimizer/mod.rs has the equations.
//
//   thread      one parameter; no shared memory, no barriers
struct Params {
    count: u32,
    momentum: f32,
    // Decay rates of the first moment, and of the second or the only one.
    beta_1: f32,
    beta_2: f32,
    epsilon: f32,
    clip: f32,
}

@group(0) @binding(0) var<storage, read> gradients: array<f32>;
// Parameters of the step, indexed as in step_params.wgsl.
@group(0) @binding(1) var<storage, read> step: array<f32>;
@group(0) @binding(2) var<storage, read_write> parameters: array<f32>;
@group(0) @binding(3) var<storage, read_write> first: array<f32>;
@group(0) @binding(4) var<storage, read_write> second: array<f32>;
@group(0) @binding(5) var<storage, read_write> third: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;

override NESTEROV: bool = false;

// True if i is a parameter and the step is not to be skipped.
fn is_active(i: u32) -> bool {
    return i < params.count && step[ACTIVE] != 0.0;
}

// The clipped gradient.
fn gradient(i: u32) -> f32 {
    let g = gradients[i];
    // Without clipping an infinite gradient stays infinite.
    if params.clip >= 3.4028234e38 {
        return g;
    }
    return keep_nan(g, clamp(g, -params.clip, params.clip));
}

// The parameter after weight decay.
fn decayed(i: u32) -> f32 {
    return parameters[i] - parameters[i] * step[WEIGHT_DECAY];
}

@compute @workgroup_size(THREADS)
fn sgd(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if is_active(i) {
        parameters[i] = decayed(i) - step[LEARNING_RATE] * gradient(i);
    }
}

@compute @workgroup_size(THREADS)
fn sgd_momentum(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if !is_active(i) {
        return;
    }
    let down = step[LEARNING_RATE] * gradient(i);
    let velocity = params.momentum * first[i] - down;
    first[i] = velocity;
    let change = select(velocity, params.momentum * velocity - down, NESTEROV);
    parameters[i] = decayed(i) + change;
}

// An exponential moving average.
fn moment(before: f32, value: f32) -> f32 {
    return params.beta_2 * before + (1.0 - params.beta_2) * value;
}

@compute @workgroup_size(THREADS)
fn rmsprop(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if !is_active(i) {
        return;
    }
    let g = gradient(i);
    let v = moment(first[i], g * g);
    first[i] = v;
    parameters[i] = decayed(i) - step[LEARNING_RATE] * g / sqrt(v + params.epsilon);
}

@compute @workgroup_size(THREADS)
fn rmsprop_momentum(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if !is_active(i) {
        return;
    }
    let g = gradient(i);
    let v = moment(first[i], g * g);
    let m = params.momentum * second[i] + step[LEARNING_RATE] * g / sqrt(v + params.epsilon);
    first[i] = v;
    second[i] = m;
    parameters[i] = decayed(i) - m;
}

@compute @workgroup_size(THREADS)
fn rmsprop_centered(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if !is_active(i) {
        return;
    }
    let g = gradient(i);
    let v = moment(first[i], g * g);
    let mean = moment(second[i], g);
    first[i] = v;
    second[i] = mean;
    parameters[i] = decayed(i) - step[LEARNING_RATE] * g / sqrt(v - mean * mean + params.epsilon);
}

@compute @workgroup_size(THREADS)
fn rmsprop_centered_momentum(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if !is_active(i) {
        return;
    }
    let g = gradient(i);
    let v = moment(first[i], g * g);
    let mean = moment(second[i], g);
    let down = step[LEARNING_RATE] * g / sqrt(v - mean * mean + params.epsilon);
    let m = params.momentum * third[i] + down;
    first[i] = v;
    second[i] = mean;
    third[i] = m;
    parameters[i] = decayed(i) - m;
}

@compute @workgroup_size(THREADS)
fn adagrad(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if !is_active(i) {
        return;
    }
    let g = gradient(i);
    let sum = first[i] + g * g;
    first[i] = sum;
    parameters[i] = decayed(i) - step[LEARNING_RATE] * g / sqrt(sum + params.epsilon);
}

@compute @workgroup_size(THREADS)
fn adadelta(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if !is_active(i) {
        return;
    }
    let g = gradient(i);
    let a = moment(first[i], g * g);
    let change = -sqrt(second[i] + params.epsilon) / sqrt(a + params.epsilon) * g;
    first[i] = a;
    second[i] = moment(second[i], change * change);
    parameters[i] = decayed(i) + step[LEARNING_RATE] * change;
}

// Updates Adam's moments: moving averages of the gradient and of its square.
fn move_moments(i: u32, g: f32) {
    first[i] += (g - first[i]) * (1.0 - params.beta_1);
    second[i] += (g * g - second[i]) * (1.0 - params.beta_2);
}

@compute @workgroup_size(THREADS)
fn adam(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if !is_active(i) {
        return;
    }
    move_moments(i, gradient(i));
    parameters[i] = decayed(i) - step[LEARNING_RATE] * first[i] / (sqrt(second[i]) + params.epsilon);
}

@compute @workgroup_size(THREADS)
fn nadam(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if !is_active(i) {
        return;
    }
    let g = gradient(i);
    let m = params.beta_1 * first[i] + (1.0 - params.beta_1) * g;
    let v = moment(second[i], g * g);
    first[i] = m;
    second[i] = v;
    let ahead = step[MOMENT_FACTOR] * m + step[GRADIENT_FACTOR] * g;
    parameters[i] = decayed(i) - step[LEARNING_RATE] * ahead / (sqrt(step[VARIANCE_FACTOR] * v) + params.epsilon);
}
