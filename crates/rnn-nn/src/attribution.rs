use crate::loss::before_probability;
use crate::{Model, TrainError};
use rnn_graph::{Graph, TensorId};
use rnn_ops::{Binary, Fill, Matmul, TransposeLeading};

/// Adds the forward pass and, for each token, gradient times input of what the embedding layer
/// puts out; see [`crate::Trainer::attribute_batch`]. The input `direction` comes last.
pub(crate) fn push_attribution(
    model: &Model,
    g: &mut Graph,
    inputs: &[TensorId],
) -> Result<(), TrainError> {
    let built = model.build_through_embedded(g, inputs)?;
    let &output = built.outputs.first().ok_or(TrainError::NoOutput)?;
    let embedded = built.embedded.ok_or(TrainError::NoEmbedding)?;
    let z = before_probability(g, output)?;
    let direction = g.input("direction", g[z].ty.clone());
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
