//! The command `rnn-gpu train`.

use super::choice::{Choice, QUICK, movie_size};
use super::columns::ColumnArgs;
use super::forecast::ForecastArgs;
use super::reviews::{TextArgs, download};
use super::submission::SubmissionArgs;
use crate::process::{Process, host, open_device};
use anyhow::{Context, Result, ensure};
use rnn::datasets::movies::MovieOptions;
use rnn::device::{self, Opened};
use rnn::nn::Precision;
use rnn_report::progress::{ShowProgress, WatchOptions};
use rnn_run::checkpoint::{CheckpointOptions, Every};
use rnn_run::config::{BuiltinTask, Config, MAX_BATCH, Task};
use rnn_run::distributed;
use rnn_run::experiment::{Experiment, Preset};
use rnn_run::fit::{self, FitArgs};
use rnn_run::forecast;
use rnn_run::run::{ModelPath, RunFolder};
use rnn_run::source::{DatasetSource, Fetch};
use rnn_run::train::{self, Progress, TrainOptions};
use rnn_run::world::World;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The arguments for models of the tutorial alone.
const TUTORIAL: [&str; 7] =
    ["preset", "length", "movies", "size", "text_column", "label_column", "word_index"];

const FORECASTS: &str = "Forecasts of time series";
const OWN_MODEL: &str = "A model of your own";
const TUTORIAL_MODEL: &str = "Models of the tutorial";

/// The arguments of `rnn-gpu train`.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  rnn-gpu train lstm --epochs 3\n  rnn-gpu train lstm --data \
    reviews.csv --text-column body\n  rnn-gpu train --model model.toml --data d.npz --fit \
    fit.toml\n  rnn-gpu train forecast --data weather.csv --target temperature \
    --time date --horizon 24\n  rnn-gpu train --resume runs/lstm")]
