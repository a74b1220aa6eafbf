// Ops along the middle axis of [outer, extent, inner].
//
//   thread      one element of the output; no shared memory, no barriers
struct Params {
    count: u32,
    x_extent: u32,
    out_extent: u32,
    inner: u32,
    // For slice and spread, where a step back is 2^32 - 1; for reduce, the elements to combine.
    start: u32,
    step: u32,
    end: u32,
    x_offset: u32,
}

@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> out: array<u32>;
@group(0) @binding(2) var<uniform> params: Params;

// out[o, i, n] = x[o, start + step i, n]
@compute @workgroup_size(THREADS)
fn slice(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i >= params.count {
        return;
    }
    let item = i / params.inner;
    let place = params.start + params.step * (item % params.out_extent);
    let row = item / params.out_extent * params.x_extent + place;
    out[i] = x[params.x_offset + row * params.inner + i % params.inner];
}

// out = 0 except out[o, start + step i, n] = x[o, i, n]
@compute @workgroup_size(THREADS)
fn spread(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i >= params.count {
        return;
    }
    let item = i / params.inner;
    let behind = bitcast<i32>(item % params.out_extent - params.start);
    let step = bitcast<i32>(params.step);
    let place = behind / step;
    out[i] = 0u;
    if place * step == behind && place >= 0 && u32(place) < params.x_extent {
        let row = item / params.out_extent * params.x_extent + u32(place);
        out[i] = x[params.x_offset + row * params.inner + i % params.inner];
    }
}

// The largest element instead of the sum.
override LARGEST: bool = false;

// out[o, n] = the sum over i of x[o, i, n], or the largest; of those from start to end, if start > 0
// together with what out holds.
@compute @workgroup_size(THREADS)
fn reduce(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i >= params.count {
        return;
    }
    let first = params.x_offset + i / params.inner * params.x_extent * params.inner + i % params.inner;
    var result = 0.0;
    var next = params.start;
    if next > 0u {
        result = bitcast<f32>(out[i]);
    } else if LARGEST {
        result = bitcast<f32>(x[first]);
    }
    for (; next < params.end; next++) {
        let z = bitcast<f32>(x[first + next * params.inner]);
        if LARGEST {
            let larger = select(result, z, order(z) > order(result));
            result = keep_nan(result, keep_nan(z, larger));
        } else {
            result += z;
        }
    }
    out[i] = bitcast<u32>(result);
}
