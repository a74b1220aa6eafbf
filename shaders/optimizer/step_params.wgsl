// Where the numbers lie that the host gives to each step; StepParams in rnn-ops has them by name.
const LEARNING_RATE = 0u;
// The share by which weights decay before they are updated.
const WEIGHT_DECAY = 1u;
// Factors of Nadam: of the first moment, of the gradient, and of the second moment.
const MOMENT_FACTOR = 2u;
const GRADIENT_FACTOR = 3u;
const VARIANCE_FACTOR = 4u;
// 1; 0 where the step is left out.
const ACTIVE = 5u;
// How many numbers there are.
const STEP_PARAMS = 6u;
