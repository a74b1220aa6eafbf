use serde::{Deserialize, Serialize};

/// A part of the data. The default is [`Split::Test`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Examples that are trained on.
    Training,
    /// Examples that are held out during the training and evaluated after each epoch.
    Validation,
    /// Examples that the training does not use.
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
