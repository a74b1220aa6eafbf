use crate::{
    Callback, Dataset, EpochLog, Event, FitOptions, History, InputSpec, Judged, Loss, Metrics,
    Optimizer, Sequential, TrainError,
};
use rnn_core::HostTensor;
use rnn_graph::{Device, Graph, Profile, Program, Session, TensorId, TensorType, Ticket};
use rnn_ops::{Binary, Constrain, Fill, Pad, STEP_NUMBERS};
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

/// Examples that are processed together.
#[derive(Clone, Debug)]
pub struct Batch {
    /// `[B, ..]`, tokens or floats as the model takes.
    pub inputs: HostTensor,
    /// As the loss takes them: of the output's shape, or classes `[B]`.
    pub labels: HostTensor,
    /// How much each example counts, `[B]`; the same, where there are none.
    pub weights: Option<HostTensor>,
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
    loss: Loss,
    seed: u64,
    step: u64,
    /// What the learning rate is multiplied by.
    rate_factor: f64,
    /// By batch size, mode, and whether examples are weighed.
    programs: HashMap<(usize, Mode, bool), Program>,
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
            loss: Loss::default(),
            seed,
            step: 0,
            rate_factor: 1.0,
            programs: HashMap::new(),
            pending: None,
            latest: Metrics::default(),
        }
    }

    /// Replaces the binary cross-entropy.
    pub fn loss(mut self, loss: Loss) -> Self {
        self.loss = loss;
        self
    }

    /// Queues one training step, without waiting for it.
    pub fn train_batch(&mut self, batch: &Batch) -> Result<(), TrainError> {
        let program = self.program(batch, Mode::Train)?;
        let random = [self.seed as u32, (self.seed >> 32) as u32, self.step as u32, 0];
        let random = HostTensor::from_u32([4], random.to_vec())?;
        self.step += 1;
        let numbers = self.optimizer.numbers(self.step, self.rate_factor).to_vec();
        let numbers = HostTensor::from_f32([STEP_NUMBERS], numbers)?;
        let mut inputs = vec![&batch.inputs, &batch.labels];
        inputs.extend(&batch.weights);
        inputs.extend([&random, &numbers]);
        Ok(self.session.run(program, &inputs)?)
    }

    /// Queues the metrics of one batch, without changing weights.
    pub fn evaluate_batch(&mut self, batch: &Batch) -> Result<(), TrainError> {
        let program = self.program(batch, Mode::Evaluate)?;
        let mut inputs = vec![&batch.inputs, &batch.labels];
        inputs.extend(&batch.weights);
        Ok(self.session.run(program, &inputs)?)
    }

    /// The model's output for a batch.
    pub fn predict_batch(&mut self, inputs: &HostTensor) -> Result<HostTensor, TrainError> {
        let labels = HostTensor::zeros([0], rnn_core::DType::F32);
        let batch = Batch { inputs: inputs.clone(), labels, weights: None };
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
    /// measures `validation` after each. Callbacks may end it between two steps.
    pub fn fit(
        &mut self,
        train: &Dataset,
        validation: Option<&Dataset>,
        options: FitOptions,
        callbacks: &mut [&mut dyn Callback],
    ) -> Result<History, TrainError> {
        let mut history = History::default();
        let FitOptions { epochs, batch_size } = options;
        for epoch in 1..=epochs {
            let started = Instant::now();
            if self.tell(callbacks, &Event::Epoch(epoch))?.is_break() {
                return Ok(history);
            }
            let batches = train.shuffled_batches(batch_size, self.seed, epoch as u64);
            for (index, batch) in batches.enumerate() {
                self.train_batch(&batch)?;
                let metrics = self.glance()?;
                if self.tell(callbacks, &Event::Step(index + 1, metrics))?.is_break() {
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
            if self.tell(callbacks, &Event::EpochEnd(log))?.is_break() {
                return Ok(history);
            }
        }
        Ok(history)
    }

    /// All are told, also when one of them breaks off.
    fn tell(
        &mut self,
        callbacks: &mut [&mut dyn Callback],
        event: &Event,
    ) -> Result<ControlFlow<()>, TrainError> {
        let mut flow = ControlFlow::Continue(());
        for callback in callbacks {
            if callback.on_event(event, self)?.is_break() {
                flow = ControlFlow::Break(());
            }
        }
        Ok(flow)
    }

    /// What the learning rate is multiplied by: 1 at first.
    pub fn rate_factor(&self) -> f64 {
        self.rate_factor
    }

    /// Multiplies the learning rate from the next step on.
    pub fn set_rate_factor(&mut self, factor: f64) {
        self.rate_factor = factor;
    }

    /// Replaces all parameters, as [`Sequential::parameters`] gives them.
    pub fn set_parameters(&mut self, values: &[f32]) -> Result<(), TrainError> {
        let tensor = HostTensor::from_f32([values.len()], values.to_vec())?;
        if !self.programs.is_empty() {
            self.session.write("parameters", &tensor)?;
        }
        self.model.set_parameters(values);
        Ok(())
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
        self.graph(batch_size, Mode::Train, false)
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
        let key = (size, mode, batch.weights.is_some());
        if let Some(&program) = self.programs.get(&key) {
            return Ok(program);
        }
        let graph = self.graph(size, mode, key.2)?;
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
        self.programs.insert(key, program);
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

    fn graph(&self, batch: usize, mode: Mode, weighted: bool) -> Result<Graph, TrainError> {
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
        let output = TensorType::f32(self.model.output_shape(batch));
        let labels = g.input("labels", self.loss.labels(&output));
        let weights = weighted.then(|| g.input("weights", TensorType::f32([batch])));
        let random = (mode == Mode::Train).then(|| g.input("random", TensorType::u32([4])));
        let built = self.model.build(g, inputs, random)?;
        let judged = self.loss.push(g, built.output, labels, weights)?;
        let Judged { predictions, labels, mut loss } =
            judged.ok_or(TrainError::Output { loss: self.loss })?;
        for penalty in built.penalties {
            loss = g.apply(Binary::Add, &[loss, penalty])?;
        }
        let kind = self.loss.metrics();
        g.push_node(Arc::new(kind), &[predictions, labels, loss], &[metrics])?;
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
