// w -= rate g; with momentum s = momentum s - rate g, w += s; NESTEROV: w += momentum s - rate g.
//
//   thread      one parameter; no shared memory, no barriers
override NESTEROV: bool = false;

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
