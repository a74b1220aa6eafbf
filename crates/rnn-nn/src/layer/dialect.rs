//! The versions of Keras whose descriptions are read, and the readers of those that are written.

/// The version of Keras whose defaults and definitions a description follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// Keras 2.1.3 to 2.2.5: like [`Self::Keras2`], and moving averages begin at zero and are
    /// divided by the sum of their weights
    /// ([`BatchNormalization::zero_debiased`](crate::BatchNormalization::zero_debiased)).
    Keras2018,
    /// Every other Keras up to 2.15. `hard_sigmoid` is
    /// [`Activation::HardSigmoid2018`](rnn_ops::Activation::HardSigmoid2018), and moving variances
    /// are corrected
    /// ([`BatchNormalization::corrected_variance`](crate::BatchNormalization::corrected_variance)).
    Keras2,
    /// Keras 3.
    #[default]
    Keras3,
}

impl Dialect {
    /// Returns the dialect of a version of Keras such as `"2.2.4"` or `"3.15.1"`. A text whose
    /// first number is not 0, 1 or 2 is Keras 3. TensorFlow's own Keras, `"2.2.4-tf"`, is
    /// [`Self::Keras2`].
    pub fn of_version(version: &str) -> Self {
        let mut parts = version.split('.');
        let mut next = || parts.next().unwrap_or_default();
        match (next(), next(), next()) {
            ("2", "1", "3" | "4" | "5" | "6") | ("2", "2", "0" | "1" | "2" | "3" | "4" | "5") => {
                Self::Keras2018
            }
            ("0" | "1" | "2", ..) => Self::Keras2,
            _ => Self::Keras3,
        }
    }

    /// Returns true for Keras 2 and earlier, false for Keras 3.
    pub fn before_keras_3(self) -> bool {
        self != Self::Keras3
    }
}

/// The program that will read a description that is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reader {
    /// This library, which reads arguments and values that Keras 3 does not have, such as the hard
    /// sigmoid and the moving variance of Keras 2.
    #[default]
    Ours,
    /// Keras 3.
    Keras,
}
