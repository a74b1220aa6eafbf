// out[t, b, i] = x[t, b, i] + deviation n, or x[t, b, i] (1 + deviation n)
//
// n of elements i = 4 q to 4 q + 3 come from the four words of Philox at counter
// (t blocks + q, step, layer, first + b), two from each pair (Box and Muller):
//
//   r = sqrt(-2 log((w0 >> 8) + 1) / 2^24),  n = r cos(2 pi w1 / 2^32), r sin(2 pi w1 / 2^32)
//
//   thread      one block: up to four elements of a row, from one call of Philox
//               no shared memory, no barriers
struct Params { blocks: u32, rows: u32, width: u32, layer: u32, multiplies: u32, deviation: f32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
// Seed (two words), step, and index of the first row among those of all ranks.
@group(0) @binding(1) var<storage, read> random: array<u32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

// Two normally distributed numbers from two words.
fn normal_pair(words: vec2<u32>) -> vec2<f32> {
    // The product is exact.
    let uniform_number = f32((words.x >> 8u) + 1u) * 5.9604645e-8;
    let radius = sqrt(-2.0 * log_from_one(uniform_number));
    // The nearest multiple of a quarter turn, and the angle from there, at most an eighth.
    let quarters = (words.y + 0x20000000u) >> 30u;
    let angle = f32(bitcast<i32>(words.y - (quarters << 30u))) * 1.4629181e-9;
    // Polynomials by Remez's algorithm, to a relative error of 4e-9.
    let z = angle * angle;
    var p = fma(-1.95173e-4, z, 8.332178e-3);
    p = fma(p, z, -0.16666655);
    let sine = fma(angle * z, p, angle);
    p = fma(2.4438452e-5, z, -1.3887368e-3);
    p = fma(p, z, 0.041666646);
    let cosine = fma(z * z, p, fma(-0.5, z, 1.0));
    var turned = vec2<f32>(cosine, sine);
    turned = select(turned, vec2<f32>(-turned.y, turned.x), (quarters & 1u) != 0u);
    turned = select(turned, -turned, (quarters & 2u) != 0u);
    return radius * turned;
}

@compute @workgroup_size(THREADS)
fn add_noise(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
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
    let numbers = vec4<f32>(normal_pair(words.xy), normal_pair(words.zw));
    for (var lane = 0u; lane < 4u; lane++) {
        let i = 4u * block + lane;
        if i < params.width {
            let at = row * params.width + i;
            let factor = select(1.0, x[at], params.multiplies != 0u);
            out[at] = fma(params.deviation * numbers[lane], factor, x[at]);
        }
    }
}
