// Pooling: maximum or mean over the pixels of a window, and the gradients.
//
//   thread      one element of the output, that is one channel of a pixel; loops over the taps
//               first_tap..end_tap, going on from the values that an earlier launch left in `out`
//
// No shared memory, no barriers.
struct Params {
    count: u32,
    items: u32,
    channels: u32,
    // Taps of this launch; the results of earlier taps are in `out`.
    first_tap: u32,
    end_tap: u32,
    x_offset: u32,
    pixel_in_offset: u32,
}

// x; backward, dy.
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> pixel_in: array<u32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read_write> pixel_out: array<u32>;
@group(0) @binding(4) var<uniform> params: Params;

fn window_of(pixel: u32) -> Place {
    let place = place_of(pixel, params.items, target_extents());
    return Place(place.item, window_start(place.at));
}

// Number of pixels that a window sees, at least one.
fn pixels_seen(start: Place) -> f32 {
    return f32(max(sources_seen(start.at), 1u));
}

// Maximum and its pixel index; the first of equal elements. NaN is larger than all numbers.
@compute @workgroup_size(THREADS)
fn maximum(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
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

// Sum over the taps of earlier launches.
fn sum_before(i: u32) -> f32 {
    if params.first_tap > 0u {
        return out[i];
    }
    return 0.0;
}

// dx[q] = sum of dy[p] over the windows p whose maximum is pixel q.
@compute @workgroup_size(THREADS)
fn maximum_backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
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

// y[p] = mean of x over the pixels that window p sees.
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
    out[i] = select(sum, sum / pixels_seen(start), is_last);
}

// dx[q] = sum over the windows p that see q of dy[p] / number of pixels that p sees.
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
            sum += x[params.x_offset + at] / pixels_seen(window_of(pixel));
        }
    }
    out[i] = sum;
}
