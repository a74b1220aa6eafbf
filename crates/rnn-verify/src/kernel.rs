use crate::{Measured, NotPassed, compare};
use rnn_core::{DType, Data, HostTensor};
use rnn_graph::{
    Device, DeviceError, Graph, OpError, RecordingError, TensorId, TensorType, Values, evaluate,
};
use rnn_ops::{Case, Cast, RowAxis, Rows, Sample};
use std::collections::HashMap;
use std::sync::Arc;

/// A case as a graph that applies its op once, with the case's data and the results of its f64
/// reference.
#[derive(Debug)]
pub struct Trial {
    graph: Arc<Graph>,
    inputs: Vec<HostTensor>,
    updates: Vec<HostTensor>,
    want: Vec<Wanted>,
    rows: Option<Rows>,
    tolerance: f64,
}

/// The expected values of one tensor: all of them, or its distinct rows.
#[derive(Debug)]
struct Wanted {
    values: Values<f64>,
    ty: TensorType,
    axis: Option<RowAxis>,
}

/// Runs a case on a device and compares every output and update with the f64 reference. Returns the
/// worst error.
///
/// # Errors
/// Fails with [`NotPassed::Failed`], whose message names the tensor that differs or the failure of
/// the device, and with [`NotPassed::Skipped`] if the device's limits do not allow the case.
pub fn check_kernel(case: &Case, device: &dyn Device) -> Result<Measured, NotPassed> {
    let trial = Trial::new(case)?;
    trial.compare(&trial.run(device)?)
}

/// Compiles all kernels of a graph on a device, and runs none of them. The returned error is 0.
///
/// # Errors
/// Fails with [`NotPassed::Failed`] if the device refuses a kernel, and with [`NotPassed::Skipped`]
/// if its limits do not allow the graph.
pub fn check_compilation(graph: &Graph, device: &dyn Device) -> Result<Measured, NotPassed> {
    device.compile_kernels(graph)?;
    Ok(Measured { error: 0.0, tolerance: 1.0 })
}

/// A case's op as a graph of one node, beside what rounds inputs to half precision.
struct OneNode {
    graph: Graph,
    inputs: Vec<TensorId>,
    updates: Vec<TensorId>,
    outputs: Vec<TensorId>,
}

impl OneNode {
    /// Of operands of these types.
    fn new(
        case: &Case,
        inputs: Vec<TensorType>,
        updates: Vec<TensorType>,
    ) -> Result<Self, NotPassed> {
        let mut graph = Graph::new();
        let numbered = inputs.into_iter().enumerate();
        let inputs: Vec<TensorId> =
            numbered.map(|(i, ty)| graph.input(format!("input {i}"), ty)).collect();
        let numbered = updates.into_iter().enumerate();
        let updates: Vec<TensorId> = numbered.map(|(i, ty)| graph.resident(&name(i), ty)).collect();
        let mut operands = inputs.clone();
        for &i in &case.half {
            let rounded = graph.apply(Cast(DType::F16), &[inputs[i]]);
            operands[i] = rounded.map_err(|e| e.to_string())?;
        }
        let outputs =
            graph.push_node(case.op.clone(), &operands, &updates).map_err(|e| e.to_string())?;
        outputs.iter().for_each(|&t| graph.output(t));
        Ok(Self { graph, inputs, updates, outputs })
    }
}

/// The types of operands whose rows, where they have any, are as many as a device is given.
fn grown(rows: Option<&Rows>, axes: Axes, few: Vec<TensorType>) -> Vec<TensorType> {
    let Some(rows) = rows else { return few };
    let grow = |(i, ty): (usize, TensorType)| TensorType {
        shape: rows.shape(axes(rows, i), &ty.shape),
        ..ty
    };
    few.into_iter().enumerate().map(grow).collect()
}

/// The axis of an operand by its place.
type Axes = fn(&Rows, usize) -> Option<RowAxis>;

const OF_INPUTS: Axes = |rows, i| rows.inputs.get(i).copied().flatten();
const OF_UPDATES: Axes = |rows, i| rows.updates.get(i).copied().flatten();

/// The graph that a device is given, without any data.
///
/// # Errors
/// If the case does not fit the op's shape rule.
pub(crate) fn graph(case: &Case) -> Result<Graph, NotPassed> {
    let [inputs, updates] = types(case);
    Ok(OneNode::new(case, inputs, updates)?.graph)
}

