// s += (g - s) (1 - beta_1), t = max(beta_2 t, |g|), w -= rate s / (t + epsilon).
//
//   thread      one parameter; no shared memory, no barriers
@compute @workgroup_size(THREADS)
fn adamax(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if !is_active(i) {
        return;
    }
    let g = gradient(i);
    first[i] += (g - first[i]) * (1.0 - params.beta_1);
    let before = params.beta_2 * second[i];
    second[i] = keep_nan(before, keep_nan(g, max(before, abs(g))));
    parameters[i] = decayed(i) - step[LEARNING_RATE] * first[i] / (second[i] + params.epsilon);
}
