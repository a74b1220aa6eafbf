use crate::batch::loss_axes;
use rnn_graph::{Graph, GraphError, Op, Storage, TensorId, TensorType};
use rnn_ops::{
    self as ops, Activate, Activation, Binary, CategoricalCrossEntropy, Ctc, ElementLoss, Fill,
    HingeLabels, LogOdds, LogSoftmax, MetricSums, OneHot, RowLoss, RowLosses, Scale, SumRows,
    TransposeLeading,
};

/// The function of predictions and labels that training minimizes, with Keras's names and
/// definitions (keras/src/losses/losses.py). An output is `[B, .., C]`. A loss is the mean over all
/// axes, or over all but C in those of rows: the categorical ones, [`Loss::KLDivergence`] and
/// [`Loss::CosineSimilarity`]. Weights and masks act on the losses of `[B, ..]`. The labels have the
/// output's shape, unless another is named. [`ElementLoss`] and [`RowLoss`] have the equations.
///
/// A cross-entropy of an output that ends in a sigmoid or softmax is computed from what goes into
/// that. Other probabilities are clipped by 1e-7, as in Keras.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loss {
    /// The binary cross-entropy of probabilities or logits and labels from 0 to 1.
    BinaryCrossentropy(Crossentropy),
    /// The categorical cross-entropy of probabilities or logits of C classes and labels that are
    /// probabilities, `[B, C]`, or `[B, T, C]` for sequences.
    CategoricalCrossentropy(Crossentropy),
    /// The categorical cross-entropy for labels that are classes, u32 `[B]`, or `[B, T]` for
    /// sequences.
    SparseCategoricalCrossentropy {
        /// True if the model outputs logits; false if it outputs probabilities.
        from_logits: bool,
    },
    /// The binary cross-entropy, in which what is predicted well counts less.
    BinaryFocalCrossentropy {
        /// The options of the cross-entropy.
        of: Crossentropy,
        /// The exponent of the probability that was missed, at least 0; Keras's default is 2.
        gamma: f32,
        /// The weight of the positive class, from 0 to 1; Keras's default is 0.25.
        alpha: f32,
        /// True if the classes are weighted by `alpha`; Keras's default is false.
        apply_class_balancing: bool,
    },
    /// The categorical cross-entropy, in which what is predicted well counts less.
    CategoricalFocalCrossentropy {
        /// The options of the cross-entropy.
        of: Crossentropy,
        /// The exponent of the probability that was missed, at least 0; Keras's default is 2.
        gamma: f32,
        /// A factor of the loss, at least 0; Keras's default is 0.25.
        alpha: f32,
    },
    /// The mean of the squared errors.
    MeanSquaredError,
    /// The mean of the absolute errors.
    MeanAbsoluteError,
    /// The mean of the absolute errors in percent of the labels.
    MeanAbsolutePercentageError,
    /// The mean of the squared differences of the logarithms of 1 + prediction and 1 + label.
    MeanSquaredLogarithmicError,
    /// The mean of the logarithms of the hyperbolic cosines of the errors.
    LogCosh,
    /// The mean of prediction - label log(prediction), for counts.
    Poisson,
    /// The mean of max(1 - prediction label, 0), for labels -1 and 1. A batch of labels that are all
    /// 0 or 1 is taken as such.
    Hinge,
    /// The mean of max(1 - prediction label, 0)^2, for labels as in [`Loss::Hinge`].
    SquaredHinge,
    /// The hinge loss of the class and the best of the others, for one-hot labels `[.., C]`.
    CategoricalHinge,
    /// The Kullback-Leibler divergence of the predicted from the labelled distributions `[.., C]`.
    KLDivergence,
    /// The negative cosine of the angle between predictions and labels `[.., C]`.
    CosineSimilarity,
    /// Connectionist temporal classification of logits `[B, T, C]`, in which class 0 is the blank.
    /// The labels are classes, u32 `[B, T]`, padded by 0; fewer steps of labels may be given. The loss
    /// is the mean over the examples. There is no mask.
    Ctc,
    /// One minus the Dice coefficient of the predictions and labels of the whole batch, from 0 to 1.
    Dice,
    /// One minus the Tversky index of the predictions and labels of the whole batch, from 0 to 1.
    Tversky {
        /// The weight of what is labelled and not predicted, at least 0; Keras's default is 0.5.
        alpha: f32,
        /// The weight of what is predicted and not labelled, at least 0; Keras's default is 0.5.
        beta: f32,
    },
    /// The mean over all errors e of h(e), where h(e) = e^2 / 2 if |e| <= `delta`, else `delta`
    /// (|e| - `delta` / 2). The labels have the output's shape.
    Huber {
        /// The size of an error from which on the loss is linear; Keras's default is 1.
        delta: f32,
    },
    /// The mean pinball loss, whose smallest value a quantile has: of an error e = y - x it is
    /// `quantile` e if e >= 0, else (`quantile` - 1) e. The labels have the output's shape. Keras
    /// has no such loss.
    Pinball {
        /// The quantile, from 0 to 1; 0.5 is the median.
        quantile: f32,
    },
}

