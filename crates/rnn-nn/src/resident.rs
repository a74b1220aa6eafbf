//! The tensors that a training keeps on its device from step to step.

use std::fmt;

/// A tensor that the programs of one training share.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Resident {
    /// All weights of the model, `[P]`.
    Parameters,
    /// The gradients of the weights that gradients move, `[P]`.
    Gradients,
    /// The means and sums that ranks exchange after a step.
    Exchange,
    /// The sums that metrics are computed from.
    Metrics,
    /// The loss scale of mixed precision, and the steps since it changed.
    LossScale,
    /// The values that the optimizer keeps under one name, one for each weight that gradients move.
    OptimizerSlot(usize),
    /// The state that the layer of this name keeps between batches.
    LayerState(String),
    /// The sum of the weights of the moving averages of the layer of this name.
    DebiasWeight(String),
    /// The numbers of the layer of this name that never change.
    Constants(String),
    /// A tensor that a layer from outside this crate keeps, by its name.
    Other(String),
}

impl Resident {
    const SLOT: &str = "slot_";
    const STATE: &str = "/state";
    const DEBIAS: &str = "/zero_debias";
    const CONSTANTS: &str = "/constants";

    /// Returns the resident that has this name in a graph or in the file of a state; any other name
    /// is [`Self::Other`].
    pub fn of_name(name: &str) -> Self {
        let slot = || name.strip_prefix(Self::SLOT)?.parse().ok().map(Self::OptimizerSlot);
        let layer = |suffix| name.strip_suffix(suffix).map(str::to_owned);
        match name {
            "parameters" => Self::Parameters,
            "gradients" => Self::Gradients,
            "shared" => Self::Exchange,
            "metrics" => Self::Metrics,
            "loss_scale" => Self::LossScale,
            _ => slot()
                .or_else(|| layer(Self::STATE).map(Self::LayerState))
                .or_else(|| layer(Self::DEBIAS).map(Self::DebiasWeight))
                .or_else(|| layer(Self::CONSTANTS).map(Self::Constants))
                .unwrap_or_else(|| Self::Other(name.to_owned())),
        }
    }

    /// Returns true if a step writes the resident before it reads it, or nothing ever changes it, so
    /// that it is no part of a training's state.
    pub fn is_scratch(&self) -> bool {
        matches!(self, Self::Gradients | Self::Exchange | Self::Constants(_))
    }
}

impl fmt::Display for Resident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parameters => f.write_str("parameters"),
            Self::Gradients => f.write_str("gradients"),
            Self::Exchange => f.write_str("shared"),
            Self::Metrics => f.write_str("metrics"),
            Self::LossScale => f.write_str("loss_scale"),
            Self::OptimizerSlot(slot) => write!(f, "{}{slot}", Self::SLOT),
            Self::LayerState(layer) => write!(f, "{layer}{}", Self::STATE),
            Self::DebiasWeight(layer) => write!(f, "{layer}{}", Self::DEBIAS),
            Self::Constants(layer) => write!(f, "{layer}{}", Self::CONSTANTS),
            Self::Other(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Resident;

    #[test]
    fn every_resident_is_found_by_its_name() {
        let layer = || "lstm_1".to_owned();
        for resident in [
            Resident::Parameters,
            Resident::Gradients,
            Resident::Exchange,
            Resident::Metrics,
            Resident::LossScale,
            Resident::OptimizerSlot(2),
            Resident::LayerState(layer()),
            Resident::DebiasWeight(layer()),
            Resident::Constants(layer()),
            Resident::Other("counter".into()),
        ] {
            assert_eq!(Resident::of_name(&resident.to_string()), resident);
        }
        assert_eq!(Resident::of_name("lstm/kernel"), Resident::Other("lstm/kernel".into()));
    }
}
