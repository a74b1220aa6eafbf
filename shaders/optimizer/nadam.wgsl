@compute @workgroup_size(THREADS)
fn nadam(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if !moves(i) {
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
