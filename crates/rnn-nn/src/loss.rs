use rnn_graph::{Graph, GraphError, Op, Storage, TensorId, TensorType};
use rnn_ops::{
    self as ops, Activate, Activation, Binary, CategoricalCrossEntropy, ElementLoss, Fill,
    MetricSums, OneHot, Scale, SumRows, TransposeLeading,
};

/// The function of predictions and labels that training minimizes, with Keras's names and
/// definitions (keras/src/losses/losses.py). An output is `[B, .., C]`. A loss is the mean over all
/// axes, or over all but C in the categorical ones; weights and masks act on the losses of `[B,
/// ..]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loss {
    /// The binary cross-entropy, for an output that ends in a sigmoid. The labels are 0 or 1 and
    /// have the output's shape.
    BinaryCrossentropy(Crossentropy),
    /// The categorical cross-entropy, for an output that ends in a softmax over C. The labels are
    /// probabilities of the output's shape, `[B, C]`, or `[B, T, C]` for sequences.
    CategoricalCrossentropy(Crossentropy),
    /// The categorical cross-entropy for labels that are classes, u32 `[B]`, or `[B, T]` for
    /// sequences. The output ends in a softmax.
    SparseCategoricalCrossentropy {
        /// True if the model outputs logits; false if it ends in a softmax.
        from_logits: bool,
    },
    /// The mean of the squared errors. The labels have the output's shape.
    MeanSquaredError,
    /// The mean of the absolute errors. The labels have the output's shape.
    MeanAbsoluteError,
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
    /// True if the model outputs logits; false, the default, if it ends in a sigmoid or softmax.
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
    /// The predictions that metrics compare with the labels, `[rows, C]`: the logits, if the output
    /// ends in a sigmoid or softmax.
    pub predictions: TensorId,
    /// The labels without smoothing, `[rows, C]`; classes are one-hot.
    pub labels: TensorId,
    /// The loss, `[1]`.
    pub loss: TensorId,
}

