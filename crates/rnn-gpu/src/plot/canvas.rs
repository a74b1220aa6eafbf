use std::path::Path;

use anyhow::{Context, Result};
use image::RgbImage;
use plotters::chart::ChartContext;
use plotters::coord::Shift;
use plotters::coord::cartesian::Cartesian2d;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axis::Axis;
use super::{font, output};

// Lengths are in points of a 1200 by 480 layout; a denser bitmap keeps text crisp when enlarged.
const WIDTH: u32 = 1200;
const HEIGHT: u32 = 480;
const PIXELS_PER_POINT: u32 = 2;

const TITLE_SIZE: u32 = 22;
const TEXT_SIZE: u32 = 16;
const TICK_SIZE: u32 = 14;

const TEXT: RGBColor = RGBColor(51, 51, 51);
const AXIS: RGBColor = RGBColor(120, 120, 120);
const GRID: RGBColor = RGBColor(228, 228, 228);

type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;

/// A panel with axes, ready for series.
pub(super) type Chart<'a, 'b> = ChartContext<'a, BitMapBackend<'b>, Cartesian2d<Axis, Axis>>;

/// Draws the series of a panel.
pub(super) type Series<'a> = dyn FnOnce(&mut Chart<'_, '_>) -> Result<()> + 'a;

/// One panel of a picture: what its axes show and how its series are drawn.
pub(super) struct Panel<'a> {
    pub caption: String,
    pub x: Axis,
    pub y: Axis,
    pub series: Box<Series<'a>>,
}

/// The pixels of a length in points.
pub(super) fn px(points: u32) -> u32 {
    points * PIXELS_PER_POINT
}

/// Draws panels side by side below a title and a legend they share, and writes a PNG.
pub(super) fn save(
    path: &Path,
    title: &str,
    legend: &[(&str, RGBColor)],
    panels: Vec<Panel<'_>>,
) -> Result<()> {
    render(title, legend, panels)
        .and_then(|picture| output::write_png(path, &picture))
        .with_context(|| format!("cannot write the picture {}", path.display()))
}

fn render(title: &str, legend: &[(&str, RGBColor)], panels: Vec<Panel<'_>>) -> Result<RgbImage> {
    font::register()?;
    let mut picture = RgbImage::new(px(WIDTH), px(HEIGHT));
    {
        let root =
            BitMapBackend::with_buffer(&mut picture, (px(WIDTH), px(HEIGHT))).into_drawing_area();
        root.fill(&WHITE)?;
        let (header, body) = root.split_vertically(px(72));
        draw_title(&header, title)?;
        draw_legend(&header, legend)?;
        for (area, panel) in body.split_evenly((1, panels.len())).iter().zip(panels) {
            draw_panel(area, panel)?;
        }
        root.present()?;
    }
    Ok(picture)
}

pub(super) fn text_style(points: u32) -> TextStyle<'static> {
    (font::FAMILY, px(points)).into_font().color(&TEXT)
}

fn draw_title(area: &Area<'_>, title: &str) -> Result<()> {
    let style = text_style(TITLE_SIZE);
    let room = px(WIDTH - 40);
    let (width, _) = area.estimate_text_size(title, &style)?;
    let size = if width > room { TITLE_SIZE * room / width } else { TITLE_SIZE };
    let style = text_style(size).pos(Pos::new(HPos::Center, VPos::Center));
    area.draw_text(title, &style, (px(WIDTH / 2) as i32, px(24) as i32))?;
    Ok(())
}

fn draw_legend(area: &Area<'_>, entries: &[(&str, RGBColor)]) -> Result<()> {
    const SWATCH: u32 = 14;
    const SWATCH_GAP: u32 = 8;
    const ENTRY_GAP: u32 = 32;

    let style = text_style(TEXT_SIZE).pos(Pos::new(HPos::Left, VPos::Center));
    let widths = entries
        .iter()
        .map(|(name, _)| Ok(px(SWATCH + SWATCH_GAP) + area.estimate_text_size(name, &style)?.0))
        .collect::<Result<Vec<_>>>()?;
    let gaps = px(ENTRY_GAP) * entries.len().saturating_sub(1) as u32;
    let total = widths.iter().sum::<u32>() + gaps;

    let mut x = (px(WIDTH).saturating_sub(total) / 2) as i32;
    let middle = px(56) as i32;
    let half = px(SWATCH / 2) as i32;
    for ((name, color), width) in entries.iter().zip(widths) {
        let swatch = [(x, middle - half), (x + 2 * half, middle + half)];
        area.draw(&Rectangle::new(swatch, color.filled()))?;
        let text = (x + px(SWATCH + SWATCH_GAP) as i32, middle + px(2) as i32);
        area.draw_text(name, &style, text)?;
        x += (width + px(ENTRY_GAP)) as i32;
    }
    Ok(())
}

fn draw_panel(area: &Area<'_>, panel: Panel<'_>) -> Result<()> {
    let Panel { caption, x, y, series } = panel;
    let labels = (x.label, y.label);
    let mut chart = ChartBuilder::on(area)
        .margin(px(12))
        .margin_top(px(28))
        .margin_right(px(24))
        .x_label_area_size(px(48))
        .y_label_area_size(px(72))
        .build_cartesian_2d(x, y)?;
    chart
        .configure_mesh()
        .max_light_lines(0)
        .bold_line_style(GRID.stroke_width(px(1)))
        .axis_style(AXIS.stroke_width(px(1)))
        .label_style(text_style(TICK_SIZE))
        .axis_desc_style(text_style(TEXT_SIZE))
        .set_all_tick_mark_size(px(4))
        // The bundled font sits high in the line that plotters centres on a tick.
        .y_label_offset(px(2))
        .x_desc(labels.0)
        .y_desc(labels.1)
        .draw()?;
    draw_caption(area, &caption, &chart)?;
    series(&mut chart)
}

/// Centres a caption above the plot itself; that of plotters would span the labels as well.
fn draw_caption(area: &Area<'_>, caption: &str, chart: &Chart<'_, '_>) -> Result<()> {
    let (left, top) = area.get_base_pixel();
    let (columns, rows) = chart.plotting_area().get_pixel_range();
    let middle = (columns.start + columns.end) / 2 - left;
    let style = text_style(TEXT_SIZE).pos(Pos::new(HPos::Center, VPos::Center));
    area.draw_text(caption, &style, (middle, rows.start - top - px(16) as i32))?;
    Ok(())
}
