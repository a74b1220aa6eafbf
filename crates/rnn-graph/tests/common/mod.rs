//! Ops small enough to see through, and the algebra that differentiation needs, made of them.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use rnn_core::{DType, Shape};
use rnn_graph::{
    Algebra, Cost, Graph, Grid, InPlace, Io, Launch, Limits, Op, OpError, Operand, Operands, Real,
    Recording, Shader, Signature, TensorId, TensorType, Work,
};
use std::sync::Arc;

/// An op on vectors of floats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tiny {
    /// a + b
    Add,
    /// a * b
    Mul,
    /// a * b, by a kernel that reads a from any offset.
    MulAnywhere,
    /// -a, in the place of a.
    Negate,
    /// a + b, in the place of a.
    AddInto,
    /// The updated tensor += a.
    Accumulate,
    /// a in half precision.
    Halve,
    /// a between zeros, from an element on.
    Pad(usize, usize),
    /// a, with a gradient of one element more than a has.
    WrongGradient,
}

static BINARY: Shader = Shader::new(
    "binary",
    &["@group(0) @binding(0) var<storage, read> a: array<f32>;
    @group(0) @binding(1) var<storage, read> b: array<f32>;
    @group(0) @binding(2) var<storage, read_write> out: array<f32>;
    @compute @workgroup_size(64)
    fn add(@builtin(global_invocation_id) id: vec3<u32>) { out[id.x] = a[id.x] + b[id.x]; }
    @compute @workgroup_size(64)
    fn mul(@builtin(global_invocation_id) id: vec3<u32>) { out[id.x] = a[id.x] * b[id.x]; }"],
);

static ANYWHERE: Shader = Shader::new(
    "anywhere",
    &["struct Params { a_offset: u32 }
    @group(0) @binding(0) var<storage, read> a: array<f32>;
    @group(0) @binding(1) var<storage, read> b: array<f32>;
    @group(0) @binding(2) var<storage, read_write> out: array<f32>;
    @group(0) @binding(3) var<uniform> params: Params;
    @compute @workgroup_size(64)
    fn mul_anywhere(@builtin(global_invocation_id) id: vec3<u32>) {
        out[id.x] = a[id.x + params.a_offset] * b[id.x];
    }"],
);

static IN_PLACE: Shader = Shader::new(
    "in_place",
    &["@group(0) @binding(0) var<storage, read> b: array<f32>;
    @group(0) @binding(1) var<storage, read_write> x: array<f32>;
    @compute @workgroup_size(64)
    fn negate(@builtin(global_invocation_id) id: vec3<u32>) { x[id.x] = -x[id.x]; }
    @compute @workgroup_size(64)
    fn accumulate(@builtin(global_invocation_id) id: vec3<u32>) { x[id.x] += b[id.x]; }"],
);

impl Tiny {
    fn define<F: Real>(self, io: &mut Io<'_, F>) {
        if self == Self::Accumulate {
            let a = io.input(0);
            let [total] = io.updates();
            return total.iter_mut().zip(a).for_each(|(total, &a)| *total = *total + a);
        }
        let inputs: Vec<&[F]> = (0..io.inputs.len()).map(|i| io.input(i)).collect();
        let out = io.output();
        if let Self::Pad(offset, _) = self {
            out.fill(F::zero());
            return out[offset..offset + inputs[0].len()].copy_from_slice(inputs[0]);
        }
        for (i, out) in out.iter_mut().enumerate() {
            *out = match self {
                Self::Add => inputs[0][i] + inputs[1][i],
                Self::Mul | Self::MulAnywhere => inputs[0][i] * inputs[1][i],
                Self::Negate => -*out,
                Self::AddInto => *out + inputs[1][i],
                _ => inputs[0][i],
            };
        }
    }
}

impl Op for Tiny {
    fn name(&self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Mul => "mul",
            Self::MulAnywhere => "mul_anywhere",
            Self::Negate => "negate",
            Self::AddInto => "add_into",
            Self::Accumulate => "accumulate",
            Self::Halve => "halve",
            Self::Pad(..) => "pad",
            Self::WrongGradient => "wrong_gradient",
        }
    }

    fn in_place(&self) -> Option<InPlace> {
        matches!(self, Self::Negate | Self::AddInto).then_some(InPlace { input: 0, output: 0 })
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        Ok(match self {
            Self::Accumulate => vec![],
            Self::Halve => vec![inputs[0].of(DType::F16)],
            Self::Pad(_, full) => vec![TensorType::f32([*full])],
            _ => vec![inputs[0].clone()],
        })
    }

    fn record(&self, _: &Signature, _: &Limits) -> Result<Work, OpError> {
        let launch = |shader, entry| Launch::new(shader, entry, Grid([1, 1, 1]));
        let binary = |shader, entry| {
            let reads = launch(shader, entry).bind("a", Operand::Input(0));
            reads.bind("b", Operand::Input(1)).bind("out", Operand::Output(0))
        };
        Ok(match self {
            Self::Add => binary(&BINARY, "add").into(),
            Self::Mul => binary(&BINARY, "mul").into(),
            Self::MulAnywhere => binary(&ANYWHERE, "mul_anywhere").into(),
            Self::Negate => launch(&IN_PLACE, "negate").bind("x", Operand::Output(0)).into(),
            Self::AddInto => launch(&IN_PLACE, "accumulate")
                .bind("b", Operand::Input(1))
                .bind("x", Operand::Output(0))
                .into(),
            Self::Accumulate => launch(&IN_PLACE, "accumulate")
                .bind("b", Operand::Input(0))
                .bind("x", Operand::Update(0))
                .into(),
            Self::Halve | Self::Pad(..) | Self::WrongGradient => Work::default(),
        })
    }

    fn backward(
        &self,
        graph: &mut Graph,
        operands: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let Some(d) = gradients[0] else { return Ok(vec![None; operands.inputs.len()]) };
        match self {
            Self::Add | Self::AddInto => Ok(vec![Some(d), Some(d)]),
            Self::Mul | Self::MulAnywhere => {
                let [a, b] = [operands.inputs[0], operands.inputs[1]];
                Ok(vec![
                    Some(graph.apply(Self::Mul, &[d, b])?),
                    Some(graph.apply(Self::Mul, &[d, a])?),
                ])
            }
            Self::WrongGradient => {
                let longer = graph.shape(d).len() + 1;
                Ok(vec![Some(graph.apply(Self::Pad(0, longer), &[d])?)])
            }
            _ => Err(OpError::NotDifferentiable),
        }
    }

    fn reference_f64(&self, io: &mut Io<'_, f64>) {
        self.define(io);
    }

    fn reference_f32(&self, io: &mut Io<'_, f32>) {
        self.define(io);
    }

    fn cost(&self, _: &Signature) -> Cost {
        Cost::default()
    }
}

impl Algebra for Tiny {
    fn add(&self) -> Arc<dyn Op> {
        Arc::new(Self::Add)
    }

    fn pad(&self, offset: usize, full: Shape) -> Arc<dyn Op> {
        Arc::new(Self::Pad(offset, full.len()))
    }
}

/// A graph with an input of so many floats.
pub fn graph_of(n: usize) -> (Graph, TensorId) {
    let mut graph = Graph::new();
    let x = graph.input("x", TensorType::f32([n]));
    (graph, x)
}

/// Adds a node of one output.
pub fn apply(graph: &mut Graph, op: Tiny, inputs: &[TensorId]) -> TensorId {
    graph.apply(op, inputs).expect("the op takes these")
}

/// Records a graph for any adapter.
pub fn record(graph: &Graph) -> Recording {
    Recording::new(graph, &Limits::WEBGPU).expect("it is recorded")
}

/// The entry points that a graph launches, in order.
pub fn launched(graph: &Graph) -> Vec<&'static str> {
    record(graph).dispatches().map(|dispatch| dispatch.entry).collect()
}
