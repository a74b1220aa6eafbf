// limit_norm:    w *= (rate clamp(|w|, low, high) + (1 - rate) |w|) / (|w| + 1e-7)
//     thread      one column: the elements that differ in the first axis alone
// not_negative:  w = max(w, 0); one thread per element
//
// No shared memory, no barriers.
struct Params { count: u32, rows: u32, low: f32, high: f32, rate: f32 }

@group(0) @binding(0) var<storage, read_write> w: array<f32>;
@group(0) @binding(1) var<uniform> params: Params;

@compute @workgroup_size(THREADS)
fn limit_norm(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let column = flat_index(id, n);
    if column >= params.count {
        return;
    }
    var squares = 0.0;
    for (var r = 0u; r < params.rows; r++) {
        let v = w[r * params.count + column];
        squares += v * v;
    }
    let norm = sqrt(squares);
    let wanted = params.rate * clamp(norm, params.low, params.high) + (1.0 - params.rate) * norm;
    let factor = wanted / (1e-7 + norm);
    for (var r = 0u; r < params.rows; r++) {
        w[r * params.count + column] *= factor;
    }
}

@compute @workgroup_size(THREADS)
fn not_negative(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i < params.count {
        w[i] = keep_nan(w[i], max(w[i], 0.0));
    }
}
