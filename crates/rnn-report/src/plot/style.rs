//! How a series is told from others: by a colour, and beyond as many as there are by its line.

use super::PALETTE;
use super::canvas::{Chart, px};
use anyhow::Result;
use plotters::prelude::*;

/// The look of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Style {
    /// Colour of the series.
    pub color: RGBColor,
    /// Pattern of its line.
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
    /// Returns the style of series number `index`, counted from 0: the first 8 have solid lines in
    /// the colours of the palette, the next 8 the same colours with dashed lines, the next 8 with
    /// dotted ones; then the styles repeat.
    pub fn of(index: usize) -> Self {
        let line = [Line::Solid, Line::Dashed, Line::Dotted][index / PALETTE.len() % 3];
        Self { color: PALETTE[index % PALETTE.len()], line }
    }

    /// Draws a line through points of the chart in this style, with a marker of this radius in
    /// pixels at each, so that a single point is visible. Markers are filled on solid lines and
    /// white on others.
    ///
    /// # Errors
    /// Fails if the picture cannot be drawn.
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
