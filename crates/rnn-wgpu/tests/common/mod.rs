//! What every test of the device needs: an adapter, an op that is nothing but its kernels, and a
//! few kernels.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use rnn_core::HostTensor;
use rnn_graph::{
    Cost, Graph, Grid, Io, Launch, Limits, Op, OpError, Operand, Operands, Session, Shader,
    Signature, TensorId, TensorType, Work,
};
use rnn_wgpu::{Options, WgpuDevice};

pub use rnn_testing::gpu;

/// The best adapter, opened with options.
pub fn gpu_with(options: Options) -> Option<WgpuDevice> {
    let adapter = rnn_testing::adapters().into_iter().next()?;
    Some(WgpuDevice::open(&adapter, options).unwrap())
}

/// An op that is nothing but its launches.
#[derive(Clone, Debug)]
pub struct Kernel {
    pub name: &'static str,
    pub outputs: Vec<TensorType>,
    pub launches: Vec<Launch>,
}

impl Op for Kernel {
    fn name(&self) -> &'static str {
        self.name
    }

    fn infer(&self, _: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        Ok(self.outputs.clone())
    }

    fn record(&self, _: &Signature, _: &Limits) -> Result<Work, OpError> {
        Ok(self.launches.clone().into())
    }

    fn backward(
        &self,
        _: &mut Graph,
        _: &Operands,
        _: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        Err(OpError::NotDifferentiable)
    }

    fn reference_f64(&self, _: &mut Io<'_, f64>) {}

    fn reference_f32(&self, _: &mut Io<'_, f32>) {}

    fn cost(&self, signature: &Signature) -> Cost {
        Cost { flops: 1000, bytes: signature.bytes() }
    }
}

static AXPY: Shader = Shader::new(
    "axpy",
    &["struct Params { count: u32, scale: f32, x_offset: u32 }
    @group(0) @binding(0) var<storage, read> x: array<f32>;
    @group(0) @binding(1) var<storage, read> y: array<f32>;
    @group(0) @binding(2) var<storage, read_write> z: array<f32>;
    @group(0) @binding(3) var<uniform> params: Params;
    @compute @workgroup_size(64)
    fn main(@builtin(global_invocation_id) id: vec3<u32>) {
        if id.x < params.count {
            z[id.x] = params.scale * x[id.x + params.x_offset] + y[id.x];
        }
    }"],
);

/// `scale * x + y` over `n` elements.
pub fn axpy(scale: f32, n: usize) -> Kernel {
    let launch = Launch::new(&AXPY, "main", Grid::cover(n.div_ceil(64)).unwrap())
        .bind("x", Operand::Input(0))
        .bind("y", Operand::Input(1))
        .bind("z", Operand::Output(0))
        .param("count", n)
        .param("scale", scale);
    Kernel { name: "axpy", outputs: vec![TensorType::f32([n])], launches: vec![launch] }
}

static ADD_IN_PLACE: Shader = Shader::new(
    "add_in_place",
    &["@group(0) @binding(0) var<storage, read> x: array<f32>;
    @group(0) @binding(1) var<storage, read_write> total: array<f32>;
    @compute @workgroup_size(64)
    fn main(@builtin(global_invocation_id) id: vec3<u32>) {
        if id.x < arrayLength(&total) { total[id.x] += x[id.x]; }
    }"],
);

/// Adds the input to the tensor updated, `times` times over.
pub fn add_in_place(n: usize, times: usize) -> Kernel {
    let launch = Launch::new(&ADD_IN_PLACE, "main", Grid::cover(n.div_ceil(64)).unwrap())
        .bind("x", Operand::Input(0))
        .bind("total", Operand::Update(0));
    Kernel { name: "add_in_place", outputs: vec![], launches: vec![launch; times] }
}

static ROW_SUM: Shader = Shader::new(
    "row_sum",
    &["override WIDTH: u32 = 8;
    override BIAS: f32 = 0.0;
    override SQUARE: bool = false;
    var<workgroup> shared_row: array<f32, WIDTH>;
    @group(0) @binding(0) var<storage, read> x: array<f32>;
    @group(0) @binding(1) var<storage, read_write> sums: array<f32>;
    @compute @workgroup_size(WIDTH)
    fn main(
        @builtin(workgroup_id) row: vec3<u32>,
        @builtin(local_invocation_index) lane: u32,
    ) {
        let value = x[row.x * WIDTH + lane];
        shared_row[lane] = select(value, value * value, SQUARE);
        for (var half = WIDTH / 2u; half > 0u; half /= 2u) {
            workgroupBarrier();
            if lane < half { shared_row[lane] += shared_row[lane + half]; }
        }
        if lane == 0u { sums[row.x] = shared_row[0] + BIAS; }
    }"],
);

/// The sum of every row plus `bias`; the row length is an override that sizes the workgroup and
/// its memory.
pub fn row_sum(rows: usize, width: usize, bias: f32, square: bool) -> Kernel {
    let launch = Launch::new(&ROW_SUM, "main", Grid::cover(rows).unwrap())
        .iterations(64)
        .constant("WIDTH", width as f64)
        .constant("BIAS", bias)
        .constant("SQUARE", f64::from(u8::from(square)))
        .bind("x", Operand::Input(0))
        .bind("sums", Operand::Output(0));
    Kernel { name: "row_sum", outputs: vec![TensorType::f32([rows])], launches: vec![launch] }
}

/// A tensor of floats.
pub fn floats(values: &[f32]) -> HostTensor {
    HostTensor::from_f32([values.len()], values.to_vec()).unwrap()
}

/// `total += x` over a resident named `total`, as a graph.
pub fn accumulator(n: usize) -> Graph {
    let mut graph = Graph::new();
    let x = graph.input("x", TensorType::f32([n]));
    let total = graph.resident("total", TensorType::f32([n]));
    graph.push_node(std::sync::Arc::new(add_in_place(n, 1)), &[x], &[total]).unwrap();
    graph
}

/// The floats of a resident now.
pub fn read(session: &mut Box<dyn Session>, resident: &str) -> Vec<f32> {
    session.read(resident).unwrap().as_f32().unwrap().to_vec()
}
