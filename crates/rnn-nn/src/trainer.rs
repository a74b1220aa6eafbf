use crate::batch::examples;
use crate::distributed::Ranks;
use crate::programs::Key;
use crate::step::{Mode, StepBuilder};
use crate::{
    Batch, Dataset, FitProgress, InputSpec, Loss, Metrics, Model, Optimizer, Precision, TrainError,
};
use rnn_core::{Data, HostTensor};
use rnn_graph::{Device, Graph, Planned, Profile, Program, Session, TensorType, Ticket};
use rnn_ops::{MetricSums, StepParams};
use std::collections::{BTreeMap, HashMap};

/// A model on a device, with its optimizer. Parameters, gradients, slots and metrics stay on the
/// device; a step moves only the batch.
pub struct Trainer {
    pub(crate) model: Model,
    pub(crate) session: Box<dyn Session>,
    pub(crate) optimizer: Optimizer,
    losses: Vec<(Loss, f32)>,
    tally: MetricSums,
    precision: Precision,
    pub(crate) seed: u64,
    pub(crate) step: u64,
    /// What the learning rate is multiplied by.
    pub(crate) rate_factor: f64,
    /// Whether epochs have orders of their own, if that was said.
    pub(crate) shuffle: Option<bool>,
    /// Whether a mask arrives at each output, once that was asked for.
    pub(crate) masked: Option<Vec<bool>>,
    pub(crate) programs: HashMap<Key, Program>,
    /// A program that has been planned and not yet run.
    pub(crate) planned: Option<(Key, Planned)>,
    /// What the programs keep on the device.
    pub(crate) residents: BTreeMap<String, TensorType>,
    /// Residents of a restored state that no program has named yet.
    pub(crate) restored: BTreeMap<String, HostTensor>,
    /// Where `fit` goes on.
    pub(crate) progress: Option<FitProgress>,
    pub(crate) pending: Option<Ticket>,
    pub(crate) latest: Metrics,
    /// Those that train with it.
    pub(crate) ranks: Option<Ranks>,
}

impl Trainer {
    /// Prepares a model for a device. `seed` decides what dropout drops.
    pub fn new(model: Model, device: &dyn Device, optimizer: Optimizer, seed: u64) -> Self {
        let losses = vec![(Loss::default(), 1.0); model.output_shapes(1).len()];
        Self {
            model,
            session: device.session(),
            optimizer,
            losses,
            tally: Loss::default().tally(),
            precision: Precision::F32,
            seed,
            step: 0,
            rate_factor: 1.0,
            shuffle: None,
            masked: None,
            programs: HashMap::new(),
            planned: None,
            residents: BTreeMap::new(),
            restored: BTreeMap::new(),
            progress: None,
            pending: None,
            latest: Metrics::default(),
            ranks: None,
        }
    }

    /// Replaces the binary cross-entropy of every output, and what is counted for metrics by what
    /// suits the loss.
    pub fn loss(self, loss: Loss) -> Self {
        let losses = vec![(loss, 1.0); self.losses.len()];
        self.losses(losses)
    }

    /// Sets the loss of each output and what it counts in the sum that training makes small.
    /// Metrics are those of the first output, beside that sum.
    pub fn losses(mut self, losses: impl Into<Vec<(Loss, f32)>>) -> Self {
        self.losses = losses.into();
        self.tally = self.losses.first().map_or(self.tally, |(loss, _)| loss.tally());
        self
    }

    /// Replaces what is counted for metrics: [`MetricSums::Regression`] leaves the loss alone.
    pub fn tally(mut self, tally: MetricSums) -> Self {
        self.tally = tally;
        self
    }

    /// Replaces single precision.
    pub fn precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// Queues one training step, without waiting for it. With other ranks it is a step of all, the
    /// batch being this rank's part, which may be empty; parts follow each other in their order.
    pub fn train_batch(&mut self, batch: &Batch) -> Result<(), TrainError> {
        if self.ranks.is_some() {
            self.train_part(batch)?;
        } else {
            let [random, numbers] = self.step_inputs(0)?;
            self.queue(batch, Mode::Train, &[&random, &numbers])?;
        }
        self.step += 1;
        Ok(())
    }

