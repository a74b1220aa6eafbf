//! The ops of a loss.

use super::{Loss, LossOutputs};
use rnn_graph::{Graph, GraphError, Op, Storage, TensorId};
use rnn_ops::{
    self as ops, Activate, Activation, Binary, CategoricalCrossEntropy, Ctc, ElementLoss, Fill,
    HingeLabels, LogOdds, LogSoftmax, OneHot, RowLoss, RowLosses, Scale, SumRows, TransposeLeading,
};

impl Loss {
    /// Adds the loss of `output`, `[B, .., C]`, to a graph. `labels` are of the type of
    /// [`Loss::labels`]. The loss is the mean over the rows, the elements of `[B, ..]`, each of
    /// which is multiplied by its weight in `weights`, f32 `[rows]`, if given.
    ///
    /// # Errors
    /// Fails if the shapes of the operands do not fit.
    pub fn forward(
        &self,
        g: &mut Graph,
        output: TensorId,
        labels: TensorId,
        weights: Option<TensorId>,
    ) -> Result<LossOutputs, GraphError> {
        if *self == Self::Ctc {
            let log_probabilities = g.apply(LogSoftmax, &[output])?;
            let losses = g.apply(Ctc, &[log_probabilities, labels])?;
            let loss = weighted_mean(g, losses, weights)?;
            let predictions = g.reshape(output, self.rows(g.shape(output).dims()))?;
            return Ok(LossOutputs { predictions, labels: predictions, loss });
        }
        let [rows, classes] = self.rows(g.shape(output).dims());
        let labels = match self {
            Self::SparseCategoricalCrossentropy { .. } => {
                let labels = g.reshape(labels, [rows])?;
                g.apply(OneHot { classes }, &[labels])?
            }
            _ => g.reshape(labels, [rows, classes])?,
        };
        let end = self.end(g, output)?;
        let predictions = g.reshape(end.predictions, [rows, classes])?;
        let judged = match *self {
            Self::Hinge | Self::SquaredHinge => g.apply(HingeLabels, &[labels])?,
            _ => self.smooth(g, labels, if self.is_binary() { 2 } else { classes })?,
        };
        let loss = match end.function {
            Function::Element(of) => {
                let operands: Vec<TensorId> =
                    [Some(predictions), Some(judged), weights].into_iter().flatten().collect();
                g.apply(ops::Loss { of, weighted: weights.is_some() }, &operands)?
            }
            Function::Logits => {
                let losses = g.apply(CategoricalCrossEntropy, &[predictions, judged])?;
                weighted_mean(g, losses, weights)?
            }
            Function::Rows(of) => {
                let losses = g.apply(RowLosses(of), &[predictions, judged])?;
                weighted_mean(g, losses, weights)?
            }
            Function::Whole(of) => {
                let whole = [predictions, judged].map(|all| g.reshape(all, [1, rows * classes]));
                let [predictions, judged] = whole;
                let loss = g.apply(RowLosses(of), &[predictions?, judged?])?;
                match weights {
                    None => loss,
                    Some(weights) => {
                        let weight = weighted_mean(g, weights, None)?;
                        g.apply(Binary::Mul, &[loss, weight])?
                    }
                }
            }
        };
        let compared = match end.function {
            Function::Element(
                ElementLoss::BinaryCrossEntropyOfProbability
                | ElementLoss::BinaryFocalOfProbability { .. },
            ) => g.apply(LogOdds, &[predictions])?,
            _ => predictions,
        };
        Ok(LossOutputs { predictions: compared, labels, loss })
    }

    /// The function of the loss for an output that ends as this one does.
    fn end(&self, g: &mut Graph, output: TensorId) -> Result<End, GraphError> {
        let whole =
            |alpha, beta, epsilon| Function::Whole(RowLoss::Tversky { alpha, beta, epsilon });
        let function = match *self {
            Self::BinaryCrossentropy(_) | Self::BinaryFocalCrossentropy { .. } => {
                return self.binary_end(g, output);
            }
            Self::CategoricalCrossentropy(_) | Self::SparseCategoricalCrossentropy { .. } => {
                return self.categorical_end(g, output);
            }
            Self::CategoricalFocalCrossentropy { of, alpha, gamma } => {
                let function = Function::Rows(RowLoss::Focal { alpha, gamma });
                let predictions = match of.from_logits {
                    true => g.apply(ops::Softmax, &[output])?,
                    false => output,
                };
                return Ok(End { predictions, function });
            }
            Self::MeanSquaredError => Function::Element(ElementLoss::SquaredError),
            Self::MeanAbsoluteError => Function::Element(ElementLoss::AbsoluteError),
            Self::MeanAbsolutePercentageError => {
                Function::Element(ElementLoss::AbsolutePercentageError)
            }
            Self::MeanSquaredLogarithmicError => {
                Function::Element(ElementLoss::SquaredLogarithmicError)
            }
            Self::Huber { delta } => Function::Element(ElementLoss::Huber { delta }),
            Self::Pinball { quantile } => Function::Element(ElementLoss::Pinball { quantile }),
            Self::LogCosh => Function::Element(ElementLoss::LogCosh),
            Self::Poisson => Function::Element(ElementLoss::Poisson),
            Self::Hinge => Function::Element(ElementLoss::Hinge),
            Self::SquaredHinge => Function::Element(ElementLoss::SquaredHinge),
            Self::CategoricalHinge => Function::Rows(RowLoss::CategoricalHinge),
            Self::KLDivergence => Function::Rows(RowLoss::KullbackLeibler),
            Self::CosineSimilarity => Function::Rows(RowLoss::CosineSimilarity),
            Self::Ctc => Function::Logits,
            // Keras adds its epsilon to twice the denominator of a Tversky index.
            Self::Dice => whole(0.5, 0.5, 0.5e-7),
            Self::Tversky { alpha, beta } => whole(alpha, beta, 1e-7),
        };
        Ok(End { predictions: output, function })
    }

