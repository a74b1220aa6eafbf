//! The `rnn-gpu` command.

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum as _};
use rnn::device;
use rnn_gpu::bench::{self, BenchArgs};
use rnn_gpu::columns::ColumnArgs;
use rnn_gpu::predict::{self, PredictArgs};
use rnn_gpu::training::{self, TrainArgs};
use rnn_gpu::verify::VerifyArgs;
use rnn_gpu::{compare, hints, interchange, report, verify};
use rnn_run::experiment::{Experiment, Preset};
use rnn_run::interrupt::Cause;
use rnn_run::rollout::{self, RolloutOptions};
use rnn_run::run::{RunFolder, SavedModel};
use rnn_run::{console, fit, interrupt, train};
use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Parser)]
#[command(version, about = "Train and run recurrent networks on any GPU")]
#[command(
    after_help = "Examples:\n  rnn-gpu train lstm\n  rnn-gpu predict runs/lstm --text \"a wonderful \
        film\" --explain\n  rnn-gpu new model.toml\n  rnn-gpu train --model model.toml --data \
        d.npz\n  rnn-gpu export runs/model --to model.keras\n\n`rnn-gpu help COMMAND` says more of \
        a command."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List what can be computed on
    Devices,
    /// Print a model's layers, shapes and parameters
    Summary {
        /// An experiment, a run folder, .keras, .h5 or model.toml
        model: String,
    },
    /// Write an example of a model.toml, or of a fit.toml, to be changed
    New {
        /// The file; one that is named fit.toml says how a model is trained
        #[arg(default_value = "model.toml")]
        path: PathBuf,
    },
    /// Predict with a trained model, from text or from arrays
    Predict(PredictArgs),
    /// Turn a model of Keras's into a run folder
    Import {
        /// A .keras or .h5 file
        file: PathBuf,
        /// The folder to write [default: runs/NAME]
        #[arg(long)]
        out: Option<PathBuf>,
        /// Replace a model that was imported into the folder before
        #[arg(long)]
        overwrite: bool,
    },
    /// Write a trained model for Keras and others
    Export {
        /// A run folder, .keras or .h5
        model: PathBuf,
        /// What to write: .keras (with which Keras can go on training), .h5, .weights.h5, .onnx or
        /// .safetensors
        #[arg(long)]
        to: PathBuf,
    },
    /// Train a model of the tutorial, or one of your own, and write a run folder
    Train(Box<TrainArgs>),
    /// Check every op on every device against its reference
    Verify(VerifyArgs),
    /// Time ops and whole steps on a device
    Bench(BenchArgs),
    /// Print finished runs side by side, draw their curves in one picture and write a page of both
    Compare {
        /// The folders that `train` wrote
        #[arg(required = true)]
        runs: Vec<PathBuf>,
        /// The picture to write; the page is beside it, as .html
        #[arg(long, default_value = "runs/compare.png")]
        out: PathBuf,
    },
    /// Let a next-frame model go on with a film on its own, and draw what it predicts
    Rollout {
        /// The folder that `train next-frame` wrote
        run: PathBuf,
        /// The film's number [default: the fifth that was not trained on, 1004 of the tutorial's]
        #[arg(long)]
        which: Option<usize>,
        /// Frames that the model sees [default: half of the film's, 7 of the tutorial's]
        #[arg(long)]
        track: Option<usize>,
        /// Frames that it predicts [default: 16; of films of fewer than 15 frames, to their end]
        #[arg(long)]
        frames: Option<usize>,
        /// auto, cpu, gpu, gpu:N or part of a name
        #[arg(long, default_value = "auto")]
        device: String,
    },
    /// Measure a trained model on the test data
    Evaluate {
        /// The folder that `train` wrote, .keras or .h5
        run: PathBuf,
        /// Other data than the run's own: an .npz or a folder of .npy, of x_test and y_test, or x
        /// and y; or a .csv
        #[arg(long)]
        data: Option<PathBuf>,
        /// Read examples from there as they are needed, whatever memory there is
        #[arg(long, requires = "data")]
        stream: bool,
        #[command(flatten)]
        columns: ColumnArgs,
        /// The loss, where the model does not say it: a fit.toml
        #[arg(long, requires = "data")]
        fit: Option<PathBuf>,
        /// auto, cpu, gpu, gpu:N or part of a name
        #[arg(long, default_value = "auto")]
        device: String,
    },
}

