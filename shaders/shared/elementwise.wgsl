// One thread an element: 256 threads a workgroup, workgroups folded over x and y.
const THREADS = 256u;

fn flat_index(id: vec3<u32>, groups: vec3<u32>) -> u32 {
    return id.y * groups.x * THREADS + id.x;
}
