// out = x * keep / (1 - rate); keep of element i is word i % 4 of Philox at counter
// (i / 4, step, layer, 0), kept where word >= threshold = rate * 2^32.
struct Params { count: u32, layer: u32, threshold: u32, scale: f32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
// Seed (two words) and step.
@group(0) @binding(1) var<storage, read> random: array<u32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(THREADS)
fn drop_elements(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let block = flat_index(id, n);
    if 4u * block >= params.count {
        return;
    }
    let words = philox(vec2<u32>(random[0], random[1]), vec4<u32>(block, random[2], params.layer, 0u));
    for (var lane = 0u; lane < 4u; lane++) {
        let i = 4u * block + lane;
        if i < params.count {
            out[i] = select(0.0, params.scale * x[i], words[lane] >= params.threshold);
        }
    }
}
