// U, packed for a scan (scan.wgsl): the weights of a thread lie THREADS apart, so that all threads
// together read consecutive memory.
//
//   packed[(g TERMS + j) THREADS + thread]    four columns of row k = j K_SPLITS + thread % K_SPLITS:
//     OF_GATES    of U [H, GATES H], the columns of all gates for unit thread / K_SPLITS
//     else        of gate g of U [GATES H, H], the units 4 (thread / K_SPLITS) + 0, 1, 2, 3
//
// Rows and columns beyond those of U are zero.
//
//   thread      one vec4; no shared memory, no barriers
struct Params { count: u32, recurrent_offset: u32 }

override HIDDEN: u32 = 32u;
override GATES: u32 = 4u;
override OF_GATES: bool = true;
override K_SPLITS: u32 = 4u;
override TERMS: u32 = 8u;
override BLOCKS: u32 = HIDDEN;

@group(0) @binding(0) var<storage, read> recurrent: array<f32>;
@group(0) @binding(1) var<storage, read_write> packed: array<vec4<Elem>>;
@group(0) @binding(2) var<uniform> params: Params;

fn weight(present: bool, at: u32) -> f32 {
    if present {
        return recurrent[params.recurrent_offset + at];
    }
    return 0.0;
}

@compute @workgroup_size(THREADS)
fn pack(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i >= params.count {
        return;
    }
    let block = i / K_SPLITS % BLOCKS;
    let row = i / (K_SPLITS * BLOCKS);
    let k = row % TERMS * K_SPLITS + i % K_SPLITS;
    let inside = k < HIDDEN;
    var columns: vec4<f32>;
    if OF_GATES {
        let at = k * GATES * HIDDEN + block;
        columns = vec4<f32>(
            weight(inside, at), weight(inside && GATES > 1u, at + HIDDEN),
            weight(inside && GATES > 2u, at + 2u * HIDDEN),
            weight(inside && GATES > 3u, at + 3u * HIDDEN));
    } else {
        let unit = 4u * block;
        let at = (row / TERMS * HIDDEN + k) * HIDDEN + unit;
        columns = vec4<f32>(
            weight(inside, at), weight(inside && unit + 1u < HIDDEN, at + 1u),
            weight(inside && unit + 2u < HIDDEN, at + 2u),
            weight(inside && unit + 3u < HIDDEN, at + 3u));
    }
    packed[i] = vec4<Elem>(columns);
}
