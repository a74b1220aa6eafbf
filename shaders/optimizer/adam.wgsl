// s += (g - s) (1 - beta_1), t += (g^2 - t) (1 - beta_2), w -= rate s / (sqrt(t) + epsilon).
//
//   thread      one parameter; no shared memory, no barriers
// Adam's means of the gradient and of its square.
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
