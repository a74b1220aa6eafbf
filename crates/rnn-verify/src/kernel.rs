use crate::{Measured, NotPassed, compare};
use rnn_core::{DType, HostTensor};
use rnn_graph::{
    Device, DeviceError, Graph, OpError, RecordingError, TensorId, TensorType, Values, evaluate,
};
use rnn_ops::{Case, Cast};
use std::collections::HashMap;
use std::sync::Arc;

/// A case as a graph, with its data and what should come out.
#[derive(Debug)]
pub struct Trial {
    graph: Arc<Graph>,
    inputs: Vec<HostTensor>,
    updates: Vec<HostTensor>,
    want: Vec<Values<f64>>,
    tolerance: f64,
}

/// Runs a case on a device and compares every output and update with the f64 reference.
///
/// # Errors
/// Which tensor differs, or why the device could not run the case.
pub fn check_kernel(case: &Case, device: &dyn Device) -> Result<Measured, NotPassed> {
    let trial = Trial::new(case)?;
    trial.judge(&trial.run(device)?)
}

impl Trial {
    /// Draws the data of a case and evaluates the reference.
    ///
    /// # Errors
    /// If the case does not fit the op's shape rule.
    pub fn new(case: &Case) -> Result<Self, NotPassed> {
        let (inputs, updates) = case.draw();
        let ty = |t: &HostTensor| TensorType { shape: t.shape().clone(), dtype: t.dtype() };
        let mut graph = Graph::new();
        let input_ids: Vec<TensorId> = inputs
            .iter()
            .enumerate()
            .map(|(i, t)| graph.input(format!("input {i}"), ty(t)))
            .collect();
        let update_ids: Vec<TensorId> =
            updates.iter().enumerate().map(|(i, t)| graph.resident(&name(i), ty(t))).collect();
        let mut operands = input_ids.clone();
        for &i in &case.half {
            let rounded = graph.apply(Cast(DType::F16), &[input_ids[i]]);
            operands[i] = rounded.map_err(|e| e.to_string())?;
        }
        let outputs =
            graph.push_node(case.op.clone(), &operands, &update_ids).map_err(|e| e.to_string())?;
        outputs.iter().for_each(|&t| graph.output(t));
        let ids = input_ids.iter().chain(&update_ids);
        let hosts = inputs.iter().chain(&updates);
        let given: HashMap<TensorId, Values<f64>> =
            ids.zip(hosts).map(|(&id, t)| (id, Values::from_host(t))).collect();
        let mut values = evaluate::<f64>(&graph, given);
        let want = outputs.iter().chain(&update_ids).filter_map(|id| values.remove(id)).collect();
        Ok(Self { graph: Arc::new(graph), inputs, updates, want, tolerance: case.tolerance })
    }

    /// The graph of the one node.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The outputs and then the updates, as a device computes them.
    ///
    /// # Errors
    /// Why the device could not; a skip where its limits do not reach.
    pub fn run(&self, device: &dyn Device) -> Result<Vec<HostTensor>, NotPassed> {
        self.try_run(device).map_err(|error| {
            let limit = match &error {
                DeviceError::Recording(error) => exceeds_limit(error),
                _ => None,
            };
            match limit {
                Some(limit) => NotPassed::Skipped(limit.to_owned()),
                None => NotPassed::Failed(error.to_string()),
            }
        })
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

    /// Compares with the reference.
    ///
    /// # Errors
    /// Which tensor differs.
    pub fn judge(&self, got: &[HostTensor]) -> Result<Measured, NotPassed> {
        if got.len() != self.want.len() || got.is_empty() {
            let message = format!("{} tensors, the reference has {}", got.len(), self.want.len());
            return Err(message.into());
        }
        let mut measured = Measured { error: 0.0, tolerance: self.tolerance };
        for (i, (got, want)) in got.iter().zip(&self.want).enumerate() {
            match want {
                Values::Float(want) => {
                    let got = got.as_f32().map_err(|e| e.to_string())?;
                    let found = compare(got, want, self.tolerance)
                        .map_err(|e| format!("tensor {i}: {e}"))?;
                    measured.error = measured.error.max(found.error);
                }
                Values::Uint(want) => {
                    if got.as_u32().map_err(|e| e.to_string())? != want {
                        return Err(
                            format!("tensor {i}: integers differ from the reference").into()
                        );
                    }
                }
            }
        }
        Ok(measured)
    }

    /// Whether NaN and infinities are where the reference has them; with `spreads` also elsewhere,
    /// as where products meet what lies beside an element, or zeros beyond the ends.
    ///
    /// # Errors
    /// Which element differs.
    pub fn judge_not_finite(&self, got: &[HostTensor], spreads: bool) -> Result<(), NotPassed> {
        if got.len() != self.want.len() {
            return Err(format!("{} tensors, not {}", got.len(), self.want.len()).into());
        }
        for (i, (got, want)) in got.iter().zip(&self.want).enumerate() {
            let Values::Float(want) = want else { continue };
            let got = got.as_f32().map_err(|e| e.to_string())?;
            let differs = |&at: &usize| match want[at].is_finite() {
                true => !got[at].is_finite() && !spreads,
                false => got[at].is_finite(),
            };
            let differing: Vec<usize> = (0..want.len().min(got.len())).filter(differs).collect();
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
}

fn name(update: usize) -> String {
    format!("update {update}")
}

/// The limit of the device that a case exceeds, if that is what went wrong.
pub(crate) fn exceeds_limit(error: &RecordingError) -> Option<&str> {
    match error {
        RecordingError::Node(error) => match &error.reason {
            OpError::Limit(message) => Some(message),
            _ => None,
        },
        RecordingError::Invalid { .. } => None,
    }
}
