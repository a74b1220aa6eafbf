// Indices into the tensor of one optimizer step's parameters; StepParams in rnn-ops names them.
const LEARNING_RATE = 0u;
// Fraction by which weights decay before the update.
const WEIGHT_DECAY = 1u;
// Factors of Nadam: of the first moment, of the gradient, and of the second moment.
const MOMENT_FACTOR = 2u;
const GRADIENT_FACTOR = 3u;
const VARIANCE_FACTOR = 4u;
// 1, or 0 for a step to be skipped.
const ACTIVE = 5u;
// Length of the tensor.
const STEP_PARAMS = 6u;
