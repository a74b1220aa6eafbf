// Reductions over the threads of a workgroup that shares a row.
const LANES = 64u;
var<workgroup> lanes: array<f32, LANES>;

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
