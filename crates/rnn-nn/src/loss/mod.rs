mod forward;

pub(crate) use forward::before_probability;

use crate::batch::loss_axes;
use rnn_graph::{TensorId, TensorType};
use rnn_ops::MetricSums;

/// The function of predictions and labels that training minimizes, with Keras's names and
/// definitions (keras/src/losses/losses.py). An output is `[B, .., C]`. A loss is the mean over all
/// axes, or over all but C in those of rows: the categorical ones, [`Loss::KLDivergence`] and
/// [`Loss::CosineSimilarity`]. Weights and masks act on the losses of `[B, ..]`. The labels have the
/// output's shape, unless another is named. [`ElementLoss`](rnn_ops::ElementLoss) and
/// [`RowLoss`](rnn_ops::RowLoss) have the equations.
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
}
