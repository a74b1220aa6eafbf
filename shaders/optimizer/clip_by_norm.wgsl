// g *= norm / max(|g|, norm), |g| the root of the sum of squares
//
//   sum_squares   workgroup: elements i with i / LANES % parts = its index; row_sum over its threads
//   scale         one thread per element; each workgroup adds the parts' sums again, in order
struct Params { count: u32, parts: u32, norm: f32 }

@group(0) @binding(0) var<storage, read> partial: array<f32>;
@group(0) @binding(1) var<storage, read_write> values: array<f32>;
@group(0) @binding(2) var<storage, read_write> sums: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(LANES)
fn sum_squares(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    var sum = 0.0;
    for (var i = group.x * LANES + lane; i < params.count; i += params.parts * LANES) {
        sum += values[i] * values[i];
    }
    sum = row_sum(lane, sum);
    if lane == 0u {
        sums[group.x] = sum;
    }
}

@compute @workgroup_size(LANES)
fn scale(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
         @builtin(local_invocation_index) lane: u32) {
    var sum = 0.0;
    for (var part = lane; part < params.parts; part += LANES) {
        sum += partial[part];
    }
    let length = sqrt(row_sum(lane, sum));
    let factor = params.norm / keep_nan(length, max(length, params.norm));
    let i = (group.x + group.y * groups.x) * LANES + lane;
    if i < params.count {
        values[i] *= factor;
    }
}
