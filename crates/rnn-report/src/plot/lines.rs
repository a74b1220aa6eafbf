use super::axis::Axis;
use super::canvas::{self, Panel, px};
use super::style::Style;
use anyhow::Result;
use std::path::Path;

/// A panel of curves, for [`lines`].
pub struct LinePanel {
    /// The labels of the horizontal and the vertical axis.
    pub axes: (&'static str, &'static str),
    /// The points `(x, y)` of each series, in order. Points whose y is not finite are left out.
    pub series: Vec<Vec<(f64, f64)>>,
}

/// Draws curves to the PNG file `path`, one panel for each of `panels`. `names` are the names of
/// the series, which every panel has in this order. All axes begin at 0, so that proportional
/// values lie on a straight line through the origin.
pub fn lines(path: &Path, title: &str, names: &[&str], panels: &[LinePanel]) -> Result<()> {
    let legend: Vec<_> = names.iter().enumerate().map(|(i, &name)| (name, Style::of(i))).collect();
    canvas::save(path, title, &legend, panels.iter().map(panel).collect())
}

fn panel(lines: &LinePanel) -> Panel<'_> {
    let points = lines.series.iter().flatten().filter(|(_, y)| y.is_finite());
    let (x, y) = points.fold((0.0f64, 0.0f64), |(x, y), p| (x.max(p.0), y.max(p.1)));
    let axis = |label, highest: f64, step| Axis::new(label, 0.0..1.06 * highest.max(1e-6), 6, step);
    Panel {
        caption: format!("over {}", lines.axes.0),
        x: axis(lines.axes.0, x, 1.0),
        y: axis(lines.axes.1, y, 0.0),
        series: Box::new(|chart| {
            for (i, points) in lines.series.iter().enumerate() {
                let points = points.iter().copied().filter(|(_, y)| y.is_finite());
                Style::of(i).draw(chart, points.collect(), px(4))?;
            }
            Ok(())
        }),
    }
}
