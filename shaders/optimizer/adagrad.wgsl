// s += g^2, w -= rate g / sqrt(s + epsilon).
//
//   thread      one parameter; no shared memory, no barriers
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
