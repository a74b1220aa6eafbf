// Pooling: a thread an element of the output, which is a channel of a pixel.
struct Params {
    count: u32,
    items: u32,
    channels: u32,
    // Taps of this launch; those before are in `out`.
    first_tap: u32,
    end_tap: u32,
    x_offset: u32,
    pixel_in_offset: u32,
}

// Backward, x is the gradient of what came out.
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> pixel_in: array<u32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read_write> pixel_out: array<u32>;
@group(0) @binding(4) var<uniform> params: Params;

fn window_of(pixel: u32) -> Place {
    let place = place_of(pixel, params.items, target_extents());
    return Place(place.item, window_start(place.at));
}

// What a window sees counts as one at least.
fn seen_by(start: Place) -> f32 {
    return f32(max(sources_seen(start.at), 1u));
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
    if params.first_tap > 0u {
        best = out[i];
        best_pixel = pixel_out[i];
    }
    for (var tap = params.first_tap; tap < params.end_tap; tap++) {
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

// The sum of the taps before.
fn sum_before(i: u32) -> f32 {
    if params.first_tap > 0u {
        return out[i];
    }
    return 0.0;
}

@compute @workgroup_size(THREADS)
fn largest_backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i >= params.count {
        return;
    }
    let here = i / params.channels;
    let place = place_of(here, params.items, source_extents());
    var sum = sum_before(i);
    for (var tap = params.first_tap; tap < params.end_tap; tap++) {
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

@compute @workgroup_size(THREADS)
fn average(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i >= params.count {
        return;
    }
    let start = window_of(i / params.channels);
    var sum = sum_before(i);
    for (var tap = params.first_tap; tap < params.end_tap; tap++) {
        let pixel = source_seen(start, tap, params.items);
        if pixel != NO_PIXEL {
            sum += x[params.x_offset + pixel * params.channels + i % params.channels];
        }
    }
    let is_last = params.end_tap == SIZE_D * SIZE_H * SIZE_W;
    out[i] = select(sum, sum / seen_by(start), is_last);
}

@compute @workgroup_size(THREADS)
fn average_backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i >= params.count {
        return;
    }
    let place = place_of(i / params.channels, params.items, source_extents());
    var sum = sum_before(i);
    for (var tap = params.first_tap; tap < params.end_tap; tap++) {
        let pixel = target_seeing(place, tap, params.items);
        if pixel != NO_PIXEL {
            let at = pixel * params.channels + i % params.channels;
            sum += x[params.x_offset + at] / seen_by(window_of(pixel));
        }
    }
    out[i] = sum;
}
