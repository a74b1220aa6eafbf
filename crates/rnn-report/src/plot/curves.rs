use std::iter;
use std::path::Path;

use anyhow::Result;
use rnn::nn::Metrics;

use super::axis::{Axis, padded};
use super::canvas::{self, Panel, px};
use super::style::Style;

/// The metrics of one run after each epoch, for [`curves`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Name of the run in the legend.
    pub name: String,
    /// The metrics after each epoch, from the first on.
    pub epochs: Vec<Metrics>,
}

/// Draws the loss of each series over the epochs to the PNG file `path` and, if `classes` is true,
/// the accuracy in a second panel. `loss` is the name of the loss. Values that are not finite are
/// left out.
pub fn curves(
    path: &Path,
    title: &str,
    (loss, classes): (&str, bool),
    series: &[Series],
) -> Result<()> {
    let names = series.iter().map(|series| series.name.as_str());
    let legend: Vec<_> = names.enumerate().map(|(i, name)| (name, Style::of(i))).collect();
    let mut panels = vec![panel("Loss", loss, series, |m| m.loss)];
    panels.extend(classes.then(|| panel("Accuracy", "accuracy", series, |m| m.accuracy)));
    canvas::save(path, title, &legend, panels)
}

fn panel<'a>(
    caption: &str,
    label: &str,
    series: &'a [Series],
    metric: fn(&Metrics) -> f64,
) -> Panel<'a> {
    let epochs = series.iter().map(|series| series.epochs.len()).max().unwrap_or(0);
    let range = padded(series.iter().flat_map(|series| &series.epochs).map(metric));
    Panel {
        caption: caption.to_owned(),
        x: Axis::epochs(epochs),
        y: Axis::new(label, range, 6, 0.0),
        series: Box::new(move |chart| {
            // Smaller from curve to curve, so that points that coincide all show.
            let radii = [px(5), px(4), px(3)].into_iter().chain(iter::repeat(px(2)));
            for ((i, series), radius) in series.iter().enumerate().zip(radii) {
                let points = (1u32..).map(f64::from).zip(series.epochs.iter().map(metric));
                let points = points.filter(|(_, value)| value.is_finite()).collect();
                Style::of(i).draw(chart, points, radius)?;
            }
            Ok(())
        }),
    }
}
