//! The commands: their arguments, and the functions that carry them out.

pub mod architecture;
mod bench;
pub mod checkpoints;
mod choice;
mod columns;
pub mod compare;
pub mod completions;
pub mod devices;
pub mod evaluate;
pub mod export;
mod forecast;
pub mod history;
pub mod import;
pub mod man;
pub mod new;
pub mod predict;
mod reviews;
pub mod rollout;
mod submission;
pub mod summary;
pub mod train;
pub mod verify;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// The command line.
#[derive(Parser)]
#[command(version, about = "Train and run recurrent networks on any GPU")]
#[command(
    after_help = "Examples:\n  rnn-gpu train lstm\n  rnn-gpu predict runs/lstm --text \"a wonderful \
        film\" --explain\n  rnn-gpu new model.toml\n  rnn-gpu train --model model.toml --data \
        d.npz\n  rnn-gpu export runs/model --to model.keras\n\n`rnn-gpu help COMMAND` says more of \
        a command."
)]
pub struct Cli {
    #[command(subcommand)]
    /// The command that is called.
    pub command: Command,
}

/// A command of `rnn-gpu` with its arguments.
#[derive(Subcommand)]
pub enum Command {
    /// List the devices of this machine
    Devices,
    /// Print a model's layers, shapes and parameters
    Summary(summary::SummaryArgs),
    /// Write an example of a model.toml, or of a fit.toml, to be changed
    New(new::NewArgs),
    /// Predict with a trained model, from text or from arrays
    Predict(predict::PredictArgs),
    /// Turn a Keras model into a run folder
    Import(import::ImportArgs),
    /// Write a trained model in a format of Keras, ONNX or safetensors
    Export(export::ExportArgs),
    /// Train a model of the tutorial, a forecast, or a model of your own, and write a run folder
    Train(Box<train::TrainArgs>),
    /// Check every op on every device against its reference
    Verify(verify::VerifyArgs),
    /// Time ops and whole steps on a device
    Bench(bench::BenchArgs),
    /// Print a table of finished runs, draw their curves in one picture and write a page of both
    Compare(compare::CompareArgs),
    /// Print the figures of each epoch of a run as JSON
    History(history::HistoryArgs),
    /// Print the checkpoints of a run as JSON, and whether each is sound
    Checkpoints(checkpoints::CheckpointsArgs),
    /// Continue a video with a next-frame model from its own predictions, and draw them
    Rollout(rollout::RolloutArgs),
    /// Measure a trained model on the test data
    Evaluate(evaluate::EvaluateArgs),
    /// Print a script by which a shell completes commands, options and values
    Completions(completions::CompletionsArgs),
    /// Write the manual pages of all commands
    Man(man::ManArgs),
}

impl Command {
    /// Returns true for `train` and `verify`, whose exit code tells whether their work succeeded;
    /// false for other commands.
    pub fn judges(&self) -> bool {
        matches!(self, Self::Train(_) | Self::Verify(_))
    }

    /// Returns true for `train`, which goes on if nobody reads what it prints.
    pub fn outlives_readers(&self) -> bool {
        matches!(self, Self::Train(_))
    }

    /// Runs the command with its arguments, which may print results and write files.
    ///
    /// # Errors
    /// Fails with the error of the command.
    pub fn run(self) -> Result<()> {
        match self {
            Self::Devices => {
                devices::run();
                Ok(())
            }
            Self::Summary(args) => summary::run(&args),
            Self::New(args) => new::run(&args),
            Self::Predict(args) => predict::run(&args),
            Self::Import(args) => import::run(&args),
            Self::Export(args) => export::run(&args),
            Self::Train(args) => train::run(*args),
            Self::Verify(args) => verify::run(&args),
            Self::Bench(args) => bench::run(&args),
            Self::Compare(args) => compare::run(&args),
            Self::History(args) => history::run(&args),
            Self::Checkpoints(args) => checkpoints::run(&args),
            Self::Rollout(args) => rollout::run(&args),
            Self::Evaluate(args) => evaluate::run(args),
            Self::Completions(args) => completions::run(&args),
            Self::Man(args) => man::run(&args),
        }
    }
}