    /// What the next step is given besides a batch: the key of what dropout drops, and the
    /// optimizer's numbers. `first` is the number of the batch's first row.
    pub(crate) fn step_inputs(&self, first: u32) -> Result<[HostTensor; 2], TrainError> {
        let random = [self.seed as u32, (self.seed >> 32) as u32, self.step as u32, first];
        let params = self.optimizer.step_params(self.step + 1, self.rate_factor);
        let random = HostTensor::from_u32([4], random.to_vec())?;
        Ok([random, HostTensor::from_f32([StepParams::LEN], params.to_array().to_vec())?])
    }

    /// Queues the metrics of one batch, without changing weights. With other ranks it is a batch of
    /// all, as in [`Trainer::train_batch`].
    pub fn evaluate_batch(&mut self, batch: &Batch) -> Result<(), TrainError> {
        if self.ranks.is_none() {
            return self.queue(batch, Mode::Evaluate, &[]);
        }
        let valid = self.valid_steps(batch, None)?;
        match examples(&batch.inputs) {
            0 => Ok(()),
            _ => self.queue(batch, Mode::EvaluateShare, &valid.iter().collect::<Vec<_>>()),
        }
    }

    pub(crate) fn queue(
        &mut self,
        batch: &Batch,
        mode: Mode,
        more: &[&HostTensor],
    ) -> Result<(), TrainError> {
        let program = self.program(&batch.inputs, mode, !batch.weights.is_empty())?;
        self.run(program, batch, more)
    }

    /// Queues a program that takes a batch, and more.
    pub(crate) fn run(
        &mut self,
        program: Program,
        batch: &Batch,
        more: &[&HostTensor],
    ) -> Result<(), TrainError> {
        let (labels, weights) = (self.labels(batch)?, self.weights(batch)?);
        let mut inputs: Vec<&HostTensor> = batch.inputs.iter().collect();
        inputs.extend(labels.iter().map(|labels| &**labels));
        inputs.extend(&weights);
        inputs.extend(more);
        Ok(self.session.run(program, &inputs)?)
    }

