//! Training by several processes, each of which has all of the model and a part of every batch.

use super::engine::StepProgram;
use super::step::{Mode, StepBuilder};
use super::step_inputs::{StepGraph, StepInput, StepInputs};
use crate::batch::examples;
use crate::dataset::fnv1a;
use crate::resident::Resident;
use crate::{Batch, Dataset, TrainError, Trainer};
use rnn_core::HostTensor;
use rnn_graph::{Binding, Graph, TensorId, TensorType};
use rnn_ops::{Assign, Binary, Fill, Pad, StepParams, UpdateMetricSums};
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

/// A connection between ranks: processes that train together, by MPI's name. All ranks must call
/// the same methods in the same order; each call returns after all ranks have made it. A lost
/// connection ends the process.
pub trait Communicator: fmt::Debug {
    /// Returns the number of this rank, from 0 on.
    fn rank(&self) -> usize;

    /// Returns the number of ranks.
    fn size(&self) -> usize;

    /// Returns the numbers that all ranks pass as `number`, in the order of ranks.
    fn all_gather(&self, number: u64) -> Vec<u64>;

    /// Replaces each element of `values` by its sum over all ranks, which pass as many elements.
    /// Elements are added in the order of ranks, so that all ranks, and every repetition, get the
    /// same bits.
    fn all_reduce(&self, values: &mut [f32]);
}

/// A trainer's connection to other ranks.
pub(crate) struct Ranks {
    communicator: Rc<dyn Communicator>,
    /// The program that ends a step, once it is built.
    update: Option<(StepProgram, Exchange)>,
}

/// The values that ranks exchange after a step, in one resident of each: gradients, in the places of
/// their weights, weights that layers have moved by themselves, and the weights of their moving
/// averages, of all of which the mean over all examples counts; then what is added to the sums of
/// the metrics.
#[derive(Clone, Debug)]
struct Exchange {
    /// Weights that layers move: which of the ranges, and their places.
    moved: Vec<(usize, usize)>,
    /// Weights of moving averages, by the names of their residents, and their places.
    debias: Vec<(Resident, usize)>,
    /// Where the means end and the sums begin.
    sums: usize,
    /// All elements.
    len: usize,
}

impl Exchange {
    fn of(step: &StepBuilder<'_>) -> Result<Self, TrainError> {
        let (mut g, forward) = step.model.example_graph(true, step.precision)?;
        let weights = forward.weights;
        let parameters = step.model.arena(&mut g);
        let updated = g.nodes().iter().flat_map(|node| &node.operands.updates);
        let updated: Vec<TensorId> = updated.copied().collect();
        let (mut moved, mut sums) = (vec![], step.model.trained());
        let mut debias: Vec<(Resident, usize)> = vec![];
        for tensor in updated.iter().filter(|&&tensor| g.root(tensor).0 != parameters) {
            let name = &g[*tensor].name;
            let resident @ Resident::DebiasWeight(_) = Resident::of_name(name) else {
                return Err(TrainError::Stateful(name.clone()));
            };
            if debias.iter().all(|(known, _)| *known != resident) {
                debias.push((resident, sums));
                sums += Binding::ALIGNMENT;
            }
        }
        for (index, (range, weight)) in step.model.weight_ranges().iter().zip(weights).enumerate() {
            if updated.contains(&weight) {
                moved.push((index, sums));
                sums += range.len().next_multiple_of(Binding::ALIGNMENT);
            }
        }
        Ok(Self { moved, debias, sums, len: sums + step.sums()? })
    }

    /// All that layers change by themselves, given the weights: its place and its tensor.
    fn changed(&self, g: &mut Graph, weights: &[TensorId]) -> Vec<(usize, TensorId)> {
        let weight = |name: &Resident| g.resident(&name.to_string(), TensorType::f32([1]));
        let debias: Vec<_> = self.debias.iter().map(|(name, _)| name).map(weight).collect();
        let places = self.debias.iter().map(|&(_, place)| place);
        let moved = self.moved.iter().map(|&(index, place)| (place, weights[index]));
        places.zip(debias).chain(moved).collect()
    }

    fn resident(&self, g: &mut Graph) -> TensorId {
        g.resident(&Resident::Exchange.to_string(), TensorType::f32([self.len]))
    }
}

impl StepBuilder<'_> {
    /// Adds the end of [`Mode::Share`]: the gradients and sums of this rank, in the tensor that
    /// ranks exchange.
    pub(crate) fn push_exchange(
        &self,
        g: &mut Graph,
        (update, loss, compared): (UpdateMetricSums, TensorId, &[TensorId]),
        weights: &[TensorId],
    ) -> Result<(), TrainError> {
        let exchange = Exchange::of(self)?;
        let shared = exchange.resident(g);
        self.push_gradients(g, loss, weights, shared)?;
        for (place, changed) in exchange.changed(g, weights) {
            let copy = Pad { offset: 0, full: g.shape(changed).clone() };
            let copy = g.apply(copy, &[changed])?;
            g.place(copy, shared, place);
        }
        let zeros = Fill { shape: [self.sums()?].into(), value: 0.0 };
        let sums = g.apply(zeros, &[])?;
        g.place(sums, shared, exchange.sums);
        g.push_node(Arc::new(update), compared, &[sums])?;
        Ok(())
    }

    /// The graph of the end of a step, which is the same on all ranks.
    fn update_graph(&self, exchange: &Exchange) -> Result<StepGraph, TrainError> {
        let mut step = StepGraph::default();
        let (shared, metrics) =
            (exchange.resident(&mut step.graph), self.metrics(&mut step.graph)?);
        let params = step.input(StepInput::Params, TensorType::f32([StepParams::LEN]));
        let g = &mut step.graph;
        let weights = self.model.weight_views(g)?;
        let gradients = g.view(shared, 0, [self.model.trained()])?;
        self.push_update(g, gradients, &weights, params)?;
        let changed = exchange.changed(g, &weights);
        let mut take = |place: usize, of: TensorId, add: bool| {
            let mut values = g.view(shared, place, g.shape(of).clone())?;
            if add {
                values = g.apply(Binary::Add, &[of, values])?;
            }
            g.push_node(Arc::new(Assign), &[values], &[of])
        };
        for &(place, of) in &changed {
            take(place, of, false)?;
        }
        take(exchange.sums, metrics, true)?;
        Ok(step)
    }
}

