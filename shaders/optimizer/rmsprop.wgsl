// s = rho s + (1 - rho) g^2, w -= d, where d = rate g / sqrt(s + epsilon). Centered: a mean of g is
// kept too, and s - mean^2 takes the place of s. With momentum: m = momentum m + d, w -= m.
//
//   thread      one parameter; no shared memory, no barriers

// Updates the second moment and returns it.
fn second_moment(i: u32, g: f32) -> f32 {
    let v = moment(first[i], g * g);
    first[i] = v;
    return v;
}

// Updates the second moment and the mean, and returns the variance.
fn variance(i: u32, g: f32) -> f32 {
    let v = second_moment(i, g);
    let mean = moment(second[i], g);
    second[i] = mean;
    return v - mean * mean;
}

// d.
fn descent(g: f32, v: f32) -> f32 {
    return step[LEARNING_RATE] * g / sqrt(v + params.epsilon);
}

@compute @workgroup_size(THREADS)
fn rmsprop(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if !is_active(i) {
        return;
    }
    let g = gradient(i);
    parameters[i] = decayed(i) - descent(g, second_moment(i, g));
}

@compute @workgroup_size(THREADS)
fn rmsprop_momentum(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if !is_active(i) {
        return;
    }
    let g = gradient(i);
    let m = params.momentum * second[i] + descent(g, second_moment(i, g));
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
    parameters[i] = decayed(i) - descent(g, variance(i, g));
}

@compute @workgroup_size(THREADS)
fn rmsprop_centered_momentum(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if !is_active(i) {
        return;
    }
    let g = gradient(i);
    let m = params.momentum * third[i] + descent(g, variance(i, g));
    third[i] = m;
    parameters[i] = decayed(i) - m;
}