    /// The model's outputs for a batch, given an array for each input.
    pub fn predict_batch(&mut self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>, TrainError> {
        let program = self.program(inputs, Mode::Predict, false)?;
        self.session.run(program, &inputs.iter().collect::<Vec<_>>())?;
        Ok(self.session.fetch(program)?)
    }

    /// Sets the states that stateful layers keep between batches to zero.
    pub fn reset_states(&mut self) -> Result<(), TrainError> {
        let kept = |name: &String| name.ends_with(crate::stateful::SUFFIX);
        self.restored.retain(|name, _| !kept(name));
        for (name, ty) in self.residents.iter().filter(|(name, _)| kept(name)) {
            self.session.write(name, &HostTensor::zeros(ty.shape.clone(), ty.dtype))?;
        }
        Ok(())
    }

    /// Waits for everything queued, returns the metrics since the last call and starts anew.
    pub fn take_metrics(&mut self) -> Result<Metrics, TrainError> {
        let sums = self.take_sums()?;
        self.metrics(sums)
    }

    pub(crate) fn metrics(&self, sums: Option<HostTensor>) -> Result<Metrics, TrainError> {
        let metrics = sums.map(|sums| Metrics::from_sums(&sums, self.tally)).transpose()?;
        Ok(metrics.unwrap_or_default())
    }

    pub(crate) fn take_sums(&mut self) -> Result<Option<HostTensor>, TrainError> {
        if let Some(ticket) = self.pending.take() {
            self.session.wait_read(ticket)?;
        }
        self.latest = Metrics::default();
        Ok(match self.residents.get("metrics") {
            Some(ty) => {
                let sums = self.session.read("metrics")?;
                self.session.write("metrics", &HostTensor::zeros(ty.shape.clone(), ty.dtype))?;
                Some(sums)
            }
            // Nothing has run, here.
            None => self.restored.remove("metrics"),
        })
    }

    /// What the learning rate is multiplied by: 1 at first.
    pub fn rate_factor(&self) -> f64 {
        self.rate_factor
    }

    /// Multiplies the learning rate from the next step on.
    pub fn set_rate_factor(&mut self, factor: f64) {
        self.rate_factor = factor;
    }

    /// Replaces all parameters, as [`Model::parameters`] gives them.
    pub fn set_parameters(&mut self, values: &[f32]) -> Result<(), TrainError> {
        let tensor = HostTensor::from_f32([values.len()], values.to_vec())?;
        if !self.programs.is_empty() {
            self.session.write("parameters", &tensor)?;
        }
        self.model.set_parameters(values);
        Ok(())
    }

    /// The metrics over all examples, of which each rank measures a part.
    pub fn evaluate(&mut self, set: &Dataset, batch_size: usize) -> Result<Metrics, TrainError> {
        let measured = self.evaluate_while(set, batch_size, &mut |_, _| Ok(true))?;
        measured.ok_or(TrainError::Empty)
    }

    /// The same, as long as `goes_on`, which is told how many batches are queued, says so. Without
    /// other ranks alone may it say no.
    pub(crate) fn evaluate_while(
        &mut self,
        set: &Dataset,
        batch_size: usize,
        goes_on: &mut dyn FnMut(&mut Self, usize) -> Result<bool, TrainError>,
    ) -> Result<Option<Metrics>, TrainError> {
        if set.is_empty() {
            return Err(TrainError::Empty);
        }
        let (part, size) = self.part(set, batch_size);
        let mut batches = part.batches(size);
        for index in 0..set.len().div_ceil(batch_size.max(1)) {
            // Where a rank has no part in the last batch, there is none.
            self.evaluate_batch(&batches.next().transpose()?.unwrap_or_default())?;
            if !goes_on(self, index + 1)? {
                self.take_sums()?;
                return Ok(None);
            }
        }
        let sums = self.take_sums()?;
        let sums = self.all_sums(sums)?;
        self.metrics(sums).map(Some)
    }

    /// The model's outputs for every example, in the order of [`Model::output_names`], each
    /// `[N, ..]` of floats.
    pub fn predict(
        &mut self,
        set: &Dataset,
        batch_size: usize,
    ) -> Result<Vec<HostTensor>, TrainError> {
        let shapes = self.model.output_shapes(set.len());
        let mut all = vec![Vec::new(); shapes.len()];
        for batch in set.batches(batch_size) {
            for (all, output) in all.iter_mut().zip(self.predict_batch(&batch?.inputs)?) {
                match output.data() {
                    Data::F32(values) => all.extend_from_slice(values),
                    // Tokens, where an input is an output.
                    Data::U32(tokens) => all.extend(tokens.iter().map(|&token| token as f32)),
                }
            }
        }
        let tensor = |(shape, all): (Vec<usize>, _)| Ok(HostTensor::from_f32(shape, all)?);
        shapes.into_iter().zip(all).map(tensor).collect()
    }

    /// The model with the weights that it has on the device now.
    pub fn model(&mut self) -> Result<&mut Model, TrainError> {
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
        self.step_builder().graph(batch_size, Mode::Train, false)
    }

    /// Figures that have arrived, and a request for the next ones: no step waits for them.
    pub(crate) fn poll_metrics(&mut self) -> Result<Metrics, TrainError> {
        match self.pending {
            None => self.pending = Some(self.session.start_read("metrics")?),
            Some(ticket) => {
                if let Some(sums) = self.session.poll_read(ticket)? {
                    self.latest = Metrics::from_sums(&sums, self.tally)?;
                    self.pending = None;
                }
            }
        }
        Ok(self.latest)
    }

    /// A trainer of the same model as it was at first, on a device.
    pub(crate) fn twin(&self, device: &dyn Device) -> Self {
        let mut twin = Self::new(self.model.clone(), device, self.optimizer, self.seed);
        twin.shuffle = self.shuffle;
        twin.losses(self.losses.clone()).tally(self.tally).precision(self.precision)
    }

    pub(crate) fn step_builder(&self) -> StepBuilder<'_> {
        let Self { model, losses, tally, optimizer, precision, .. } = self;
        StepBuilder { model, losses, tally: *tally, optimizer, precision: *precision }
    }

    pub(crate) fn check_tokens(&self, inputs: &[HostTensor]) -> Result<(), TrainError> {
        for (input, (_, spec, tensor)) in inputs.iter().zip(self.model.inputs()) {
            let (InputSpec::Tokens(_), Some(vocabulary)) = (spec, self.model.vocabulary(tensor))
            else {
                continue;
            };
            let (tokens, width) = (input.as_u32()?, input.shape().last().max(1));
            if let Some(at) = tokens.iter().position(|&t| t as usize >= vocabulary) {
                let (token, row) = (tokens[at], at / width);
                return Err(TrainError::Token { token, row, vocabulary });
            }
        }
        Ok(())
    }
}
