//! Training, evaluation and prediction of a model on a device.

mod attribution;
mod batch;
mod distributed;
mod engine;
mod fit;
mod masks;
mod optimizer_state;
mod programs;
mod state;
mod stateful;
mod step;
mod step_inputs;
mod trace;

pub use distributed::Communicator;
pub use fit::{Checkpoints, StepInfo};
pub use optimizer_state::OptimizerState;
pub use state::{FitProgress, TrainerState};
pub use trace::NotFinite;

use crate::batch::examples;
use crate::resident::Resident;
use crate::{Batch, Dataset, Loss, Metrics, Model, Optimizer, Precision, TrainError};
use distributed::Ranks;
use engine::Engine;
use rnn_core::{Data, HostTensor};
use rnn_graph::{Device, Profile, Ticket};
use rnn_ops::{MetricSums, StepParams};
use step::{Mode, StepBuilder};
use step_inputs::StepInputs;

/// A model on a device, with its optimizer. Weights, gradients, the optimizer's slots and the sums
/// of the metrics stay on the device; a step moves only the batch.
pub struct Trainer {
    model: Model,
    optimizer: Optimizer,
    /// The loss of each output and its weight in their sum.
    losses: Vec<(Loss, f32)>,
    metric_sums: MetricSums,
    precision: Precision,
    engine: Engine,
    seed: u64,
    step: u64,
    /// The factor of the learning rate.
    rate_factor: f64,
    /// True if each epoch has an order of its own; none, if that was not said.
    shuffle: Option<bool>,
    /// For each output, true if a mask arrives at it; none, before that was asked for.
    masked: Option<Vec<bool>>,
    /// The place at which `fit` goes on.
    progress: Option<FitProgress>,
    /// A reading of the metrics that is under way.
    pending: Option<Ticket>,
    latest: Metrics,
    /// The connection to the ranks that train together.
    ranks: Option<Ranks>,
}

/// The tensors of a training step besides its batch.
struct StepKeys {
    random: HostTensor,
    params: HostTensor,
}

impl StepKeys {
    fn inputs(&self) -> StepInputs<'_> {
        let (random, params) = (Some(&self.random), Some(&self.params));
        StepInputs { random, params, ..StepInputs::default() }
    }
}

impl Trainer {
    /// Creates a trainer of `model` on `device`, in single precision and with the binary
    /// cross-entropy as the loss of each output. `seed` decides the order of the examples and the
    /// elements that dropout drops. Nothing is compiled before the first batch.
    pub fn new(model: Model, device: &dyn Device, optimizer: Optimizer, seed: u64) -> Self {
        let losses = vec![(Loss::default(), 1.0); model.outputs().len()];
        Self {
            model,
            optimizer,
            losses,
            metric_sums: Loss::default().metric_sums(),
            precision: Precision::F32,
            engine: Engine::new(device.session()),
            seed,
            step: 0,
            rate_factor: 1.0,
            shuffle: None,
            masked: None,
            progress: None,
            pending: None,
            latest: Metrics::default(),
            ranks: None,
        }
    }

    /// Sets `loss` as the loss of every output, with the weight 1, and the metrics that belong to
    /// it. The default is the binary cross-entropy.
    pub fn loss(self, loss: Loss) -> Self {
        let losses = vec![(loss, 1.0); self.losses.len()];
        self.losses(losses)
    }

    /// Sets the loss of each output, in order, and its weight in the sum that training minimizes.
    /// Metrics other than that sum are of the first output. If there is not one loss for each
    /// output, the first batch fails.
    pub fn losses(mut self, losses: impl Into<Vec<(Loss, f32)>>) -> Self {
        self.losses = losses.into();
        self.metric_sums =
            self.losses.first().map_or(self.metric_sums, |(loss, _)| loss.metric_sums());
        self
    }

    /// Sets the kind of sums that metrics are computed from, which otherwise is that of the first
    /// loss; with [`MetricSums::Regression`] there is the loss alone. A later [`Trainer::loss`] or
    /// [`Trainer::losses`] replaces it.
    pub fn metric_sums(mut self, metric_sums: MetricSums) -> Self {
        self.metric_sums = metric_sums;
        self
    }

