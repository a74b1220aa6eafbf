// Counts the iterations that a loop makes of `count` requested ones: some drivers silently end loops
// early.
//
//   thread      a single one. out[0] = iterations made; out[1] keeps compilers from dropping the loop
struct Params { count: u32 }

@group(0) @binding(0) var<storage, read_write> out: array<u32>;
@group(0) @binding(1) var<uniform> params: Params;

@compute @workgroup_size(1)
fn probe() {
    var made = 0u;
    var state = params.count;
    for (var i = 0u; i < params.count; i++) {
        state = (state ^ i) + params.count;
        made += 1u;
    }
    out[0] = made;
    out[1] = state;
}
