use crate::compare;
use rnn_core::HostTensor;
use rnn_graph::{Device, Graph, TensorId, TensorType, Values, evaluate};
use rnn_ops::Case;
use std::collections::HashMap;
use std::sync::Arc;

/// Runs a case on a device and compares every output and update with the f64 reference. Returns
/// the worst error as a share of the tolerance.
///
/// # Errors
/// A sentence that says which tensor differs, or why the device could not run the case.
pub fn check_kernel(case: &Case, device: &dyn Device) -> Result<f64, String> {
    let (inputs, updates) = case.draw();
    let ty = |t: &HostTensor| TensorType { shape: t.shape().clone(), dtype: t.dtype() };
    let mut graph = Graph::new();
    let input_ids: Vec<TensorId> =
        inputs.iter().enumerate().map(|(i, t)| graph.input(format!("input {i}"), ty(t))).collect();
    let names: Vec<String> = (0..updates.len()).map(|i| format!("update {i}")).collect();
    let update_ids: Vec<TensorId> =
        names.iter().zip(&updates).map(|(name, t)| graph.resident(name, ty(t))).collect();
    let outputs =
        graph.push_node(case.op.clone(), &input_ids, &update_ids).map_err(|e| e.to_string())?;
    outputs.iter().for_each(|&t| graph.output(t));

    let ids = input_ids.iter().chain(&update_ids);
    let given: HashMap<TensorId, Values<f64>> =
        ids.zip(inputs.iter().chain(&updates)).map(|(&id, t)| (id, Values::from_host(t))).collect();
    let want = evaluate::<f64>(&graph, given);

    let run = || -> Result<Vec<HostTensor>, rnn_graph::DeviceError> {
        let mut session = device.session();
        let program = session.compile(Arc::new(graph.clone()))?;
        for (name, values) in names.iter().zip(&updates) {
            session.write(name, values)?;
        }
        session.run(program, &inputs.iter().collect::<Vec<_>>())?;
        let mut got = session.fetch(program)?;
        for name in &names {
            got.push(session.read(name)?);
        }
        Ok(got)
    };
    let got = run().map_err(|e| e.to_string())?;
    let mut worst = 0.0f64;
    for (i, (id, got)) in outputs.iter().chain(&update_ids).zip(&got).enumerate() {
        match &want[id] {
            Values::Float(want) => {
                let got = got.as_f32().map_err(|e| e.to_string())?;
                let found =
                    compare(got, want, case.tolerance).map_err(|e| format!("tensor {i}: {e}"))?;
                worst = worst.max(found.error / case.tolerance);
            }
            Values::Uint(want) => {
                if got.as_u32().map_err(|e| e.to_string())? != want {
                    return Err(format!("tensor {i}: integers differ from the reference"));
                }
            }
        }
    }
    if got.is_empty() {
        return Err("nothing was compared".into());
    }
    Ok(worst)
}
