// A stable counting sort of positions by token, without atomics, in five launches:
//
//   clear     one thread per entry: table[block, token] = 0
//   rank      one workgroup per BLOCK positions, loaded into shared memory, then a barrier. Thread:
//             counts the earlier positions of the same token within the block; the last of them stores
//             the block's count in `table`
//   offsets   one thread per token: its column of the table becomes running sums over the blocks
//   scan      one workgroup: running sums of the tokens' totals become `starts`
//   place     one thread per position: writes it to its place in `order`
struct Params { count: u32, positions: u32, vocabulary: u32, blocks: u32 }

@group(0) @binding(0) var<storage, read> tokens: array<u32>;
@group(0) @binding(1) var<storage, read_write> table: array<u32>;
@group(0) @binding(2) var<storage, read_write> ranks: array<u32>;
@group(0) @binding(3) var<storage, read_write> totals: array<u32>;
@group(0) @binding(4) var<storage, read_write> starts: array<u32>;
@group(0) @binding(5) var<storage, read_write> order: array<u32>;
@group(0) @binding(6) var<uniform> params: Params;

const BLOCK = 1024u;
var<workgroup> block_tokens: array<u32, BLOCK>;
var<workgroup> thread_sums: array<u32, THREADS>;

@compute @workgroup_size(THREADS)
fn clear(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i < params.count {
        table[i] = 0u;
    }
}

@compute @workgroup_size(THREADS)
fn rank(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let first = group.x * BLOCK;
    let length = min(BLOCK, params.positions - first);
    for (var i = thread; i < length; i += THREADS) {
        block_tokens[i] = tokens[first + i];
    }
    workgroupBarrier();
    for (var i = thread; i < length; i += THREADS) {
        let token = block_tokens[i];
        var earlier = 0u;
        for (var j = 0u; j < i; j++) {
            earlier += select(0u, 1u, block_tokens[j] == token);
        }
        var last = true;
        for (var j = i + 1u; j < length && last; j++) {
            last = block_tokens[j] != token;
        }
        ranks[first + i] = earlier;
        if last {
            table[group.x * params.vocabulary + token] = earlier + 1u;
        }
    }
}

@compute @workgroup_size(THREADS)
fn offsets(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let token = flat_index(id, n);
    if token >= params.vocabulary {
        return;
    }
    var sum = 0u;
    for (var b = 0u; b < params.blocks; b++) {
        let at = b * params.vocabulary + token;
        let count = table[at];
        table[at] = sum;
        sum += count;
    }
    totals[token] = sum;
}

// Each thread sums a range of tokens; after a barrier thread 0 turns the sums into offsets; after a
// second one each thread goes through its range again.
@compute @workgroup_size(THREADS)
fn scan(@builtin(local_invocation_index) thread: u32) {
    let run = (params.vocabulary + THREADS - 1u) / THREADS;
    let first = min(thread * run, params.vocabulary);
    let end = min(first + run, params.vocabulary);
    var sum = 0u;
    for (var i = first; i < end; i++) {
        sum += totals[i];
    }
    thread_sums[thread] = sum;
    workgroupBarrier();
    if thread == 0u {
        var before = 0u;
        for (var i = 0u; i < THREADS; i++) {
            let count = thread_sums[i];
            thread_sums[i] = before;
            before += count;
        }
        starts[params.vocabulary] = before;
    }
    workgroupBarrier();
    var at = thread_sums[thread];
    for (var i = first; i < end; i++) {
        starts[i] = at;
        at += totals[i];
    }
}

@compute @workgroup_size(THREADS)
fn place(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i < params.positions {
        let token = tokens[i];
        let block = i / BLOCK;
        order[starts[token] + table[block * params.vocabulary + token] + ranks[i]] = i;
    }
}
