use std::path::Path;

use anyhow::Result;
use plotters::prelude::*;

use super::axis::{Axis, padded};
use super::canvas::{self, Panel, px};
use super::{BLUE, VERMILLION};

/// What one epoch reached on one data set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EpochMetrics {
    /// The mean binary cross-entropy.
    pub loss: f32,
    /// The share of samples classified correctly.
    pub accuracy: f32,
}

/// The course of a training run, one entry per epoch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curves {
    /// Metrics of the training set.
    pub train: Vec<EpochMetrics>,
    /// Metrics of the validation set; empty when there is none.
    pub validation: Vec<EpochMetrics>,
}

/// Writes the loss and accuracy curves of a training run to a PNG file.
///
/// Values that are not finite, as of a run that diverged, are left out.
pub fn curves(path: &Path, title: &str, curves: &Curves) -> Result<()> {
    let mut series = vec![("train", BLUE, curves.train.as_slice())];
    if !curves.validation.is_empty() {
        series.push(("validation", VERMILLION, &curves.validation));
    }
    let legend: Vec<_> = series.iter().map(|&(name, color, _)| (name, color)).collect();
    let panels = [
        panel("Loss", "binary cross-entropy", &series, |m| f64::from(m.loss)),
        panel("Accuracy", "accuracy", &series, |m| f64::from(m.accuracy)),
    ];
    canvas::save(path, title, &legend, panels)
}

fn panel<'a>(
    caption: &str,
    label: &'static str,
    series: &'a [(&str, RGBColor, &[EpochMetrics])],
    metric: fn(&EpochMetrics) -> f64,
) -> Panel<'a> {
    let epochs = series.iter().map(|(.., metrics)| metrics.len()).max().unwrap_or(0);
    let range = padded(series.iter().flat_map(|(.., metrics)| metrics.iter()).map(metric));
    Panel {
        caption: caption.to_owned(),
        x: Axis::epochs(epochs),
        y: Axis::new(label, range, 6, 0.0),
        series: Box::new(move |chart| {
            // Smaller from curve to curve, so that points that coincide all show.
            let radii = [px(5), px(3)].into_iter();
            for ((_, color, metrics), radius) in series.iter().zip(radii) {
                let points: Vec<_> = (1u32..)
                    .map(f64::from)
                    .zip(metrics.iter().map(metric))
                    .filter(|(_, value)| value.is_finite())
                    .collect();
                // Markers make the curve of a single epoch visible.
                let marker = |&point: &(f64, f64)| Circle::new(point, radius, color.filled());
                chart.draw_series(points.iter().map(marker))?;
                chart.draw_series(LineSeries::new(points, color.stroke_width(px(2))))?;
            }
            Ok(())
        }),
    }
}
