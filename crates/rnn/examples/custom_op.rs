//! An op of one's own, y = exp(-x^2), from its kernel to a layer that is trained:
//! `cargo run --release --example custom_op`.

use rnn::op::*;
use rnn::prelude::*;

static SHADER: Shader = Shader::new(
    "gaussian",
    &["
struct Params { count: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn gaussian(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < params.count {
        y[id.x] = exp(-x[id.x] * x[id.x]);
    }
}
"],
);

/// y = exp(-x^2)
#[derive(Clone, Debug)]
struct Gaussian;

/// What the op means, in any precision: the judge of the kernel.
impl Definition for Gaussian {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let x = io.input(0);
        for (y, &x) in io.output().iter_mut().zip(x) {
            *y = (-x * x).exp();
        }
    }
}

impl Op for Gaussian {
    fn name(&self) -> &'static str {
        "gaussian"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        match inputs {
            [x] => Ok(vec![x.clone()]),
            _ => Err(OpError::shape("it takes one operand")),
        }
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let count = s.outputs[0].len();
        Ok(Launch::new(&SHADER, "gaussian", Grid::new(count.div_ceil(64), 1, 1)?)
            .bind("x", Operand::Input(0))
            .bind("y", Operand::Output(0))
            .param("count", count)
            .into())
    }

    /// dy/dx = -2 x y
    fn backward(
        &self,
        graph: &mut Graph,
        operands: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let Some(g) = gradients[0] else { return Ok(vec![None]) };
        let mut chain = || -> Result<TensorId, GraphError> {
            let xy = graph.apply(Binary::Mul, &[operands.inputs[0], operands.outputs[0]])?;
            let slope = graph.apply(Scale(-2.0), &[xy])?;
            graph.apply(Binary::Mul, &[slope, g])
        };
        Ok(vec![Some(chain().map_err(|e| OpError::Graph(Box::new(e)))?)])
    }

    fn reference_f64(&self, io: &mut Io<'_, f64>) {
        self.define(io);
    }

    fn reference_f32(&self, io: &mut Io<'_, f32>) {
        self.define(io);
    }

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 2 * s.outputs[0].len() as u64, bytes: s.bytes() }
    }
}

/// The op as a layer.
impl Layer for Gaussian {
    fn class(&self) -> &'static str {
        "Gaussian"
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        Ok(input.to_vec())
    }

    fn forward(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        _: &[TensorId],
    ) -> Result<Value, GraphError> {
        Ok(Value { tensor: cx.graph.apply(Gaussian, &[input.tensor])?, ..input })
    }
}

/// Points of the plane, and whether each lies in a circle.
fn points() -> anyhow::Result<Dataset> {
    let mut rng = Rng::new(3, 0);
    let points: Vec<f32> = (0..2048).map(|_| rng.uniform_in(-2.0, 2.0) as f32).collect();
    let inside = |p: &[f32]| f32::from(u8::from(p[0].hypot(p[1]) < 1.2));
    let labels = points.chunks(2).map(inside).collect();
    Ok(Dataset::new(
        [HostTensor::from_f32([1024, 2], points)?],
        [HostTensor::from_f32([1024], labels)?],
    )?)
}

fn main() -> anyhow::Result<()> {
    // As the built-in ops are checked: kernel, gradient and shader, on every device.
    let case =
        |n: usize| Case::new(format!("gaussian {n}"), Gaussian, vec![Sample::Normal(vec![n])]);
    let cases = [case(1).gradient(&[0]), case(1000).gradient(&[0])];
    let report = verify(&cases, &device::open_all()?, &mut |_| {});
    println!("{report}");
    let [_, failed, _] = report.counts();
    anyhow::ensure!(failed == 0, "the kernel is wrong");

    let model = Model::sequential(InputSpec::floats([2]), 1)
        .add(Dense::new(16, Activation::Linear))?
        .add(Gaussian)?
        .add(Dense::new(1, Activation::Sigmoid))?;
    let (device, _) = device::open("auto")?;
    let adam = Optimizer::adam().learning_rate(0.02);
    let mut trainer = Trainer::new(model, &*device, adam, 1);
    let points = points()?;
    trainer.fit(&points, None, FitOptions { epochs: 60, batch_size: 64 }, &mut [])?;
    let accuracy = trainer.evaluate(&points, 64)?.accuracy;
    println!("points told apart: {accuracy:.3}");
    anyhow::ensure!(accuracy > 0.9, "it did not learn");
    Ok(())
}
