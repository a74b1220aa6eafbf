//! Rollouts of a next-frame model in the folder of its run, and their part of the page.

use super::chart::{Chart, Line};
use super::page::figure;
use crate::plot::axis::{Axis, padded};
use crate::plot::{Video, draw_video, error_curves};
use anyhow::{Context, Result};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use maud::{Markup, html};
use rnn_run::frame_error::FrameError;
use rnn_run::rollout::Rollout;
use rnn_run::run::RunFolder;
use std::fmt::Write as _;
use std::fs;

/// A video that a model continued.
pub(super) struct ShownRollout {
    number: usize,
    /// The frames that it predicted, by number, and how far they are from the true ones.
    errors: Vec<(usize, FrameError)>,
    animation: Vec<u8>,
    /// All frames in one picture, for those who want nothing to move.
    frames: Vec<u8>,
}

/// Reads the rollouts of a run, in the order of their videos.
pub(super) fn find(folder: &RunFolder) -> Result<Vec<ShownRollout>> {
    let mut all = Vec::new();
    for number in folder.rollouts()? {
        let path = folder.file(&format!("rollout-{number}"));
        let read = |name: &str| {
            let file = path.join(name);
            fs::read(&file).with_context(|| format!("cannot read {}", file.display()))
        };
        let errors = String::from_utf8_lossy(&read("errors.csv")?)
            .lines()
            .skip(1)
            .map(|line| parse(line).with_context(|| format!("{}: {line:?}", path.display())))
            .collect::<Result<_>>()?;
        let (animation, frames) = (read("film.gif")?, read("frames.png")?);
        all.push(ShownRollout { number, errors, animation, frames });
    }
    Ok(all)
}

/// A line of `errors.csv`.
fn parse(line: &str) -> Option<(usize, FrameError)> {
    let mut cells = line.split(',');
    let frame = cells.next()?.parse().ok()?;
    let mut figure = || cells.next()?.parse().ok();
    Some((frame, FrameError { bce: figure()?, mse: figure()?, ssim: figure()? }))
}

impl ShownRollout {
    /// Returns the heading of this rollout's section of the page.
    pub fn heading(&self) -> String {
        format!("Rollout of video {}", self.number)
    }

    /// Returns the contents of this rollout's section of the page: the animation, and the errors by
    /// frame.
    pub fn show(&self) -> Markup {
        let seen = self.errors.first().map_or(0, |(frame, _)| frame - 1);
        let data = |kind: &str, bytes: &[u8]| {
            format!("data:image/{kind};base64,{}", BASE64_STANDARD.encode(bytes))
        };
        let video = html! {
            picture {
                source media="(prefers-reduced-motion: reduce)" srcset=(data("png", &self.frames));
                img src=(data("gif", &self.animation))
                    alt="Squares that move: the model's frames on the left, the true ones on the right";
            }
        };
        let more = format!("{seen} frames seen, then {} predicted", self.errors.len());
        html! {
            figure.film { figcaption { "The model and the truth" small { (more) } } (video) }
            div.columns.thirds {
                (self.errors("Binary cross-entropy", |e| e.bce))
                (self.errors("Mean squared error", |e| e.mse))
                (self.errors("Structural similarity", |e| e.ssim))
            }
        }
    }

    fn errors(&self, name: &'static str, of: fn(&FrameError) -> f64) -> Markup {
        let points = (1u32..).map(f64::from).zip(self.errors.iter().map(|(_, e)| of(e)));
        let points: Vec<(f64, f64)> = points.collect();
        let y = Axis::new("", padded(points.iter().map(|p| p.1)), 5, 0.0);
        let chart = Chart::new(Axis::counted("predicted frame", points.len()), y);
        let description = format!("{name} of {} predicted frames", points.len());
        figure(name, "", chart.lines(&description, &[Line { name, points }]))
    }
}

/// Draws a rollout into the subfolder `rollout-N` of the run's folder, N being the number of the
/// video: the files of [`draw_video`], the errors as `errors.png` and as `errors.csv`. Returns text
/// for the terminal with a table of the errors.
///
/// # Errors
/// Fails if a picture cannot be drawn, or a folder or file cannot be written.
pub fn draw_rollout(folder: &RunFolder, rollout: Rollout) -> Result<String> {
    let Rollout { which, side, trained_frames, seen, predicted, truth, errors, .. } = rollout;
    let (track, frames) = (seen.len(), predicted.len());
    let table = table(track, &errors);
    let mut text = format!("video {which}, {track} frames seen, {frames} predicted\n{table}");
    if track + frames > trained_frames + 1 {
        let known = format!("the model was trained on {trained_frames} frames");
        let _ = writeln!(text, "{known}: beyond them it has to guess");
    }
    let name = format!("rollout-{which}");
    let pictures = folder.subfolder(&name)?;
    let shown = Video { side, seen: track, frames: [seen, predicted].concat(), truth };
    draw_video(&pictures, &shown)?;
    error_curves(&pictures.join("errors.png"), &format!("Video {which}"), &errors)?;
    folder.write_text(&format!("{name}/errors.csv"), &csv(track, &errors))?;
    let _ = writeln!(text, "wrote {}", pictures.display());
    Ok(text)
}

fn table(track: usize, errors: &[FrameError]) -> String {
    let mut text = format!("{:>5}  {:>9}  {:>9}  {:>6}\n", "frame", "BCE", "MSE", "SSIM");
    for (i, e) in errors.iter().enumerate() {
        let frame = track + i + 1;
        let _ = writeln!(text, "{frame:>5}  {:>9.6}  {:>9.6}  {:>6.4}", e.bce, e.mse, e.ssim);
    }
    text
}

fn csv(track: usize, errors: &[FrameError]) -> String {
    let lines = errors.iter().enumerate();
    let line = |(i, e): (usize, &FrameError)| {
        format!("{},{},{},{}\n", track + i + 1, e.bce, e.mse, e.ssim)
    };
    format!("frame,bce,mse,ssim\n{}", lines.map(line).collect::<String>())
}
