//! Precision, recall and F1 of a classifier.

use std::fmt;

use serde::{Deserialize, Serialize};

use rnn::text_classifier::THRESHOLD;

/// The scores of one class, or their average over the classes, each from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Fraction of the samples predicted as this class that belong to it.
    pub precision: f64,
    /// Fraction of the samples of this class that were predicted as it.
    pub recall: f64,
    /// The harmonic mean of precision and recall.
    pub f1: f64,
    /// Number of samples that truly belong to the class; in an average, the sum over the classes.
    pub support: usize,
}

impl Scores {
    /// Scores from the counts of a confusion matrix.
    fn new(true_positives: usize, predicted: usize, support: usize) -> Self {
        Self {
            precision: ratio(true_positives, predicted),
            recall: ratio(true_positives, support),
            // Equals the harmonic mean, and stays defined when only one of the two is not.
            f1: ratio(2 * true_positives, predicted + support),
            support,
        }
    }

    /// The average of classes, each counting as much as its weight.
    fn average(classes: &[Self], weight: impl Fn(&Self) -> f64) -> Self {
        let total: f64 = classes.iter().map(&weight).sum();
        let mean = |score: fn(&Self) -> f64| {
            let sum: f64 = classes.iter().map(|c| weight(c) * score(c)).sum();
            if total == 0.0 { 0.0 } else { sum / total }
        };
        Self {
            precision: mean(|c| c.precision),
            recall: mean(|c| c.recall),
            f1: mean(|c| c.f1),
            support: classes.iter().map(|c| c.support).sum(),
        }
    }
}

/// Precision, recall and F1 of each class of a classifier, as scikit-learn's
/// `classification_report` defines them.
///
/// A score whose denominator is zero is 0. `Display` prints scikit-learn's table with two decimals,
/// or with as many as the format asks for: `{report:.4}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassificationReport {
    /// Names of the classes, from class 0 on.
    pub names: Vec<String>,
    /// The scores of each class, in the order of the names.
    pub classes: Vec<Scores>,
    /// Fraction of all samples that were classified correctly.
    pub accuracy: f64,
    /// Unweighted mean of the scores over the classes.
    pub macro_average: Scores,
    /// Mean of the scores over the classes, weighted by their support.
    pub weighted_average: Scores,
    /// The confusion matrix: numbers of samples, `confusion[true class][predicted class]`.
    pub confusion: Vec<Vec<usize>>,
}

impl ClassificationReport {
    /// Computes the scores from the predicted probabilities of the positive class and the labels,
    /// both `[samples]`. A sample is predicted as positive if its probability exceeds
    /// [`THRESHOLD`], which NaN does not. It belongs to the positive class if its label exceeds
    /// 0.5.
    ///
    /// # Panics
    /// Panics if there are not as many probabilities as labels.
    pub fn from_predictions(probabilities: &[f32], labels: &[f32]) -> Self {
        assert_eq!(probabilities.len(), labels.len(), "one label for each probability");

        let mut confusion = vec![vec![0; 2]; 2];
        for (&probability, &label) in probabilities.iter().zip(labels) {
            let (label, prediction) = (label > 0.5, probability > THRESHOLD);
            confusion[usize::from(label)][usize::from(prediction)] += 1;
        }
        Self::from_counts(["negative", "positive"].map(String::from).into(), confusion)
    }

    /// Computes the scores from the confusion matrix `confusion[true class][predicted class]`,
    /// which must be square. `names` are the names of the classes, in order.
    ///
    /// # Panics
    /// Panics if a row of `confusion` has fewer elements than `confusion` has rows.
    pub fn from_counts(names: Vec<String>, confusion: Vec<Vec<usize>>) -> Self {
        let class = |(c, taken_for): (usize, &Vec<usize>)| {
            let predicted = confusion.iter().map(|row| row[c]).sum();
            Scores::new(taken_for[c], predicted, taken_for.iter().sum())
        };
        let classes: Vec<Scores> = confusion.iter().enumerate().map(class).collect();
        let right = confusion.iter().enumerate().map(|(c, row)| row[c]).sum();
        Self {
            names,
            accuracy: ratio(right, confusion.iter().flatten().sum()),
            macro_average: Scores::average(&classes, |_| 1.0),
            weighted_average: Scores::average(&classes, |class| class.support as f64),
            classes,
            confusion,
        }
    }
}

