use std::path::Path;

use anyhow::Result;
use plotters::prelude::*;

use super::axis::Axis;
use super::canvas::{self, Panel, px};
use super::{BLUE, VERMILLION};

const BINS: usize = 20;

/// How many reviews of one class fall into each bin of predicted probability.
type Counts = [usize; BINS];

/// Writes histograms of the predicted probabilities of the train and the test set to a PNG file.
///
/// Each review is its predicted probability of being positive, and whether it is. Probabilities
/// that are not finite are left out.
pub fn probability_histogram(
    path: &Path,
    title: &str,
    train: &[(f32, bool)],
    test: &[(f32, bool)],
) -> Result<()> {
    let legend = [("negative reviews", VERMILLION), ("positive reviews", BLUE)];
    canvas::save(path, title, &legend, vec![panel("Train", train), panel("Test", test)])
}

fn panel(name: &str, reviews: &[(f32, bool)]) -> Panel<'static> {
    let classes = [(VERMILLION, count(reviews, false)), (BLUE, count(reviews, true))];
    let highest = classes.iter().flat_map(|(_, counts)| counts).max().copied().unwrap_or(0);
    Panel {
        caption: format!("{name} ({} reviews)", reviews.len()),
        x: Axis::new("predicted probability of a positive review", 0.0..1.0, 10, 0.0),
        y: Axis::new("reviews", 0.0..1.06 * highest.max(1) as f64, 6, 1.0),
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

fn count(reviews: &[(f32, bool)], class: bool) -> Counts {
    let mut counts = [0; BINS];
    let of_class = reviews.iter().filter(|(p, label)| *label == class && p.is_finite());
    for (probability, _) in of_class {
        // Casting saturates: below 0 is the first bin. A probability of 1 belongs to the last.
        counts[((probability * BINS as f32) as usize).min(BINS - 1)] += 1;
    }
    counts
}

/// The probability at which a bin begins.
fn edge(bin: usize) -> f64 {
    bin as f64 / BINS as f64
}

fn bars(counts: &Counts, style: ShapeStyle) -> impl Iterator<Item = Rectangle<(f64, f64)>> {
    counts.iter().enumerate().filter(|&(_, &count)| count > 0).map(move |(i, &count)| {
        Rectangle::new([(edge(i), 0.0), (edge(i + 1), count as f64)], style)
    })
}

/// The steps along the tops of the bars.
fn outline(counts: &Counts) -> Vec<(f64, f64)> {
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
        let (negative, positive) = (count(&reviews, false), count(&reviews, true));
        assert_eq!(negative[..2], [2, 1]);
        assert_eq!(positive[BINS - 1], 2);
        assert_eq!(negative.iter().chain(&positive).sum::<usize>(), 5);
    }
}
