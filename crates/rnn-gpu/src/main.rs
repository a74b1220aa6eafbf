//! The `rnn-gpu` command.

use anyhow::{Context, Result};
use clap::builder::PossibleValue;
use clap::{Parser, Subcommand};
use rnn_gpu::data::Source;
use rnn_gpu::experiment::{Experiment, LENGTH, Preset};
use rnn_gpu::run::Config;
use rnn_gpu::verify::VerifyArgs;
use rnn_gpu::{compare, device, train, verify};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;

#[derive(Parser)]
#[command(version, about = "Train and run recurrent networks on any GPU")]
#[command(
    after_help = "Example:\n  rnn-gpu train lstm --data imdb.npz --epochs 3\n  rnn-gpu compare runs/lstm runs/cnn-lstm"
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
        /// The model
        experiment: Experiment,
    },
    /// Train a model and write a run folder
    Train(TrainArgs),
    /// Check every op on every device against its reference
    Verify(VerifyArgs),
    /// Print finished runs side by side and draw their curves in one picture
    Compare {
        /// The folders that `train` wrote
        #[arg(required = true)]
        runs: Vec<PathBuf>,
        /// The picture to write
        #[arg(long, default_value = "runs/compare.png")]
        out: PathBuf,
    },
    /// Measure a trained model on the test reviews
    Evaluate {
        /// The folder that `train` wrote
        run: PathBuf,
        /// auto, cpu, gpu, gpu:N or part of a name
        #[arg(long, default_value = "auto")]
        device: String,
    },
}

#[derive(clap::Args)]
struct TrainArgs {
    /// The model, or all of them one after the other
    experiment: Choice,
    /// The reviews, as Keras's imdb.npz [default: the cached or downloaded file, else a bundled
    /// corpus of synthetic reviews]
    #[arg(long)]
    data: Option<PathBuf>,
    /// Do not download anything
    #[arg(long, env = "RNN_GPU_OFFLINE", value_parser = clap::builder::FalseyValueParser::new())]
    offline: bool,
    /// Whose defaults the model follows
    #[arg(long, value_enum, default_value_t)]
    preset: Preset,
    /// Passes over the training reviews
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    epochs: u32,
    /// Reviews in a step
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..))]
    batch_size: u32,
    /// Tokens of a review; longer ones lose their beginning [default: 500; 201 of the bundled
    /// corpus]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    length: Option<u32>,
    /// auto, cpu, gpu, gpu:N or part of a name
    #[arg(long, default_value = "auto")]
    device: String,
    /// Decides first weights, split and order
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Use at most so many reviews of each set
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// The folder to write; with `all`, one in it for each [default: runs/EXPERIMENT]
    #[arg(long)]
    out: Option<PathBuf>,
    /// Print the time that each op took
    #[arg(long)]
    profile: bool,
}

/// What `train` can be asked for.
#[derive(Clone, Copy, Debug)]
enum Choice {
    One(Experiment),
    All,
}

impl clap::ValueEnum for Choice {
    fn value_variants<'a>() -> &'a [Self] {
        const ALL: [Choice; 5] = {
            let [a, b, c, d] = Experiment::ALL;
            [Choice::One(a), Choice::One(b), Choice::One(c), Choice::One(d), Choice::All]
        };
        &ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Self::One(experiment) => experiment.to_possible_value(),
            Self::All => Some(PossibleValue::new("all").help("all of them")),
        }
    }
}

/// One message on failure, whatever RUST_BACKTRACE says: users' mistakes need no stack.
fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            // 128 + SIGINT is what shells expect of a command that Ctrl-C ended.
            if train::INTERRUPTED.load(Ordering::Relaxed) { 130.into() } else { ExitCode::FAILURE }
        }
    }
}

fn run() -> Result<()> {
    // A second Ctrl-C does not wait for the step.
    ctrlc::set_handler(|| {
        if train::INTERRUPTED.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    })
    .context("cannot catch Ctrl-C")?;
    match Cli::parse().command {
        Command::Devices => {
            print!("{}", device::list());
            Ok(())
        }
        Command::Summary { experiment } => {
            print!("{}", experiment.model(Preset::default(), LENGTH, 1)?.summary());
            Ok(())
        }
        Command::Train(args) => run_training(args),
        Command::Compare { runs, out } => compare::compare(&runs, &out),
        Command::Verify(args) => verify::verify(&args),
        Command::Evaluate { run, device } => {
            let (device, why) = device::open(&device)?;
            println!("device: {}: {why}", device.info());
            train::evaluate(&run, &*device)
        }
    }
}

fn run_training(args: TrainArgs) -> Result<()> {
    let (device, why) = device::open(&args.device)?;
    println!("device: {}: {why}", device.info());
    let (data, which) = Source::find(args.data, args.offline);
    println!("data: {which}");
    let config = |experiment| Config {
        experiment,
        preset: args.preset,
        length: args.length.map_or(data.length(), |n| n as usize),
        data: data.clone(),
        batch_size: args.batch_size as usize,
        epochs: args.epochs as usize,
        seed: args.seed,
        limit: args.limit.map(|n| n as usize),
        device: device.info().to_string(),
    };
    let train = |experiment: Experiment, out: &Path| {
        train::train(&config(experiment), &*device, out, args.profile)?;
        println!("wrote {}", out.display());
        anyhow::Ok(())
    };
    let runs = PathBuf::from("runs");
    match args.experiment {
        Choice::One(one) => train(one, &args.out.unwrap_or_else(|| runs.join(one.name()))),
        Choice::All => {
            let parent = args.out.unwrap_or(runs);
            let folders = Experiment::ALL.map(|experiment| parent.join(experiment.name()));
            for (experiment, folder) in Experiment::ALL.into_iter().zip(&folders) {
                train(experiment, folder)?;
            }
            compare::compare(&folders, &parent.join("compare.png"))
        }
    }
}
