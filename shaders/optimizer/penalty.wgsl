// y = sum of l1 |w| + l2 w^2, and dw = dy (l1 sign(w) + 2 l2 w)
//
//   sum_part    workgroup: every `parts`-th block of LANES elements; row_sum over its threads
//   sum_parts   one workgroup adds the parts
//   backward    one thread per element
struct Params { count: u32, parts: u32, w_offset: u32, l1: f32, l2: f32 }

@group(0) @binding(0) var<storage, read> w: array<f32>;
@group(0) @binding(1) var<storage, read> gradient: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(LANES)
fn sum_part(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    var sum = 0.0;
    for (var i = group.x * LANES + lane; i < params.count; i += params.parts * LANES) {
        let v = w[params.w_offset + i];
        sum += params.l1 * abs(v) + params.l2 * v * v;
    }
    sum = row_sum(lane, sum);
    if lane == 0u {
        out[group.x] = sum;
    }
}

@compute @workgroup_size(LANES)
fn sum_parts(@builtin(local_invocation_index) lane: u32) {
    var sum = 0.0;
    for (var part = lane; part < params.count; part += LANES) {
        sum += w[part];
    }
    sum = row_sum(lane, sum);
    if lane == 0u {
        out[0] = sum;
    }
}

@compute @workgroup_size(LANES)
fn backward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
            @builtin(local_invocation_index) lane: u32) {
    let i = (group.x + group.y * groups.x) * LANES + lane;
    if i < params.count {
        let v = w[params.w_offset + i];
        out[i] = gradient[0] * (params.l1 * keep_nan(v, sign(v)) + 2.0 * params.l2 * v);
    }
}