    fn binary_end(&self, g: &mut Graph, output: TensorId) -> Result<End, GraphError> {
        let logits = match self.from_logits() {
            true => Some(output),
            false => logits(g, output, &|a: &Activate| a.0 == Activation::Sigmoid)?,
        };
        let of = match (*self, logits) {
            (Self::BinaryFocalCrossentropy { gamma, alpha, apply_class_balancing, .. }, logits) => {
                let alpha = apply_class_balancing.then_some(alpha);
                match logits {
                    Some(_) => ElementLoss::BinaryFocal { gamma, alpha },
                    None => ElementLoss::BinaryFocalOfProbability { gamma, alpha },
                }
            }
            (_, Some(_)) => ElementLoss::BinaryCrossEntropy,
            (_, None) => ElementLoss::BinaryCrossEntropyOfProbability,
        };
        Ok(End { predictions: logits.unwrap_or(output), function: Function::Element(of) })
    }

    fn categorical_end(&self, g: &mut Graph, output: TensorId) -> Result<End, GraphError> {
        let logits = match self.from_logits() {
            true => Some(output),
            false => logits(g, output, &|_: &ops::Softmax| true)?,
        };
        let function = match (self, logits) {
            (_, Some(_)) => Function::Logits,
            (Self::SparseCategoricalCrossentropy { .. }, None) => {
                Function::Rows(RowLoss::SparseCrossEntropy)
            }
            _ => Function::Rows(RowLoss::CrossEntropy),
        };
        Ok(End { predictions: logits.unwrap_or(output), function })
    }

    /// The labels as the loss takes them; metrics take them as they are.
    fn smooth(
        &self,
        g: &mut Graph,
        labels: TensorId,
        classes: usize,
    ) -> Result<TensorId, GraphError> {
        let smoothing = self.crossentropy().map_or(0.0, |of| of.label_smoothing);
        if smoothing == 0.0 {
            return Ok(labels);
        }
        let kept = g.apply(Scale(1.0 - smoothing), &[labels])?;
        let (shape, value) = (g.shape(labels).clone(), smoothing / classes as f32);
        let spread = g.apply(Fill { shape, value }, &[])?;
        g.apply(Binary::Add, &[kept, spread])
    }
}

/// The end of a model as a loss takes it.
struct End {
    /// What the function is of: the output, or what goes into its last activation.
    predictions: TensorId,
    function: Function,
}

/// How a loss is computed.
#[derive(Clone, Copy)]
enum Function {
    /// The mean over all predictions.
    Element(ElementLoss),
    /// The mean over rows of the cross-entropy of logits.
    Logits,
    /// The mean over rows.
    Rows(RowLoss),
    /// One loss of all predictions.
    Whole(RowLoss),
}

/// The sum of losses `[rows]`, each times its weight, divided by their number.
fn weighted_mean(
    g: &mut Graph,
    mut losses: TensorId,
    weights: Option<TensorId>,
) -> Result<TensorId, GraphError> {
    let rows = g[losses].ty.len();
    if let Some(weights) = weights {
        losses = g.apply(Binary::Mul, &[losses, weights])?;
    }
    let column = g.reshape(losses, [rows, 1])?;
    let sum = g.apply(SumRows, &[column])?;
    g.apply(Scale(1.0 / rows as f32), &[sum])
}

/// The input of a final sigmoid or softmax, which is log-odds up to a constant; the output itself,
/// if it ends in neither.
pub(crate) fn before_probability(g: &mut Graph, output: TensorId) -> Result<TensorId, GraphError> {
    if let Some(logits) = logits(g, output, &|a: &Activate| a.0 == Activation::Sigmoid)? {
        return Ok(logits);
    }
    Ok(logits(g, output, &|_: &ops::Softmax| true)?.unwrap_or(output))
}

/// The input of the model's final activation, if that is the expected one, in the order of the
/// output: what only moves elements is done again without the activation.
fn logits<O: Op>(
    g: &mut Graph,
    output: TensorId,
    wanted: &impl Fn(&O) -> bool,
) -> Result<Option<TensorId>, GraphError> {
    if let Storage::View { base, offset } = g[output].storage {
        let shape = g.shape(output).clone();
        let base = logits(g, base, wanted)?;
        return base.map(|base| g.view(base, offset, shape)).transpose();
    }
    let Some(last) = g.producer(output) else { return Ok(None) };
    let input = last.operands.inputs.first().copied();
    if last.op.downcast().is_some_and(wanted) {
        return Ok(input);
    }
    match input {
        Some(input) if last.op.downcast::<TransposeLeading>().is_some() => {
            let before = logits(g, input, wanted)?;
            before.map(|before| g.apply(TransposeLeading, &[before])).transpose()
        }
        _ => Ok(None),
    }
}
