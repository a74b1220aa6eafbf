use super::PALETTE;
use super::axis::Axis;
use super::canvas::{self, Panel, px, text_style};
use anyhow::Result;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::path::Path;

/// A panel of grouped bars, for [`bars`].
pub struct Bars {
    /// Heading of the panel.
    pub caption: &'static str,
    /// The groups: a name, and the height of the bar of each series, in the order of the series.
    /// `None` leaves a bar out.
    pub groups: Vec<(String, Vec<Option<f64>>)>,
}

/// The fraction of the room of a group that its bars take.
const FILLED: f64 = 0.8;

/// Draws bars to the PNG file `path`, one panel for each of `panels`. Heights are ratios to a
/// baseline, so a line is drawn at 1. `label` is the label of the vertical axis, and `names` are
/// the names of the series. Heights that are not finite are left out.
pub fn bars(
    path: &Path,
    title: &str,
    label: &'static str,
    names: &[&str],
    panels: &[Bars],
) -> Result<()> {
    let legend: Vec<_> = names.iter().copied().zip(PALETTE.into_iter().cycle()).collect();
    let highest = panels.iter().flat_map(|p| &p.groups).flat_map(|(_, heights)| heights);
    let highest = highest.flatten().copied().filter(|h| h.is_finite()).fold(1.0, f64::max);
    let draw = |bars| panel(bars, Axis::new(label, 0.0..1.12 * highest, 6, 0.0), names.len());
    canvas::save(path, title, &legend, panels.iter().map(draw).collect())
}

fn panel(bars: &Bars, y: Axis, series: usize) -> Panel<'_> {
    let groups = &bars.groups;
    let end = groups.len().max(1) as f64;
    Panel {
        caption: bars.caption.to_owned(),
        x: Axis::named(groups.iter().map(|(name, _)| name.clone()).collect()),
        y,
        series: Box::new(move |chart| {
            let width = FILLED / series.max(1) as f64;
            for (at, (_, heights)) in groups.iter().enumerate() {
                let start = at as f64 + (1.0 - FILLED) / 2.0;
                for (i, (height, color)) in heights.iter().zip(PALETTE.iter().cycle()).enumerate() {
                    let Some(height) = height.filter(|h| h.is_finite()) else { continue };
                    let left = start + width * i as f64;
                    let bar = [(left, 0.0), (left + width, height)];
                    chart.draw_series([Rectangle::new(bar, color.filled())])?;
                    let style = text_style(12).pos(Pos::new(HPos::Center, VPos::Bottom));
                    let place = (left + width / 2.0, height);
                    chart.draw_series([Text::new(format!("{height:.1}"), place, style)])?;
                }
            }
            let line = PathElement::new([(0.0, 1.0), (end, 1.0)], BLACK.stroke_width(px(1)));
            chart.draw_series([line])?;
            Ok(())
        }),
    }
}
