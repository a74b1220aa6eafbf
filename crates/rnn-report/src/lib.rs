//! The output of trainings for people: their progress; their results as text and as PNG pictures;
//! and `report.html`, a page in one file that needs no network, no script and no other file of the
//! run.

mod chart;
pub mod compare;
mod comparison;
mod figures;
mod forecasts;
mod page;
pub mod plot;
pub mod progress;
mod rollouts;
mod run;
mod step;

pub use comparison::comparison;
pub use figures::{draw, text};
pub use rollouts::draw_rollout;
use run::flatten;
pub use run::write;

use anyhow::Result;
use rnn_graph::Device;
use rnn_run::host::Host;
use rnn_run::rollout::{RolloutOptions, rollout};
use rnn_run::train::Trained;

/// Prints the results of a run through `host`, writes its page, text and pictures into its folder,
/// and marks it as finished. If the run is a next-frame model, also continues one of its videos on
/// `device` and draws the result.
///
/// # Errors
/// Fails if the device fails, or a file cannot be read or written. The run is then not marked as
/// finished.
pub fn publish(trained: Trained, device: &dyn Device, host: &dyn Host) -> Result<()> {
    let Trained { folder, config, result, .. } = &trained;
    host.tell(format_args!("{}", text(config, result)));
    draw(folder, config, result)?;
    if config.predicts_frames() {
        let rollout = rollout(folder, config, RolloutOptions::default(), device)?;
        if let Some(warning) = rollout.rows.warning() {
            host.warn(format_args!("{warning}"));
        }
        host.print(format_args!("{}", draw_rollout(folder, rollout)?));
    }
    write(folder, config, result)?;
    trained.finish()
}
