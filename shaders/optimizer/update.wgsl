// The parts that the updates of all optimizers share. One thread has one parameter with its slots.
struct Params {
    count: u32,
    momentum: f32,
    // Decay of the first moment, and of the second or of the only one.
    beta_1: f32,
    beta_2: f32,
    epsilon: f32,
    clip: f32,
}

@group(0) @binding(0) var<storage, read> gradients: array<f32>;
// The numbers of the step, as step_params.wgsl orders them.
@group(0) @binding(1) var<storage, read> step: array<f32>;
@group(0) @binding(2) var<storage, read_write> parameters: array<f32>;
@group(0) @binding(3) var<storage, read_write> first: array<f32>;
@group(0) @binding(4) var<storage, read_write> second: array<f32>;
@group(0) @binding(5) var<storage, read_write> third: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;

fn moves(i: u32) -> bool {
    return i < params.count && step[ACTIVE] != 0.0;
}

fn gradient(i: u32) -> f32 {
    let g = gradients[i];
    // Without a bound an infinity stays one.
    if params.clip >= 3.4028234e38 {
        return g;
    }
    return keep_nan(g, clamp(g, -params.clip, params.clip));
}

fn decayed(i: u32) -> f32 {
    return parameters[i] - parameters[i] * step[WEIGHT_DECAY];
}

// The exponential moving average of the second moment.
fn moment(before: f32, value: f32) -> f32 {
    return params.beta_2 * before + (1.0 - params.beta_2) * value;
}