pub struct TrainArgs {
    /// A model of the tutorial, or all those on reviews one after the other; or a forecast of a table
    /// of time series
    #[arg(required_unless_present_any = ["model", "resume"])]
    experiment: Option<Choice>,
    /// The data to train on. For a model of your own: an .npz or a folder of .npy, of x_train,
    /// y_train and perhaps x_val, y_val, x_test, y_test, and w_train, what each example or step
    /// counts; or a .csv with --target. Of one of the tutorial's: Keras's imdb.npz, a folder with
    /// train/pos/*.txt and train/neg/*.txt, or a .csv, .tsv or .jsonl file of texts and labels
    /// [default: the cached or downloaded imdb.npz, else bundled synthetic reviews]
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Passes over the training data [default: 3; 10 of your own; 20 of next-frame, 3 of its quick
    /// preset]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    epochs: Option<u32>,
    /// Examples in a step [default: 128; 32 of your own; 10 of next-frame, 1 of its quick preset]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MAX_BATCH as i64))]
    batch_size: Option<u32>,
    /// Decides first weights, split and order [default: 1]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Use at most N examples of each set
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// f32, or mixed: LSTM, ConvLSTM and SimpleRNN keep sequences in half precision and sum in
    /// single, on GPUs that have it; the loss is scaled so that small gradients are not lost. On the
    /// CPU numbers are rounded alike, which gains nothing but shows the accuracy
    #[arg(long, default_value = "f32")]
    precision: Precision,
    /// auto, cpu, gpu, gpu:N or part of a name
    #[arg(long, default_value = "auto")]
    device: String,
    #[command(flatten)]
    submission: SubmissionArgs,
    /// Train with the other processes that mpirun has started: of a step each computes --batch-size
    /// examples. Needs a build with --features mpi
    #[arg(long)]
    distributed: bool,
    /// The folder to write; with `all`, one in it for each [default: runs/NAME]
    #[arg(long, value_name = "RUN")]
    out: Option<PathBuf>,
    /// Print the time that each op took
    #[arg(long)]
    profile: bool,
    #[command(flatten)]
    watch: WatchArgs,
    #[command(flatten)]
    checkpoints: CheckpointArgs,
    /// A model.toml (`rnn-gpu new` writes one), a .keras, .h5 or .onnx file, or a run, with whose weights
    /// it begins
    #[arg(long, requires = "data", conflicts_with_all = TUTORIAL, help_heading = OWN_MODEL)]
    model: Option<PathBuf>,
    /// The model of a file of weights alone, such as .weights.h5: the JSON of Keras's
    /// model.to_json(), or a .keras, .h5 or model.toml
    #[arg(long, requires = "model", value_name = "model.json", help_heading = OWN_MODEL)]
    architecture: Option<PathBuf>,
    /// The settings of the training: loss, optimizer, validation, early stopping
    /// (`rnn-gpu new fit.toml` writes an example)
    #[arg(long, requires = "model", value_name = "fit.toml", help_heading = OWN_MODEL)]
    fit: Option<PathBuf>,
    /// Read examples from their files as they are needed, as is done anyway with arrays that are
    /// large for the memory at hand
    #[arg(long, requires = "model", help_heading = OWN_MODEL)]
    stream: bool,
    #[command(flatten, next_help_heading = FORECASTS)]
    forecast: ForecastArgs,
    #[command(flatten, next_help_heading = OWN_MODEL)]
    columns: ColumnArgs,
    /// Give each epoch an order of its own [default, but of a stateful model]
    #[arg(long, requires = "model", help_heading = OWN_MODEL)]
    shuffle: bool,
    /// Keep the order of the examples in every epoch [default of a stateful model]
    #[arg(long, requires = "model", conflicts_with = "shuffle", help_heading = OWN_MODEL)]
    no_shuffle: bool,
    /// Whose defaults the model follows [default: keras3; 2018 of next-frame]
    #[arg(long, value_enum, help_heading = TUTORIAL_MODEL)]
    preset: Option<Preset>,
    /// Tokens of a review, of which longer ones lose their beginning, or frames of a video
    /// [default: 500; 201 of the bundled corpus; 15 of next-frame, 12 of its quick preset]
    #[arg(
        long, value_name = "N", help_heading = TUTORIAL_MODEL,
        value_parser = clap::value_parser!(u32).range(1..=10_000)
    )]
    length: Option<u32>,
    #[command(flatten, next_help_heading = TUTORIAL_MODEL)]
    text: TextArgs,
    /// Do not download anything
    #[arg(
        long, env = "RNN_GPU_OFFLINE", help_heading = TUTORIAL_MODEL,
        value_parser = clap::builder::FalseyValueParser::new()
    )]
    offline: bool,
    /// Videos to make, of which five sixths are trained on [default: 1200; 720 of the quick preset]
    #[arg(
        long, value_name = "N", help_heading = TUTORIAL_MODEL,
        value_parser = clap::value_parser!(u32).range(6..=1_000_000)
    )]
    movies: Option<u32>,
    /// Pixels of a side of a video, an even number [default: 40; 20 of the quick preset]
    #[arg(long, value_name = "N", value_parser = movie_size, help_heading = TUTORIAL_MODEL)]
    size: Option<u32>,
}

/// The arguments that are decided when a run begins, and that resuming takes from it.
const SETTINGS: [&str; 19] = [
    "experiment",
    "model",
    "architecture",
    "fit",
    "stream",
    "target",
    "features",
    "text_column",
    "label_column",
    "preset",
    "batch_size",
    "length",
    "movies",
    "size",
    "seed",
    "precision",
    "limit",
    "out",
    "overwrite",
];

/// The arguments about the display of a training.
#[derive(clap::Args)]
struct WatchArgs {
    /// Show live curves on the whole terminal; lines where standard output is none
    #[arg(long)]
    tui: bool,
    /// Write curves for TensorBoard into a folder of DIR that is named as the run's [default: the
    /// folder tensorboard of the run]
    #[arg(long, value_name = "DIR", num_args = 0..=1)]
    tensorboard: Option<Option<PathBuf>>,
}

/// The arguments about checkpoints.
#[derive(clap::Args)]
#[command(next_help_heading = "Checkpoints")]
struct CheckpointArgs {
    /// Go on with the unfinished run in this folder, from its last checkpoint; of a finished one,
    /// for more --epochs. With --data, where the same data lies now
    #[arg(long, value_name = "RUN", conflicts_with_all = SETTINGS)]
    resume: Option<PathBuf>,
    /// When to take checkpoints besides those after each epoch: every N steps, or after
    /// times like 90s, 5m or 2h; `never` for none at all
    #[arg(long, value_name = "STEPS|TIME", default_value = "epoch")]
    checkpoint_every: Every,
    /// Checkpoints to keep, besides the one with the smallest validation loss
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    keep: u32,
    /// Replace the run that is in the folder, if there is one; other files in it stay
    #[arg(long)]
    overwrite: bool,
}

