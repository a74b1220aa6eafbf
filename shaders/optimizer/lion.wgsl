// w -= rate sign(beta_1 s + (1 - beta_1) g), s = beta_2 s + (1 - beta_2) g.
//
//   thread      one parameter; no shared memory, no barriers
// 1, 0 or -1; NaN for NaN.
fn sign_of(x: f32) -> f32 {
    let above = select(0.0, 1.0, is_positive(x));
    return keep_nan(x, select(above, -1.0, is_positive(-x)));
}

@compute @workgroup_size(THREADS)
fn lion(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if !is_active(i) {
        return;
    }
    let g = gradient(i);
    let before = first[i];
    let ahead = params.beta_1 * before + (1.0 - params.beta_1) * g;
    first[i] = moment(before, g);
    parameters[i] = decayed(i) - step[LEARNING_RATE] * sign_of(ahead);
}