/// The number of losses of an output of these axes, and the number of predictions for each: an
/// example, or each of its steps, has a loss of its own, which Keras averages over the last axis.
pub(crate) fn rows(output: &[usize]) -> [usize; 2] {
    match output {
        [_, .., width] => [output[..output.len() - 1].iter().product(), *width],
        _ => [output.iter().product(), 1],
    }
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

    /// Returns true if the loss takes logits instead of probabilities. It is false for losses that
    /// are no cross-entropies.
    pub fn from_logits(&self) -> bool {
        match self {
            Self::BinaryCrossentropy(of) | Self::CategoricalCrossentropy(of) => of.from_logits,
            Self::SparseCategoricalCrossentropy { from_logits } => *from_logits,
            _ => false,
        }
    }

    /// Returns the type of the labels of a batch for a model's output of type `output`, `[B, ..,
    /// C]`. For the sparse categorical cross-entropy it is classes, u32 `[B, ..]`; for every other
    /// loss it is `output` itself.
    pub fn labels(&self, output: &TensorType) -> TensorType {
        match self {
            Self::SparseCategoricalCrossentropy { .. } => {
                let axes = output.dims();
                TensorType::u32(&axes[..axes.len().saturating_sub(1)])
            }
            _ => output.clone(),
        }
    }

    /// Returns the kind of sums from which the metrics of this loss are computed.
    pub fn metric_sums(&self) -> MetricSums {
        match self {
            Self::BinaryCrossentropy(_) => MetricSums::Binary,
            Self::CategoricalCrossentropy(_) | Self::SparseCategoricalCrossentropy { .. } => {
                MetricSums::Categorical
            }
            _ => MetricSums::Regression,
        }
    }

    /// Adds the loss of `output`, `[B, .., C]`, to a graph. `labels` are of the type of
    /// [`Loss::labels`]. The loss is the mean over the rows, the elements of `[B, ..]`, each of
    /// which is multiplied by its weight in `weights`, f32 `[rows]`, if given. Returns `None` if
    /// the output does not end in the sigmoid or softmax that the loss takes.
    ///
    /// # Errors
    /// Fails if the shapes of the operands do not fit.
    pub fn forward(
        &self,
        g: &mut Graph,
        output: TensorId,
        labels: TensorId,
        weights: Option<TensorId>,
    ) -> Result<Option<LossOutputs>, GraphError> {
        let rows = rows(g.shape(output).dims());
        let of = match *self {
            Self::BinaryCrossentropy(_) => ElementLoss::BinaryCrossEntropy,
            Self::MeanSquaredError => ElementLoss::SquaredError,
            Self::MeanAbsoluteError => ElementLoss::AbsoluteError,
            Self::Huber { delta } => ElementLoss::Huber { delta },
            Self::Pinball { quantile } => ElementLoss::Pinball { quantile },
            Self::CategoricalCrossentropy(_) | Self::SparseCategoricalCrossentropy { .. } => {
                return self.push_categorical(g, output, labels, weights);
            }
        };
        let sigmoid = |a: &Activate| a.0 == Activation::Sigmoid;
        let predictions = match of {
            ElementLoss::BinaryCrossEntropy if !self.from_logits() => logits(g, output, &sigmoid)?,
            _ => Some(output),
        };
        let Some(predictions) = predictions else { return Ok(None) };
        let [predictions, labels] = [g.reshape(predictions, rows)?, g.reshape(labels, rows)?];
        let mut operands = vec![predictions, self.smooth(g, labels, 2)?];
        operands.extend(weights);
        let loss = g.apply(ops::Loss { of, weighted: weights.is_some() }, &operands)?;
        Ok(Some(LossOutputs { predictions, labels, loss }))
    }

    fn push_categorical(
        &self,
        g: &mut Graph,
        output: TensorId,
        labels: TensorId,
        weights: Option<TensorId>,
    ) -> Result<Option<LossOutputs>, GraphError> {
        let predictions = match self.from_logits() {
            true => Some(output),
            false => logits(g, output, &|_: &ops::Softmax| true)?,
        };
        let Some(predictions) = predictions else { return Ok(None) };
        let [rows, classes] = rows(g.shape(output).dims());
        let predictions = g.reshape(predictions, [rows, classes])?;
        let labels = match self {
            Self::SparseCategoricalCrossentropy { .. } => {
                let labels = g.reshape(labels, [rows])?;
                g.apply(OneHot { classes }, &[labels])?
            }
            _ => g.reshape(labels, [rows, classes])?,
        };
        let smooth = self.smooth(g, labels, classes)?;
        let mut losses = g.apply(CategoricalCrossEntropy, &[predictions, smooth])?;
        if let Some(weights) = weights {
            losses = g.apply(Binary::Mul, &[losses, weights])?;
        }
        let column = g.reshape(losses, [rows, 1])?;
        let sum = g.apply(SumRows, &[column])?;
        let loss = g.apply(Scale(1.0 / rows as f32), &[sum])?;
        Ok(Some(LossOutputs { predictions, labels, loss }))
    }
}

impl Loss {
    /// The labels as the loss takes them; metrics take them as they are.
    fn smooth(
        &self,
        g: &mut Graph,
        labels: TensorId,
        classes: usize,
    ) -> Result<TensorId, GraphError> {
        let smoothing = match self {
            Self::BinaryCrossentropy(of) | Self::CategoricalCrossentropy(of) => of.label_smoothing,
            _ => 0.0,
        };
        if smoothing == 0.0 {
            return Ok(labels);
        }
        let kept = g.apply(Scale(1.0 - smoothing), &[labels])?;
        let (shape, value) = (g.shape(labels).clone(), smoothing / classes as f32);
        let spread = g.apply(Fill { shape, value }, &[])?;
        g.apply(Binary::Add, &[kept, spread])
    }
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