    /// Sets the precision; the default is [`Precision::F32`]. On a device without half precision,
    /// the first step in [`Precision::Mixed`] fails if the model has tensors of half precision.
    pub fn precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// Queues one training step without waiting for it. With other ranks, `batch` is this rank's
    /// part of the batch; the parts, which may be empty, are in the order of ranks.
    ///
    /// # Errors
    /// Fails if the batch does not fit the model and its losses, a token or class is out of range,
    /// or the device fails.
    pub fn train_batch(&mut self, batch: &Batch) -> Result<(), TrainError> {
        if self.ranks.is_some() {
            self.train_part(batch)?;
        } else {
            let keys = self.step_keys(0)?;
            self.queue(batch, Mode::Train, &keys.inputs())?;
        }
        self.step += 1;
        Ok(())
    }

    /// The key of the next step's random numbers, and the optimizer's parameters. `first` is the
    /// number of the batch's first row.
    fn step_keys(&self, first: u32) -> Result<StepKeys, TrainError> {
        let random = [self.seed as u32, (self.seed >> 32) as u32, self.step as u32, first];
        let params = self.optimizer.step_params(self.step + 1, self.rate_factor);
        Ok(StepKeys {
            random: HostTensor::from_u32([4], random.to_vec())?,
            params: HostTensor::from_f32([StepParams::LEN], params.to_array().to_vec())?,
        })
    }

    /// Adds the metrics of one batch to the sums, without waiting for it or changing weights. With
    /// other ranks, `batch` is this rank's part, as in [`Trainer::train_batch`].
    ///
    /// # Errors
    /// Fails as [`Trainer::train_batch`].
    pub fn evaluate_batch(&mut self, batch: &Batch) -> Result<(), TrainError> {
        if self.ranks.is_none() {
            return self.queue(batch, Mode::Evaluate, &StepInputs::default());
        }
        let valid = self.valid_steps(batch, None)?;
        if examples(&batch.inputs) == 0 {
            return Ok(());
        }
        let valid_steps = valid.iter().collect();
        let more = StepInputs { valid_steps, ..StepInputs::default() };
        self.queue(batch, Mode::EvaluateShare, &more)
    }

    /// Queues a step on a batch, given the tensors that it takes besides.
    fn queue(
        &mut self,
        batch: &Batch,
        mode: Mode,
        more: &StepInputs<'_>,
    ) -> Result<(), TrainError> {
        let program = self.program(&batch.inputs, mode, !batch.weights.is_empty())?;
        self.with_batch(batch, more, |engine, given| engine.run(&program, given))
    }

