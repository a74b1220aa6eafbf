// Declarations shared by the recurrent kernels, dense and convolutional. A row is a batch item, or
// a pixel of one if the cell is convolutional; an element is a pair (row, unit). scan.wgsl runs all
// T time steps in one launch, step.wgsl one step per launch; both call the functions of a cell
// (cell.wgsl) for one element at a time.
//
// Sequences are [T, rows, units] in memory.
struct Params {
    items: u32,
    steps: u32,
    // Step by step: the step. A scan: the first step of the launch, and the end of its steps.
    step: u32,
    end: u32,
    // A scan: TERMS, as a number that drivers do not know: Adreno's would unroll the loop over it, load all
    // weights before the first is used, and spill.
    terms: u32,
    // Step by step: tiles of rows before those of a launch over a part of them.
    first_tile: u32,
    // Offset of a GRU's bias.
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

// True if the row is unmasked at step t; a masked row keeps its state.
fn is_unmasked(t: u32, row: u32) -> bool {
    return !HAS_MASK || mask[t * params.items + item_of(row)] != 0u;
}

// The dropout factor by which a gate multiplies h.
fn factor(gate: u32, row: u32, unit: u32) -> f32 {
    if HAS_DROPOUT {
        return dropout[(gate * rows() + row) * HIDDEN + unit];
    }
    return 1.0;
}

// h(t - 1): the sequence's last step, the initial state, or zero.
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

// The two terms of an element's pre-activations, one component per gate, and its mask.
struct PreActivation { input_projection: vec4<f32>, recurrent_product: vec4<f32>, unmasked: bool }

// Gradients of an element's pre-activations, and of the carry to the step before, without the part
// that flows through the product with U.
struct CellGradient { dz: vec4<f32>, carry: Carry }