/// One message on failure, whatever RUST_BACKTRACE says: users' mistakes need no stack.
fn main() -> ExitCode {
    without_compositor();
    match run() {
        Ok(()) if interrupt::requested().is_none() => ExitCode::SUCCESS,
        Ok(()) => interrupt::exit_code().into(),
        Err(error) => {
            // Nobody reads why output that nobody reads ended.
            if interrupt::requested() != Some(Cause::ClosedPipe) {
                console::err(format_args!("error: {}\n", hints::explained(&error)));
            }
            interrupt::exit_code().into()
        }
    }
}

/// Mesa's layer above all Vulkan drivers looks for a Wayland compositor, and Wayland's library prints
/// an error where `XDG_RUNTIME_DIR` is not set, as on servers and in containers. No window is opened
/// here: the compositor is then said to be at a path that is no socket.
#[allow(unsafe_code, reason = "the layer can be told by the environment alone")]
fn without_compositor() {
    let is_set = |name| env::var_os(name).is_some();
    if cfg!(target_os = "linux") && !is_set("XDG_RUNTIME_DIR") && !is_set("WAYLAND_DISPLAY") {
        // SAFETY: this is the first that the program does; there is no other thread.
        unsafe { env::set_var("WAYLAND_DISPLAY", "/dev/null") };
    }
}

fn run() -> Result<()> {
    let command = Cli::parse().command;
    interrupt::listen(matches!(command, Command::Train(_) | Command::Verify(_)))?;
    match command {
        Command::Devices => {
            console::out(format_args!("{}", device::list()));
            Ok(())
        }
        Command::Summary { model } => {
            let summary = match Experiment::from_str(&model, true) {
                Ok(experiment) => {
                    experiment.model(experiment.input(), Preset::default(), 1)?.summary()
                }
                Err(_) => SavedModel::open(Path::new(&model))?.file.summary()?,
            };
            console::out(format_args!("{summary}"));
            Ok(())
        }
        Command::New { path } => interchange::new(&path),
        Command::Predict(args) => predict::predict(&args),
        Command::Import { file, out, overwrite } => {
            let name = || PathBuf::from("runs").join(file.file_stem().unwrap_or_default());
            interchange::import(&file, &out.unwrap_or_else(name), overwrite)
        }
        Command::Export { model, to } => interchange::export(&model, &to),
        Command::Train(args) => training::run(*args),
        Command::Compare { runs, out } => compare::compare(&runs, &out),
        Command::Verify(args) => verify::verify(&args),
        Command::Bench(args) => bench::bench(&args),
        Command::Rollout { run, which, track, frames, device } => {
            let (device, why) = device::open(&device)?;
            console::out(format_args!("device: {}: {why}\n", device.info()));
            let (folder, config) = RunFolder::open(&run)?;
            let options = RolloutOptions { which, track, frames };
            report::draw_rollout(&folder, rollout::rollout(&folder, &config, options, &*device)?)?;
            report::write(&folder, &config, &folder.result()?)
        }
        Command::Evaluate { run, data, stream, columns, fit, device } => {
            let (device, why) = device::open(&device)?;
            console::out(format_args!("device: {}: {why}\n", device.info()));
            match data {
                Some(data) => fit::evaluate(
                    &run,
                    (&data, stream, &columns.choice()),
                    fit.as_deref(),
                    &*device,
                ),
                None => {
                    let (folder, config, result) = train::evaluate(&run, &*device)?;
                    console::out(format_args!("{}\n", report::text(&config, &result)));
                    report::draw(&folder, &config, &result)?;
                    report::write(&folder, &config, &result)
                }
            }
        }
    }
}
