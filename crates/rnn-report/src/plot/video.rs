use super::canvas::{px, text_style};
use super::{font, output};
use anyhow::{Context, Result};
use image::codecs::gif::{GifEncoder, Repeat};
use image::{Delay, Frame, Rgb, RgbImage, imageops};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::path::Path;
use std::time::Duration;

/// A video that a model continued, beside the true one. Each frame is `[side, side]`, row by row,
/// with values from 0 to 1.
#[derive(Clone, Debug)]
pub struct Video {
    /// Height and width of a frame in pixels.
    pub side: usize,
    /// Number of frames that the model saw.
    pub seen: usize,
    /// The frames that the model saw, followed by those that it predicted.
    pub frames: Vec<Vec<f32>>,
    /// The true frames, as many as `frames`.
    pub truth: Vec<Vec<f32>>,
}

/// Pixels of a side of a large frame, about.
const LARGE: usize = 400;
/// The size of a frame in the picture of all frames.
const SMALL: usize = 120;
const GAP: u32 = 16;
const HEADER: u32 = 48;
const FRAME_TIME: Duration = Duration::from_millis(400);

/// Draws a video into `folder`, in place of existing files: `frame-01.png` and so on, each with a
/// frame and the true one side by side; `frames.png` with all frames; and the animation `film.gif`.
///
/// # Errors
/// Fails if a picture cannot be drawn or a file cannot be written.
///
/// # Panics
/// Panics if `video.side` is 0, or `video.truth` has fewer frames than `video.frames`.
pub fn draw_video(folder: &Path, video: &Video) -> Result<()> {
    font::register()?;
    let mut pictures = Vec::new();
    for index in 0..video.frames.len() {
        let picture = side_by_side(video, index)?;
        write(&folder.join(format!("frame-{:02}.png", index + 1)), &picture)?;
        pictures.push(picture);
    }
    write(&folder.join("frames.png"), &sheet(video)?)?;
    let path = folder.join("film.gif");
    let mut bytes = Vec::new();
    animate(&mut bytes, pictures)
        .map_err(anyhow::Error::from)
        .and_then(|()| output::write(&path, &bytes))
        .with_context(|| format!("cannot write the animation {}", path.display()))
}

fn write(path: &Path, picture: &RgbImage) -> Result<()> {
    output::write_png(path, picture)
        .with_context(|| format!("cannot write the picture {}", path.display()))
}

fn animate(bytes: &mut Vec<u8>, pictures: Vec<RgbImage>) -> image::ImageResult<()> {
    let mut encoder = GifEncoder::new_with_speed(bytes, 10);
    encoder.set_repeat(Repeat::Infinite)?;
    let delay = Delay::from_saturating_duration(FRAME_TIME);
    for picture in pictures {
        let picture = image::DynamicImage::ImageRgb8(picture).into_rgba8();
        encoder.encode_frame(Frame::from_parts(picture, 0, 0, delay))?;
    }
    Ok(())
}

/// A frame, enlarged to about this number of pixels a side; every pixel of it becomes a square.
fn enlarged(frame: &[f32], side: usize, about: usize) -> RgbImage {
    let mut small = RgbImage::new(side as u32, side as u32);
    for (pixel, &value) in small.pixels_mut().zip(frame) {
        let color = ViridisRGB::get_color(value.clamp(0.0, 1.0));
        *pixel = Rgb([color.0, color.1, color.2]);
    }
    let size = (side * about.div_ceil(side)) as u32;
    imageops::resize(&small, size, size, imageops::FilterType::Nearest)
}

/// Draws a frame that the model saw or predicted beside the true one, as in the tutorial.
fn side_by_side(video: &Video, index: usize) -> Result<RgbImage> {
    let left = if index < video.seen { "Initial trajectory" } else { "Predictions !" };
    let frames = [&video.frames[index], &video.truth[index]];
    let parts = frames.map(|frame| enlarged(frame, video.side, LARGE));
    let size = parts[0].width();
    let mut picture = blank(2 * size + 3 * GAP, size + HEADER + GAP);
    let mut texts = Vec::new();
    for (part, (x, label)) in parts.iter().zip([(GAP, left), (2 * GAP + size, "Ground truth")]) {
        imageops::replace(&mut picture, part, x.into(), HEADER.into());
        texts.push((label.to_owned(), (x + size / 2, HEADER / 2)));
    }
    label(&mut picture, &texts, 14)?;
    Ok(picture)
}

/// All frames: predictions above, truth below.
fn sheet(video: &Video) -> Result<RgbImage> {
    let size = (video.side * SMALL.div_ceil(video.side)) as u32;
    let columns = video.frames.len() as u32;
    let (width, row) = (columns * (size + GAP) + GAP, size + GAP);
    let mut picture = blank(width, 2 * (HEADER + row) + GAP);
    let mut texts = Vec::new();
    for (line, frames) in [&video.frames, &video.truth].into_iter().enumerate() {
        let top = line as u32 * (HEADER + row);
        for (index, frame) in frames.iter().enumerate() {
            let x = GAP + index as u32 * (size + GAP);
            let part = enlarged(frame, video.side, SMALL);
            imageops::replace(&mut picture, &part, x.into(), (top + HEADER).into());
            let what = match (line, index < video.seen) {
                (0, true) => "seen",
                (0, false) => "predicted",
                _ => "truth",
            };
            texts.push((format!("{} {what}", index + 1), (x + size / 2, top + HEADER / 2)));
        }
    }
    label(&mut picture, &texts, 8)?;
    Ok(picture)
}

fn blank(width: u32, height: u32) -> RgbImage {
    RgbImage::from_pixel(width, height, Rgb([255; 3]))
}

/// Writes texts around their places.
fn label(picture: &mut RgbImage, texts: &[(String, (u32, u32))], points: u32) -> Result<()> {
    let size = picture.dimensions();
    let area = BitMapBackend::with_buffer(picture, size).into_drawing_area();
    let style = text_style(points).pos(Pos::new(HPos::Center, VPos::Center));
    for (text, (x, y)) in texts {
        area.draw_text(text, &style, (*x as i32, (*y + px(1)) as i32))?;
    }
    area.present()?;
    Ok(())
}
