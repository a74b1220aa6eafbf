use serde::{Deserialize, Serialize};

/// Number of bins of a [`Histogram`], of equal width from 0 to 1.
pub const BINS: usize = 20;

/// Numbers of examples by their predicted probability of being positive, in [`BINS`] bins of equal
/// width from 0 to 1 for each true class.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram {
    /// Numbers of examples of the negative class in each bin.
    pub negative: [usize; BINS],
    /// Numbers of examples of the positive class in each bin.
    pub positive: [usize; BINS],
}

impl Histogram {
    /// Counts examples, each given as its predicted probability of being positive and its label,
    /// true for positive. A probability below 0 counts in the first bin, and one of 1 or more in
    /// the last. A probability that is not finite is left out.
    pub fn new(examples: &[(f32, bool)]) -> Self {
        let mut histogram = Self::default();
        for &(probability, positive) in examples.iter().filter(|(p, _)| p.is_finite()) {
            let counts = match positive {
                true => &mut histogram.positive,
                false => &mut histogram.negative,
            };
            // Casting saturates: below 0 is the first bin. A probability of 1 belongs to the last.
            counts[((probability * BINS as f32) as usize).min(BINS - 1)] += 1;
        }
        histogram
    }

    /// Returns the number of examples that were counted, of both classes; [`usize::MAX`] if it is
    /// larger, as a histogram of a damaged file may say.
    pub fn count(&self) -> usize {
        self.negative.iter().chain(&self.positive).fold(0, |sum, &count| sum.saturating_add(count))
    }

    /// Returns the largest number of examples in one bin of one class; 0 if nothing was counted.
    pub fn highest(&self) -> usize {
        self.negative.iter().chain(&self.positive).max().copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_fall_into_the_bins_of_their_class() {
        let reviews = [
            (0.0, false),
            (0.049, false),
            (0.051, false),
            (1.0, true),
            (0.99, true),
            (f32::NAN, true),
        ];
        let histogram = Histogram::new(&reviews);
        assert_eq!(histogram.negative[..2], [2, 1]);
        assert_eq!(histogram.positive[BINS - 1], 2);
        assert_eq!(histogram.count(), 5);
    }

    #[test]
    fn counts_of_a_damaged_file_end_at_the_largest_number() {
        let histogram = Histogram { negative: [usize::MAX; BINS], positive: [1; BINS] };
        assert_eq!(histogram.count(), usize::MAX);
    }
}
