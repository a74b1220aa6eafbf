// Dynamic loss scaling: g /= scale; or g = 0 and active = 0 if any element is not finite.
//
//   count_nonfinite   workgroup: every `parts`-th block of LANES elements; row_sum over its threads
//   update_scale      one workgroup adds the counts; thread 0 copies the step's parameters and
//                     halves or doubles the scale
//   unscale           one thread per element
struct Params { count: u32, parts: u32, growth_steps: f32, max_scale: f32 }

@group(0) @binding(0) var<storage, read_write> gradients: array<f32>;
// The scale, and the steps since it changed.
@group(0) @binding(1) var<storage, read_write> scale: array<f32>;
@group(0) @binding(2) var<storage, read> step: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
// Number of elements that are not finite, for each part.
@group(0) @binding(4) var<storage, read_write> counts: array<f32>;
@group(0) @binding(5) var<storage, read> partial: array<f32>;
@group(0) @binding(6) var<storage, read_write> factor: array<f32>;
@group(0) @binding(7) var<storage, read> factor_in: array<f32>;
@group(0) @binding(8) var<uniform> params: Params;

@compute @workgroup_size(LANES)
fn count_nonfinite(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    var count = 0.0;
    for (var i = group.x * LANES + lane; i < params.count; i += params.parts * LANES) {
        count += select(1.0, 0.0, is_finite(gradients[i]));
    }
    count = row_sum(lane, count);
    if lane == 0u {
        counts[group.x] = count;
    }
}

@compute @workgroup_size(LANES)
fn update_scale(@builtin(local_invocation_index) lane: u32) {
    var count = 0.0;
    for (var part = lane; part < params.parts; part += LANES) {
        count += partial[part];
    }
    let finite = row_sum(lane, count) == 0.0;
    if lane > 0u {
        return;
    }
    for (var i = 0u; i < STEP_PARAMS; i++) {
        out[i] = step[i];
    }
    out[ACTIVE] = select(0.0, step[ACTIVE], finite);
    factor[0] = select(0.0, 1.0 / scale[0], finite);
    if !finite {
        scale[0] = max(0.5 * scale[0], 1.0);
        scale[1] = 0.0;
    } else if scale[1] + 1.0 >= params.growth_steps {
        scale[0] = min(2.0 * scale[0], params.max_scale);
        scale[1] = 0.0;
    } else {
        scale[1] += 1.0;
    }
}

@compute @workgroup_size(LANES)
fn unscale(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
          @builtin(local_invocation_index) lane: u32) {
    let i = (group.x + group.y * groups.x) * LANES + lane;
    if i < params.count {
        gradients[i] = select(gradients[i] * factor_in[0], 0.0, factor_in[0] == 0.0);
    }
}
