use super::{Point, TrainingFigures};
use crate::plot::axis::padded;
use indicatif::HumanDuration;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, Chart, Dataset, GraphType, LineGauge, Paragraph};
use std::time::Duration;

// Colours of the terminal's own palette, readable on a light and on a dark ground.
const TRAINING: Color = Color::Cyan;
const VALIDATION: Color = Color::Magenta;

/// Columns below which the charts stand one above the other.
const NARROW: u16 = 72;

/// The figures on the screen that change with time, without an event.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Time since the display of the training began.
    pub elapsed: Duration,
    /// Estimated time to the end of the training.
    pub left: Duration,
    /// Training examples per second in the current epoch.
    pub rate: f64,
}

/// Draws the whole screen into `frame`. `ending` is true if a stop of the training has been
/// requested; the screen then says so.
pub fn draw(frame: &mut Frame<'_>, figures: &TrainingFigures, clock: Clock, ending: bool) {
    let rows = [
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(6),
        Constraint::Length(4),
        Constraint::Length(1),
    ];
    let [head, progress, charts, status, foot] =
        Layout::vertical(rows).horizontal_margin(1).areas(frame.area());
    let halves = [Constraint::Min(0), Constraint::Length(figures.device.chars().count() as u16)];
    let [title, device] = Layout::horizontal(halves).spacing(2).areas(head);
    frame.render_widget(Line::from(figures.title.as_str()).bold(), title);
    frame.render_widget(Line::from(figures.device.as_str()).dim(), device);
    draw_progress(frame, progress, figures);
    draw_charts(frame, charts, figures);
    frame.render_widget(Paragraph::new(status_lines(figures, clock)), status);
    let keys = match ending {
        true => Line::from("stopping after this step; Ctrl-C does not wait").fg(Color::Red),
        false => Line::from("q stops after the step at hand").dim(),
    };
    frame.render_widget(keys, foot);
}

fn draw_progress(frame: &mut Frame<'_>, area: Rect, figures: &TrainingFigures) {
    let (step, steps) = (figures.step, figures.steps());
    let label = format!("epoch {}/{}, step {step}/{steps}", figures.epoch.max(1), figures.epochs);
    let gauge = LineGauge::default()
        .ratio((step as f64 / steps.max(1) as f64).clamp(0.0, 1.0))
        .label(label)
        .filled_symbol("━")
        .filled_style(Style::new().fg(TRAINING))
        .unfilled_style(Style::new().dim());
    frame.render_widget(gauge, area);
}

fn draw_charts(frame: &mut Frame<'_>, area: Rect, figures: &TrainingFigures) {
    let loss = (|p: &Point| p.loss, "Loss");
    let accuracy = (|p: &Point| p.accuracy, "Accuracy");
    if !figures.classes {
        return draw_chart(frame, area, figures, loss.1, loss.0);
    }
    let halves = [Constraint::Fill(1); 2];
    let [first, second] = match area.width < NARROW {
        true => Layout::vertical(halves).areas(area),
        false => Layout::horizontal(halves).spacing(1).areas(area),
    };
    draw_chart(frame, first, figures, loss.1, loss.0);
    draw_chart(frame, second, figures, accuracy.1, accuracy.0);
}

/// A figure over the epochs: of the training by steps, of the validation by epochs.
fn draw_chart(
    frame: &mut Frame<'_>,
    area: Rect,
    figures: &TrainingFigures,
    name: &str,
    of: fn(&Point) -> f64,
) {
    let finite = |p: &Point| Some((p.at, of(p))).filter(|(_, value)| value.is_finite());
    // As many points as columns, each the mean of its share.
    let share = figures.training.len().div_ceil(usize::from(area.width.max(1))).max(1);
    let mean = |points: &[Point]| {
        let values: Vec<(f64, f64)> = points.iter().filter_map(finite).collect();
        let count = values.len().max(1) as f64;
        let sum = values.iter().fold((0.0, 0.0), |sum, v| (sum.0 + v.0, sum.1 + v.1));
        (!values.is_empty()).then_some((sum.0 / count, sum.1 / count))
    };
    let training: Vec<(f64, f64)> = figures.training.chunks(share).filter_map(mean).collect();
    let validated = figures.logs.iter().filter_map(|log| {
        let m = log.validation?;
        finite(&Point { at: log.epoch as f64, loss: m.loss, accuracy: m.accuracy })
    });
    let validation: Vec<(f64, f64)> = validated.collect();
    let range = padded(training.iter().chain(&validation).map(|p| p.1));
    let curve = |name, color, points, graph| {
        let set = Dataset::default().name(name).data(points).marker(Marker::Braille);
        set.graph_type(graph).style(Style::new().fg(color))
    };
    let mut sets = vec![curve("training", TRAINING, &training, GraphType::Line)];
    if !validation.is_empty() {
        sets.push(curve("validation", VALIDATION, &validation, GraphType::Line));
        // A line of one point would not show.
        let dots = Dataset::default().data(&validation).marker(Marker::Dot);
        sets.push(dots.style(Style::new().fg(VALIDATION)));
    }
    let tick = |value: f64| Span::from(format!("{value:.3}"));
    let y = Axis::default()
        .bounds([range.start, range.end])
        .labels([tick(range.start), tick(f64::midpoint(range.start, range.end)), tick(range.end)])
        .style(Style::new().dim());
    let x = Axis::default()
        .bounds([0.0, figures.epochs as f64])
        .labels(["0".to_owned(), format!("epoch {}", figures.epochs)])
        .style(Style::new().dim());
    let block = Block::bordered().border_style(Style::new().dim()).title(format!(" {name} "));
    frame.render_widget(Chart::new(sets).block(block).x_axis(x).y_axis(y), area);
}

fn status_lines(figures: &TrainingFigures, clock: Clock) -> Vec<Line<'static>> {
    let training = figures.describe("", &figures.latest);
    let last = figures.logs.last().and_then(|log| log.validation);
    let validation = match last {
        Some(validation) => figures.describe("", &validation),
        None => "after the first epoch".to_owned(),
    };
    let named = |name: &'static str, text: String, color: Color| {
        Line::from(vec![Span::from(format!("{name:<11}")).fg(color), Span::from(text)])
    };
    let pace = format!(
        "{:.1} samples/s, {:#} gone, {:#} left",
        clock.rate,
        HumanDuration(clock.elapsed),
        HumanDuration(clock.left),
    );
    vec![
        named("training", training, TRAINING),
        named("validation", validation, VALIDATION),
        named("pace", pace, Color::Reset),
        named("memory", figures.memory.clone(), Color::Reset),
    ]
}

#[cfg(test)]
mod tests;
