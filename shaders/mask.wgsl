// Which rows take part in which steps; values move as bits, whatever their type.
struct Params {
    // Elements of the output; for `seen`, rows to a step.
    count: u32,
    // Elements of an item; for `seen`, steps.
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
        // Equal numbers have equal bits, but for both zeros.
        let value = bitcast<u32>(params.value);
        return bits == value || ((bits | value) & 0x7fffffffu) == 0u;
    }
    return bits == u32(params.value);
}

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

@compute @workgroup_size(THREADS)
fn mask_items(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i < params.count {
        let unmasked = mask[params.mask_offset + i / params.width] != 0u;
        out[i] = select(0u, x[params.x_offset + i], unmasked);
    }
}

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