impl fmt::Display for ClassificationReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(2);
        let line = |f: &mut fmt::Formatter<'_>, name: &str, cells: [&str; 4]| {
            let [precision, recall, f1, support] = cells;
            writeln!(f, "{name:>12}  {precision:>9} {recall:>9} {f1:>9} {support:>9}")
        };
        let scores = |f: &mut fmt::Formatter<'_>, name: &str, s: &Scores| {
            let [precision, recall, f1] =
                [s.precision, s.recall, s.f1].map(|score| format!("{score:.digits$}"));
            line(f, name, [&precision, &recall, &f1, &s.support.to_string()])
        };

        line(f, "", ["precision", "recall", "f1-score", "support"])?;
        writeln!(f)?;
        self.names.iter().zip(&self.classes).try_for_each(|(name, s)| scores(f, name, s))?;
        writeln!(f)?;
        let accuracy = format!("{:.digits$}", self.accuracy);
        line(f, "accuracy", ["", "", &accuracy, &self.macro_average.support.to_string()])?;
        scores(f, "macro avg", &self.macro_average)?;
        scores(f, "weighted avg", &self.weighted_average)
    }
}

fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Negative: 3 of 4 found; positive: 4 of 6 found. Predictions: 5 negative, 5 positive.
    fn mixed() -> ClassificationReport {
        ClassificationReport::from_predictions(
            &[0.1, 0.2, 0.3, 0.9, 0.6, 0.7, 0.8, 0.99, 0.4, 0.0],
            &[0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0],
        )
    }

    fn assert_scores(actual: Scores, [precision, recall, f1]: [f64; 3], support: usize) {
        let close = |a: f64, b: f64| (a - b).abs() < 1e-12;
        assert!(close(actual.precision, precision), "{actual:?}");
        assert!(close(actual.recall, recall), "{actual:?}");
        assert!(close(actual.f1, f1), "{actual:?}");
        assert_eq!(actual.support, support);
    }

    #[test]
    fn scores_match_a_hand_computation() {
        let report = mixed();
        assert_scores(report.classes[0], [3.0 / 5.0, 3.0 / 4.0, 2.0 / 3.0], 4);
        assert_scores(report.classes[1], [4.0 / 5.0, 2.0 / 3.0, 8.0 / 11.0], 6);
        assert_scores(report.macro_average, [0.7, 17.0 / 24.0, 23.0 / 33.0], 10);
        assert_scores(report.weighted_average, [0.72, 0.7, 0.4 * 2.0 / 3.0 + 0.6 * 8.0 / 11.0], 10);
        assert!((report.accuracy - 0.7).abs() < 1e-12);
    }

    #[test]
    fn prints_the_customary_table() {
        let expected = "
              precision    recall  f1-score   support

    negative       0.60      0.75      0.67         4
    positive       0.80      0.67      0.73         6

    accuracy                           0.70        10
   macro avg       0.70      0.71      0.70        10
weighted avg       0.72      0.70      0.70        10
";
        assert_eq!(format!("\n{}", mixed()), expected);
    }

    #[test]
    fn prints_as_many_decimals_as_asked_for() {
        let table = format!("{:.4}", mixed());
        assert!(
            table.contains("    positive     0.8000    0.6667    0.7273         6\n"),
            "{table}"
        );
    }

    #[test]
    fn a_class_never_predicted_scores_zero() {
        let report = ClassificationReport::from_predictions(&[0.1, 0.2, 0.3], &[0.0, 1.0, 1.0]);
        assert_scores(report.classes[0], [1.0 / 3.0, 1.0, 0.5], 1);
        assert_scores(report.classes[1], [0.0, 0.0, 0.0], 2);
    }

    #[test]
    fn no_samples_score_zero() {
        let report = ClassificationReport::from_predictions(&[], &[]);
        assert_eq!(report.accuracy, 0.0);
        assert_eq!(report.weighted_average, Scores::default());
    }

    #[test]
    fn the_threshold_itself_is_negative() {
        let report = ClassificationReport::from_predictions(&[0.5, 0.50001], &[0.0, 1.0]);
        assert_eq!(report.accuracy, 1.0);
    }
}
