use super::BLUE;
use super::axis::{Axis, padded};
use super::canvas::{self, Panel, px};
use anyhow::Result;
use plotters::prelude::*;
use rnn_run::frame_error::FrameError;
use std::path::Path;

/// Draws the errors of predicted frames to the PNG file `path`, with a panel for each of the three
/// measures of [`FrameError`]. `errors` are in the order of the predicted frames, from the first
/// on. Values that are not finite are left out.
pub fn error_curves(path: &Path, title: &str, errors: &[FrameError]) -> Result<()> {
    let panels = vec![
        panel("Binary cross-entropy", "BCE", errors, |e| e.bce),
        panel("Mean squared error", "MSE", errors, |e| e.mse),
        panel("Structural similarity", "SSIM", errors, |e| e.ssim),
    ];
    canvas::save(path, title, &[("predicted frames", BLUE)], panels)
}

fn panel(
    caption: &str,
    label: &'static str,
    errors: &[FrameError],
    of: fn(&FrameError) -> f64,
) -> Panel<'static> {
    let points: Vec<(f64, f64)> =
        (1u32..).map(f64::from).zip(errors.iter().map(of)).filter(|p| p.1.is_finite()).collect();
    Panel {
        caption: caption.to_owned(),
        x: Axis::counted("predicted frame", errors.len()),
        y: Axis::new(label, padded(points.iter().map(|p| p.1)), 6, 0.0),
        series: Box::new(move |chart| {
            let marker = |&point: &(f64, f64)| Circle::new(point, px(3), BLUE.filled());
            chart.draw_series(points.iter().map(marker))?;
            chart.draw_series(LineSeries::new(points, BLUE.stroke_width(px(2))))?;
            Ok(())
        }),
    }
}
