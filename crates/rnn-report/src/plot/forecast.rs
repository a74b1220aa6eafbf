use super::axis::{Axis, padded};
use super::canvas::{self, Chart, Panel, px};
use super::style::Style;
use super::{BLUE, PALETTE, VERMILLION};
use anyhow::Result;
use plotters::prelude::*;
use rnn_run::forecast::{ForecastReport, Guess, TargetReport};
use std::path::Path;

const TRUTH: RGBColor = PALETTE[6];
const GUESS: RGBColor = PALETTE[4];

/// Draws to the PNG file `path` the last forecast of the first target, with the rows before it, the
/// rows that came and the interval, and beside it the mean absolute errors at each step of the
/// horizon.
pub fn forecast(path: &Path, title: &str, report: &ForecastReport) -> Result<()> {
    let Some(target) = report.targets.first() else { return Ok(()) };
    let mut legend = vec![
        ("truth", Style::from(TRUTH)),
        ("forecast", BLUE.into()),
        ("seasonal naive guess", GUESS.into()),
        ("naive guess", VERMILLION.into()),
    ];
    let name = report.interval.map(|share| format!("interval of {:.0}%", 100.0 * share));
    legend.extend(name.iter().map(|name| (name.as_str(), Style::from(light()))));
    canvas::save(path, title, &legend, vec![example(target), by_step(target)])
}

/// The colour of the interval.
fn light() -> RGBColor {
    let mix = |channel: u8| (f64::from(channel) * 0.3 + 255.0 * 0.7) as u8;
    RGBColor(mix(BLUE.0), mix(BLUE.1), mix(BLUE.2))
}

fn line(chart: &mut Chart<'_, '_>, points: Vec<(f64, f64)>, color: RGBColor) -> Result<()> {
    chart.draw_series(LineSeries::new(points, color.stroke_width(px(2))))?;
    Ok(())
}

fn example(target: &TargetReport) -> Panel<'_> {
    let shown = &target.example;
    let [low, high] = &shown.interval;
    let parts = [&shown.history, &shown.truth, &shown.guess, &shown.forecast, low, high];
    let values = parts.into_iter().flatten().copied();
    let before = shown.history.len() as f64;
    let after = shown.truth.len() as f64;
    let label = format!("rows from {}", shown.from);
    Panel {
        caption: format!("{} of {}", target.name, shown.series),
        x: Axis::new(label, -before..after, 8, 1.0),
        y: Axis::new(target.name.clone(), padded(values), 6, 0.0),
        series: Box::new(move |chart| {
            let ahead = |values: &[f64]| -> Vec<(f64, f64)> {
                (0u32..).map(f64::from).zip(values.iter().copied()).collect()
            };
            let mut band = ahead(high);
            band.extend(ahead(low).into_iter().rev());
            if low != high {
                chart.draw_series([Polygon::new(band, light().filled())])?;
            }
            let history = shown.history.iter().chain(&shown.truth).copied();
            let places = (0u32..).map(|i| f64::from(i) - before);
            line(chart, places.zip(history).collect(), TRUTH)?;
            line(chart, ahead(&shown.guess), GUESS)?;
            line(chart, ahead(&shown.forecast), BLUE)
        }),
    }
}

fn by_step(target: &TargetReport) -> Panel<'_> {
    let of = move |guess: usize| -> Vec<(f64, f64)> {
        let errors = target.by_step.iter().map(|errors| errors[guess].mae);
        (1u32..).map(f64::from).zip(errors).filter(|point| point.1.is_finite()).collect()
    };
    let highest = (0..Guess::ALL.len()).flat_map(of).fold(0.0f64, |most, point| most.max(point.1));
    Panel {
        caption: "Error by row of the horizon".into(),
        x: Axis::counted("row of the horizon", target.by_step.len()),
        y: Axis::new("mean absolute error", 0.0..1.06 * highest.max(1e-9), 6, 0.0),
        series: Box::new(move |chart| {
            for (guess, color) in [BLUE, VERMILLION, GUESS].into_iter().enumerate() {
                Style::from(color).draw(chart, of(guess), px(2))?;
            }
            Ok(())
        }),
    }
}
