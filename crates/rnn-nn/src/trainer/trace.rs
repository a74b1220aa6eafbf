use super::step::Mode;
use super::step_inputs::StepGraph;
use crate::batch::examples;
use crate::resident::Resident;
use crate::{Batch, Dataset, TrainError, Trainer, TrainerState};
use rnn_core::{DType, HostTensor};
use rnn_graph::{Device, Graph, TensorId};
use std::fmt;

/// The place at which a training first had a number that was not finite. It displays as text for
/// people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotFinite {
    /// The step, counted from 1.
    pub step: u64,
    /// A description of the op, or of the data of the batch, that first held NaN or an infinity.
    pub what: String,
}

impl fmt::Display for NotFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "in step {}, {}", self.step, self.what)
    }
}

/// Bytes of outputs that one run brings to the host.
const BYTES_AT_ONCE: usize = 256 << 20;

impl Trainer {
    /// Repeats a training on `train` in batches of `batch_size` from the state `from` on, step by
    /// step up to step number `last`, on `device`. After the first step after which a number of the
    /// state is not finite, that step is run again with the outputs of all ops read back, and the
    /// first op or data that is not finite is returned; `None` if all numbers stay finite.
    /// Callbacks are not called, so their changes are missing. The trainer itself does not change.
    ///
    /// # Errors
    /// Fails if the state is of another model, the examples cannot be read or do not fit the model,
    /// or the device fails.
    pub fn trace_not_finite(
        &self,
        device: &dyn Device,
        (from, last): (TrainerState, u64),
        train: &Dataset,
        batch_size: usize,
    ) -> Result<Option<NotFinite>, TrainError> {
        let mut twin = self.twin(device);
        let mut epoch = from.progress.history.epochs.len() as u64 + 1;
        let mut done = from.progress.steps * batch_size;
        twin.restore(from)?;
        let mut before = twin.state()?;
        while twin.step < last && !train.is_empty() {
            let rest = twin.ordered(train, epoch)?.range(done..train.len());
            for batch in rest.batches(batch_size) {
                let batch = batch?;
                twin.train_batch(&batch)?;
                let after = twin.state()?;
                if after.not_finite().is_some() {
                    return self.inspect(device, &before, &batch, &after).map(Some);
                }
                if twin.step >= last {
                    return Ok(None);
                }
                before = after;
            }
            twin.take_metrics()?;
            (epoch, done) = (epoch + 1, 0);
        }
        Ok(None)
    }

    /// The first that is not finite in a step that begins in a state and ends in another.
    fn inspect(
        &self,
        device: &dyn Device,
        before: &TrainerState,
        batch: &Batch,
        after: &TrainerState,
    ) -> Result<NotFinite, TrainError> {
        let found = |what| Ok(NotFinite { step: before.step + 1, what });
        let given = batch.inputs.iter().map(|inputs| ("inputs", inputs));
        let given = given.chain(batch.labels.iter().map(|labels| ("labels", labels)));
        for (name, tensor) in given.chain(batch.weights.iter().map(|w| ("weights", w))) {
            if !tensor.is_finite() {
                return found(format!("the batch's {name} hold {}", extremes(tensor)));
            }
        }
        let weighted = !batch.weights.is_empty();
        let step = self.step_builder().graph(examples(&batch.inputs), Mode::Train, weighted)?;
        let graph = &step.graph;
        for group in groups(graph) {
            let mut twin = self.twin(device);
            twin.restore(before.clone())?;
            let mut told = StepGraph { graph: graph.clone(), inputs: step.inputs.clone() };
            group.iter().for_each(|&(_, output)| told.graph.output(output));
            let program = twin.compile(told)?;
            let keys = twin.step_keys(0)?;
            let outputs = twin.with_batch(batch, &keys.inputs(), |engine, given| {
                engine.outputs(&program, given)
            })?;
            let mut pairs = group.iter().zip(&outputs);
            if let Some((&(node, _), output)) = pairs.find(|(_, output)| !output.is_finite()) {
                return found(self.describe(graph, node, output));
            }
        }
        let name = after.not_finite().unwrap_or("the sum of the losses");
        found(format!("the outputs of all ops are finite, but what was added to {name} is not"))
    }

    /// A description of a node with the weights that it reads, and of its output.
    fn describe(&self, graph: &Graph, node: usize, output: &HostTensor) -> String {
        let (count, of) = (graph.nodes().len(), &graph.nodes()[node]);
        let weight = |&operand: &TensorId| {
            let (root, offset) = graph.root(operand);
            let ranges = self.model.weight_ranges().iter();
            let mut ranges =
                ranges.filter(|_| graph[root].name == Resident::Parameters.to_string());
            ranges.find(|range| range.offset == offset).map(|range| range.name.as_str())
        };
        let weights: Vec<&str> = of.operands.inputs.iter().filter_map(weight).collect();
        let of_weights = match weights.is_empty() {
            true => String::new(),
            false => format!(" of {}", weights.join(", ")),
        };
        format!(
            "{}({}){of_weights}, op {} of {count}, was the first with the output {}",
            of.op.name(),
            graph.describe(of),
            node + 1,
            extremes(output)
        )
    }
}

/// The outputs of all nodes, in order, in groups that the host has room for.
fn groups(graph: &Graph) -> Vec<Vec<(usize, TensorId)>> {
    let mut groups = vec![vec![]];
    let mut bytes = 0;
    for (index, node) in graph.nodes().iter().enumerate() {
        for &output in &node.operands.outputs {
            if graph[output].ty.dtype != DType::F32 {
                continue;
            }
            let more = 4 * graph[output].ty.len();
            if bytes > 0 && bytes + more > BYTES_AT_ONCE {
                groups.push(vec![]);
                bytes = 0;
            }
            bytes += more;
            if let Some(group) = groups.last_mut() {
                group.push((index, output));
            }
        }
    }
    groups
}

/// The first number that is not finite, and how many there are.
fn extremes(tensor: &HostTensor) -> String {
    let values = tensor.as_f32().unwrap_or(&[]);
    let mut broken = values.iter().filter(|value| !value.is_finite());
    let first = broken.next().copied().unwrap_or(f32::NAN);
    format!("{first} ({} of {} numbers are not finite)", broken.count() + 1, values.len())
}
