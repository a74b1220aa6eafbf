use serde::{Deserialize, Serialize};

/// A part of the data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// What was trained on.
    Training,
    /// What was held back of that.
    Validation,
    /// What had no part in the training.
    #[default]
    Test,
}

impl Split {
    /// At the beginning of a heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Training => "Training",
            Self::Validation => "Validation",
            Self::Test => "Test",
        }
    }

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Training => "training",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}
