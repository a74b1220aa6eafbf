use rnn::nn::Loss;

/// A loss in words.
pub(super) fn words(loss: &Loss) -> &'static str {
    match loss {
        Loss::BinaryCrossentropy(_) => "binary cross-entropy",
        Loss::CategoricalCrossentropy(_) | Loss::SparseCategoricalCrossentropy { .. } => {
            "categorical cross-entropy"
        }
        Loss::BinaryFocalCrossentropy { .. } => "focal binary cross-entropy",
        Loss::CategoricalFocalCrossentropy { .. } => "focal categorical cross-entropy",
        Loss::MeanSquaredError => "mean squared error",
        Loss::MeanAbsoluteError => "mean absolute error",
        Loss::MeanAbsolutePercentageError => "mean absolute percentage error",
        Loss::MeanSquaredLogarithmicError => "mean squared logarithmic error",
        Loss::Huber { .. } => "Huber loss",
        Loss::Pinball { .. } => "pinball loss",
        Loss::LogCosh => "log cosh of the error",
        Loss::Poisson => "Poisson loss",
        Loss::Hinge => "hinge loss",
        Loss::SquaredHinge => "squared hinge loss",
        Loss::CategoricalHinge => "categorical hinge loss",
        Loss::KLDivergence => "Kullback-Leibler divergence",
        Loss::CosineSimilarity => "cosine similarity",
        Loss::Ctc => "connectionist temporal classification",
        Loss::Dice => "Dice loss",
        Loss::Tversky { .. } => "Tversky loss",
    }
}
