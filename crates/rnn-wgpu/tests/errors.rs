//! What goes wrong comes back as an error, and the session stays usable where it can.

mod common;

use common::*;
use rnn_core::HostTensor;
use rnn_graph::{
    Device, DeviceError, Graph, Grid, Launch, Operand, Program, Shader, TensorType, Ticket,
};
use std::sync::Arc;

#[test]
fn inputs_are_checked_against_the_program() {
    let Some(device) = open("inputs_are_checked_against_the_program") else { return };
    let mut session = device.session();
    let program = session.compile(Arc::new(accumulator(4))).unwrap();
    let wrong_shape = session.run(program, &[&floats(&[1.0; 5])]).unwrap_err();
    assert_eq!(wrong_shape.to_string(), "x: the program takes f32[4], got f32[5]");
    let integers = HostTensor::from_u32([4], vec![1; 4]).unwrap();
    let wrong_type = session.run(program, &[&integers]).unwrap_err();
    assert_eq!(wrong_type.to_string(), "x: the program takes f32[4], got u32[4]");
    let none = session.run(program, &[]).unwrap_err();
    assert_eq!(none.to_string(), "inputs: the program takes 1 tensors, got 0");
    let write = session.write("total", &integers).unwrap_err();
    assert!(matches!(write, DeviceError::Mismatch { .. }), "{write}");
    session.run(program, &[&floats(&[1.0; 4])]).unwrap();
    assert_eq!(read(&mut session, "total"), [1.0; 4]);
}

#[test]
fn unknown_names_are_errors() {
    let Some(device) = open("unknown_names_are_errors") else { return };
    let mut session = device.session();
    let program = session.compile(Arc::new(accumulator(4))).unwrap();
    assert!(session.run(Program(7), &[]).is_err());
    assert!(session.fetch(Program(7)).is_err());
    assert!(session.write("weights", &floats(&[])).is_err());
    assert!(session.start_read("weights").is_err());
    let ticket = session.start_read("total").unwrap();
    session.wait_read(ticket).unwrap();
    assert!(session.wait_read(ticket).is_err());
    assert!(session.poll_read(Ticket(99)).is_err());
    session.run(program, &[&floats(&[1.0; 4])]).unwrap();
}

#[test]
fn programs_agree_on_the_types_of_residents() {
    let Some(device) = open("programs_agree_on_the_types_of_residents") else { return };
    let mut session = device.session();
    session.compile(Arc::new(accumulator(4))).unwrap();
    let error = session.compile(Arc::new(accumulator(5))).unwrap_err();
    assert_eq!(error.to_string(), "resident total: f32[4] in one program, f32[5] in another");
}

#[test]
fn what_does_not_fit_is_refused_before_it_is_allocated() {
    let Some(device) = open("what_does_not_fit_is_refused_before_it_is_allocated") else { return };
    let mut session = device.session();
    let max = (device.limits().max_binding_bytes / 4) as usize;

    // More than one binding spans.
    let error = session.compile(Arc::new(accumulator(max + 64))).unwrap_err();
    assert!(error.to_string().contains("the device binds at most"), "{error}");

    // More than one buffer holds, bound by no kernel.
    let mut graph = Graph::new();
    graph.resident("weights", TensorType::f32([1 << 60]));
    let error = session.compile(Arc::new(graph)).unwrap_err();
    assert!(matches!(error, DeviceError::OutOfMemory { .. }), "{error}");
    assert!(error.to_string().contains("weights needs 4611686018427387904 bytes"), "{error}");

    let program = session.compile(Arc::new(accumulator(4))).unwrap();
    session.run(program, &[&floats(&[1.0; 4])]).unwrap();
    assert_eq!(read(&mut session, "total"), [1.0; 4]);
}

/// Valid for naga's reflection, but its workgroup is larger than any device's.
static HUGE: Shader = Shader::new(
    "huge",
    &["override SIZE: u32 = 1;
    @group(0) @binding(0) var<storage, read_write> z: array<f32>;
    @compute @workgroup_size(SIZE)
    fn main(@builtin(local_invocation_index) lane: u32) { z[lane] = 1.0; }"],
);

static TAMPERED: Shader = Shader::new(
    "tampered",
    &["@group(0) @binding(0) var<storage, read_write> z: array<f32>;
    @compute @workgroup_size(1)
    fn main() { z[0] = undeclared; }"],
);

fn writer(shader: &'static Shader, size: Option<f64>) -> Arc<Graph> {
    let mut launch = Launch::new(shader, "main", Grid([1, 1, 1])).bind("z", Operand::Output(0));
    if let Some(size) = size {
        launch = launch.constant("SIZE", size);
    }
    let mut graph = Graph::new();
    let kernel =
        Kernel { name: "writer", outputs: vec![TensorType::f32([1])], launches: vec![launch] };
    let z = graph.apply(kernel, &[]).unwrap();
    graph.output(z);
    Arc::new(graph)
}

#[test]
fn kernels_that_do_not_compile_are_errors() {
    let Some(device) = open("kernels_that_do_not_compile_are_errors") else { return };
    let mut session = device.session();

    let error = session.compile(writer(&TAMPERED, None)).unwrap_err();
    assert!(matches!(error, DeviceError::Recording(_)), "{error}");
    assert!(error.to_string().contains("undeclared"), "{error}");

    let error = session.compile(writer(&HUGE, Some(1e6))).unwrap_err();
    assert!(matches!(error, DeviceError::Refused { .. }), "{error}");
    assert!(error.to_string().contains("huge.main"), "{error}");
    println!("{error}");

    // The refusal is not the device's fault, and is not remembered for other constants.
    let program = session.compile(writer(&HUGE, Some(1.0))).unwrap();
    session.run(program, &[]).unwrap();
    assert_eq!(session.fetch(program).unwrap(), [floats(&[1.0])]);
}
