// The value that a gate's product with U multiplies.
fn seen(row: u32, unit: u32, gate: u32) -> f32 {
    return hidden_before(params.step, row, unit) * factor(gate, row, unit);
}

@compute @workgroup_size(THREADS)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let first = corner(group);
    var sums: mat4x4<f32>;
    if HAS_STATE || params.step > 0u {
        sums = multiply(first, thread);
    }
    for (var i = 0u; i < 4u; i++) {
        let row = first.x + thread / 16u + ROW_THREADS * i;
        if GATES > 1u {
            finish(row, first.y + thread % 16u, sums[i]);
        } else {
            for (var j = 0u; j < 4u; j++) {
                let unit = first.y + thread % 16u + 16u * j;
                finish(row, unit, vec4<f32>(sums[i][j], 0.0, 0.0, 0.0));
            }
        }
    }
}

// Applies the cell to an element.
fn finish(row: u32, unit: u32, product: vec4<f32>) {
    if row < rows() && unit < HIDDEN {
        let t = params.step;
        let pre = PreActivation(load_input_projection(t, row, unit), product, is_unmasked(t, row));
        store_carry(row, unit, cell_forward(t, row, unit, pre, load_carry(t, row, unit)));
    }
}

// `params.step` is one more than the step at hand: the gradients of its gates flow back to the
// hidden state before it. At 0 there is no step left, and the gradient is that of the first state.
@compute @workgroup_size(THREADS)
fn backward(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let first = vec2<u32>(first_row(group), group.x * COLUMNS);
    var sums: mat4x4<f32>;
    if params.step < params.steps {
        sums = multiply_back(params.step, first, thread);
    }
    for (var i = 0u; i < 4u; i++) {
        for (var j = 0u; j < 4u; j++) {
            let row = first.x + thread / 16u + ROW_THREADS * i;
            finish_back(row, first.y + thread % 16u + 16u * j, sums[i][j]);
        }
    }
}

// Adds the gradient that flowed through the product, and applies the cell.
fn finish_back(row: u32, unit: u32, product: f32) {
    if row >= rows() || unit >= HIDDEN {
        return;
    }
    var carry: Carry;
    if params.step < params.steps {
        carry = load_carry_gradient(row, unit);
        carry.h = flush(carry.h + product);
    } else {
        carry = last_step_gradient(row, unit);
    }
    if params.step > 0u {
        let t = params.step - 1u;
        carry = cell_backward(t, row, unit, load_saved(t, row, unit), carry).carry;
    }
    store_carry_gradient(row, unit, carry);
}
