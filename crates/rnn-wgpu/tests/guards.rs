//! Guard regions find kernels that leave their bindings.

mod common;

use common::*;
use rnn_graph::{Device, DeviceError, Graph, Grid, Launch, Operand, Shader, TensorType};
use rnn_wgpu::Options;
use std::sync::Arc;

static SHIFTED: Shader = Shader::new(
    "shifted",
    &["struct Params { read_at: u32, write_at: u32 }
    @group(0) @binding(0) var<storage, read> x: array<f32>;
    @group(0) @binding(1) var<storage, read_write> z: array<f32>;
    @group(0) @binding(2) var<uniform> params: Params;
    @compute @workgroup_size(64)
    fn main(@builtin(local_invocation_index) i: u32) { z[i + params.write_at] = x[i + params.read_at]; }"],
);

/// Copies 64 elements, so many places on in each tensor.
fn shifted(poison: u32, from: u32, to: u32) -> Option<Result<Vec<f32>, DeviceError>> {
    let device = gpu_with(Options { guards: Some(poison), ..Options::default() })?;
    let launch = Launch::new(&SHIFTED, "main", Grid([1, 1, 1]))
        .bind("x", Operand::Input(0))
        .bind("z", Operand::Output(0))
        .param("read_at", from)
        .param("write_at", to);
    let outputs = vec![TensorType::f32([64])];
    let mut graph = Graph::new();
    let x = graph.input("x", TensorType::f32([64]));
    let z = graph.apply(Kernel { name: "shifted", outputs, launches: vec![launch] }, &[x]).unwrap();
    graph.output(z);
    let mut session = device.session();
    let program = session.compile(Arc::new(graph)).unwrap();
    let ran = session.run(program, &[&floats(&[0.5; 64])]);
    Some(ran.map(|()| session.fetch(program).unwrap()[0].as_f32().unwrap().to_vec()))
}

#[test]
fn what_reads_or_writes_outside_is_found() {
    if gpu().is_none() {
        return;
    }
    let [one, two] = [1.0f32.to_bits(), 2.0f32.to_bits()];
    let Some(sound) = shifted(one, 0, 0) else { return };
    assert_eq!(sound.unwrap(), [0.5; 64]);
    let read = |poison| shifted(poison, 1, 0).unwrap().unwrap()[63];
    assert_eq!([read(one), read(two)], [1.0, 2.0]);
    let error = shifted(one, 0, 1).unwrap().unwrap_err().to_string();
    assert!(error.contains("shifted.main writes outside of its binding z"), "{error}");
}
