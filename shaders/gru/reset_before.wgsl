// A step of a GRU without reset_after, in two launches: one for the gates z and r, one for the
// candidate, which sees r h(t-1).
//
//   z, r = recurrent_activation(x + h(t-1) U),  g = activation(x_h + (r h(t-1)) U_h)
//   h(t) = z h(t-1) + (1 - z) g
//
// FIRST_GATE tells the launches apart. Workgroups, threads, shared memory and barriers are those of
// step_product.wgsl.
const OF_CANDIDATE = 2u;

// The value that the product with U multiplies: h(t-1), or r h(t-1) for the candidate.
fn seen(row: u32, unit: u32, gate: u32) -> f32 {
    if FIRST_GATE == OF_CANDIDATE {
        return saved[((params.step * rows() + row) * 5u + 4u) * HIDDEN + unit];
    }
    return hidden_before(params.step, row, unit) * factor(gate, row, unit);
}

@compute @workgroup_size(THREADS)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let first = corner(group);
    let sums = multiply(first, thread);
    for (var i = 0u; i < 4u; i++) {
        let row = first.x + thread / 16u + ROW_THREADS * i;
        if FIRST_GATE == OF_CANDIDATE {
            for (var j = 0u; j < 4u; j++) {
                finish_candidate(row, first.y + thread % 16u + 16u * j, sums[i][j]);
            }
        } else {
            finish_gates(row, first.y + thread % 16u, sums[i]);
        }
    }
}

fn finish_gates(row: u32, unit: u32, product: vec4<f32>) {
    if row >= rows() || unit >= HIDDEN {
        return;
    }
    if !is_unmasked(params.step, row) {
        save(params.step * rows() + row, unit, vec3<f32>(0.0), 0.0, 0.0);
        return;
    }
    let input_projection = load_input_projection(params.step, row, unit);
    let z_sum = input_projection.x + product.x;
    let z = activate(RECURRENT_ACTIVATION, z_sum);
    let reset_sum = input_projection.y + product.y;
    let reset = activate(RECURRENT_ACTIVATION, reset_sum);
    let h = hidden_before(params.step, row, unit);
    let passed = reset * h * factor(2u, row, unit);
    let gates = vec3<f32>(
        kept(RECURRENT_ACTIVATION, z_sum, z), kept(RECURRENT_ACTIVATION, reset_sum, reset), 0.0);
    save(params.step * rows() + row, unit, gates, h, passed);
}

fn finish_candidate(row: u32, unit: u32, product: f32) {
    if row >= rows() || unit >= HIDDEN {
        return;
    }
    let place = params.step * rows() + row;
    if !is_unmasked(params.step, row) {
        hidden[place * HIDDEN + unit] = hidden_before(params.step, row, unit);
        return;
    }
    let at = place * 5u * HIDDEN + unit;
    let z = recall(RECURRENT_ACTIVATION, saved[at]);
    let g_sum = load_input_projection(params.step, row, unit).z + product;
    let g = activate(ACTIVATION, g_sum);
    saved[at + 2u * HIDDEN] = kept(ACTIVATION, g_sum, g);
    hidden[place * HIDDEN + unit] = flush(z * saved[at + 3u * HIDDEN] + (1.0 - z) * g);
}

// `params.step` is one more than the step at hand, as in step.wgsl. The second launch computes the
// reset gate's gradient, which flows through the candidate of the same step.
@compute @workgroup_size(THREADS)
fn backward(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let first = vec2<u32>(first_row(group), group.x * COLUMNS);
    var sums: mat4x4<f32>;
    if FIRST_GATE == OF_CANDIDATE {
        sums = multiply_back(params.step - 1u, first, thread);
    } else if params.step < params.steps {
        sums = multiply_back(params.step, first, thread);
    }
    for (var i = 0u; i < 4u; i++) {
        for (var j = 0u; j < 4u; j++) {
            let row = first.x + thread / 16u + ROW_THREADS * i;
            let unit = first.y + thread % 16u + 16u * j;
            if row >= rows() || unit >= HIDDEN {
                continue;
            }
            if FIRST_GATE == OF_CANDIDATE {
                finish_back_reset(row, unit, sums[i][j]);
            } else {
                finish_back(row, unit, sums[i][j]);
            }
        }
    }
}

fn finish_back(row: u32, unit: u32, product: f32) {
    var carry: Carry;
    if params.step < params.steps {
        carry = load_carry_gradient(row, unit);
        carry.h = flush(carry.h + product);
    }
    if params.step > 0u {
        let t = params.step - 1u;
        let saved = load_saved(t, row, unit);
        let z = recall(RECURRENT_ACTIVATION, saved[0].x);
        let g = recall(ACTIVATION, saved[0].z);
        let dh = carry.h + saved[1].y;
        var dz = vec2<f32>(0.0);
        carry.h = dh;
        if saved[1].z != 0.0 {
            dz.x = flush(dh * (saved[0].w - g) * slope(RECURRENT_ACTIVATION, saved[0].x));
            dz.y = flush(dh * (1.0 - z) * slope(ACTIVATION, saved[0].z));
            carry.h = flush(dh * z);
        }
        let at = (t * rows() + row) * 3u * HIDDEN + unit;
        d_x[at] = dz.x;
        d_x[at + 2u * HIDDEN] = dz.y;
        d_inner[at] = dz.x;
        d_inner[at + 2u * HIDDEN] = dz.y;
    }
    store_carry_gradient(row, unit, carry);
}

fn finish_back_reset(row: u32, unit: u32, product: f32) {
    let t = params.step - 1u;
    let saved = load_saved(t, row, unit);
    let d = flush(product * saved[0].w * slope(RECURRENT_ACTIVATION, saved[0].y));
    let at = ((t * rows() + row) * 3u + 1u) * HIDDEN + unit;
    d_x[at] = d;
    d_inner[at] = d;
    d_state[row * HIDDEN + unit] += product * recall(RECURRENT_ACTIVATION, saved[0].y);
}
