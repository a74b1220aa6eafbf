// What the kernels of whole sequences share. A workgroup owns ROWS rows of the batch for all
// steps; a thread owns hidden units lane, lane + LANES, .. and finishes all gates of each, so the
// only exchange between threads is the hidden state (forward) or dz (backward) of one step.
// The bias is that of a GRU.
struct Params { steps: u32, batch: u32, bias_offset: u32 }

override HIDDEN: u32 = 32u;
override LANES: u32 = 32u;
// ROWS * HIDDEN
override TILE: u32 = 128u;
override ACTIVATION: u32 = 3u;
override RECURRENT_ACTIVATION: u32 = 2u;
override HAS_STATE: bool = false;
override HAS_MASK: bool = false;
override HAS_DROPOUT: bool = false;
override HAS_D_HIDDEN: bool = false;
override HAS_D_LAST: bool = false;
