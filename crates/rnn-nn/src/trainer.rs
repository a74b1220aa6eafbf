use crate::{Dataset, InputSpec, ModelError, Optimizer, Sequential};
use rnn_core::{HostTensor, TensorError};
use rnn_graph::{
    Device, DeviceError, Graph, GraphError, Profile, Program, Session, TensorId, TensorType, Ticket,
};
use rnn_ops::{
    Activate, Activation, Binary, BinaryCrossEntropy, BinaryMetrics, Constrain, Fill, Pad,
    STEP_NUMBERS,
};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

/// Examples that are processed together.
#[derive(Clone, Debug)]
pub struct Batch {
    /// `[B, ..]`, tokens or floats as the model takes.
    pub inputs: HostTensor,
    /// `[B, 1]`, 0 or 1.
    pub labels: HostTensor,
}

/// Why training stopped.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The model does not fit together.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The model cannot be turned into a graph.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The device failed.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A tensor is of the wrong kind.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// The model's last layer is not one that the loss can be computed for.
    #[error("binary cross-entropy needs a model that ends in one sigmoid unit, not {0}")]
    Output(String),
    /// A weight without a gradient; always a mistake in a layer.
    #[error("the loss does not depend on the weight {0}, which therefore cannot be trained")]
    Detached(String),
    /// A token is not in the vocabulary.
    #[error(
        "token {token} in row {row} is beyond the vocabulary of {vocabulary}; load the data with num_words = {vocabulary}"
    )]
    Token {
        /// The token id.
        token: u32,
        /// The row of the batch.
        row: usize,
        /// The first id that does not exist.
        vocabulary: usize,
    },
    /// A batch or data set without examples.
    #[error("there are no examples to work on")]
    Empty,
}

/// Means over the examples since the last reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Binary cross-entropy.
    pub loss: f64,
    /// The fraction on the right side of 0.5.
    pub accuracy: f64,
    /// Examples seen.
    pub count: usize,
}

impl Metrics {
    fn from_sums(sums: &HostTensor) -> Result<Self, TensorError> {
        let sums = sums.as_f32()?;
        let [loss, correct, count] = [0, 1, 2].map(|i| f64::from(sums[i]));
        let n = count.max(1.0);
        Ok(Self { loss: loss / n, accuracy: correct / n, count: count as usize })
    }
}

/// What one epoch came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EpochLog {
    /// From 1 on.
    pub epoch: usize,
    /// Over the training examples, while the weights changed.
    pub train: Metrics,
    /// Over the validation examples, at the end of the epoch.
    pub validation: Option<Metrics>,
    /// Wall time of training, without validation.
    pub seconds: f64,
}

/// All epochs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct History {
    /// In order.
    pub epochs: Vec<EpochLog>,
}

/// How long to train, and in what portions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FitOptions {
    /// Passes over the training examples.
    pub epochs: usize,
    /// Examples in a step.
    pub batch_size: usize,
}

/// What `fit` reports while it works.
#[derive(Clone, Debug)]
pub enum Event {
    /// An epoch begins.
    Epoch(usize),
    /// A step was queued; the metrics are of the most recent step whose figures have arrived.
    Step(usize, Metrics),
    /// An epoch is over.
    EpochEnd(EpochLog),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Mode {
    Train,
    Evaluate,
    Predict,
}

/// A model on a device, with its optimizer. Parameters, gradients, slots and metrics stay on the
/// device; a step moves only the batch.
pub struct Trainer {
    model: Sequential,
    session: Box<dyn Session>,
    optimizer: Optimizer,
    seed: u64,
    step: u64,
    /// What the learning rate is multiplied by.
    rate_factor: f64,
    programs: HashMap<(usize, Mode), Program>,
    pending: Option<Ticket>,
    latest: Metrics,
}

impl Trainer {
    /// Prepares a model for a device. `seed` decides what dropout drops.
    pub fn new(model: Sequential, device: &dyn Device, optimizer: Optimizer, seed: u64) -> Self {
        Self {
            model,
            session: device.session(),
            optimizer,
            seed,
            step: 0,
            rate_factor: 1.0,
            programs: HashMap::new(),
            pending: None,
            latest: Metrics::default(),
        }
    }

    /// Queues one training step, without waiting for it.
    pub fn train_batch(&mut self, batch: &Batch) -> Result<(), TrainError> {
        let program = self.program(batch, Mode::Train)?;
        let random = [self.seed as u32, (self.seed >> 32) as u32, self.step as u32, 0];
        let random = HostTensor::from_u32([4], random.to_vec())?;
        self.step += 1;
        let numbers = self.optimizer.numbers(self.step, self.rate_factor).to_vec();
        let numbers = HostTensor::from_f32([STEP_NUMBERS], numbers)?;
        Ok(self.session.run(program, &[&batch.inputs, &batch.labels, &random, &numbers])?)
    }

