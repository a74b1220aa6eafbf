use super::step::Mode;
use super::step_inputs::{StepGraph, StepInput, StepInputs};
use crate::loss::before_probability;
use crate::{Model, TrainError, Trainer};
use rnn_core::HostTensor;
use rnn_graph::TensorId;
use rnn_ops::{Binary, Fill, Matmul, TransposeLeading};

/// Adds the forward pass and, for each token, gradient times input at the output of the embedding
/// layer; see [`Trainer::attribute_batch`].
pub(crate) fn push_attribution(
    model: &Model,
    step: &mut StepGraph,
    inputs: &[TensorId],
) -> Result<(), TrainError> {
    let g = &mut step.graph;
    let forward = model.forward_through_embedded(g, inputs)?;
    let &output = forward.outputs.first().ok_or(TrainError::NoOutput)?;
    let embedded = forward.embedded.ok_or(TrainError::NoEmbedding)?;
    let z = before_probability(g, output)?;
    let direction = g[z].ty.clone();
    let direction = step.input(StepInput::Direction, direction);
    let g = &mut step.graph;
    let gradients = rnn_ops::gradients(g, &[(z, direction)], &[embedded])?;
    let gradient = gradients[0].ok_or(TrainError::NoEmbedding)?;
    let product = g.apply(Binary::Mul, &[embedded, gradient])?;
    let axes = g.shape(embedded).dims().to_vec();
    let ones = g.apply(Fill { shape: [g.shape(embedded).last(), 1].into(), value: 1.0 }, &[])?;
    let sums = g.apply(Matmul::default(), &[product, ones])?;
    let sums = g.reshape(sums, &axes[..2])?;
    let contributions = g.apply(TransposeLeading, &[sums])?;
    g.output(output);
    g.output(contributions);
    Ok(())
}

impl Trainer {
    /// Returns the first output for a batch, `[B, ..]`, and the contribution of each token to it,
    /// `[B, T]`: gradient times input (Shrikumar et al., 2016, arXiv:1605.01713),
    ///
    /// ```text
    /// c(t) = sum over features f of dz / de(t, f) * e(t, f)
    /// ```
    ///
    /// where e is the output of the first Embedding layer, and z is the sum over the elements of
    /// the output, each multiplied by its weight in `direction`, which has the output's shape. If
    /// the output ends in a sigmoid or softmax, z is taken from the input of that activation:
    /// contributions are to log-odds. `inputs` has an array `[B, ..]` for each input.
    ///
    /// # Errors
    /// Fails with [`TrainError::NoOutput`] if the model has no output, with
    /// [`TrainError::NoEmbedding`] if its first output depends on no Embedding layer, and if the
    /// arrays do not fit the model or the device fails.
    pub fn attribute_batch(
        &mut self,
        inputs: &[HostTensor],
        direction: &HostTensor,
    ) -> Result<[HostTensor; 2], TrainError> {
        let program = self.program(inputs, Mode::Attribute, false)?;
        let model = inputs.iter().collect();
        let given = StepInputs { model, direction: Some(direction), ..StepInputs::default() };
        let found = self.engine.outputs(&program, &given)?;
        found.try_into().map_err(|_| TrainError::NoOutput)
    }
}
