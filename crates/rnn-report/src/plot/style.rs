//! The look of a series: the first eight differ by colour, more of them also by the pattern of the
//! line.

use super::PALETTE;
use super::canvas::{Chart, px};
use anyhow::Result;
use plotters::prelude::*;

/// The look of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Style {
    /// Colour of the series.
    pub color: RGBColor,
    /// Pattern of the line of the series.
    pub line: Line,
}

/// The pattern of its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Solid,
    Dashed,
    Dotted,
}

impl From<RGBColor> for Style {
    fn from(color: RGBColor) -> Self {
        Self { color, line: Line::Solid }
    }
}

impl Style {
    /// Returns the style of series number `index`, from 0 on. The first 8 have solid lines in the
    /// colours of the palette, the next 8 dashed lines in the same colours, and the next 8 dotted
    /// ones; then the styles repeat.
    pub fn of(index: usize) -> Self {
        let line = [Line::Solid, Line::Dashed, Line::Dotted][index / PALETTE.len() % 3];
        Self { color: PALETTE[index % PALETTE.len()], line }
    }

    /// Draws a line through `points` in this style, with a marker at each, so that a single point
    /// is visible. `radius` is that of the markers, in pixels. Markers are filled on solid lines,
    /// and white inside on others.
    pub fn draw(
        self,
        chart: &mut Chart<'_, '_>,
        points: Vec<(f64, f64)>,
        radius: u32,
    ) -> Result<()> {
        let stroke = self.color.stroke_width(px(2));
        let filled = if self.line == Line::Solid { self.color.filled() } else { WHITE.filled() };
        let marked = points.clone();
        match self.line {
            Line::Solid => chart.draw_series(LineSeries::new(points, stroke))?,
            Line::Dashed => {
                chart.draw_series(DashedLineSeries::new(points, px(8), px(5), stroke))?
            }
            Line::Dotted => {
                chart.draw_series(DashedLineSeries::new(points, px(2), px(4), stroke))?
            }
        };
        chart.draw_series(marked.iter().map(|&point| Circle::new(point, radius, filled)))?;
        chart.draw_series(marked.into_iter().map(|point| Circle::new(point, radius, stroke)))?;
        Ok(())
    }
}
