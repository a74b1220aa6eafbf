use serde::{Deserialize, Serialize};

/// A part of the data: to train on, to validate or to test. The default is `Test`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Examples that were trained on.
    Training,
    /// Examples that were held back during the training.
    Validation,
    /// Examples that the training never saw.
    #[default]
    Test,
}

impl Split {
    /// Returns the name of the part with a capital letter, for headings.
    pub fn title(self) -> &'static str {
        match self {
            Self::Training => "Training",
            Self::Validation => "Validation",
            Self::Test => "Test",
        }
    }

    /// Returns the name of the part in small letters, for text.
    pub fn name(self) -> &'static str {
        match self {
            Self::Training => "training",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}
