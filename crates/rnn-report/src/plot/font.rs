use anyhow::{Result, anyhow};
use plotters::style::{FontStyle, register_font};

/// The family under which the bundled font is known to plotters.
pub(super) const FAMILY: &str = "DejaVu Sans";

/// Makes the bundled font known, so that pictures look alike on every machine.
pub(super) fn register() -> Result<()> {
    let font = include_bytes!("../../fonts/DejaVuSans-subset.ttf");
    register_font(FAMILY, FontStyle::Normal, font)
        .map_err(|_| anyhow!("the bundled font cannot be read"))
}