    /// Does something with the tensors of a batch, and more.
    fn with_batch<T>(
        &mut self,
        batch: &Batch,
        more: &StepInputs<'_>,
        work: impl FnOnce(&mut Engine, &StepInputs<'_>) -> Result<T, TrainError>,
    ) -> Result<T, TrainError> {
        let (labels, weights) = (self.labels(batch)?, self.weights(batch)?);
        let given = StepInputs {
            model: batch.inputs.iter().collect(),
            labels: labels.iter().map(|labels| &**labels).collect(),
            weights: weights.iter().collect(),
            ..more.clone()
        };
        work(&mut self.engine, &given)
    }

    /// Returns the outputs `[B, ..]` for a batch, in the order of [`Model::output_names`]. `inputs`
    /// has an array `[B, ..]` for each input. The call waits for the device.
    ///
    /// # Errors
    /// Fails if the arrays do not fit the model, a token is beyond the vocabulary, or the device
    /// fails.
    pub fn predict_batch(&mut self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>, TrainError> {
        let program = self.program(inputs, Mode::Predict, false)?;
        let given = StepInputs { model: inputs.iter().collect(), ..StepInputs::default() };
        self.engine.outputs(&program, &given)
    }

    /// Sets the states that stateful layers keep between batches to zeros.
    ///
    /// # Errors
    /// Fails if the device fails.
    pub fn reset_states(&mut self) -> Result<(), TrainError> {
        self.engine.reset_states()
    }

    /// Waits for all queued steps, returns their metrics since the last call, and resets the sums.
    /// With other ranks the metrics of [`Trainer::evaluate_batch`] are those of this rank's parts.
    ///
    /// # Errors
    /// Fails if the device fails.
    pub fn take_metrics(&mut self) -> Result<Metrics, TrainError> {
        let sums = self.take_sums()?;
        self.metrics(sums)
    }

    pub(crate) fn metrics(&self, sums: Option<HostTensor>) -> Result<Metrics, TrainError> {
        let metrics = sums.map(|sums| Metrics::from_sums(&sums, self.metric_sums)).transpose()?;
        Ok(metrics.unwrap_or_default())
    }

    pub(crate) fn take_sums(&mut self) -> Result<Option<HostTensor>, TrainError> {
        self.forget_pending()?;
        self.engine.take(&Resident::Metrics)
    }

    /// Waits for a reading of the metrics that is under way, and forgets it.
    fn forget_pending(&mut self) -> Result<(), TrainError> {
        if let Some(ticket) = self.pending.take() {
            self.engine.session().wait_read(ticket)?;
        }
        self.latest = Metrics::default();
        Ok(())
    }

    /// Returns the number of training steps done, including those before a state was restored.
    pub fn steps_done(&self) -> u64 {
        self.step
    }

    /// Returns the factor by which the learning rate is multiplied, which is 1 at first.
    pub fn rate_factor(&self) -> f64 {
        self.rate_factor
    }

    /// Sets the factor by which the learning rate is multiplied from the next step on.
    pub fn set_rate_factor(&mut self, factor: f64) {
        self.rate_factor = factor;
    }

    /// Replaces all weights by `values`, which lie as in [`Model::parameters`].
    ///
    /// # Errors
    /// Fails if the device fails.
    ///
    /// # Panics
    /// Panics if there are fewer or more values than there, unless the device fails first.
    pub fn set_parameters(&mut self, values: &[f32]) -> Result<(), TrainError> {
        let tensor = HostTensor::from_f32([values.len()], values.to_vec())?;
        if self.engine.has(&Resident::Parameters) {
            self.engine.write(Resident::Parameters, tensor)?;
        }
        self.model.set_parameters(values);
        Ok(())
    }

    /// Returns the metrics over all examples, in batches of `batch_size` over all ranks, where 0
    /// acts as 1. Weights do not change.
    ///
    /// # Errors
    /// Fails with [`TrainError::Empty`] if there are no examples, and if examples cannot be read or
    /// do not fit the model, or the device fails.
    pub fn evaluate(&mut self, set: &Dataset, batch_size: usize) -> Result<Metrics, TrainError> {
        let measured = self.evaluate_while(set, batch_size, &mut |_, _| Ok(true))?;
        measured.ok_or(TrainError::Empty)
    }

    /// Evaluates until `goes_on`, which is told the number of batches queued, returns false. With
    /// other ranks it must return true.
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

    /// Returns the outputs for all N examples, f32 `[N, ..]`, in the order of
    /// [`Model::output_names`]. A `batch_size` of 0 acts as 1. Without examples the arrays have no
    /// rows.
    ///
    /// # Errors
    /// Fails if the examples cannot be read or do not fit the model, or the device fails.
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

    /// Returns the model with the weights after all queued steps. A change of them in it reaches
    /// the device before the first batch alone; [`Trainer::set_parameters`] does so at any time.
    ///
    /// # Errors
    /// Fails if the device fails.
    pub fn model(&mut self) -> Result<&mut Model, TrainError> {
        if self.engine.has(&Resident::Parameters) {
            let values = self.engine.read(&Resident::Parameters)?;
            self.model.set_parameters(values.as_f32()?);
        }
        Ok(&mut self.model)
    }

    /// Makes the device measure the time of every op from now on; earlier times are dropped.
    pub fn enable_profile(&mut self) {
        self.engine.session().enable_profile();
    }

    /// Returns the time that each op took since [`Trainer::enable_profile`].
    ///
    /// # Errors
    /// Fails if the device cannot measure time, or fails.
    pub fn profile(&mut self) -> Result<Profile, TrainError> {
        Ok(self.engine.session().profile()?)
    }

    /// The latest metrics that have arrived; asks for the next ones without waiting.
    pub(crate) fn poll_metrics(&mut self) -> Result<Metrics, TrainError> {
        match self.pending {
            None => self.pending = Some(self.engine.start_read(&Resident::Metrics)?),
            Some(ticket) => {
                if let Some(sums) = self.engine.session().poll_read(ticket)? {
                    self.latest = Metrics::from_sums(&sums, self.metric_sums)?;
                    self.pending = None;
                }
            }
        }
        Ok(self.latest)
    }

    /// A trainer of the model with its first weights, on a device.
    pub(crate) fn twin(&self, device: &dyn Device) -> Self {
        let mut twin = Self::new(self.model.clone(), device, self.optimizer, self.seed);
        twin.shuffle = self.shuffle;
        twin.losses(self.losses.clone()).metric_sums(self.metric_sums).precision(self.precision)
    }

    pub(crate) fn step_builder(&self) -> StepBuilder<'_> {
        let Self { model, losses, metric_sums, optimizer, precision, .. } = self;
        let (metric_sums, precision) = (*metric_sums, *precision);
        StepBuilder { model, losses, metric_sums, optimizer, precision }
    }
}
