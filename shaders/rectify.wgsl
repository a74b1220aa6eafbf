// y = min(x, highest) where x > threshold, else slope (x - threshold), or slope (e^x - 1) if CURVED; and
// dx = dy y'(x).
//
//   thread      one element; no shared memory, no barriers
struct Params { count: u32, threshold: f32, slope: f32, highest: f32, limited: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> gradient: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

override CURVED: bool = false;

@compute @workgroup_size(THREADS)
fn forward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i >= params.count {
        return;
    }
    let z = x[i];
    var below = params.slope * (z - params.threshold);
    // Not the NaN of 0 times an infinity.
    if params.slope == 0.0 {
        below = 0.0;
    }
    if CURVED {
        below = params.slope * decay_less_one(z);
    }
    let above = select(z, params.highest, params.limited != 0u && z > params.highest);
    out[i] = keep_nan(z, select(below, above, z > params.threshold));
}

@compute @workgroup_size(THREADS)
fn backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i >= params.count {
        return;
    }
    let z = x[i];
    var below = params.slope;
    if CURVED {
        below *= decay(z);
    }
    let above = select(1.0, 0.0, params.limited != 0u && z >= params.highest);
    // False for NaN, as a comparison would be.
    let passes = is_positive(z - params.threshold);
    out[i] = gradient[i] * select(below, above, passes);
}
