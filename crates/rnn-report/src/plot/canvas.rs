use std::path::Path;

use anyhow::{Context, Result, anyhow};
use image::RgbImage;
use plotters::chart::ChartContext;
use plotters::coord::Shift;
use plotters::coord::cartesian::Cartesian2d;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axis::Axis;
use super::style::{Line, Style};
use super::{font, output};

// Lengths are in points of a 1200 by 480 layout; a denser bitmap keeps text crisp when enlarged.
const WIDTH: u32 = 1200;
const HEIGHT: u32 = 480;
const PIXELS_PER_POINT: u32 = 2;

const TITLE_SIZE: u32 = 22;
const TEXT_SIZE: u32 = 16;
const TICK_SIZE: u32 = 14;
const SMALLEST: u32 = 12;

/// The width of a line of text, in pixels.
const ROOM: u32 = WIDTH - 40;
/// From line to line of a legend.
const LINE: u32 = 24;
const SWATCH: u32 = 14;
const SWATCH_GAP: u32 = 8;
const ENTRY_GAP: u32 = 32;

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
    /// Heading of the panel.
    pub caption: String,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// The function that draws the series into the panel.
    pub series: Box<Series<'a>>,
}

/// The pixels of a length in points.
pub(super) fn px(points: u32) -> u32 {
    points * PIXELS_PER_POINT
}

/// Draws panels side by side below a title and a legend they share, and writes a PNG. The picture
/// is as much higher as a legend of several lines takes.
pub(super) fn save(
    path: &Path,
    title: &str,
    legend: &[(&str, impl Into<Style> + Copy)],
    panels: Vec<Panel<'_>>,
) -> Result<()> {
    let legend: Vec<(&str, Style)> = legend.iter().map(|&(name, of)| (name, of.into())).collect();
    render(title, &legend, panels)
        .and_then(|picture| output::write_png(path, &picture))
        .with_context(|| format!("cannot write the picture {}", path.display()))
}

fn render(title: &str, legend: &[(&str, Style)], panels: Vec<Panel<'_>>) -> Result<RgbImage> {
    font::register()?;
    let legend = Legend::new(legend)?;
    let more = px(LINE) * legend.lines.len().saturating_sub(1) as u32;
    let size = (px(WIDTH), px(HEIGHT) + more);
    let mut picture = RgbImage::new(size.0, size.1);
    {
        let root = BitMapBackend::with_buffer(&mut picture, size).into_drawing_area();
        root.fill(&WHITE)?;
        let (header, body) = root.split_vertically(px(72) + more);
        draw_title(&header, title)?;
        legend.draw(&header)?;
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

/// The pixels that a text is wide.
fn width(text: &str, style: &TextStyle<'_>) -> Result<u32> {
    let (width, _) = style.font.box_size(text).map_err(|error| anyhow!("{error:?}"))?;
    Ok(width)
}

fn draw_title(area: &Area<'_>, title: &str) -> Result<()> {
    let style = text_style(TITLE_SIZE);
    let width = width(title, &style)?;
    let size = if width > px(ROOM) { TITLE_SIZE * px(ROOM) / width } else { TITLE_SIZE };
    let style = text_style(size.max(SMALLEST)).pos(Pos::new(HPos::Center, VPos::Center));
    let title = shortened(title, &style)?;
    area.draw_text(&title, &style, (px(WIDTH / 2) as i32, px(24) as i32))?;
    Ok(())
}

/// A text that is too wide for the picture, without its middle: its ends tell it from others.
fn shortened(text: &str, style: &TextStyle<'_>) -> Result<String> {
    let letters: Vec<char> = text.chars().collect();
    let without = |gap: usize| -> String {
        let kept = letters.len() - gap;
        let (first, last) = (&letters[..kept.div_ceil(2)], &letters[letters.len() - kept / 2..]);
        first.iter().chain(&[' ', '.', '.', ' ']).chain(last).collect()
    };
    let mut shown = text.to_owned();
    for gap in 1..=letters.len() {
        if width(&shown, style)? <= px(ROOM) - px(SWATCH + SWATCH_GAP) {
            break;
        }
        shown = without(gap);
    }
    Ok(shown)
}

/// A name with its look and the pixels that both are wide.
type Entry = (String, Style, u32);

/// The legend of the series, in as many lines as it takes.
struct Legend {
    /// The width of each line in pixels, and its entries.
    lines: Vec<(u32, Vec<Entry>)>,
}

impl Legend {
    fn new(entries: &[(&str, Style)]) -> Result<Self> {
        let text = text_style(TEXT_SIZE);
        let mut lines: Vec<(u32, Vec<Entry>)> = Vec::new();
        for &(name, style) in entries {
            let name = shortened(name, &text)?;
            let width = px(SWATCH + SWATCH_GAP) + width(&name, &text)?;
            match lines.last_mut() {
                Some((taken, line)) if *taken + px(ENTRY_GAP) + width <= px(ROOM) => {
                    *taken += px(ENTRY_GAP) + width;
                    line.push((name, style, width));
                }
                _ => lines.push((width, vec![(name, style, width)])),
            }
        }
        Ok(Self { lines })
    }

    fn draw(self, area: &Area<'_>) -> Result<()> {
        let text = text_style(TEXT_SIZE).pos(Pos::new(HPos::Left, VPos::Center));
        let half = px(SWATCH / 2) as i32;
        for ((total, line), number) in self.lines.into_iter().zip(0..) {
            let mut x = (px(WIDTH).saturating_sub(total) / 2) as i32;
            let middle = (px(56) + number * px(LINE)) as i32;
            for (name, style, width) in line {
                let place = |inset: i32| {
                    [
                        (x + inset, middle - half + inset),
                        (x + 2 * half - inset, middle + half - inset),
                    ]
                };
                area.draw(&Rectangle::new(place(0), style.color.filled()))?;
                // As the markers of lines that are not solid.
                let hollow = match style.line {
                    Line::Solid => None,
                    Line::Dashed => Some(px(2) as i32),
                    Line::Dotted => Some(px(4) as i32),
                };
                if let Some(inset) = hollow {
                    area.draw(&Rectangle::new(place(inset), WHITE.filled()))?;
                }
                let at = (x + px(SWATCH + SWATCH_GAP) as i32, middle + px(2) as i32);
                area.draw_text(&name, &text, at)?;
                x += (width + px(ENTRY_GAP)) as i32;
            }
        }
        Ok(())
    }
}

fn draw_panel(area: &Area<'_>, panel: Panel<'_>) -> Result<()> {
    let Panel { caption, x, y, series } = panel;
    let labels = (x.label.clone(), y.label.clone());
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
