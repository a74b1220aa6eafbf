// gather:      out[i, :] = table[tokens[i], :]; one thread per element
// sum_windows: one thread per element of a window's sum of d_out rows
// sum_tokens:  d_table[v, :] = sum of d_out over the positions of v; one thread per element
//
// No shared memory, no barriers, no atomics: sort_tokens.wgsl has grouped the positions of each
// token, in order. Windows of WINDOW sorted positions that hold a single token are summed first, so that
// a frequent token (padding) is not one long loop.
struct Params {
    count: u32,
    // Number of tokens, rows of the table, and columns of a row.
    positions: u32,
    vocabulary: u32,
    width: u32,
}

@group(0) @binding(0) var<storage, read> tokens: array<u32>;
// The table; in the gradient, d_out.
@group(0) @binding(1) var<storage, read> rows: array<Elem>;
@group(0) @binding(2) var<storage, read> order: array<u32>;
@group(0) @binding(3) var<storage, read> starts: array<u32>;
@group(0) @binding(4) var<storage, read> windows: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;
@group(0) @binding(6) var<storage, read_write> gathered: array<Elem>;
@group(0) @binding(7) var<uniform> params: Params;

const WINDOW = 64u;

@compute @workgroup_size(THREADS)
fn gather(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i < params.count {
        // Tokens are checked against the vocabulary before they are uploaded.
        let token = min(tokens[i / params.width], params.vocabulary - 1u);
        gathered[i] = rows[token * params.width + i % params.width];
    }
}

// Sum over sorted positions first..end.
fn sum_positions(first: u32, end: u32, column: u32) -> f32 {
    var sum = 0.0;
    for (var i = first; i < end; i++) {
        sum += f32(rows[order[i] * params.width + column]);
    }
    return sum;
}

@compute @workgroup_size(THREADS)
fn sum_windows(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i >= params.count {
        return;
    }
    let first = (i / params.width) * WINDOW;
    let end = first + WINDOW;
    out[i] = 0.0;
    if end <= params.positions && tokens[order[first]] == tokens[order[end - 1u]] {
        out[i] = sum_positions(first, end, i % params.width);
    }
}

@compute @workgroup_size(THREADS)
fn sum_tokens(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i >= params.count {
        return;
    }
    let column = i % params.width;
    let first = starts[i / params.width];
    let end = starts[i / params.width + 1u];
    let whole = (first + WINDOW - 1u) / WINDOW;
    let whole_end = end / WINDOW;
    if whole >= whole_end {
        out[i] = sum_positions(first, end, column);
        return;
    }
    var sum = sum_positions(first, whole * WINDOW, column);
    for (var w = whole; w < whole_end; w++) {
        sum += windows[w * params.width + column];
    }
    out[i] = sum + sum_positions(whole_end * WINDOW, end, column);
}
