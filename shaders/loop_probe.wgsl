// How many iterations a loop makes of those that it should: some drivers end loops early, and say
// nothing. What it computes is of no use, but keeps compilers from leaving the loop out.
struct Params { turns: u32 }

@group(0) @binding(0) var<storage, read_write> out: array<u32>;
@group(0) @binding(1) var<uniform> params: Params;

@compute @workgroup_size(1)
fn count() {
    var made = 0u;
    var state = params.turns;
    for (var i = 0u; i < params.turns; i++) {
        state = (state ^ i) + params.turns;
        made += 1u;
    }
    out[0] = made;
    out[1] = state;
}
