//! What a driver or its limits refuse comes back as an error, and the session stays usable.

mod common;

use common::*;
use rnn_graph::{
    Device, DeviceError, Graph, Grid, Launch, LaunchVariant, Operand, Shader, TensorType,
};
use rnn_wgpu::{Options, VariantChoice};
use std::sync::Arc;

#[test]
fn what_does_not_fit_is_refused_before_it_is_allocated() {
    let Some(device) = gpu() else { return };
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
    of(launch)
}

fn of(launch: Launch) -> Arc<Graph> {
    let mut graph = Graph::new();
    let kernel =
        Kernel { name: "writer", outputs: vec![TensorType::f32([1])], launches: vec![launch] };
    let z = graph.apply(kernel, &[]).unwrap();
    graph.output(z);
    Arc::new(graph)
}

#[test]
fn kernels_that_do_not_compile_are_errors() {
    let Some(device) = gpu() else { return };
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

#[test]
fn a_variant_takes_the_place_of_a_refused_launch() {
    let graph = |sizes: [f64; 3]| {
        let grid = Grid([1, 1, 1]);
        let launch = Launch::new(&HUGE, "main", grid).constant("SIZE", sizes[0]);
        let variant = |size| LaunchVariant { shader: &HUGE, constants: vec![("SIZE", size)], grid };
        of(launch.bind("z", Operand::Output(0)).or(variant(sizes[1])).or(variant(sizes[2])))
    };
    let huge = f64::from(1 << 20);
    for variants in [VariantChoice::First, VariantChoice::Fastest] {
        let open = |falls_back| gpu_with(Options { falls_back, variants, ..Options::default() });
        let (Some(falling), Some(strict)) = (open(true), open(false)) else { return };
        let mut session = falling.session();
        for sizes in [[huge, 2.0 * huge, 1.0], [1.0, huge, huge]] {
            let program = session.compile(graph(sizes)).expect("one of them compiles");
            session.run(program, &[]).expect("it runs");
            let output = session.fetch(program).expect("an output");
            assert_eq!(output[0].as_f32().expect("floats"), [1.0]);
        }
        let refused = graph([huge, 2.0 * huge, 3.0 * huge]);
        for device in [&falling, &strict] {
            let error = device.session().compile(refused.clone()).expect_err("all are refused");
            assert!(matches!(error, DeviceError::Refused { .. }), "{error}");
        }
        let error = strict.session().compile(graph([huge, huge, 1.0])).expect_err("it is refused");
        assert!(matches!(error, DeviceError::Refused { .. }), "{error}");
    }
}
