override NESTEROV: bool = false;

@compute @workgroup_size(THREADS)
fn sgd(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if moves(i) {
        parameters[i] = decayed(i) - step[LEARNING_RATE] * gradient(i);
    }
}

@compute @workgroup_size(THREADS)
fn sgd_momentum(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if !moves(i) {
        return;
    }
    let down = step[LEARNING_RATE] * gradient(i);
    let velocity = params.momentum * first[i] - down;
    first[i] = velocity;
    let change = select(velocity, params.momentum * velocity - down, NESTEROV);
    parameters[i] = decayed(i) + change;
}