/// Carries out `rnn-gpu train`: trains a model of the tutorial, all of those on reviews, or a model
/// of the user's, or resumes a run. Prints the results and writes the folders of runs. With
/// `--distributed`, this process is one of several that train together.
///
/// # Errors
/// Fails if the arguments do not fit together, the device, the data or the model cannot be opened,
/// a training fails or is interrupted, or a folder cannot be written.
pub fn run(args: TrainArgs) -> Result<()> {
    args.submission.apply();
    match args.distributed {
        true => distributed::run(&args.device.clone(), &host(), |world| lead(args, Some(world))),
        false => lead(args, None),
    }
}

fn lead(args: TrainArgs, world: Option<Rc<dyn World>>) -> Result<()> {
    let choice = match &world {
        Some(world) => device::of_rank(&args.device, world.local_rank()),
        None => args.device,
    };
    let mut device = Opened::new(move || {
        let (device, why) = open_device(&choice)?;
        println!("device: {}: {why}", device.info());
        Ok(device)
    })?;
    let number = |asked: Option<u32>, default: usize| asked.map_or(default, |n| n as usize);
    let TrainArgs { checkpoints, watch, profile, .. } = args;
    let CheckpointArgs { resume, checkpoint_every: every, keep, overwrite } = checkpoints;
    let checkpoints = CheckpointOptions { every, keep: keep as usize, overwrite };
    let options = TrainOptions { checkpoints, profile, world, host: host() };
    let mut progress =
        ShowProgress::new(WatchOptions { tui: watch.tui, tensorboard: watch.tensorboard }, host());
    let (ranks, place) = (options.ranks(), options.place(device.device()));
    if ranks > 1 {
        println!("{ranks} ranks");
    }
    if matches!(args.experiment, Some(Choice::Forecast)) {
        ensure!(
            args.fit.is_none() && !args.stream && !args.shuffle && !args.no_shuffle,
            "--fit, --stream, --shuffle and --no-shuffle are not for forecasts"
        );
        ensure!(
            args.preset.is_none() && [args.length, args.movies, args.size] == [None; 3],
            "--preset, --length, --movies and --size are for models of the tutorial"
        );
        let out = args.out.unwrap_or_else(|| Path::new("runs").join("forecast"));
        let base =
            forecast::ForecastArgs::of(args.data.context("a forecast takes --data FILE.csv")?);
        let base = forecast::ForecastArgs {
            model: args.model,
            epochs: number(args.epochs, base.epochs),
            batch_size: number(args.batch_size, base.batch_size),
            seed: args.seed.unwrap_or(base.seed),
            precision: args.precision,
            limit: args.limit.map(|n| n as usize),
            ranks,
            device: place,
            ..base
        };
        let ColumnArgs { target, features } = args.columns;
        let asked = args.forecast.with([target, features], base)?;
        let config = forecast::prepare(&asked, &host())?;
        println!("data: {}", config.data());
        let carried_out = (&options, &mut progress as &mut dyn Progress);
        let trained = train::train(&config, None, &mut device, &out, carried_out)?;
        rnn_report::publish(trained, device.device(), &Process)?;
        println!("wrote {}", out.display());
        return Ok(());
    }
    ensure!(
        !args.forecast.is_given(),
        "--time, --group, --window, --horizon, --season, --quantiles, --missing, --gaps, --calendar, \
         --validation and --test are for `rnn-gpu train forecast`"
    );
    if let Some(model) = args.model {
        ensure!(
            args.experiment.is_none(),
            "--model cannot be used with a model of the tutorial: leave one of them out"
        );
        let named = Path::new("runs").join(model.file_stem().unwrap_or(model.as_os_str()));
        let out = args.out.unwrap_or(named);
        let asked = FitArgs {
            model: ModelPath { path: model, architecture: args.architecture },
            data: args.data.context("--model takes --data")?,
            columns: args.columns.choice(),
            stream: args.stream,
            fit: args.fit,
            epochs: args.epochs.map(|n| n as usize),
            batch_size: args.batch_size.map(|n| n as usize),
            seed: args.seed,
            shuffle: (args.shuffle || args.no_shuffle).then_some(args.shuffle),
            precision: args.precision,
            limit: args.limit.map(|n| n as usize),
            ranks,
            device: place,
        };
        let (config, first) = fit::prepare(&asked, &host())?;
        println!("data: {}", config.data());
        let carried_out = (&options, &mut progress as &mut dyn Progress);
        let trained = train::train(&config, first, &mut device, &out, carried_out)?;
        rnn_report::publish(trained, device.device(), &Process)?;
        println!("wrote {}", out.display());
        return Ok(());
    }
    let Some(choice) = args.experiment else {
        let run = resume.unwrap_or_default();
        let epochs = args.epochs.map(|n| n as usize);
        let moved = [args.data, args.text.word_index];
        let carried_out = (&options, &mut progress as &mut dyn Progress);
        let trained = train::resume(&run, epochs, moved, &mut device, carried_out)?;
        rnn_report::publish(trained, device.device(), &Process)?;
        println!("wrote {}", run.display());
        return Ok(());
    };
    let seed = args.seed.unwrap_or(1);
    let videos = matches!(choice, Choice::One(Experiment::NextFrame));
    let preset = args.preset.unwrap_or(if videos { Preset::Keras2018 } else { Preset::Keras3 });
    let quick = preset == Preset::Quick;
    ensure!(videos || !quick, "--preset quick is for next-frame alone");
    ensure!(
        videos || (args.movies, args.size) == (None, None),
        "--movies and --size are for next-frame alone"
    );
    let (data, which) = if videos {
        ensure!(args.data.is_none(), "next-frame makes its own videos and takes no --data");
        let tutorial = if quick { QUICK } else { MovieOptions::default() };
        let movies = MovieOptions {
            count: number(args.movies, tutorial.count),
            frames: number(args.length, tutorial.frames),
            size: number(args.size, tutorial.size),
            seed,
            ..tutorial
        };
        let MovieOptions { count, frames, size, .. } = movies;
        let text = format!("{count} videos of moving squares, {frames} frames of {size} x {size}");
        (DatasetSource::Movies(movies), text)
    } else {
        let fetch: Option<&Fetch<'_>> = (!args.offline).then_some(&download);
        let found = DatasetSource::find(args.data, args.text.columns(), fetch);
        if let Some(error) = &found.no_words {
            eprintln!("{error:#}; without it, `predict --text` will want --word-index");
        }
        let advice = found.no_reviews.as_ref().map(|_| "; give --data imdb.npz for real reviews");
        let text = format!("{found}{}", advice.unwrap_or_default());
        (found.source, text)
    };
    args.text.check(&data)?;
    ensure!(args.columns.target.is_empty(), "--target is for models of your own, --model");
    println!("data: {which}");
    let (epochs, batch_size) = match (videos, quick) {
        (true, true) => (3, 1),
        (true, false) => (20, 10),
        _ => (3, 128),
    };
    let config = |experiment| Config {
        task: Task::Builtin(BuiltinTask {
            experiment,
            preset,
            length: number(args.length, data.length()),
            data: data.clone(),
            word_index: args.text.word_index.clone(),
        }),
        batch_size: number(args.batch_size, batch_size),
        ranks,
        epochs: number(args.epochs, epochs),
        seed,
        precision: args.precision,
        limit: args.limit.map(|n| n as usize),
        device: place.clone(),
        fingerprint: None,
    };
    let mut train = |experiment: Experiment, out: &Path| {
        let carried_out = (&options, &mut progress as &mut dyn Progress);
        let trained = train::train(&config(experiment), None, &mut device, out, carried_out)?;
        rnn_report::publish(trained, device.device(), &Process)?;
        println!("wrote {}", out.display());
        anyhow::Ok(())
    };
    let runs = PathBuf::from("runs");
    match choice {
        // It is carried out above.
        Choice::Forecast => Ok(()),
        Choice::One(one) => train(one, &args.out.unwrap_or_else(|| runs.join(one.name()))),
        Choice::All => {
            let parent = args.out.unwrap_or(runs);
            let folders = Experiment::REVIEWS.map(|experiment| parent.join(experiment.name()));
            // Before the first has taken its time.
            for folder in &folders {
                RunFolder::check(folder, options.checkpoints.overwrite)?;
            }
            for (experiment, folder) in Experiment::REVIEWS.into_iter().zip(&folders) {
                train(experiment, folder)?;
            }
            print!("{}", rnn_report::compare::compare(&folders, &parent.join("compare.png"))?);
            Ok(())
        }
    }
}
