// Shows where the threads of a subgroup stand in a workgroup: out[thread] holds the indexes of the threads
// 1, 2 and 4 lanes away by exclusive or, in ten bits each.
//
//   workgroup   THREADS threads; no shared memory, no barriers
const THREADS = 256u;

@group(0) @binding(0) var<storage, read_write> out: array<u32>;

@compute @workgroup_size(THREADS)
fn probe(@builtin(local_invocation_index) thread: u32) {
    let one = subgroupShuffleXor(thread, 1u);
    let two = subgroupShuffleXor(thread, 2u);
    let four = subgroupShuffleXor(thread, 4u);
    out[thread] = one | (two << 10u) | (four << 20u);
}
