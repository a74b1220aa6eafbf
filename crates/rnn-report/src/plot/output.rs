use anyhow::Result;
use image::{ImageFormat, RgbImage};
use rnn_formats::write_atomically;
use std::io::{Cursor, Write as _};
use std::path::Path;

/// Writes a picture.
pub(super) fn write_png(path: &Path, picture: &RgbImage) -> Result<()> {
    let mut png = Cursor::new(Vec::new());
    picture.write_to(&mut png, ImageFormat::Png)?;
    write(path, png.get_ref())
}

/// Writes a file in one step: a reader finds the whole old file or the whole new one.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    Ok(write_atomically(path, |file| file.write_all(bytes))?)
}
