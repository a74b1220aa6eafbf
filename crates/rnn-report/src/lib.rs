//! What people look at: how far a training is, and what a run came to, as a table for the terminal,
//! pictures, and `report.html`, one file that needs no network, no script and no other file of the
//! run.

#[macro_use(print, println)]
extern crate rnn_run;

mod chart;
pub mod compare;
mod comparison;
mod figures;
mod film;
mod page;
pub mod plot;
pub mod progress;
mod run;
mod step;

pub use comparison::comparison;
pub use figures::{draw, text};
pub use film::draw_rollout;
use run::flatten;
pub use run::write;

use anyhow::Result;
use rnn_graph::Device;
use rnn_run::rollout::{RolloutOptions, rollout};
use rnn_run::train::Trained;

/// Tells what a run came to, writes what people look at into its folder, and marks it as finished.
///
/// # Errors
/// If the device fails, or a file cannot be written.
pub fn publish(trained: Trained, device: &dyn Device) -> Result<()> {
    let Trained { folder, config, result, .. } = &trained;
    println!("{}", text(config, result));
    draw(folder, config, result)?;
    if config.predicts_frames() {
        draw_rollout(folder, rollout(folder, config, RolloutOptions::default(), device)?)?;
    }
    write(folder, config, result)?;
    trained.finish()
}
