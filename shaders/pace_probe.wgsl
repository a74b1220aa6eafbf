// Multiplies and adds as fast as a device can, so that the host learns how fast that is.
//
//   thread      four sums of `count` terms, none of which waits for another
struct Params { count: u32 }

@group(0) @binding(0) var<storage, read_write> out: array<f32>;
@group(0) @binding(1) var<uniform> params: Params;

const THREADS = 64u;

@compute @workgroup_size(THREADS)
fn probe(@builtin(local_invocation_index) thread: u32) {
    var sums = vec4<f32>(f32(thread));
    for (var i = 0u; i < params.count; i++) {
        sums = fma(sums, vec4<f32>(0.5), vec4<f32>(1.0, 2.0, 3.0, 4.0));
    }
    // Never true, which no compiler knows: all sums are at most 64.
    if sums.x + sums.y + sums.z + sums.w > 1e6 {
        out[thread] = sums.x;
    }
}