    /// Queues the metrics of one batch, without changing weights.
    pub fn evaluate_batch(&mut self, batch: &Batch) -> Result<(), TrainError> {
        let program = self.program(batch, Mode::Evaluate)?;
        Ok(self.session.run(program, &[&batch.inputs, &batch.labels])?)
    }

    /// The model's output for a batch.
    pub fn predict_batch(&mut self, inputs: &HostTensor) -> Result<HostTensor, TrainError> {
        let labels = HostTensor::zeros([inputs.shape().dims()[0], 1], rnn_core::DType::F32);
        let batch = Batch { inputs: inputs.clone(), labels };
        let program = self.program(&batch, Mode::Predict)?;
        self.session.run(program, &[&batch.inputs])?;
        self.session.fetch(program)?.pop().ok_or(TrainError::Empty)
    }

    /// Waits for everything queued, returns the metrics since the last call and starts anew.
    pub fn take_metrics(&mut self) -> Result<Metrics, TrainError> {
        if let Some(ticket) = self.pending.take() {
            self.session.wait_read(ticket)?;
        }
        let metrics = Metrics::from_sums(&self.session.read("metrics")?)?;
        self.session.write("metrics", &HostTensor::zeros([3], rnn_core::DType::F32))?;
        self.latest = Metrics::default();
        Ok(metrics)
    }

    /// Trains for some epochs, each in an order of its own that the trainer's seed decides, and
    /// measures `validation` after each. The observer may stop it between two steps.
    pub fn fit(
        &mut self,
        train: &Dataset,
        validation: Option<&Dataset>,
        options: FitOptions,
        observer: &mut dyn FnMut(Event) -> ControlFlow<()>,
    ) -> Result<History, TrainError> {
        let mut history = History::default();
        let FitOptions { epochs, batch_size } = options;
        for epoch in 1..=epochs {
            let started = Instant::now();
            if observer(Event::Epoch(epoch)).is_break() {
                return Ok(history);
            }
            let batches = train.shuffled_batches(batch_size, self.seed, epoch as u64);
            for (index, batch) in batches.enumerate() {
                self.train_batch(&batch)?;
                let metrics = self.glance()?;
                if observer(Event::Step(index + 1, metrics)).is_break() {
                    return Ok(history);
                }
            }
            let metrics = self.take_metrics()?;
            if metrics.count == 0 {
                return Err(TrainError::Empty);
            }
            let seconds = started.elapsed().as_secs_f64();
            let validation = validation.filter(|set| !set.is_empty());
            let validation = validation.map(|set| self.evaluate(set, batch_size)).transpose()?;
            let log = EpochLog { epoch, train: metrics, validation, seconds };
            history.epochs.push(log.clone());
            if observer(Event::EpochEnd(log)).is_break() {
                return Ok(history);
            }
        }
        Ok(history)
    }

    /// The metrics over all examples.
    pub fn evaluate(&mut self, set: &Dataset, batch_size: usize) -> Result<Metrics, TrainError> {
        if set.is_empty() {
            return Err(TrainError::Empty);
        }
        for batch in set.batches(batch_size) {
            self.evaluate_batch(&batch)?;
        }
        self.take_metrics()
    }

    /// The model's output for every example, in order.
    pub fn predict(&mut self, set: &Dataset, batch_size: usize) -> Result<Vec<f32>, TrainError> {
        let mut all = Vec::with_capacity(set.len());
        for batch in set.batches(batch_size) {
            all.extend_from_slice(self.predict_batch(&batch.inputs)?.as_f32()?);
        }
        Ok(all)
    }

    /// The model with the weights that it has on the device now.
    pub fn model(&mut self) -> Result<&mut Sequential, TrainError> {
        if !self.programs.is_empty() {
            let values = self.session.read("parameters")?;
            self.model.set_parameters(values.as_f32()?);
        }
        Ok(&mut self.model)
    }

    /// Times every op from now on.
    pub fn enable_profile(&mut self) {
        self.session.enable_profile();
    }

    /// Time by op.
    pub fn profile(&mut self) -> Result<Profile, TrainError> {
        Ok(self.session.profile()?)
    }

    /// The graph of one training step on a batch of this size, for inspection.
    pub fn training_graph(&self, batch_size: usize) -> Result<Graph, TrainError> {
        self.graph(batch_size, Mode::Train)
    }

    /// Figures that have arrived, and a request for the next ones: no step waits for them.
    fn glance(&mut self) -> Result<Metrics, TrainError> {
        match self.pending {
            None => self.pending = Some(self.session.start_read("metrics")?),
            Some(ticket) => {
                if let Some(sums) = self.session.poll_read(ticket)? {
                    self.latest = Metrics::from_sums(&sums)?;
                    self.pending = None;
                }
            }
        }
        Ok(self.latest)
    }