impl Trainer {
    /// Makes the trainer work together with the trainers of the other ranks of `communicator`,
    /// which must hold the same model and be given the same data. Each rank processes a part of
    /// every batch. After each step all ranks hold the same bits: the weights that one rank alone
    /// would have, but for rounding.
    ///
    /// Batch normalization differs: each rank normalizes by the statistics of its part, and the
    /// moving averages follow the mean of these. A layer that keeps its state between batches makes
    /// training fail with [`TrainError::Stateful`].
    pub fn distributed(mut self, communicator: Rc<dyn Communicator>) -> Self {
        self.ranks = Some(Ranks { communicator, update: None });
        self
    }

    /// Makes the trainer continue without the other ranks. It does nothing to a trainer without
    /// other ranks.
    pub fn leave(&mut self) {
        self.ranks = None;
    }

    /// A training step on this rank's part of a batch; the parts follow each other in the order of
    /// ranks, and may be empty.
    pub(crate) fn train_part(&mut self, batch: &Batch) -> Result<(), TrainError> {
        let Some(communicator) = self.communicator() else { return Ok(()) };
        let own = examples(&batch.inputs);
        let counts = communicator.all_gather(own as u64);
        let first: u64 = counts[..communicator.rank()].iter().sum();
        let total: u64 = counts.iter().sum();
        if total == 0 {
            return Err(TrainError::Empty);
        }
        let keys = self.step_keys(first as u32)?;
        let valid = self.valid_steps(batch, Some(&keys.random))?;
        let (update, exchange) = self.update()?;
        let mut values = vec![0.0; exchange.len];
        if own > 0 {
            let valid_steps = valid.iter().collect();
            let more = StepInputs { valid_steps, ..keys.inputs() };
            self.queue(batch, Mode::Share, &more)?;
            values.copy_from_slice(self.engine.read(&Resident::Exchange)?.as_f32()?);
            let weight = own as f32 / total as f32;
            values[..exchange.sums].iter_mut().for_each(|value| *value *= weight);
        }
        communicator.all_reduce(&mut values);
        let values = HostTensor::from_f32([exchange.len], values)?;
        self.engine.write(Resident::Exchange, values)?;
        self.engine.run(&update, &keys.inputs())
    }

    fn update(&mut self) -> Result<(StepProgram, Exchange), TrainError> {
        if let Some(Ranks { update: Some(update), .. }) = &self.ranks {
            return Ok(update.clone());
        }
        let exchange = Exchange::of(&self.step_builder())?;
        let graph = self.step_builder().update_graph(&exchange)?;
        let update = (self.compile(graph)?, exchange);
        if let Some(ranks) = &mut self.ranks {
            ranks.update = Some(update.clone());
        }
        Ok(update)
    }

    pub(crate) fn communicator(&self) -> Option<Rc<dyn Communicator>> {
        self.ranks.as_ref().map(|ranks| ranks.communicator.clone())
    }

    /// This rank's part of a dataset that all ranks process in batches of `batch` examples
    /// together, and the number of its examples in a batch.
    pub(crate) fn part(&self, set: &Dataset, batch: usize) -> (Dataset, usize) {
        match self.communicator() {
            None => (set.clone(), batch),
            Some(ranks) => {
                let most = batch.div_ceil(ranks.size());
                let first = most * ranks.rank();
                let own = most.min(batch.saturating_sub(first));
                (set.part(batch, first..first + own), own)
            }
        }
    }

    /// Returns true if the condition is true on one of the ranks.
    pub(crate) fn on_any_rank(&self, so: bool) -> bool {
        match self.communicator() {
            None => so,
            Some(ranks) => ranks.all_gather(u64::from(so)).contains(&1),
        }
    }

    /// The sums of the metrics over all ranks.
    pub(crate) fn all_sums(
        &self,
        own: Option<HostTensor>,
    ) -> Result<Option<HostTensor>, TrainError> {
        let Some(communicator) = self.communicator() else { return Ok(own) };
        let mut sums = match own {
            Some(own) => own.as_f32()?.to_vec(),
            None => vec![0.0; self.step_builder().sums()?],
        };
        communicator.all_reduce(&mut sums);
        Ok(Some(HostTensor::from_f32([sums.len()], sums)?))
    }

    /// Checks that all ranks hold the same state and are given the same numbers.
    ///
    /// # Errors
    /// Fails if they differ.
    pub(crate) fn check_ranks(&mut self, given: &[u64]) -> Result<(), TrainError> {
        let Some(communicator) = self.communicator() else { return Ok(()) };
        let state = self.state()?;
        let tensors = state.tensors.iter().flat_map(|(_, tensor)| tensor.as_bytes()).copied();
        let numbers = [self.seed, self.step].into_iter().chain(given.iter().copied());
        let numbers = numbers.flat_map(u64::to_le_bytes);
        let found = communicator.all_gather(fnv1a(numbers.chain(tensors)));
        match found.iter().position(|digest| *digest != found[0]) {
            Some(rank) => Err(TrainError::Apart { rank, step: self.step }),
            None => Ok(()),
        }
    }
}
