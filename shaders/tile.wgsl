// A tile of a matrix product: 64 x 64 for 256 threads, each of which sums 4 x 4.
const TILE = 64u;
const SLICE = 16u;
// One more column than needed keeps threads of a subgroup on different memory banks.
const PITCH = TILE + 1u;

var<workgroup> a_tile: array<f32, SLICE * PITCH>;
var<workgroup> b_tile: array<f32, SLICE * PITCH>;

// Adds the products of a slice of the shared dimension: rows ty, ty + 16, ..; each vector holds
// columns tx, tx + 16, tx + 32, tx + 48.
fn add_slice(sums: ptr<function, mat4x4<f32>>, tx: u32, ty: u32) {
    for (var k = 0u; k < SLICE; k++) {
        let at = k * PITCH;
        let right = vec4<f32>(
            b_tile[at + tx], b_tile[at + tx + 16u],
            b_tile[at + tx + 32u], b_tile[at + tx + 48u]);
        (*sums)[0] += a_tile[at + ty] * right;
        (*sums)[1] += a_tile[at + ty + 16u] * right;
        (*sums)[2] += a_tile[at + ty + 32u] * right;
        (*sums)[3] += a_tile[at + ty + 48u] * right;
    }
}