    fn program(&mut self, batch: &Batch, mode: Mode) -> Result<Program, TrainError> {
        self.check_tokens(&batch.inputs)?;
        let size = batch.inputs.shape().dims().first().copied().unwrap_or(0);
        if size == 0 {
            return Err(TrainError::Empty);
        }
        if let Some(&program) = self.programs.get(&(size, mode)) {
            return Ok(program);
        }
        let graph = self.graph(size, mode)?;
        let program = self.session.compile(Arc::new(graph))?;
        let count = self.model.parameters().len();
        if self.programs.is_empty() {
            let values = self.model.parameters().to_vec();
            self.session.write("parameters", &HostTensor::from_f32([values.len()], values)?)?;
        }
        let first = self.optimizer.first_slot_value();
        if mode == Mode::Train && first != 0.0 && !self.programs.keys().any(|k| k.1 == mode) {
            let values = HostTensor::from_f32([count], vec![first; count])?;
            for slot in 0..self.optimizer.slots() {
                self.session.write(&format!("slot_{slot}"), &values)?;
            }
        }
        self.programs.insert((size, mode), program);
        Ok(program)
    }

    fn check_tokens(&self, inputs: &HostTensor) -> Result<(), TrainError> {
        let (InputSpec::Tokens(_), Some(vocabulary)) = (&self.model.input, self.model.vocabulary())
        else {
            return Ok(());
        };
        let width = inputs.shape().last().max(1);
        match inputs.as_u32()?.iter().position(|&t| t as usize >= vocabulary) {
            None => Ok(()),
            Some(at) => {
                let token = inputs.as_u32()?[at];
                Err(TrainError::Token { token, row: at / width, vocabulary })
            }
        }
    }

    fn graph(&self, batch: usize, mode: Mode) -> Result<Graph, TrainError> {
        let mut graph = Graph::new();
        let g = &mut graph;
        let inputs = g.input("inputs", self.model.input.ty(batch));
        // Whichever program comes first declares them all, so that they can be written and read.
        let metrics = g.resident("metrics", TensorType::f32([3]));
        if mode == Mode::Predict {
            let built = self.model.build(g, inputs, None)?;
            g.output(built.output);
            return Ok(graph);
        }
        let labels = g.input("labels", TensorType::f32([batch, 1]));
        let random = (mode == Mode::Train).then(|| g.input("random", TensorType::u32([4])));
        let built = self.model.build(g, inputs, random)?;
        let logits = logits_of(g, built.output)?;
        let mut loss = g.apply(BinaryCrossEntropy, &[logits, labels])?;
        for penalty in built.penalties {
            loss = g.apply(Binary::Add, &[loss, penalty])?;
        }
        g.push_node(Arc::new(BinaryMetrics), &[logits, labels, loss], &[metrics])?;
        if mode == Mode::Train {
            let numbers = g.input("step", TensorType::f32([STEP_NUMBERS]));
            self.push_update(g, loss, &built.weights, numbers)?;
        }
        Ok(graph)
    }

    /// Gradients of the loss, written straight into their arena, and the optimizer over it.
    fn push_update(
        &self,
        g: &mut Graph,
        loss: TensorId,
        weights: &[TensorId],
        numbers: TensorId,
    ) -> Result<(), TrainError> {
        let one = g.apply(Fill { shape: [1].into(), value: 1.0 }, &[])?;
        let gradients = rnn_ops::gradients(g, &[(loss, one)], weights)?;
        let arena = self.model.arena(g, "gradients");
        for (slot, gradient) in self.model.slots().iter().zip(gradients) {
            let gradient = gradient.ok_or_else(|| TrainError::Detached(slot.name.clone()))?;
            if !g.place(gradient, arena, slot.offset) {
                let copy = Pad { offset: 0, full: slot.shape.as_slice().into() };
                let copy = g.apply(copy, &[gradient])?;
                g.place(copy, arena, slot.offset);
            }
        }
        let views = self.model.slots().iter();
        let views = views.map(|slot| g.view(arena, slot.offset, slot.shape.as_slice()));
        let each = views.collect::<Result<Vec<_>, _>>()?;
        let mut arenas = vec![self.model.arena(g, "parameters")];
        for slot in 0..self.optimizer.slots() {
            arenas.push(self.model.arena(g, &format!("slot_{slot}")));
        }
        self.optimizer.push(g, arena, &each, numbers, &arenas)?;
        for (slot, &weight) in self.model.slots().iter().zip(weights) {
            if let Some(constraint) = slot.constraint {
                g.push_node(Arc::new(Constrain(constraint)), &[], &[weight])?;
            }
        }
        Ok(())
    }
}

/// What stands before the model's final sigmoid.
fn logits_of(graph: &Graph, output: TensorId) -> Result<TensorId, TrainError> {
    let node = graph.producer(output);
    let sigmoid = node.filter(|n| {
        n.op.downcast::<Activate>().is_some_and(|a| a.0 == Activation::Sigmoid)
            && graph.shape(output).last() == 1
    });
    let found = || node.map_or("nothing".to_owned(), |n| n.op.name().to_owned());
    sigmoid.map(|n| n.operands.inputs[0]).ok_or_else(|| TrainError::Output(found()))
}
