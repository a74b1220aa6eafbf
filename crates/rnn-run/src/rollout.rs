//! Rollouts: a next-frame model continues a video from its own predictions.

use crate::config::{BuiltinTask, Config, Task};
use crate::error::RunError;
use crate::experiment::next_frame;
use crate::finite::FiniteRows;
use crate::frame_error::FrameError;
use crate::run::RunFolder;
use crate::source::DatasetSource;
use crate::splits::trained_videos;
use anyhow::{Result, bail, ensure};
use rnn::HostTensor;
use rnn::nn::Trainer;
use rnn_core::DType;
use rnn_data::movies::MovieOptions;
use rnn_graph::Device;

/// Frames of the tutorial's videos.
const TUTORIAL_FRAMES: usize = 15;

/// The video that is continued, and the numbers of frames. [`Default`] leaves all to the run.
#[derive(Clone, Copy, Debug, Default)]
pub struct RolloutOptions {
    /// Number of the video, from 0 on; `None` for the fifth of those that were not trained on, or
    /// the last if there are fewer.
    pub which: Option<usize>,
    /// Number of frames that the model sees; `None` for half of the video, rounded down, but at
    /// least 1.
    pub track: Option<usize>,
    /// Number of frames that the model predicts after those. `None` stands for 16, as in the
    /// tutorial; for videos shorter than the tutorial's 15 frames, it stands for one more than the
    /// video has left.
    pub frames: Option<usize>,
}

/// Predicts the `frames` frames of a video that follow the frames `seen`, one after another. Each
/// frame is `[S, S]`, row by row, with values from 0 to 1. `seen` must not be empty, and `frames`
/// must be at least 1. The trainer must have the model of [`next_frame::stepping`], with its states
/// at zero, as they are in a new trainer.
///
/// # Errors
/// Fails if the model has not two outputs, the frames are not of its size, or the device fails.
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

/// A video that a model continued from its own predictions. Each frame is `[side, side]`, row by
/// row, with values from 0 to 1.
#[derive(Clone, Debug)]
pub struct Rollout {
    /// Number of the video, from 0 on.
    pub which: usize,
    /// Height and width of a frame in pixels.
    pub side: usize,
    /// Number of frames of the videos that the model was trained on.
    pub trained_frames: usize,
    /// The frames that the model saw.
    pub seen: Vec<Vec<f32>>,
    /// The frames that the model predicted after those.
    pub predicted: Vec<Vec<f32>>,
    /// The true frames, for those seen and those predicted. The first is the one that the model
    /// saw, with noise; the others are without noise.
    pub truth: Vec<Vec<f32>>,
    /// The errors of the predicted frames, in order.
    pub errors: Vec<FrameError>,
    /// The count of predicted frames that are not finite.
    pub rows: FiniteRows,
}

/// Continues a video of the next-frame run in `folder`, whose configuration is `config`, from the
/// model's own predictions.
///
/// # Errors
/// Fails with [`RunError::NothingSeen`], [`RunError::VideoTooShort`] or
/// [`RunError::NothingPredicted`] if a number of frames is out of range, and with
/// [`RunError::NoHalf`] if the device lacks the precision of the run. Fails also if the run is of
/// another experiment, there is no such video, the weights cannot be read, or the device fails.
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
    let trained = trained_videos(movies.count);
    let which = options.which.unwrap_or((trained + 4).min(movies.count - 1));
    ensure!(
        which < movies.count,
        "there is no video {which}: the run's videos are 0 to {}",
        movies.count - 1
    );
    let track = options.track.unwrap_or((movies.frames / 2).max(1));
    ensure!(track > 0, RunError::NothingSeen);
    ensure!(track <= movies.frames, RunError::VideoTooShort { track, frames: movies.frames });
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
