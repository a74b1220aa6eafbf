//! The tensors that a step is given.

use rnn_core::HostTensor;
use rnn_graph::{Graph, TensorId, TensorType};
use std::fmt;

/// The role of an input of a step's graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StepInput {
    /// An input of the model, by number.
    Model(usize),
    /// The labels of an output.
    Labels(usize),
    /// The weight of each row of an output in its loss.
    Weights(usize),
    /// The key of the step's random numbers, u32 `[4]`.
    Random,
    /// The number that the sum of a masked output's losses is divided by, `[1]`.
    ValidSteps(usize),
    /// The optimizer's numbers, [`StepParams`](rnn_ops::StepParams).
    Params,
    /// The direction along which a prediction is attributed.
    Direction,
}

impl fmt::Display for StepInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Model(input) => write!(f, "inputs_{input}"),
            Self::Labels(output) => write!(f, "labels_{output}"),
            Self::Weights(output) => write!(f, "weights_{output}"),
            Self::Random => f.write_str("random"),
            Self::ValidSteps(output) => write!(f, "valid_{output}"),
            Self::Params => f.write_str("step"),
            Self::Direction => f.write_str("direction"),
        }
    }
}

/// The graph of a step with the roles of its inputs.
#[derive(Clone, Default)]
pub(crate) struct StepGraph {
    /// The graph.
    pub graph: Graph,
    /// The roles of its inputs, in the order in which the graph takes them.
    pub inputs: Vec<StepInput>,
}

impl StepGraph {
    /// Adds an input of this role and type to the graph and returns its tensor.
    pub fn input(&mut self, role: StepInput, ty: TensorType) -> TensorId {
        self.inputs.push(role);
        self.graph.input(role.to_string(), ty)
    }
}

/// Values for the inputs of a step; a step takes those that its graph has a role for.
#[derive(Clone, Default)]
pub(crate) struct StepInputs<'a> {
    /// The arrays of the inputs of the model.
    pub model: Vec<&'a HostTensor>,
    /// The labels of each output.
    pub labels: Vec<&'a HostTensor>,
    /// The weights of the rows of each output; empty if all rows count alike.
    pub weights: Vec<&'a HostTensor>,
    /// The key of the step's random numbers, u32 `[4]`; `None` if it draws none.
    pub random: Option<&'a HostTensor>,
    /// The value of [`StepInput::ValidSteps`] for each masked output, in order.
    pub valid_steps: Vec<&'a HostTensor>,
    /// The numbers of the optimizer's step; `None` if the step makes no update.
    pub params: Option<&'a HostTensor>,
    /// The direction along which a prediction is attributed; `None` for all other steps.
    pub direction: Option<&'a HostTensor>,
}

impl<'a> StepInputs<'a> {
    /// Returns the value for a role; `None` if it is not given.
    pub fn get(&self, role: StepInput) -> Option<&'a HostTensor> {
        match role {
            StepInput::Model(input) => self.model.get(input).copied(),
            StepInput::Labels(output) => self.labels.get(output).copied(),
            StepInput::Weights(output) => self.weights.get(output).copied(),
            StepInput::Random => self.random,
            StepInput::ValidSteps(masked) => self.valid_steps.get(masked).copied(),
            StepInput::Params => self.params,
            StepInput::Direction => self.direction,
        }
    }
}
