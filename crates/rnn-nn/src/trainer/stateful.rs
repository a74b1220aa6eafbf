//! Layers that keep their states from batch to batch.

use crate::resident::Resident;
use crate::{Dataset, Model, Precision, TrainError, Trainer};
use rnn_graph::Graph;

/// True for the name of a tensor in which a layer keeps its state.
fn is_state(name: &str) -> bool {
    matches!(Resident::of_name(name), Resident::LayerState(_))
}

impl Model {
    /// Returns true if a layer of the model keeps its state: each batch begins with the state in
    /// which the batch before ended.
    ///
    /// # Errors
    /// Fails if the layers do not fit together.
    pub fn is_stateful(&self) -> Result<bool, TrainError> {
        let (g, _) = self.example_graph(false, Precision::F32)?;
        let mut updated = g.nodes().iter().flat_map(|node| &node.operands.updates);
        Ok(updated.any(|&tensor| is_state(&g[g.root(tensor).0].name)))
    }
}

impl Trainer {
    /// Sets whether [`Trainer::fit`] shuffles the examples anew in each epoch (true) or takes them
    /// in their own order (false). The default is true, and false for a stateful model, in which
    /// each row of a batch continues the same row of the batch before.
    pub fn shuffle(mut self, shuffle: bool) -> Self {
        self.shuffle = Some(shuffle);
        self
    }

    /// The training examples in the order of an epoch, counted from 1.
    pub(crate) fn ordered(&self, train: &Dataset, epoch: u64) -> Result<Dataset, TrainError> {
        let shuffle =
            self.shuffle.map_or_else(|| self.model.is_stateful().map(|kept| !kept), Ok)?;
        Ok(if shuffle { train.shuffled(self.seed, epoch) } else { train.clone() })
    }

    /// Checks that the states in a graph have as many rows as those that are kept.
    pub(crate) fn check_states(&self, graph: &Graph) -> Result<(), TrainError> {
        for (_, tensor) in graph.tensors() {
            let name @ Resident::LayerState(_) = Resident::of_name(&tensor.name) else {
                continue;
            };
            let rows = |axes: &[usize]| axes.get(1).copied().unwrap_or(0);
            match self.engine.shape(&name) {
                Some(shape) if *shape != tensor.ty.shape => {
                    return Err(TrainError::StateRows {
                        name: tensor.name.clone(),
                        kept: rows(shape.dims()),
                        found: rows(tensor.ty.shape.dims()),
                    });
                }
                _ => {}
            }
        }
        Ok(())
    }
}
