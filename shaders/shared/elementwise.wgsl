// One thread per element.
//
//   workgroup   THREADS threads; workgroups are folded over x and y of the grid
//   thread      element flat_index; surplus threads have an index beyond the last element
const THREADS = 256u;

fn flat_index(id: vec3<u32>, groups: vec3<u32>) -> u32 {
    return id.y * groups.x * THREADS + id.x;
}
