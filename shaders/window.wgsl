// Windows over time: step t of the output sees steps t STRIDE + j DILATION - before of the input,
// j < size; those beyond the ends count as zero, or not at all when pooling.
struct Params {
    count: u32,
    // Steps of the sequence outside the windows, and steps of windows.
    steps: u32,
    windows: u32,
    // Elements of one step, B C; C alone.
    per_step: u32,
    channels: u32,
    size: u32,
    stride: u32,
    dilation: u32,
    before: u32,
    x_offset: u32,
    d_offset: u32,
    index_offset: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> d: array<f32>;
@group(0) @binding(2) var<storage, read> index: array<u32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<storage, read_write> index_out: array<u32>;
@group(0) @binding(5) var<uniform> params: Params;

struct Source { inside: bool, step: u32 }

// The input step that tap j of window t sees.
fn source(t: u32, j: u32) -> Source {
    let step = t * params.stride + j * params.dilation;
    let inside = step >= params.before && step - params.before < params.steps;
    return Source(inside, select(0u, step - params.before, inside));
}

// The window whose tap j sees an input step.
fn window_of(step: u32, j: u32) -> Source {
    let reach = step + params.before;
    let skip = j * params.dilation;
    let inside = reach >= skip && (reach - skip) % params.stride == 0u
        && (reach - skip) / params.stride < params.windows;
    return Source(inside, select(0u, (reach - skip) / params.stride, inside));
}

// out[t, b, j C + c] = x[source(t, j), b, c]
@compute @workgroup_size(THREADS)
fn unfold(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i >= params.count {
        return;
    }
    let c = i % params.channels;
    let j = i / params.channels % params.size;
    let row = i / (params.channels * params.size);
    let rows = params.per_step / params.channels;
    let seen = source(row / rows, j);
    var value = 0.0;
    if seen.inside {
        value = x[params.x_offset + seen.step * params.per_step + row % rows * params.channels + c];
    }
    out[i] = value;
}

// out[s, b, c] = sum over j of d[window_of(s, j), b, j C + c]
@compute @workgroup_size(THREADS)
fn fold(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i >= params.count {
        return;
    }
    let within = i % params.per_step;
    let row = within / params.channels;
    let rows = params.per_step / params.channels;
    var sum = 0.0;
    for (var j = 0u; j < params.size; j++) {
        let to = window_of(i / params.per_step, j);
        if to.inside {
            let taps = ((to.step * rows + row) * params.size + j) * params.channels;
            sum += d[params.d_offset + taps + within % params.channels];
        }
    }
    out[i] = sum;
}

// The largest element that a window sees and its step; the first of equals.
@compute @workgroup_size(THREADS)
fn max_pool(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i >= params.count {
        return;
    }
    var best = 0.0;
    var at = params.steps;
    for (var j = 0u; j < params.size; j++) {
        let seen = source(i / params.per_step, j);
        if seen.inside {
            let value = x[params.x_offset + seen.step * params.per_step + i % params.per_step];
            if at == params.steps || value > best {
                best = value;
                at = seen.step;
            }
        }
    }
    out[i] = best;
    index_out[i] = at;
}

@compute @workgroup_size(THREADS)
fn max_pool_backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i >= params.count {
        return;
    }
    let step = i / params.per_step;
    var sum = 0.0;
    for (var j = 0u; j < params.size; j++) {
        let to = window_of(step, j);
        let at = to.step * params.per_step + i % params.per_step;
        if to.inside && index[params.index_offset + at] == step {
            sum += d[params.d_offset + at];
        }
    }
    out[i] = sum;
}

// How many steps of the input a window sees.
fn seen_by(t: u32) -> f32 {
    var count = 0u;
    for (var j = 0u; j < params.size; j++) {
        count += u32(source(t, j).inside);
    }
    return f32(max(count, 1u));
}

@compute @workgroup_size(THREADS)
fn average_pool(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i >= params.count {
        return;
    }
    let t = i / params.per_step;
    var sum = 0.0;
    for (var j = 0u; j < params.size; j++) {
        let seen = source(t, j);
        if seen.inside {
            sum += x[params.x_offset + seen.step * params.per_step + i % params.per_step];
        }
    }
    out[i] = sum / seen_by(t);
}

@compute @workgroup_size(THREADS)
fn average_pool_backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i >= params.count {
        return;
    }
    var sum = 0.0;
    for (var j = 0u; j < params.size; j++) {
        let to = window_of(i / params.per_step, j);
        if to.inside {
            let at = to.step * params.per_step + i % params.per_step;
            sum += d[params.d_offset + at] / seen_by(to.step);
        }
    }
    out[i] = sum;
}
