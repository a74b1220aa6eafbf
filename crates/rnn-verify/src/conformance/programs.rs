//! A program computes its graph at every run, whatever other programs of the session do.

use super::{Outcome, ensure, expect, floats};
use rnn_core::HostTensor;
use rnn_graph::{
    Cost, Device, DeviceError, Graph, InPlace, Io, Launch, Limits, Op, OpError, Operand, Operands,
    Program, Real, Session, Shader, Signature, TensorId, TensorType, Work,
};
use rnn_ops::{Binary, Definition, Scale};
use std::sync::Arc;

/// Checks the vectors that the last run of a program output.
fn expect_outputs(
    session: &mut (dyn Session + 'static),
    program: Program,
    want: &[&[f32]],
) -> Outcome {
    let want: Vec<HostTensor> = want.iter().map(|values| floats(values)).collect();
    expect("the outputs", &session.fetch(program)?, &want)
}

pub(super) fn runs_take_new_inputs(device: &dyn Device) -> Outcome {
    let n = 1000;
    let mut graph = Graph::new();
    let [x, y] = ["x", "y"].map(|name| graph.input(name, TensorType::f32([n])));
    let twice = graph.apply(Scale(2.0), &[x])?;
    let z = graph.apply(Binary::Add, &[twice, y])?;
    let w = graph.apply(Binary::Sub, &[z, y])?;
    graph.output(w);
    graph.output(z);
    let mut session = device.session();
    let program = session.compile(Arc::new(graph))?;
    for round in 0..3 {
        let x: Vec<f32> = (0..n).map(|i| (i + round) as f32).collect();
        let y: Vec<f32> = (0..n).map(|i| (i * round) as f32).collect();
        session.run(program, &[&floats(&x), &floats(&y)])?;
        let z: Vec<f32> = x.iter().zip(&y).map(|(x, y)| 2.0 * x + y).collect();
        let w: Vec<f32> = x.iter().map(|x| 2.0 * x).collect();
        expect_outputs(&mut *session, program, &[&w, &z])?;
    }
    Ok(())
}

pub(super) fn one_tensor_may_be_several_operands_and_outputs(device: &dyn Device) -> Outcome {
    let mut graph = Graph::new();
    let x = graph.input("x", TensorType::f32([3]));
    let square = graph.apply(Binary::Mul, &[x, x])?;
    [x, square, square].into_iter().for_each(|tensor| graph.output(tensor));
    let mut session = device.session();
    let program = session.compile(Arc::new(graph))?;
    let x = [1.0, -2.0, 3.0];
    session.run(program, &[&floats(&x)])?;
    let square = [1.0, 4.0, 9.0];
    expect_outputs(&mut *session, program, &[&x, &square, &square])
}

pub(super) fn views_begin_anywhere(device: &dyn Device) -> Outcome {
    let x: Vec<f32> = (0..300).map(|i| i as f32).collect();
    for offset in [0, 1, 64, 70, 200] {
        let mut graph = Graph::new();
        let all = graph.input("x", TensorType::f32([300]));
        let part = graph.view(all, offset, [100])?;
        let inner = graph.view(part, 7, [50])?;
        let twice = graph.apply(Scale(2.0), &[inner])?;
        let last = graph.view(twice, 49, [1])?;
        [part, inner, twice, last].into_iter().for_each(|tensor| graph.output(tensor));
        let mut session = device.session();
        let program = session.compile(Arc::new(graph))?;
        session.run(program, &[&floats(&x)])?;
        let part = &x[offset..offset + 100];
        let inner = &part[7..57];
        let twice: Vec<f32> = inner.iter().map(|x| 2.0 * x).collect();
        expect_outputs(&mut *session, program, &[part, inner, &twice, &twice[49..]])?;
    }
    Ok(())
}

static NEGATE: Shader = Shader::new(
    "negate_in_place",
    &["@group(0) @binding(0) var<storage, read_write> x: array<f32>;
    @compute @workgroup_size(64)
    fn main(@builtin(global_invocation_id) id: vec3<u32>) {
        if id.x < arrayLength(&x) { x[id.x] = -x[id.x]; }
    }"],
);

/// -x in the place of x.
#[derive(Clone, Debug)]
struct Negate;

impl Definition for Negate {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        io.output().iter_mut().for_each(|x| *x = -*x);
    }
}

impl Op for Negate {
    fn name(&self) -> &'static str {
        "negate"
    }

    fn in_place(&self) -> Option<InPlace> {
        Some(InPlace { input: 0, output: 0 })
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        Ok(inputs.to_vec())
    }

    fn record(&self, signature: &Signature, _: &Limits) -> Result<Work, OpError> {
        let groups = rnn_graph::Grid::cover(signature.outputs[0].len().div_ceil(64))?;
        Ok(Launch::new(&NEGATE, "main", groups).bind("x", Operand::Output(0)).into())
    }

    fn backward(
        &self,
        _: &mut Graph,
        _: &Operands,
        _: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        Err(OpError::NotDifferentiable)
    }

    fn reference_f64(&self, io: &mut Io<'_, f64>) {
        self.define(io);
    }

    fn reference_f32(&self, io: &mut Io<'_, f32>) {
        self.define(io);
    }

    fn cost(&self, signature: &Signature) -> Cost {
        Cost { flops: 0, bytes: signature.bytes() }
    }
}

