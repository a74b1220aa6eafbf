// Convolutions whose channels are cut into groups: a filter sees the channels of its group alone.
//
//   convolve          y(p, f) = sum over taps j and channels c of the group of f of
//                     x(p stride + j dilation - before, c) W_j(c, f) + b(f)
//     thread          one element of y; neighbours have neighbouring filters
//   convolve_input    dx(q, c) = sum over taps j and filters f of the group of c of dy(p, f) W_j(c, f),
//                     where tap j of window p sees q
//     thread          one element of dx
//   convolve_kernel   dW_j(c, f) = sum over windows p of x(p stride + j dilation - before, c) dy(p, f)
//     thread          one element of dW, over a part of all windows
//   add_parts         one thread per element adds the parts, in order
//
// No shared memory, no barriers.
struct Params {
    // Elements of the result.
    count: u32,
    items: u32,
    // Of all groups.
    channels: u32,
    filters: u32,
    // Windows per part of the sum over windows, and number of parts.
    per_part: u32,
    parts: u32,
    a_offset: u32,
    b_offset: u32,
    bias_offset: u32,
}

// x or dy; add_parts, the parts, one result after another.
@group(0) @binding(0) var<storage, read> a: array<f32>;
// W; convolve_kernel, dy.
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

// Channels and filters of one group.
override GROUP_CHANNELS: u32 = 1u;
override GROUP_FILTERS: u32 = 1u;
override HAS_BIAS: bool = false;

fn taps() -> u32 {
    return SIZE_D * SIZE_H * SIZE_W;
}

// The window of a target pixel.
fn window_of(pixel: u32) -> Place {
    let place = place_of(pixel, params.items, target_extents());
    return Place(place.item, window_start(place.at));
}

@compute @workgroup_size(THREADS)
fn convolve(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i >= params.count {
        return;
    }
    let f = i % params.filters;
    let start = window_of(i / params.filters);
    let first = f / GROUP_FILTERS * GROUP_CHANNELS;
    var sum = 0.0;
    if HAS_BIAS {
        sum = bias[params.bias_offset + f];
    }
    for (var tap = 0u; tap < taps(); tap++) {
        let pixel = source_seen(start, tap, params.items);
        if pixel != NO_PIXEL {
            let seen = params.a_offset + pixel * params.channels + first;
            let weight = params.b_offset + tap * GROUP_CHANNELS * params.filters + f;
            for (var c = 0u; c < GROUP_CHANNELS; c++) {
                sum += a[seen + c] * b[weight + c * params.filters];
            }
        }
    }
    out[i] = sum;
}

@compute @workgroup_size(THREADS)
fn convolve_input(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i >= params.count {
        return;
    }
    let channel = i % params.channels;
    let place = place_of(i / params.channels, params.items, source_extents());
    let first = channel / GROUP_CHANNELS * GROUP_FILTERS;
    let c = channel % GROUP_CHANNELS;
    var sum = 0.0;
    for (var tap = 0u; tap < taps(); tap++) {
        let pixel = target_seeing(place, tap, params.items);
        if pixel != NO_PIXEL {
            let seen = params.a_offset + pixel * params.filters + first;
            let weight = params.b_offset + (tap * GROUP_CHANNELS + c) * params.filters + first;
            for (var f = 0u; f < GROUP_FILTERS; f++) {
                sum += a[seen + f] * b[weight + f];
            }
        }
    }
    out[i] = sum;
}

@compute @workgroup_size(THREADS)
fn convolve_kernel(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i >= params.count * params.parts {
        return;
    }
    let part = i / params.count;
    let f = i % params.filters;
    let row = i % params.count / params.filters;
    let tap = row / GROUP_CHANNELS;
    let channel = f / GROUP_FILTERS * GROUP_CHANNELS + row % GROUP_CHANNELS;
    let windows = params.items * TARGET_D * TARGET_H * TARGET_W;
    let end = min(windows, (part + 1u) * params.per_part);
    var sum = 0.0;
    for (var window = part * params.per_part; window < end; window++) {
        let pixel = source_seen(window_of(window), tap, params.items);
        if pixel != NO_PIXEL {
            let x = a[params.a_offset + pixel * params.channels + channel];
            sum += x * b[params.b_offset + window * params.filters + f];
        }
    }
    out[i] = sum;
}

// Adds the parts in order.
@compute @workgroup_size(THREADS)
fn add_parts(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i >= params.count {
        return;
    }
    var sum = 0.0;
    for (var part = 0u; part < params.parts; part++) {
        sum += a[params.a_offset + part * params.count + i];
    }
    out[i] = sum;
}
