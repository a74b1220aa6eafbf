// s and t are moving averages of g and g^2; w -= rate (a s + b g) / (sqrt(c t) + epsilon).
//
//   thread      one parameter; no shared memory, no barriers
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
