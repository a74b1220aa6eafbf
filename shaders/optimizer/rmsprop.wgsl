// s = rho s + (1 - rho) g^2, w -= rate g / sqrt(s + epsilon); centered and with momentum as in rmsprop.rs.
//
//   thread      one parameter; no shared memory, no barriers
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