/// The types of inputs and updates, as a device is given them.
fn types(case: &Case) -> [Vec<TensorType>; 2] {
    let of = |samples: &[Sample]| samples.iter().map(Sample::ty).collect();
    let rows = case.rows.as_ref();
    [grown(rows, OF_INPUTS, of(&case.inputs)), grown(rows, OF_UPDATES, of(&case.updates))]
}

/// The types of all operands of a case on a device, as a report names them.
pub(crate) fn sizes(case: &Case) -> String {
    let all = types(case).concat();
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

impl Trial {
    /// Draws the data of a case and evaluates its reference. If the case repeats rows ([`Rows`]),
    /// the reference is evaluated for the distinct rows only.
    ///
    /// # Errors
    /// Fails with [`NotPassed::Failed`] if the case does not fit the op's shape rule.
    pub fn new(case: &Case) -> Result<Self, NotPassed> {
        let (inputs, updates) = case.draw();
        let types = |hosts: &[HostTensor]| hosts.iter().map(ty).collect();
        let few = OneNode::new(case, types(&inputs), types(&updates))?;
        let ids = few.inputs.iter().chain(&few.updates);
        let hosts = inputs.iter().chain(&updates);
        let given: HashMap<TensorId, Values<f64>> =
            ids.zip(hosts).map(|(&id, t)| (id, Values::from_host(t))).collect();
        let mut values = evaluate::<f64>(&few.graph, given);
        let rows = case.rows.clone();
        let axis = |list: fn(&Rows) -> &Vec<Option<RowAxis>>, i: usize| {
            rows.as_ref().and_then(|rows| list(rows).get(i).copied().flatten())
        };
        let outputs = few.outputs.iter().enumerate().map(|(i, id)| (id, axis(|r| &r.outputs, i)));
        let changed = few.updates.iter().enumerate().map(|(i, id)| (id, axis(|r| &r.updates, i)));
        let want = outputs
            .chain(changed)
            .filter_map(|(id, axis)| {
                let ty = few.graph[*id].ty.clone();
                Some(Wanted { values: values.remove(id)?, ty, axis })
            })
            .collect();
        let tolerance = case.tolerance;
        let Some(of) = &rows else {
            let graph = Arc::new(few.graph);
            return Ok(Self { graph, inputs, updates, want, rows, tolerance });
        };
        let grow = |axes: Axes, few: Vec<HostTensor>| -> Vec<HostTensor> {
            few.iter().enumerate().map(|(i, few)| of.grow(axes(of, i), few)).collect()
        };
        let (inputs, updates) = (grow(OF_INPUTS, inputs), grow(OF_UPDATES, updates));
        let graph = Arc::new(OneNode::new(case, types(&inputs), types(&updates))?.graph);
        Ok(Self { graph, inputs, updates, want, rows, tolerance })
    }

    /// Returns the graph that applies the case's op once.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Runs the case on a device and returns the values of the outputs, followed by those of the
    /// tensors that the op changes in place.
    ///
    /// # Errors
    /// Fails with [`NotPassed::Failed`] if the device fails, and with [`NotPassed::Skipped`] if its
    /// limits do not allow the case.
    pub fn run(&self, device: &dyn Device) -> Result<Vec<HostTensor>, NotPassed> {
        Ok(self.try_run(device)?)
    }

    fn try_run(&self, device: &dyn Device) -> Result<Vec<HostTensor>, DeviceError> {
        let mut session = device.session();
        let program = session.compile(self.graph.clone())?;
        for (i, values) in self.updates.iter().enumerate() {
            session.write(&name(i), values)?;
        }
        session.run(program, &self.inputs.iter().collect::<Vec<_>>())?;
        let mut got = session.fetch(program)?;
        for i in 0..self.updates.len() {
            got.push(session.read(&name(i))?);
        }
        Ok(got)
    }

    /// Compares the results of [`Trial::run`] with the reference, and returns the worst error.
    ///
    /// # Errors
    /// Fails with [`NotPassed::Failed`] if `got` is empty, has another number of tensors than the
    /// reference, or has a tensor that differs, which the message names by its index.
    pub fn compare(&self, got: &[HostTensor]) -> Result<Measured, NotPassed> {
        if got.len() != self.want.len() || got.is_empty() {
            let message = format!("{} tensors, the reference has {}", got.len(), self.want.len());
            return Err(message.into());
        }
        let mut measured = Measured { error: 0.0, tolerance: self.tolerance };
        for (i, (got, want)) in got.iter().zip(&self.want).enumerate() {
            let found = self.compare_tensor(got, want).map_err(|e| format!("tensor {i}: {e}"))?;
            measured.error = measured.error.max(found);
        }
        Ok(measured)
    }

    /// Checks that the float tensors `got`, results of [`Trial::run`], have NaN or infinities where
    /// the reference has them. If `spreads` is true, they may have them elsewhere, too, as a kernel
    /// may multiply a neighbouring element or padding by zero; if it is false, all other elements
    /// must be finite. The case must not repeat rows ([`Rows`]).
    ///
    /// # Errors
    /// Fails with [`NotPassed::Failed`] if the number of tensors differs, a tensor holds integers
    /// instead of floats, or an element differs, which the message names.
    pub fn compare_not_finite(&self, got: &[HostTensor], spreads: bool) -> Result<(), NotPassed> {
        if got.len() != self.want.len() {
            return Err(format!("{} tensors, not {}", got.len(), self.want.len()).into());
        }
        for (i, (got, want)) in got.iter().zip(&self.want).enumerate() {
            let Values::Float(want) = &want.values else { continue };
            let got = got.as_f32().map_err(|e| e.to_string())?;
            if got.len() != want.len() {
                return Err(
                    format!("tensor {i}: {} elements, not {}", got.len(), want.len()).into()
                );
            }
            let differs = |&at: &usize| match want[at].is_finite() {
                true => !got[at].is_finite() && !spreads,
                false => got[at].is_finite(),
            };
            let differing: Vec<usize> = (0..want.len()).filter(differs).collect();
            if let Some(&at) = differing.first() {
                let count = differing.len();
                let (got, want) = (got[at], want[at]);
                return Err(format!(
                    "tensor {i}: element {at} is {got}, the reference has {want}; {count} differ"
                )
                .into());
            }
        }
        Ok(())
    }

    /// The worst error of one tensor: all at once, or each repetition of the distinct rows.
    fn compare_tensor(&self, got: &HostTensor, want: &Wanted) -> Result<f64, String> {
        let (Some(rows), Some(axis)) = (&self.rows, want.axis) else {
            return compare_values(got.data(), &want.values, self.tolerance);
        };
        let shape = &want.ty.shape;
        let full = rows.shape(want.axis, shape);
        if got.shape().len() != full.len() {
            return Err(format!("{} elements, there should be {full}", got.shape().len()));
        }
        let mut worst = 0.0f64;
        for repetition in rows.repetitions(axis, shape) {
            let some = 0..repetition.len();
            let want = match &want.values {
                Values::Float(v) => Values::Float(axis.take((v, shape), some)),
                Values::Uint(v) => Values::Uint(axis.take((v, shape), some)),
            };
            let got = match got.data() {
                Data::F32(v) => Data::F32(axis.take((v, &full), repetition.clone())),
                Data::U32(v) => Data::U32(axis.take((v, &full), repetition.clone())),
            };
            let found = compare_values(&got, &want, self.tolerance);
            worst = worst.max(found.map_err(|e| {
                format!("rows {} to {}: {e}", repetition.start, repetition.end - 1)
            })?);
        }
        Ok(worst)
    }
}

fn compare_values(got: &Data, want: &Values<f64>, tolerance: f64) -> Result<f64, String> {
    match (got, want) {
        (Data::F32(got), Values::Float(want)) => Ok(compare(got, want, tolerance)?.error),
        (Data::U32(got), Values::Uint(want)) if got == want => Ok(0.0),
        (Data::U32(_), Values::Uint(_)) => Err("integers differ from the reference".into()),
        _ => Err("its elements are not of the reference's kind".into()),
    }
}

fn ty(tensor: &HostTensor) -> TensorType {
    TensorType { shape: tensor.shape().clone(), dtype: tensor.dtype() }
}

fn name(update: usize) -> String {
    format!("update {update}")
}

impl From<DeviceError> for NotPassed {
    fn from(error: DeviceError) -> Self {
        let limit = match &error {
            DeviceError::Recording(error) => exceeds_limit(error),
            _ => None,
        };
        match limit {
            Some(limit) => Self::Skipped(limit.to_owned()),
            None => Self::Failed(error.to_string()),
        }
    }
}

/// The limit of the device that a case exceeds, if that is what went wrong.
pub(crate) fn exceeds_limit(error: &RecordingError) -> Option<&str> {
    match error {
        RecordingError::Node(error) => match &error.reason {
            OpError::Limit(message) => Some(message),
            _ => None,
        },
        RecordingError::Limit { message, .. } => Some(message),
        RecordingError::Invalid { .. } => None,
    }
}