/// The options of a binary or categorical cross-entropy, with Keras's names and defaults.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Crossentropy {
    /// True if the model outputs logits; false, the default, if it outputs probabilities.
    pub from_logits: bool,
    /// The label smoothing s in 0..=1, 0 by default: a label y becomes y (1 - s) + s / C, where C
    /// is the number of classes, 2 for sigmoid units.
    pub label_smoothing: f32,
}

impl Default for Loss {
    fn default() -> Self {
        Self::binary_crossentropy()
    }
}

/// The tensors of a loss in a graph, as [`Loss::forward`] returns them.
#[derive(Clone, Copy, Debug)]
pub struct LossOutputs {
    /// The predictions that metrics compare with the labels, `[rows, C]`: logits, if the loss is of
    /// two classes.
    pub predictions: TensorId,
    /// The labels without smoothing, `[rows, C]`; classes are one-hot. Those of [`Loss::Ctc`] cannot
    /// be compared step by step; the predictions stand for them.
    pub labels: TensorId,
    /// The loss, `[1]`.
    pub loss: TensorId,
}

impl Loss {
    /// Returns the cross-entropy between labels 0 and 1, `[..]`, and the probabilities `[..]` that
    /// sigmoid units output, without label smoothing.
    pub fn binary_crossentropy() -> Self {
        Self::BinaryCrossentropy(Crossentropy::default())
    }

    /// Returns the cross-entropy between labels that are probabilities, `[.., C]`, and the
    /// probabilities `[.., C]` that a softmax outputs, without label smoothing.
    pub fn categorical_crossentropy() -> Self {
        Self::CategoricalCrossentropy(Crossentropy::default())
    }

    /// Returns the cross-entropy between labels that are classes, u32 `[..]`, and the probabilities
    /// `[.., C]` that a softmax outputs.
    pub fn sparse_categorical_crossentropy() -> Self {
        Self::SparseCategoricalCrossentropy { from_logits: false }
    }

    /// The options of a cross-entropy.
    fn crossentropy(&self) -> Option<Crossentropy> {
        match *self {
            Self::BinaryCrossentropy(of)
            | Self::CategoricalCrossentropy(of)
            | Self::BinaryFocalCrossentropy { of, .. }
            | Self::CategoricalFocalCrossentropy { of, .. } => Some(of),
            Self::SparseCategoricalCrossentropy { from_logits } => {
                Some(Crossentropy { from_logits, label_smoothing: 0.0 })
            }
            _ => None,
        }
    }

    /// Returns true if the loss takes logits instead of probabilities. It is false for losses that
    /// are no cross-entropies.
    pub fn from_logits(&self) -> bool {
        self.crossentropy().is_some_and(|of| of.from_logits)
    }

    /// Returns true if the labels are of two classes, 0 and 1, for each prediction by itself.
    pub fn is_binary(&self) -> bool {
        matches!(self, Self::BinaryCrossentropy(_) | Self::BinaryFocalCrossentropy { .. })
    }

    /// Returns the axes of the losses of an output `[B, .., C]`: `[B, ..]`, or `[B]` if an example has
    /// a loss as a whole.
    pub(crate) fn axes<'a>(&self, output: &'a [usize]) -> &'a [usize] {
        match self {
            Self::Ctc => &output[..output.len().min(1)],
            _ => loss_axes(output),
        }
    }

    /// Returns the number of losses of an output of these axes, and the number of predictions for
    /// each.
    pub(crate) fn rows(&self, output: &[usize]) -> [usize; 2] {
        let axes = self.axes(output);
        [axes.iter().product(), output[axes.len()..].iter().product()]
    }

    /// Returns true if the labels are numbers of classes.
    pub fn takes_classes(&self) -> bool {
        matches!(self, Self::SparseCategoricalCrossentropy { .. } | Self::Ctc)
    }

    /// Returns the type of the labels of a batch for a model's output of type `output`, `[B, ..,
    /// C]`. For the sparse categorical cross-entropy and [`Loss::Ctc`] it is classes, u32 `[B, ..]`;
    /// for every other loss it is `output` itself.
    pub fn labels(&self, output: &TensorType) -> TensorType {
        match self.takes_classes() {
            true => TensorType::u32(loss_axes(output.dims())),
            false => output.clone(),
        }
    }

    /// Returns the kind of sums from which the metrics of this loss are computed.
    pub fn metric_sums(&self) -> MetricSums {
        match self {
            of if of.is_binary() => MetricSums::Binary,
            Self::CategoricalCrossentropy(_)
            | Self::SparseCategoricalCrossentropy { .. }
            | Self::CategoricalFocalCrossentropy { .. }
            | Self::CategoricalHinge
            | Self::KLDivergence => MetricSums::Categorical,
            _ => MetricSums::Regression,
        }
    }

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
