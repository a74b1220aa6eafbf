//! What a next-frame model makes of a film when it is fed its own predictions.

use crate::config::{BuiltinTask, Config, Task};
use crate::error::RunError;
use crate::experiment::next_frame;
use crate::finite::FiniteRows;
use crate::frame_error::FrameError;
use crate::run::RunFolder;
use crate::source::DatasetSource;
use crate::splits::trained_films;
use anyhow::{Result, bail, ensure};
use rnn::HostTensor;
use rnn::nn::Trainer;
use rnn_core::DType;
use rnn_data::movies::MovieOptions;
use rnn_graph::Device;

/// Frames of the tutorial's films.
const TUTORIAL_FRAMES: usize = 15;

/// What to roll out.
#[derive(Clone, Copy, Debug, Default)]
pub struct RolloutOptions {
    /// The film's number; by default the fifth that was not trained on.
    pub which: Option<usize>,
    /// Frames of it that the model sees; by default half of them, rounded down.
    pub track: Option<usize>,
    /// Frames that it predicts behind those; by default the tutorial's 16, or of films that are
    /// shorter than its 15 frames one more than they have left.
    pub frames: Option<usize>,
}

/// Predicts frames of a film behind its first ones: each frame costs one step, because the layers
/// keep their states. Frames are squares; the trainer's model is that of [`next_frame::stepping`].
///
/// # Errors
/// If the device fails, or the frames are not of the model's size.
pub fn predict(trainer: &mut Trainer, seen: &[Vec<f32>], frames: usize) -> Result<Vec<Vec<f32>>> {
    let shapes = trainer.model()?.output_shapes(1);
    let [predictions, features] = &shapes[..] else { bail!("this is no stepping model") };
    let size = predictions[2];
    let pixels = size * size;
    let mut before = HostTensor::zeros(features.as_slice(), DType::F32);
    let mut predicted: Vec<Vec<f32>> = Vec::new();
    for step in 0..seen.len() + frames - 1 {
        let frame = seen.get(step).or_else(|| predicted.get(step - seen.len()));
        let Some(frame) = frame else { bail!("frame {step} is missing") };
        let frame = HostTensor::from_f32([1, 1, size, size, 1], frame.clone())?;
        let mut outputs = trainer.predict_batch(&[frame, before])?.into_iter();
        let (Some(two), Some(features)) = (outputs.next(), outputs.next()) else {
            bail!("the model outputs no frame")
        };
        before = features;
        if step + 1 >= seen.len() {
            predicted.push(two.as_f32()?[pixels..].to_vec());
        }
    }
    Ok(predicted)
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Rollout {
    /// The film's number.
    pub which: usize,
    /// Pixels of a side.
    pub side: usize,
    /// Frames that the films have that the model was trained on.
    pub trained_frames: usize,
    /// The frames that the model saw.
    pub seen: Vec<Vec<f32>>,
    /// Those that it predicted behind them.
    pub predicted: Vec<Vec<f32>>,
    /// What all of them should have been.
    pub truth: Vec<Vec<f32>>,
    /// How far each that was predicted is from that.
    pub errors: Vec<FrameError>,
    /// How many of the predicted frames are finite.
    pub rows: FiniteRows,
}

/// Rolls out a film of a run.
///
/// # Errors
/// If the run is of another experiment, there is no such film or not as many frames, or the device
/// fails.
pub fn rollout(
    folder: &RunFolder,
    config: &Config,
    options: RolloutOptions,
    device: &dyn Device,
) -> Result<Rollout> {
    let Task::Builtin(BuiltinTask { data: DatasetSource::Movies(movies), preset, .. }) =
        &config.task
    else {
        bail!("this is a run of {}; only a next-frame run can be rolled out", config.name())
    };
    let trained = trained_films(movies.count);
    let which = options.which.unwrap_or((trained + 4).min(movies.count - 1));
    ensure!(
        which < movies.count,
        "there is no film {which}: the run's films are 0 to {}",
        movies.count - 1
    );
    let track = options.track.unwrap_or((movies.frames / 2).max(1));
    ensure!(track > 0, RunError::NothingSeen);
    ensure!(track <= movies.frames, RunError::FilmTooShort { track, frames: movies.frames });
    let to_the_end = movies.frames + 1 - track;
    let usual = if movies.frames < TUTORIAL_FRAMES { to_the_end } else { TUTORIAL_FRAMES + 1 };
    let frames = options.frames.unwrap_or(usual);
    ensure!(frames > 0, RunError::NothingPredicted);
    let mut model = next_frame::stepping(movies.size, *preset)?;
    folder.load_weights(&mut model)?;
    let all = track + frames;
    let movie = MovieOptions { frames: all, ..*movies }.movie(which);
    let split = |pixels: &[f32]| -> Vec<Vec<f32>> {
        pixels.chunks_exact(movies.size * movies.size).map(<[f32]>::to_vec).collect()
    };
    let (noisy, shifted) = (split(&movie.noisy), split(&movie.shifted));
    let mut trainer = config.trainer(model, device)?;
    let predicted = predict(&mut trainer, &noisy[..track], frames)?;
    let mut rows = FiniteRows::of("outputs");
    rows.see_rows(predicted.iter().map(Vec::as_slice));
    // Frame t is what follows frame t - 1; before the first there is none.
    let truth: Vec<Vec<f32>> = noisy[..1].iter().chain(&shifted[..all - 1]).cloned().collect();
    let errors: Vec<FrameError> =
        predicted.iter().zip(&truth[track..]).map(|(p, y)| FrameError::new(p, y)).collect();
    let seen = noisy.into_iter().take(track).collect();
    let (side, trained_frames) = (movies.size, movies.frames);
    Ok(Rollout { which, side, trained_frames, seen, predicted, truth, errors, rows })
}
