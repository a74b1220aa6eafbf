use std::iter;
use std::path::Path;

use crate::nn::Metrics;
use anyhow::Result;
use plotters::prelude::*;

use super::PALETTE;
use super::axis::{Axis, padded};
use super::canvas::{self, Panel, px};

/// A curve: what was measured after each epoch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// For the legend.
    pub name: String,
    /// One entry per epoch.
    pub epochs: Vec<Metrics>,
}

/// Writes loss curves to a PNG file, beside those of accuracy if there are `classes`; beyond eight
/// series colours repeat.
///
/// Values that are not finite, as of a run that diverged, are left out.
pub fn curves(path: &Path, title: &str, classes: bool, series: &[Series]) -> Result<()> {
    let colored: Vec<_> = series
        .iter()
        .zip(PALETTE.into_iter().cycle())
        .map(|(s, color)| (s.name.as_str(), color, s.epochs.as_slice()))
        .collect();
    let legend: Vec<_> = colored.iter().map(|&(name, color, _)| (name, color)).collect();
    let mut panels = vec![panel("Loss", "binary cross-entropy", &colored, |m| m.loss)];
    panels.extend(classes.then(|| panel("Accuracy", "accuracy", &colored, |m| m.accuracy)));
    canvas::save(path, title, &legend, panels)
}

fn panel<'a>(
    caption: &str,
    label: &'static str,
    series: &'a [(&str, RGBColor, &[Metrics])],
    metric: fn(&Metrics) -> f64,
) -> Panel<'a> {
    let epochs = series.iter().map(|(.., metrics)| metrics.len()).max().unwrap_or(0);
    let range = padded(series.iter().flat_map(|(.., metrics)| metrics.iter()).map(metric));
    Panel {
        caption: caption.to_owned(),
        x: Axis::epochs(epochs),
        y: Axis::new(label, range, 6, 0.0),
        series: Box::new(move |chart| {
            // Smaller from curve to curve, so that points that coincide all show.
            let radii = [px(5), px(4), px(3)].into_iter().chain(iter::repeat(px(2)));
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
