use std::fs::File;
use std::io::{Cursor, Write};
use std::path::Path;

use anyhow::{Context, Result};
use image::{ImageFormat, RgbImage};

/// Writes a picture.
pub(super) fn write_png(path: &Path, picture: &RgbImage) -> Result<()> {
    let mut png = Cursor::new(Vec::new());
    picture.write_to(&mut png, ImageFormat::Png)?;
    write(path, png.get_ref())
}

/// Writes a file in one step: a reader finds the whole old file or the whole new one.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // `create_new` rather than tempfile's own opening, which hides the file from other users.
    let mut file = tempfile::Builder::new()
        .prefix(".picture-")
        .make_in(folder, |path| File::create_new(path))
        .context("cannot create a temporary file beside it")?;
    file.write_all(bytes)?;
    file.persist(path).map_err(|failure| failure.error)?;
    Ok(())
}
