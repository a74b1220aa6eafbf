// Enlargement of images by whole factors, linearly between the centres of pixels, and its gradient.
// The sources are the pixels of x, the targets those of y, STRIDE the factors.
//
//   forward     one thread per element of y: the weighted sum of eight sources
//   backward    one thread per element of dx: the sum over the targets in which the source has a
//               weight, (2 STRIDE + 1)^3 at most
//
// No shared memory, no barriers.
struct Params {
    count: u32,
    items: u32,
    channels: u32,
    x_offset: u32,
}

// x; backward, dy.
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

// The first of the two sources between which the centre of a target lies; -1 before the first source.
fn first_source(place: vec3<i32>) -> vec3<i32> {
    // One source more keeps the numerator positive.
    return (2 * place + 1 + strides()) / (2 * strides()) - 1;
}

// The weight of the second of the two sources.
fn far_weight(place: vec3<i32>) -> vec3<f32> {
    let rest = (2 * place + 1 + strides()) % (2 * strides());
    return vec3<f32>(rest) / vec3<f32>(2 * strides());
}

fn inside(place: vec3<i32>) -> vec3<i32> {
    return clamp(place, vec3<i32>(0), vec3<i32>(source_extents()) - 1);
}

@compute @workgroup_size(THREADS)
fn forward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i >= params.count {
        return;
    }
    let place = place_of(i / params.channels, params.items, target_extents());
    let first = first_source(place.at);
    let far = far_weight(place.at);
    var sum = 0.0;
    for (var corner = 0u; corner < 8u; corner++) {
        let second = (vec3<u32>(corner) >> vec3<u32>(0u, 1u, 2u) & vec3<u32>(1u)) == vec3<u32>(1u);
        let weights = select(1.0 - far, far, second);
        let weight = weights.x * weights.y * weights.z;
        if weight > 0.0 {
            let at = inside(first + select(vec3<i32>(0), vec3<i32>(1), second));
            let pixel = pixel_at(place.item, params.items, at, source_extents());
            sum += weight * x[params.x_offset + pixel * params.channels + i % params.channels];
        }
    }
    out[i] = sum;
}

// The weights of a source in a target, along each axis.
fn weights_in(source: vec3<i32>, place: vec3<i32>) -> vec3<f32> {
    let first = first_source(place);
    let far = far_weight(place);
    let near = select(vec3<f32>(0.0), 1.0 - far, inside(first) == source);
    return near + select(vec3<f32>(0.0), far, inside(first + 1) == source);
}

@compute @workgroup_size(THREADS)
fn backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i >= params.count {
        return;
    }
    let place = place_of(i / params.channels, params.items, source_extents());
    let s = strides();
    let begin = max(s * (place.at - 1) + (s - 1) / 2, vec3<i32>(0));
    let end = min(s * (place.at + 1) + (s - 1) / 2 + 1, vec3<i32>(target_extents()));
    var sum = 0.0;
    for (var d = begin.x; d < end.x; d++) {
        for (var h = begin.y; h < end.y; h++) {
            for (var w = begin.z; w < end.z; w++) {
                let at = vec3<i32>(d, h, w);
                let weights = weights_in(place.at, at);
                let weight = weights.x * weights.y * weights.z;
                if weight > 0.0 {
                    let pixel = pixel_at(place.item, params.items, at, target_extents());
                    sum += weight * x[params.x_offset + pixel * params.channels + i % params.channels];
                }
            }
        }
    }
    out[i] = sum;
}
