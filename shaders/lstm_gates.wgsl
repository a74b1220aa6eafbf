// The gates of an LSTM, whatever their pre-activations are made of: i, f, g, o.
struct Cell { gates: vec4<f32>, c_active: f32, c: f32 }
struct CellGradients { dz: vec4<f32>, dc: f32 }

fn step_cell(z: vec4<f32>, c_before: f32) -> Cell {
    let gates = vec4<f32>(
        activate(RECURRENT_ACTIVATION, z.x), activate(RECURRENT_ACTIVATION, z.y),
        activate(ACTIVATION, z.z), activate(RECURRENT_ACTIVATION, z.w));
    let c = flush(gates.y * c_before + gates.x * gates.z);
    return Cell(gates, activate(ACTIVATION, c), c);
}

// dz of the four gates and dc of the cell before.
fn cell_gradients(gates: vec4<f32>, c_before: f32, c_active: f32, dh: f32, dc_after: f32) -> CellGradients {
    let dc = dc_after + dh * gates.w * slope(ACTIVATION, c_active);
    let dz = vec4<f32>(
        flush(dc * gates.z * slope(RECURRENT_ACTIVATION, gates.x)),
        flush(dc * c_before * slope(RECURRENT_ACTIVATION, gates.y)),
        flush(dc * gates.x * slope(ACTIVATION, gates.z)),
        flush(dh * c_active * slope(RECURRENT_ACTIVATION, gates.w)));
    return CellGradients(dz, flush(dc * gates.y));
}
