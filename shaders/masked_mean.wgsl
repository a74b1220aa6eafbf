// Mean over the unmasked time steps.
//
//   forward     thread: one channel of a row, loops over time
//               y[b, c] = sum over t with m[t, b] of x[t, b, c] / n[b],  n[b] = number of those, >= 1
//   backward    thread: one element of dx.  dx[t, b, c] = m[t, b] dy[b, c] / n[b]
//
// No shared memory, no barriers.
struct Params { steps: u32, batch: u32, channels: u32, x_offset: u32, mask_offset: u32 }

// x; backward, dy.
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> mask: array<u32>;
@group(0) @binding(2) var<storage, read> steps_given: array<f32>;
@group(0) @binding(3) var<storage, read_write> steps_counted: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(THREADS)
fn forward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i >= params.batch * params.channels {
        return;
    }
    let row = i / params.channels;
    var sum = 0.0;
    var count = 0.0;
    for (var t = 0u; t < params.steps; t++) {
        if mask[params.mask_offset + t * params.batch + row] != 0u {
            sum += x[params.x_offset + t * params.batch * params.channels + i];
            count += 1.0;
        }
    }
    out[i] = sum / max(count, 1.0);
    if i % params.channels == 0u {
        steps_counted[row] = count;
    }
}

@compute @workgroup_size(THREADS)
fn backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    let per_step = params.batch * params.channels;
    if i >= params.steps * per_step {
        return;
    }
    let row = i % per_step / params.channels;
    let unmasked = mask[params.mask_offset + i / params.channels] != 0u;
    out[i] = select(0.0, x[params.x_offset + i % per_step] / max(steps_given[row], 1.0), unmasked);
}
