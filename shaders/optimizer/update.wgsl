// The parts that the updates of all optimizers share: g is clipped, w decays, the rule moves w and
// its slots. The rule's file in crates/rnn-ops/src/optimizer has the equations.
//
//   thread      one parameter; no shared memory, no barriers
struct Params {
    count: u32,
    momentum: f32,
    // Decay rates of the first moment, and of the second or the only one.
    beta_1: f32,
    beta_2: f32,
    epsilon: f32,
    clip: f32,
}

@group(0) @binding(0) var<storage, read> gradients: array<f32>;
// Parameters of the step, indexed as in step_params.wgsl.
@group(0) @binding(1) var<storage, read> step: array<f32>;
@group(0) @binding(2) var<storage, read_write> parameters: array<f32>;
@group(0) @binding(3) var<storage, read_write> first: array<f32>;
@group(0) @binding(4) var<storage, read_write> second: array<f32>;
@group(0) @binding(5) var<storage, read_write> third: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;

// True if i is a parameter and the step is not to be skipped.
fn is_active(i: u32) -> bool {
    return i < params.count && step[ACTIVE] != 0.0;
}

// The clipped gradient.
fn gradient(i: u32) -> f32 {
    let g = gradients[i];
    // Without clipping an infinite gradient stays infinite.
    if params.clip >= 3.4028234e38 {
        return g;
    }
    return keep_nan(g, clamp(g, -params.clip, params.clip));
}

// The parameter after weight decay.
fn decayed(i: u32) -> f32 {
    return parameters[i] - parameters[i] * step[WEIGHT_DECAY];
}

// An exponential moving average with the decay beta_2.
fn moment(before: f32, value: f32) -> f32 {
    return params.beta_2 * before + (1.0 - params.beta_2) * value;
}
