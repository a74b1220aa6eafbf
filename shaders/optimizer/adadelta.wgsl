// s = rho s + (1 - rho) g^2, d = -sqrt(t + epsilon) / sqrt(s + epsilon) g,
// t = rho t + (1 - rho) d^2, w += rate d.
//
//   thread      one parameter; no shared memory, no barriers
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
