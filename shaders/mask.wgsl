// Masks of time steps: derived from padding, applied to items, accumulated over time.
//
//   step_mask, mask_items   one thread per element of the output
//   seen                    one thread per row, which loops over the steps
//
// No shared memory, no barriers. Elements are copied as bits, whatever their type.
struct Params {
    // Elements of the output; for `seen`, rows per step.
    count: u32,
    // Elements per item; for `seen`, steps.
    width: u32,
    x_offset: u32,
    mask_offset: u32,
    value: f32,
}

@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read> mask: array<u32>;
@group(0) @binding(2) var<storage, read_write> out: array<u32>;
@group(0) @binding(3) var<uniform> params: Params;

// x holds floats instead of tokens.
override FLOATS: bool = false;

fn is_padding(bits: u32) -> bool {
    if FLOATS {
        // Equal floats have equal bits, except for the two zeros; NaN equals nothing.
        let value = bitcast<u32>(params.value);
        let is_nan = (value & 0x7fffffffu) > 0x7f800000u;
        return (bits == value && !is_nan) || ((bits | value) & 0x7fffffffu) == 0u;
    }
    return bits == u32(params.value);
}

// out[i] = 1 where any element of item i differs from the padding value.
@compute @workgroup_size(THREADS)
fn step_mask(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i >= params.count {
        return;
    }
    var present = 0u;
    for (var k = 0u; k < params.width; k++) {
        if !is_padding(x[params.x_offset + i * params.width + k]) {
            present = 1u;
        }
    }
    out[i] = present;
}

// out = x where the mask is not 0, else 0.
@compute @workgroup_size(THREADS)
fn mask_items(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i < params.count {
        let unmasked = mask[params.mask_offset + i / params.width] != 0u;
        out[i] = select(0u, x[params.x_offset + i], unmasked);
    }
}

// out[t, row] = 1 once mask[s, row] is not 0 for any s <= t.
@compute @workgroup_size(THREADS)
fn seen(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let row = flat_index(id, n);
    if row >= params.count {
        return;
    }
    var before = 0u;
    for (var t = 0u; t < params.width; t++) {
        let at = t * params.count + row;
        before |= mask[params.mask_offset + at];
        out[at] = before;
    }
}
