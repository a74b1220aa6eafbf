//! Planted mistakes: a checker that cannot fail checks nothing.

use crate::{Measured, NotPassed, Trial, check_gradient};
use rnn_core::HostTensor;
use rnn_graph::{
    Cost, Device, DeviceKind, Graph, InPlace, Io, Limits, Op, OpError, Operands, Shader, Signature,
    TensorId, TensorType, Work,
};
use rnn_ops::{Activation, Case, Lstm, LstmGates, Matmul, RowAxis, Sample, Scale, ScanInputs};
use std::sync::Arc;

/// The name of a planted mistake and its verdict: `Ok` if the checks found the mistake.
pub type Control = (&'static str, Result<Measured, NotPassed>);

/// Plants mistakes into the results of a device and into the kernels that it runs, and returns the
/// verdict of each. The verdict is [`NotPassed::Failed`] if the checks did not find the mistake,
/// and [`NotPassed::Skipped`] if the device cannot run the case, for example because the CPU device
/// runs no kernels. If the results do not pass without a mistake, that is the verdict instead.
pub fn controls(device: &dyn Device) -> Vec<Control> {
    let mut all = Vec::new();
    for (case, mistakes) in [
        (product(), &IN_A_PRODUCT[..]),
        (many_rows(), &[("rows beyond 65,535 are those 65,536 before them", |v| wrap_rows(v))]),
        (many_steps(), &[("steps after 484 are missing", |v| stop_early(v))]),
    ] {
        all.extend(in_results(&case, mistakes, device));
    }
    let kernels: [(_, Case, _, _); 2] = [
        ("the matmul kernel adds no bias", product(), "z += bias", "z += 0.0 * bias"),
        (
            "the lstm kernel swaps two gates",
            recurrence(),
            "flush(values.y * before + values.x * values.z)",
            "flush(values.x * before + values.y * values.z)",
        ),
    ];
    for (name, case, from, to) in kernels {
        let result = match device.info().kind {
            DeviceKind::Cpu => Err(NotPassed::Skipped("the CPU device runs no kernels".into())),
            _ => run_edited(&case, Edit { from, to }, device),
        };
        all.push((name, result));
    }
    all
}

/// A change of the first tensor of a sound result.
type Change = fn(&mut Vec<f32>);

const IN_A_PRODUCT: [(&str, Change); 4] = [
    ("one element is not a number", |v| v[7] = f32::NAN),
    ("one element has the other sign", |v| v[7] = -v[7]),
    ("all elements are 1% too large", |v| v.iter_mut().for_each(|v| *v *= 1.01)),
    ("the last element is missing", |v| v.truncate(v.len() - 1)),
];

/// Rows of [`many_rows`].
const ROWS: usize = 70_001;

/// An index of 16 bits has overflowed.
fn wrap_rows(values: &mut [f32]) {
    let width = values.len() / ROWS;
    values.copy_within(..(ROWS - 65_536) * width, 65_536 * width);
}

/// Steps of [`many_steps`].
const STEPS: usize = 500;

/// A loop has ended too early.
fn stop_early(values: &mut [f32]) {
    let per_step = values.len() / STEPS;
    values[485 * per_step..].fill(0.0);
}

/// Plants mistakes into the results of a case on a device.
fn in_results(
    case: &Case,
    mistakes: &[(&'static str, Change)],
    device: &dyn Device,
) -> Vec<Control> {
    let results = Trial::new(case).and_then(|trial| {
        let sound = trial.run(device)?;
        trial.compare(&sound)?;
        Ok((trial, sound))
    });
    let (trial, sound) = match results {
        Ok(results) => results,
        Err(error) => return vec![("sound results", Err(error))],
    };
    let planted = |change: Change| {
        let mut values = sound[0].as_f32().map_err(|e| e.to_string())?.to_vec();
        change(&mut values);
        let tensor = HostTensor::from_f32([values.len()].as_slice(), values);
        let mut tampered = sound.clone();
        tampered[0] = tensor.map_err(|e| e.to_string())?;
        found(trial.compare(&tampered))
    };
    let nothing = ("nothing was computed", found(trial.compare(&[])));
    mistakes.iter().map(|&(name, change)| (name, planted(change))).chain([nothing]).collect()
}

/// Makes the gradient of an op 1% too large, and returns the verdict. It is [`NotPassed::Failed`]
/// if the checks did not find the mistake, or if the correct gradient does not pass.
pub fn gradient_control() -> Control {
    let sound = product();
    let op = Tampered { op: sound.op.clone(), edit: None, gradient: 1.01 };
    let tampered = Case { op: Arc::new(op), ..sound.clone() };
    let result = check_gradient(&sound).and_then(|_| found(check_gradient(&tampered)));
    ("the gradient is 1% too large", result)
}

fn product() -> Case {
    let op = Matmul { bias: true, activation: Activation::Tanh, ..Matmul::default() };
    let matrix = |rows, columns| Sample::Normal(vec![rows, columns]);
    Case::new("control", op, vec![matrix(5, 3), matrix(3, 4), Sample::Normal(vec![4])])
        .gradient(&[0, 1, 2])
}

/// More rows than an index of 16 bits counts.
fn many_rows() -> Case {
    let rows = [Some(RowAxis::new(0))];
    Case::new("control of rows", Scale(2.0), vec![Sample::Normal(vec![5, 3])]).rows(
        [ROWS, ROWS],
        &rows,
        &rows,
    )
}

/// More steps than the software adapter once made of an LSTM of 128 units.
fn many_steps() -> Case {
    let (activation, recurrent_activation) = (Activation::Tanh, Activation::Sigmoid);
    let gates = LstmGates { activation, recurrent_activation };
    let op = Lstm { gates, inputs: ScanInputs::default() };
    let inputs = vec![Sample::Normal(vec![STEPS, 3, 16]), Sample::Uniform(vec![4, 16], -0.4, 0.4)];
    let rows = Some(RowAxis::new(1));
    Case::new("control of steps", op, inputs).tolerance(1e-5).rows(
        [7, 7],
        &[rows, None],
        &[rows; 4],
    )
}

fn recurrence() -> Case {
    let named = |case: &Case| case.op.name() == "lstm" && !case.differentiable.is_empty();
    let found = rnn_ops::suite().into_iter().find(named);
    found.unwrap_or_else(product)
}

/// A mistake passes as a control if it fails as a result.
fn found(judgement: Result<Measured, NotPassed>) -> Result<Measured, NotPassed> {
    match judgement {
        Err(NotPassed::Failed(_)) => Ok(Measured { error: 0.0, tolerance: 1.0 }),
        Err(skipped) => Err(skipped),
        Ok(_) => Err(NotPassed::Failed("the planted mistake was not found".into())),
    }
}

fn run_edited(case: &Case, edit: Edit, device: &dyn Device) -> Result<Measured, NotPassed> {
    let op = Tampered { op: case.op.clone(), edit: Some(edit), gradient: 1.0 };
    let trial = Trial::new(&Case { op: Arc::new(op), ..case.clone() })?;
    found(trial.compare(&trial.run(device)?))
}

/// A change of a kernel's text.
#[derive(Clone, Copy, Debug)]
struct Edit {
    from: &'static str,
    to: &'static str,
}

/// An op with a mistake in it.
#[derive(Debug)]
struct Tampered {
    op: Arc<dyn Op>,
    edit: Option<Edit>,
    /// The gradient's factor.
    gradient: f32,
}

impl Op for Tampered {
    fn name(&self) -> &'static str {
        self.op.name()
    }

    fn takes_half(&self) -> bool {
        self.op.takes_half()
    }

    fn in_place(&self) -> Option<InPlace> {
        self.op.in_place()
    }

    fn infer(
        &self,
        inputs: &[TensorType],
        updates: &[TensorType],
    ) -> Result<Vec<TensorType>, OpError> {
        self.op.infer(inputs, updates)
    }

    fn record(&self, signature: &Signature, limits: &Limits) -> Result<Work, OpError> {
        let mut work = self.op.record(signature, limits)?;
        let Some(Edit { from, to }) = self.edit else { return Ok(work) };
        let mut edited = false;
        for launch in &mut work.launches {
            let source = launch.shader.source()?;
            if !source.contains(from) {
                continue;
            }
            edited = true;
            // Shaders live as long as the program; a verification edits a handful.
            let text: &'static str = source.replace(from, to).leak();
            let parts: &'static [&'static str] = Box::leak(Box::new([text]));
            launch.shader = Box::leak(Box::new(Shader::new(launch.shader.name(), parts)));
        }
        match edited {
            true => Ok(work),
            false => Err(OpError::shape(format!("no kernel has {from:?}"))),
        }
    }

    fn backward(
        &self,
        graph: &mut Graph,
        operands: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let sound = self.op.backward(graph, operands, gradients)?;
        let scale = |gradient: Option<TensorId>| {
            let scaled = gradient.map(|g| graph.apply(Scale(self.gradient), &[g]));
            scaled.transpose().map_err(OpError::from)
        };
        sound.into_iter().map(scale).collect()
    }

    fn reference_f64(&self, io: &mut Io<'_, f64>) {
        self.op.reference_f64(io);
    }

    fn reference_f32(&self, io: &mut Io<'_, f32>) {
        self.op.reference_f32(io);
    }

    fn cost(&self, signature: &Signature) -> Cost {
        self.op.cost(signature)
    }
}