pub(super) fn an_input_that_turns_into_an_output_is_copied_if_it_is_read_later(
    device: &dyn Device,
) -> Outcome {
    for read_later in [false, true] {
        let mut graph = Graph::new();
        let x = graph.input("x", TensorType::f32([3]));
        let twice = graph.apply(Scale(2.0), &[x])?;
        let negated = graph.apply(Negate, &[twice])?;
        graph.output(negated);
        if read_later {
            let sum = graph.apply(Binary::Add, &[twice, x])?;
            graph.output(sum);
        }
        let mut session = device.session();
        let program = session.compile(Arc::new(graph))?;
        session.run(program, &[&floats(&[1.0, -2.0, 3.0])])?;
        let want = [&[-2.0, 4.0, -6.0][..], &[3.0, -6.0, 9.0]];
        expect_outputs(&mut *session, program, &want[..1 + usize::from(read_later)])?;
    }
    Ok(())
}

pub(super) fn integers_pass_unchanged(device: &dyn Device) -> Outcome {
    let mut graph = Graph::new();
    let x = graph.input("x", TensorType::u32([2, 2]));
    graph.output(x);
    graph.resident("kept", TensorType::u32([2, 2]));
    let mut session = device.session();
    let program = session.compile(Arc::new(graph))?;
    let values = HostTensor::from_u32([2, 2], vec![0, 1, 0x7fc0_0001, u32::MAX])?;
    session.run(program, &[&values])?;
    session.write("kept", &values)?;
    expect("the output", &session.fetch(program)?[0], &values)?;
    expect("the resident", &session.read("kept")?, &values)
}

pub(super) fn empty_tensors_and_graphs_without_nodes_run(device: &dyn Device) -> Outcome {
    let mut graph = Graph::new();
    let x = graph.input("x", TensorType::u32([0, 3]));
    graph.output(x);
    graph.resident("nothing", TensorType::f32([0]));
    let mut session = device.session();
    let program = session.compile(Arc::new(graph))?;
    let x = HostTensor::from_u32([0, 3], vec![])?;
    session.run(program, &[&x])?;
    expect("the output", &session.fetch(program)?[0], &x)?;
    expect("the resident", &session.read("nothing")?, &floats(&[]))
}

/// x times the square of a scale, over `n` elements.
fn chain(scale: f32, n: usize) -> Result<Arc<Graph>, rnn_graph::GraphError> {
    let mut graph = Graph::new();
    let x = graph.input("x", TensorType::f32([n]));
    let y = graph.apply(Scale(scale), &[x])?;
    let z = graph.apply(Scale(scale), &[y])?;
    graph.output(z);
    Ok(Arc::new(graph))
}

pub(super) fn programs_of_other_sizes_share_a_session(device: &dyn Device) -> Outcome {
    let mut session = device.session();
    let sizes = [256, 10, 5000, 1];
    let mut programs = Vec::new();
    for n in sizes {
        programs.push((n, session.compile(chain(2.0, n)?)?));
        for &(n, program) in &programs {
            session.run(program, &[&floats(&vec![n as f32; n])])?;
            expect_outputs(&mut *session, program, &[&vec![4.0 * n as f32; n]])?;
        }
    }
    Ok(())
}

pub(super) fn outputs_outlive_runs_of_other_programs(device: &dyn Device) -> Outcome {
    let mut session = device.session();
    let [two, three] = [session.compile(chain(2.0, 256)?)?, session.compile(chain(3.0, 256)?)?];
    session.run(two, &[&floats(&[1.0; 256])])?;
    session.run(three, &[&floats(&[1.0; 256])])?;
    expect_outputs(&mut *session, two, &[&[4.0; 256]])?;
    expect_outputs(&mut *session, three, &[&[9.0; 256]])
}

pub(super) fn profiles_count_calls(device: &dyn Device) -> Outcome {
    let mut session = device.session();
    let program = session.compile(chain(2.0, 64)?)?;
    let x = floats(&[1.0; 64]);
    session.run(program, &[&x])?;
    session.enable_profile();
    for _ in 0..5 {
        session.run(program, &[&x])?;
    }
    let profile = match session.profile() {
        // Not every device has a clock.
        Err(DeviceError::Missing { .. }) => return Ok(()),
        profile => profile?,
    };
    let rows: Vec<_> = profile.rows.iter().map(|row| (row.op.as_str(), row.calls)).collect();
    ensure(rows == [(Scale(2.0).name(), 10)], || format!("{rows:?}"))
}
