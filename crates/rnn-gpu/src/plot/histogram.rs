use std::path::Path;

use anyhow::Result;
use plotters::prelude::*;
use serde::{Deserialize, Serialize};

use super::axis::Axis;
use super::canvas::{self, Panel, px};
use super::{BLUE, VERMILLION};

const BINS: usize = 20;

/// How many examples of each class fall into each bin of predicted probability.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram {
    /// Of the negative class.
    pub negative: [usize; BINS],
    /// Of the positive class.
    pub positive: [usize; BINS],
}

impl Histogram {
    /// Of examples, each its predicted probability of being positive, and whether it is.
    /// Probabilities that are not finite are left out.
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

    /// The examples counted.
    pub fn count(&self) -> usize {
        self.negative.iter().chain(&self.positive).sum()
    }

    /// The most in one bin of one class.
    pub fn highest(&self) -> usize {
        self.negative.iter().chain(&self.positive).max().copied().unwrap_or(0)
    }
}

/// Writes histograms of the predicted probabilities of two sets of what `examples` names to a PNG
/// file.
pub fn probability_histogram(
    path: &Path,
    title: &str,
    examples: &str,
    sets: [(&str, &Histogram); 2],
) -> Result<()> {
    let [negative, positive] = ["negative", "positive"].map(|class| format!("{class} {examples}"));
    let legend = [(negative.as_str(), VERMILLION), (positive.as_str(), BLUE)];
    let panels = sets.map(|(name, histogram)| panel(name, examples, histogram));
    canvas::save(path, title, &legend, panels.into())
}

fn panel(name: &str, examples: &str, histogram: &Histogram) -> Panel<'static> {
    let classes = [(VERMILLION, histogram.negative), (BLUE, histogram.positive)];
    Panel {
        caption: format!("{name} ({} {examples})", histogram.count()),
        x: Axis::new("predicted probability of the positive class", 0.0..1.0, 10, 0.0),
        y: Axis::new(examples, 0.0..1.06 * histogram.highest().max(1) as f64, 6, 1.0),
        series: Box::new(move |chart| {
            for (color, counts) in &classes {
                chart.draw_series(bars(counts, color.mix(0.45).filled()))?;
            }
            // Outlines come last, so that the other class's bars do not tint them.
            for (color, counts) in &classes {
                chart
                    .draw_series([PathElement::new(outline(counts), color.stroke_width(px(2)))])?;
            }
            Ok(())
        }),
    }
}

/// The probability at which a bin begins.
fn edge(bin: usize) -> f64 {
    bin as f64 / BINS as f64
}

fn bars(counts: &[usize; BINS], style: ShapeStyle) -> impl Iterator<Item = Rectangle<(f64, f64)>> {
    counts.iter().enumerate().filter(|&(_, &count)| count > 0).map(move |(i, &count)| {
        Rectangle::new([(edge(i), 0.0), (edge(i + 1), count as f64)], style)
    })
}

/// The steps along the tops of the bars.
pub(crate) fn outline(counts: &[usize; BINS]) -> Vec<(f64, f64)> {
    let tops = counts
        .iter()
        .enumerate()
        .flat_map(|(i, &count)| [(edge(i), count as f64), (edge(i + 1), count as f64)]);
    [(0.0, 0.0)].into_iter().chain(tops).chain([(1.0, 0.0)]).collect()
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
}
