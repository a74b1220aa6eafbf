use super::axis::Axis;
use super::canvas::{self, Panel, px};
use super::style::Style;
use anyhow::Result;
use std::path::Path;

/// A panel of curves over one axis, for [`lines`].
pub struct LinePanel {
    /// The names of the horizontal and of the vertical axis.
    pub axes: (&'static str, &'static str),
    /// The points of each series in order; those that are not finite are left out.
    pub series: Vec<Vec<(f64, f64)>>,
}

/// Draws curves to a PNG file, a panel each. `names` are those of the series, in the order in which
/// every panel has them. All axes begin at zero, so that what is proportional is a straight line
/// through the corner.
///
/// # Errors
/// Fails if the picture cannot be drawn or the file cannot be written.
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
