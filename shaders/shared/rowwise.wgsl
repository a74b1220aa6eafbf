// One workgroup per row of a matrix.
//
//   workgroup   LANES threads; workgroups are folded over x and y of the grid
//   thread      columns lane, lane + LANES, ..
//   shared      lanes: one value per thread, reduced as a tree in a fixed order
//   barriers    one before each level of the tree, two at its end; all threads must call together
const LANES = 64u;
var<workgroup> lanes: array<f32, LANES>;

// The maximum of the threads' values, in all threads.
fn row_maximum(lane: u32, value: f32) -> f32 {
    lanes[lane] = value;
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane < half {
            lanes[lane] = max(lanes[lane], lanes[lane + half]);
        }
    }
    let result = workgroupUniformLoad(&lanes[0]);
    workgroupBarrier();
    return result;
}

// The sum of the threads' values, in all threads.
fn row_sum(lane: u32, value: f32) -> f32 {
    lanes[lane] = value;
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane < half {
            lanes[lane] += lanes[lane + half];
        }
    }
    let result = workgroupUniformLoad(&lanes[0]);
    workgroupBarrier();
    return result;
}
