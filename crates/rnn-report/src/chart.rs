//! Charts as SVG inside a page. Colours are classes of the page's style sheet, so that they follow
//! the theme of the reader.

use crate::plot::axis::Axis;
use maud::{Markup, html};
use std::fmt::Write as _;

// In units of the view box, which the page scales to the room that there is.
const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 250.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = 10.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 40.0;

/// Points beyond which a line goes without markers.
const MOST_MARKERS: usize = 30;

/// One curve.
pub(super) struct Line<'a> {
    /// Name that a browser shows when a pointer rests on one of the points.
    pub name: &'a str,
    /// The points in order, as `(x, y)`. Points that are not finite are left out.
    pub points: Vec<(f64, f64)>,
}

/// The classes that give something its colour and, beyond as many as there are, its line.
pub(super) fn color(index: usize) -> String {
    format!("c{}{}", index % 8, ["", " dashed", " dotted"][index / 8 % 3])
}

/// Draws the legend of the colours.
pub(super) fn key<'a>(names: impl IntoIterator<Item = &'a str>) -> Markup {
    html! { ul.key { @for (i, name) in names.into_iter().enumerate() { li class=(color(i)) { (name) } } } }
}

/// Two axes and the place of values between them.
pub(super) struct Chart {
    x: Axis,
    y: Axis,
}

impl Chart {
    /// Creates a chart with the horizontal axis `x` and the vertical axis `y`. Their ranges must
    /// not be empty. [`lines`](Self::lines) and [`areas`](Self::areas) draw data in it.
    pub fn new(x: Axis, y: Axis) -> Self {
        Self { x, y }
    }

    fn at(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let part = |axis: &Axis, value: f64| {
            (value - axis.range.start) / (axis.range.end - axis.range.start)
        };
        let width = WIDTH - LEFT - RIGHT;
        let height = HEIGHT - TOP - BOTTOM;
        (LEFT + width * part(&self.x, x), TOP + height * (1.0 - part(&self.y, y)))
    }

    /// The commands of an SVG path through points.
    fn path(&self, points: &[(f64, f64)]) -> String {
        let mut path = String::new();
        for (i, &point) in points.iter().enumerate() {
            let (x, y) = self.at(point);
            let _ = write!(path, "{}{x:.1} {y:.1}", if i == 0 { "M" } else { "L" });
        }
        path
    }

    /// Draws lines as SVG. The position of a line in `lines` decides its colour. Lines of at most
    /// 30 points have a marker at each. Points that are not finite are left out. `description` is a
    /// text in place of the chart, for screen readers.
    pub fn lines(&self, description: &str, lines: &[Line<'_>]) -> Markup {
        let finite = |line: &Line<'_>| -> Vec<(f64, f64)> {
            line.points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite()).collect()
        };
        let drawn: Vec<(&str, Vec<(f64, f64)>)> =
            lines.iter().map(|line| (line.name, finite(line))).collect();
        self.framed(
            description,
            html! {
                @for (i, (name, points)) in drawn.iter().enumerate() {
                    g class=(color(i)) {
                        path.line d=(self.path(points)) {}
                        @for &point in points.iter().filter(|_| points.len() <= MOST_MARKERS) {
                            @let (x, y) = self.at(point);
                            circle.point cx=(format!("{x:.1}")) cy=(format!("{y:.1}")) r="3.5" {
                                title { (name) ", " (self.x.label) " " (point.0) ": " (short(point.1)) }
                            }
                        }
                    }
                }
            },
        )
    }

    /// Draws filled areas as SVG. Each is the number of its colour, from 0 on, and the points
    /// `(x, y)` of its outline, which must be finite; the last point is joined to the first.
    /// `description` is a text in place of the chart, for screen readers.
    pub fn areas(&self, description: &str, areas: &[(usize, Vec<(f64, f64)>)]) -> Markup {
        self.framed(
            description,
            html! {
                @for (index, points) in areas {
                    path class={ "area " (color(*index)) } d={ (self.path(points)) "Z" } {}
                }
            },
        )
    }

    fn framed(&self, description: &str, content: Markup) -> Markup {
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        html! {
            svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(description) {
                @for &tick in &self.y.ticks {
                    @let y = format!("{:.1}", self.at((self.x.range.start, tick)).1);
                    line.grid x1=(LEFT) x2=(right) y1=(y) y2=(y) {}
                    text x=(LEFT - 7.0) y=(y) dy="0.35em" text-anchor="end" { (self.y.tick(tick)) }
                }
                @for &tick in &self.x.ticks {
                    @let x = format!("{:.1}", self.at((tick, self.y.range.start)).0);
                    text x=(x) y=(bottom + 17.0) text-anchor="middle" { (self.x.tick(tick)) }
                }
                line.base x1=(LEFT) x2=(right) y1=(bottom) y2=(bottom) {}
                text x=((LEFT + right) / 2.0) y=(HEIGHT - 5.0) text-anchor="middle" { (self.x.label) }
                (content)
            }
        }
    }
}

/// A figure with four significant digits.
pub(super) fn short(value: f64) -> String {
    match value.abs() {
        small if small > 0.0 && small < 0.01 => format!("{value:.3e}"),
        _ => format!("{value:.4}"),
    }
}
