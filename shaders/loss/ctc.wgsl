// Connectionist temporal classification. The states s of a row with the labels l[0..n] are blank, l[0],
// blank, l[1], .., blank; a path stays in a state, goes to the next, or skips a blank between unequal
// labels. p[t, s] is the logarithm of the probability of the class of s at step t.
//
//   alpha      a[t, s] = p[t, s] + log of the sum of e^a[t - 1, r] over the states r before s
//   loss       -log(e^a[T - 1, 2 n] + e^a[T - 1, 2 n - 1])
//   beta       b[t, s] = log of the sum of e^(b[t + 1, r] + p[t + 1, r]) over the states r after s;
//              a[t, s] += b[t, s]
//   gradient   out[t, k] = -d_loss times the sum of e^(a[t, s] + loss) over the states of class k
//
//   workgroup   one row, of gradient one step of a row; barriers between steps, and as in rowwise.wgsl
//   thread      states lane, lane + LANES, ..; of gradient classes
//   shared      as in rowwise.wgsl
struct Params {
    rows: u32,
    steps: u32,
    classes: u32,
    states: u32,
    // Steps of which a is kept.
    kept: u32,
    // Steps of this launch.
    first: u32,
    end: u32,
}

@group(0) @binding(0) var<storage, read> log_probabilities: array<f32>;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read> d_loss: array<f32>;
@group(0) @binding(3) var<storage, read_write> a: array<f32>;
@group(0) @binding(4) var<storage, read_write> b: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;

// The logarithm of zero, which sums and products leave as it is.
const LOG_ZERO = -1e30;

fn row_of(group: vec3<u32>, groups: vec3<u32>) -> u32 {
    return group.x + group.y * groups.x;
}

// The number of labels that are not padding.
fn length_of(row: u32, lane: u32) -> u32 {
    var count = 0.0;
    for (var i = lane; i < params.steps; i += LANES) {
        count += select(0.0, 1.0, labels[row * params.steps + i] != 0u);
    }
    return u32(row_sum(lane, count));
}

fn class_of(row: u32, state: u32) -> u32 {
    return select(0u, labels[row * params.steps + state / 2u], state % 2u == 1u);
}

// True if a path may come to a state from two states before.
fn skips_to(row: u32, state: u32) -> bool {
    let class_index = class_of(row, state);
    let before = class_of(row, state - min(state, 2u));
    return state >= 3u && class_index != 0u && class_index != before;
}

fn emission(row: u32, step: u32, state: u32) -> f32 {
    let at = (row * params.steps + step) * params.classes + class_of(row, state);
    let p = log_probabilities[at];
    return keep_nan(p, max(p, LOG_ZERO));
}

// log(e^x + e^y + e^z)
fn log_sum(x: f32, y: f32, z: f32) -> f32 {
    let highest = max(max(x, y), z);
    return highest + log_from_one(decay(x - highest) + decay(y - highest) + decay(z - highest));
}

fn place(row: u32, step: u32, kept: u32) -> u32 {
    return (row * kept + step % kept) * params.states;
}

@compute @workgroup_size(LANES)
fn alpha(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
         @builtin(local_invocation_index) lane: u32) {
    let row = row_of(group, groups);
    if row >= params.rows {
        return;
    }
    let last = 2u * length_of(row, lane);
    for (var t = params.first; t < params.end; t++) {
        let here = place(row, t, params.kept);
        let before = place(row, t + params.kept - 1u, params.kept);
        // FXC wants barriers behind loops of as many iterations in every thread.
        for (var chunk = 0u; chunk < params.states; chunk += LANES) {
            let s = chunk + lane;
            if s <= last {
                var sum = select(LOG_ZERO, 0.0, s <= 1u);
                if t > 0u {
                    var one = LOG_ZERO;
                    var two = LOG_ZERO;
                    if s > 0u {
                        one = a[before + s - 1u];
                    }
                    if skips_to(row, s) {
                        two = a[before + s - 2u];
                    }
                    sum = log_sum(a[before + s], one, two);
                }
                a[here + s] = sum + emission(row, t, s);
            }
        }
        storageBarrier();
        workgroupBarrier();
    }
}

// The logarithm of the probability of all paths; b of the last step is 0 where they end.
fn log_probability(row: u32, last: u32) -> f32 {
    let at = place(row, params.steps - 1u, params.kept) + last;
    var other = LOG_ZERO;
    if last > 0u {
        other = a[at - 1u];
    }
    return log_sum(a[at], other, LOG_ZERO);
}

@compute @workgroup_size(LANES)
fn loss(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let row = row_of(group, groups);
    if row >= params.rows {
        return;
    }
    let result = log_probability(row, 2u * length_of(row, lane));
    if lane == 0u {
        // Without a path the loss is infinite.
        out[row] = keep_nan(result, select(-result, growth(-result), result < 0.5 * LOG_ZERO));
    }
}

// From the last step of the launch to its first.
@compute @workgroup_size(LANES)
fn beta(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let row = row_of(group, groups);
    if row >= params.rows {
        return;
    }
    let last = 2u * length_of(row, lane);
    for (var i = params.first; i < params.end; i++) {
        let t = params.first + params.end - 1u - i;
        let here = place(row, t, 2u);
        let after = place(row, t + 1u, 2u);
        for (var chunk = 0u; chunk < params.states; chunk += LANES) {
            let s = chunk + lane;
            if s <= last {
                var sum = select(LOG_ZERO, 0.0, s + 1u >= last);
                if t + 1u < params.steps {
                    var one = LOG_ZERO;
                    var two = LOG_ZERO;
                    if s < last {
                        one = b[after + s + 1u] + emission(row, t + 1u, s + 1u);
                    }
                    if s + 2u <= last && skips_to(row, s + 2u) {
                        two = b[after + s + 2u] + emission(row, t + 1u, s + 2u);
                    }
                    sum = log_sum(b[after + s] + emission(row, t + 1u, s), one, two);
                }
                b[here + s] = sum;
                a[place(row, t, params.kept) + s] += sum;
            }
        }
        storageBarrier();
        workgroupBarrier();
    }
}

@compute @workgroup_size(LANES)
fn gradient(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
            @builtin(local_invocation_index) lane: u32) {
    let item = row_of(group, groups);
    if item >= params.rows * params.steps {
        return;
    }
    let row = item / params.steps;
    let last = 2u * length_of(row, lane);
    let whole = log_probability(row, last);
    let here = place(row, item % params.steps, params.kept);
    for (var k = lane; k < params.classes; k += LANES) {
        var share = 0.0;
        for (var s = 0u; s <= last; s++) {
            if class_of(row, s) == k {
                let exponent = a[here + s] - whole;
                share += growth(keep_nan(exponent, min(exponent, 0.0)));
            }
        }
        let result = keep_nan(whole, select(-share, 0.0, whole < 0.5 * LOG_ZERO));
        out[item * params.classes + k] = result * d_loss[row];
    }
}
