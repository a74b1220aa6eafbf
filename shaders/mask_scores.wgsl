// out[item, q, k] = x[item, q, k] where query q of the item sees key k; elsewhere x - value, or value if
// REPLACES. Heads of one row of the batch are neighbouring items and share its masks.
//
//   thread      one element; no shared memory, no barriers
struct Params {
    count: u32,
    queries: u32,
    keys: u32,
    heads: u32,
    batch: u32,
    value: f32,
    x_offset: u32,
    query_mask_offset: u32,
    key_mask_offset: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
// [queries, batch] and [keys, batch]; without QUERY_MASK or KEY_MASK anything.
@group(0) @binding(1) var<storage, read> query_mask: array<u32>;
@group(0) @binding(2) var<storage, read> key_mask: array<u32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

override CAUSAL: bool = false;
override QUERY_MASK: bool = false;
override KEY_MASK: bool = false;
override REPLACES: bool = false;

@compute @workgroup_size(THREADS)
fn mask_scores(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i >= params.count {
        return;
    }
    let key = i % params.keys;
    let query = i / params.keys % params.queries;
    let row = i / (params.keys * params.queries * params.heads);
    var sees = !CAUSAL || key <= query;
    if QUERY_MASK {
        sees = sees && query_mask[params.query_mask_offset + query * params.batch + row] != 0u;
    }
    if KEY_MASK {
        sees = sees && key_mask[params.key_mask_offset + key * params.batch + row] != 0u;
    }
    let score = x[params.x_offset + i];
    let hidden = select(score - params.value, params.value, REPLACES);
    out[i] = select(hidden, score, sees);
}
