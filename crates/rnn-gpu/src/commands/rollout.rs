//! The command `rnn-gpu rollout`.

use super::submission::SubmissionArgs;
use crate::process::{Process, open_device, warn_of};
use anyhow::Result;
use rnn_run::checkpoint::RunLock;
use rnn_run::rollout::{RolloutOptions, rollout};
use rnn_run::run::RunFolder;
use std::path::PathBuf;

/// The arguments of `rnn-gpu rollout`.
#[derive(clap::Args)]
pub struct RolloutArgs {
    /// The folder that `train next-frame` wrote
    run: PathBuf,
    /// The video's number [default: the fifth that was not trained on, 1004 of the tutorial's]
    #[arg(long)]
    which: Option<usize>,
    /// Frames that the model sees [default: half of the video's, 7 of the tutorial's]
    #[arg(long)]
    track: Option<usize>,
    /// Frames that it predicts [default: 16; of videos of fewer than 15 frames, to their end]
    #[arg(long)]
    frames: Option<usize>,
    /// auto, cpu, gpu, gpu:N or part of a name
    #[arg(long, default_value = "auto")]
    device: String,
    #[command(flatten)]
    submission: SubmissionArgs,
}

/// Continues a video of a next-frame run from the model's own predictions, draws the result into
/// the folder of the run, and writes the page of the run anew.
///
/// # Errors
/// Fails if the run is of another experiment, cannot be read or locked, there is no such video, the numbers
/// of frames are out of range, the device fails, or a file cannot be written.
pub fn run(args: &RolloutArgs) -> Result<()> {
    args.submission.apply();
    let (device, why) = open_device(&args.device)?;
    println!("device: {}: {why}", device.info());
    let (folder, config) = RunFolder::open(&args.run)?;
    let _lock = RunLock::acquire(&args.run, &Process)?;
    let &RolloutArgs { which, track, frames, .. } = args;
    let options = RolloutOptions { which, track, frames };
    let rollout = rollout(&folder, &config, options, &*device)?;
    warn_of(&[rollout.rows]);
    print!("{}", rnn_report::draw_rollout(&folder, rollout)?);
    rnn_report::write(&folder, &config, &folder.result()?)
}
