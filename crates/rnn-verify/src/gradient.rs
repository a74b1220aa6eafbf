use crate::{Measured, NotPassed};
use rnn_core::Rng;
use rnn_graph::{Graph, TensorId, TensorType, Values, evaluate};
use rnn_ops::Case;
use std::collections::HashMap;

/// Half the distance over which a difference is taken.
const STEP: f64 = 1e-5;
/// Error of a central difference in f64, relative to the gradient's largest element.
const TOLERANCE: f64 = 2e-6;
/// Elements that are tried of each input.
const SAMPLES: usize = 16;

/// Compares the gradients of a case with central differences of its reference, all evaluated in
/// f64, at up to 16 random elements of each input in [`Case::differentiable`]. Returns the worst
/// error, relative to the largest element of the input's gradient.
///
/// # Errors
/// Fails with [`NotPassed::Failed`]. The message names the element of the input that differs or the
/// input without a gradient, or says that the op refused the case.
pub fn check_gradient(case: &Case) -> Result<Measured, NotPassed> {
    let (inputs, _) = case.draw();
    let mut graph = Graph::new();
    let ids: Vec<TensorId> = inputs
        .iter()
        .enumerate()
        .map(|(i, t)| {
            let ty = TensorType { shape: t.shape().clone(), dtype: t.dtype() };
            graph.input(format!("input {i}"), ty)
        })
        .collect();
    let fail = |e: rnn_graph::GraphError| e.to_string();
    let outputs = graph.push_node(case.op.clone(), &ids, &[]).map_err(fail)?;
    let ends: Vec<TensorId> = case.through.iter().map(|&i| outputs[i]).collect();
    let mut seeds = Vec::new();
    for (i, &end) in ends.iter().enumerate() {
        let ty = graph[end].ty.clone();
        seeds.push((end, graph.input(format!("seed {i}"), ty)));
    }
    let mut given: HashMap<TensorId, Values<f64>> =
        ids.iter().zip(&inputs).map(|(&id, t)| (id, Values::from_host(t))).collect();
    let mut rng = Rng::new(7, 0);
    for &(_, seed) in &seeds {
        let values = (0..graph[seed].ty.len()).map(|_| rng.normal()).collect();
        given.insert(seed, Values::Float(values));
    }
    let objective = |graph: &Graph, given: &HashMap<TensorId, Values<f64>>| -> f64 {
        let values = evaluate::<f64>(graph, given.clone());
        let dot = |(a, b): &(TensorId, TensorId)| -> f64 {
            values[a].floats().iter().zip(given[b].floats()).map(|(x, y)| x * y).sum()
        };
        seeds.iter().map(dot).sum()
    };
    let forward = graph.clone();
    let wrt: Vec<TensorId> = case.differentiable.iter().map(|&i| ids[i]).collect();
    let gradients = rnn_ops::gradients(&mut graph, &seeds, &wrt).map_err(fail)?;
    let results = evaluate::<f64>(&graph, given.clone());
    let mut worst = 0.0f64;
    for (&input, gradient) in wrt.iter().zip(gradients) {
        let gradient = gradient.ok_or_else(|| "an input has no gradient".to_owned())?;
        let (root, offset) = graph.root(gradient);
        let len = graph[input].ty.len();
        let found = &results[&root].floats()[offset..offset + len];
        let scale = found.iter().fold(1e-3f64, |a, b| a.max(b.abs()));
        for _ in 0..SAMPLES.min(len) {
            let at = rng.below(len as u32) as usize;
            let moved = |by: f64| {
                let mut given = given.clone();
                if let Some(Values::Float(values)) = given.get_mut(&input) {
                    values[at] += by;
                }
                objective(&forward, &given)
            };
            let want = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
            let error = (found[at] - want).abs() / scale;
            if error.is_nan() || error > TOLERANCE {
                let name = &graph[input].name;
                return Err(
                    format!("{name}[{at}] is {}, differences give {want}", found[at]).into()
                );
            }
            worst = worst.max(error);
        }
    }
    Ok(Measured { error: worst, tolerance: TOLERANCE })
}
