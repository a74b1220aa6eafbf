use std::path::Path;

use anyhow::Result;
use plotters::prelude::*;

use rnn_run::measure::{BINS, Histogram};

use super::axis::Axis;
use super::canvas::{self, Panel, px};
use super::{BLUE, VERMILLION};

/// Draws histograms of predicted probabilities to the PNG file `path`, with a panel for each of
/// `sets`: a name and its histogram. `examples` is the word for what is counted, such as "reviews".
///
/// # Errors
/// Fails if the picture cannot be drawn or the file cannot be written.
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
