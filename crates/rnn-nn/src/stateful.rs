//! Layers that keep their states from batch to batch.

use crate::{Dataset, Model, Precision, TrainError, Trainer};
use rnn_graph::Graph;

/// How the residents are called in which layers keep their states.
pub(crate) const SUFFIX: &str = "/state";

impl Model {
    /// Whether a layer begins each batch with the state in which the batch before ended.
    ///
    /// # Errors
    /// If the layers do not fit together.
    pub fn is_stateful(&self) -> Result<bool, TrainError> {
        let mut g = Graph::new();
        let inputs = self.graph_inputs(&mut g, 1);
        self.forward(&mut g, &inputs, None, Precision::F32)?;
        let mut updated = g.nodes().iter().flat_map(|node| &node.operands.updates);
        Ok(updated.any(|&tensor| g[g.root(tensor).0].name.ends_with(SUFFIX)))
    }
}

impl Trainer {
    /// Whether [`Trainer::fit`] gives each epoch an order of its own. Without this method it does,
    /// but not if the model is stateful, where a row goes on from the same row of the batch before.
    pub fn shuffle(mut self, shuffle: bool) -> Self {
        self.shuffle = Some(shuffle);
        self
    }

    /// The examples to train on in the order of an epoch, from 1 on.
    pub(crate) fn ordered(&self, train: &Dataset, epoch: u64) -> Result<Dataset, TrainError> {
        let shuffle =
            self.shuffle.map_or_else(|| self.model.is_stateful().map(|kept| !kept), Ok)?;
        Ok(if shuffle { train.shuffled(self.seed, epoch) } else { train.clone() })
    }

    /// States are of as many rows as the first batch, and of no use to another.
    pub(crate) fn check_states(&self, graph: &Graph) -> Result<(), TrainError> {
        let kept = |name: &str| {
            let restored = self.restored.get(name).map(|tensor| tensor.shape());
            restored.or_else(|| self.residents.get(name).map(|ty| &ty.shape))
        };
        for (_, tensor) in graph.tensors().filter(|(_, tensor)| tensor.name.ends_with(SUFFIX)) {
            let rows = |axes: &[usize]| axes.get(1).copied().unwrap_or(0);
            match kept(&tensor.name) {
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
