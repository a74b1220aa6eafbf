// What the kernels of recurrent cells share. A row is an example, or a pixel of one where the cell
// is convolutional. scan.wgsl runs all steps in one launch, step.wgsl one step.
struct Params {
    items: u32,
    steps: u32,
    // The step at hand, where a launch is one step; else the first of a launch's steps, and the end
    // of them.
    step: u32,
    end: u32,
    // That of a GRU.
    bias_offset: u32,
}

override HIDDEN: u32 = 32u;
override ACTIVATION: u32 = 3u;
override RECURRENT_ACTIVATION: u32 = 2u;
override HAS_STATE: bool = false;
override HAS_MASK: bool = false;
override HAS_DROPOUT: bool = false;
override HAS_D_HIDDEN: bool = false;
override HAS_D_LAST: bool = false;

fn is_unmasked(t: u32, row: u32) -> bool {
    return !HAS_MASK || mask[t * params.items + item_of(row)] != 0u;
}

// By how much a gate sees a unit.
fn factor(gate: u32, row: u32, unit: u32) -> f32 {
    if HAS_DROPOUT {
        return dropout[(gate * rows() + row) * HIDDEN + unit];
    }
    return 1.0;
}

fn hidden_before(t: u32, row: u32, unit: u32) -> f32 {
    let at = row * HIDDEN + unit;
    if t > 0u {
        return f32(hidden[(t - 1u) * rows() * HIDDEN + at]);
    }
    if HAS_STATE {
        return state[at];
    }
    return 0.0;
}

// What the gates of a unit add up, and whether its row takes part.
struct PreActivation { input_projection: vec4<f32>, recurrent_product: vec4<f32>, unmasked: bool }

// The gradients of what the gates add up, and what flows past the product to the step before.
struct CellGradient { dz: vec4<f32>, carry: Carry }
