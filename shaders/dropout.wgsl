// out[t, b, i] = x[t, b, i] keep / (1 - rate)
//
// keep = 1 where word i % 4 of Philox at counter (t blocks + i / 4, step, layer, first + b) is at
// least the threshold rate * 2^32, else 0; blocks = ceil(width / 4).
//
//   thread      one block: up to four elements of a row, from one call of Philox
//               no shared memory, no barriers
struct Params { blocks: u32, rows: u32, width: u32, layer: u32, threshold: u32, scale: f32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
// Seed (two words), step, and index of the first row among those of all ranks.
@group(0) @binding(1) var<storage, read> random: array<u32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(THREADS)
fn drop_elements(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let index = flat_index(id, n);
    if index >= params.blocks {
        return;
    }
    let of_row = (params.width + 3u) / 4u;
    let row = index / of_row;
    let block = index % of_row;
    let counter = vec4<u32>(
        row / params.rows * of_row + block,
        random[2],
        params.layer,
        random[3] + row % params.rows);
    let words = philox(vec2<u32>(random[0], random[1]), counter);
    for (var lane = 0u; lane < 4u; lane++) {
        let i = 4u * block + lane;
        if i < params.width {
            let at = row * params.width + i;
            out[at] = select(0.0, params.scale * x[at], words[lane] >= params.threshold);
        }
    }
}
