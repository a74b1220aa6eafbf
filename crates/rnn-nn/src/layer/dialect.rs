//! The versions of Keras whose descriptions are read, and the readers of those that are written.

/// The version of Keras whose defaults and definitions a description follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// Keras 2.1.3 to 2.2.5, as below; moving averages are freed of their bias to zero.
    Keras2018,
    /// Any other Keras up to 2.15: `hard_sigmoid` is steeper, moving variances are corrected.
    Keras2,
    /// Keras 3.
    #[default]
    Keras3,
}

impl Dialect {
    /// Returns the dialect of a version of Keras such as `"2.2.4"` or `"3.15.1"`; a text whose
    /// first number is none of 0, 1 and 2 is Keras 3. TensorFlow's own Keras, `"2.2.4-tf"`, had
    /// plain moving averages and is [`Self::Keras2`].
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

    /// Returns true for the dialects of Keras 2 and before, false for Keras 3.
    pub fn before_keras_3(self) -> bool {
        self != Self::Keras3
    }
}

/// The program that a description is written for: Keras, or this library.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reader {
    /// This program, which knows more than Keras: the hard sigmoid and the moving variance of 2018.
    #[default]
    Ours,
    /// Keras 3.
    Keras,
}
