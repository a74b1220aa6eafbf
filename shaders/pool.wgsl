// Pooling: a thread an element of the output, which is a channel of a pixel.
struct Params {
    count: u32,
    items: u32,
    channels: u32,
    x_offset: u32,
    pixel_in_offset: u32,
}

// Backward, x is the gradient of what came out.
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> pixel_in: array<u32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read_write> pixel_out: array<u32>;
@group(0) @binding(4) var<uniform> params: Params;

fn taps() -> u32 {
    return SIZE_D * SIZE_H * SIZE_W;
}

fn window_of(pixel: u32) -> Place {
    let place = place_of(pixel, params.items, target_extents());
    return Place(place.item, window_start(place.at));
}

// The largest element that a window sees, and its pixel; the first of equals. What is not a number
// is larger than all others.
@compute @workgroup_size(THREADS)
fn largest(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i >= params.count {
        return;
    }
    let start = window_of(i / params.channels);
    var best = 0.0;
    var best_pixel = NO_PIXEL;
    for (var tap = 0u; tap < taps(); tap++) {
        let pixel = source_seen(start, tap, params.items);
        if pixel != NO_PIXEL {
            let value = x[params.x_offset + pixel * params.channels + i % params.channels];
            if best_pixel == NO_PIXEL || (!is_nan(best) && (is_nan(value) || value > best)) {
                best = value;
                best_pixel = pixel;
            }
        }
    }
    out[i] = best;
    pixel_out[i] = best_pixel;
}

@compute @workgroup_size(THREADS)
fn largest_backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i >= params.count {
        return;
    }
    let here = i / params.channels;
    let place = place_of(here, params.items, source_extents());
    var sum = 0.0;
    for (var tap = 0u; tap < taps(); tap++) {
        let pixel = target_seeing(place, tap, params.items);
        if pixel != NO_PIXEL {
            let at = pixel * params.channels + i % params.channels;
            if pixel_in[params.pixel_in_offset + at] == here {
                sum += x[params.x_offset + at];
            }
        }
    }
    out[i] = sum;
}

// How many pixels a window sees.
fn seen_by(start: Place) -> f32 {
    var count = 0u;
    for (var tap = 0u; tap < taps(); tap++) {
        count += select(0u, 1u, source_seen(start, tap, params.items) != NO_PIXEL);
    }
    return f32(select(count, 1u, count == 0u));
}

@compute @workgroup_size(THREADS)
fn average(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i >= params.count {
        return;
    }
    let start = window_of(i / params.channels);
    var sum = 0.0;
    for (var tap = 0u; tap < taps(); tap++) {
        let pixel = source_seen(start, tap, params.items);
        if pixel != NO_PIXEL {
            sum += x[params.x_offset + pixel * params.channels + i % params.channels];
        }
    }
    out[i] = sum / seen_by(start);
}

@compute @workgroup_size(THREADS)
fn average_backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i >= params.count {
        return;
    }
    let place = place_of(i / params.channels, params.items, source_extents());
    var sum = 0.0;
    for (var tap = 0u; tap < taps(); tap++) {
        let pixel = target_seeing(place, tap, params.items);
        if pixel != NO_PIXEL {
            let at = pixel * params.channels + i % params.channels;
            sum += x[params.x_offset + at] / seen_by(window_of(pixel));
        }
    }
    out[i] = sum;
}
