use super::TrainingFigures;
use rnn::nn::{Event, Metrics};
use rnn_formats::tensorboard::{EventWriter, keep_only};
use std::fs::File;
use std::io;
use std::path::Path;

/// The TensorBoard curves of a training, with the names that Keras's callback gives them
/// (keras/src/callbacks/tensorboard.py), in the folders `train` and `validation`.
pub struct Board {
    train: EventWriter<File>,
    validation: EventWriter<File>,
}

impl Board {
    /// Creates new files in the subfolders `train` and `validation` of `folder`, which are created
    /// if need be. If a training is resumed, `done` holds the numbers of steps and of epochs
    /// already done, and later entries are removed from older files. `None` leaves older files as
    /// they are.
    pub fn create(folder: &Path, done: Option<[usize; 2]>) -> io::Result<Self> {
        let file = |name| {
            let folder = folder.join(name);
            if let Some([steps, epochs]) = done {
                let [steps, epochs] = [steps as u64, epochs as u64];
                keep_only(&folder, |tag, step| match tag.starts_with("epoch_") {
                    true => step < epochs,
                    false => step <= steps,
                })?;
            }
            EventWriter::create(&folder)
        };
        Ok(Self { train: file("train")?, validation: file("validation")? })
    }

    /// Writes the values of an event of the training. `figures` must already contain the event. The
    /// loss and accuracy of a step are written only if `fresh` is true, which says that the step
    /// has added a point to [`TrainingFigures::training`].
    pub fn write(
        &mut self,
        event: &Event,
        figures: &TrainingFigures,
        fresh: bool,
    ) -> io::Result<()> {
        let values = |names: [&'static str; 2], loss: f64, accuracy: f64| {
            let mut values = vec![(names[0], loss)];
            values.extend(figures.classes.then_some((names[1], accuracy)));
            values
        };
        match event {
            Event::Step(step, _) => {
                let Some(point) = figures.training.last().filter(|_| fresh) else { return Ok(()) };
                let step = ((figures.epoch - 1) * figures.steps() + step) as u64;
                let names = ["batch_loss", "batch_accuracy"];
                self.train.scalars(step, &values(names, point.loss, point.accuracy))
            }
            Event::EpochEnd(log) => {
                // Keras counts epochs from 0.
                let epoch = log.epoch as u64 - 1;
                let names = ["epoch_loss", "epoch_accuracy"];
                let values = |m: &Metrics| values(names, m.loss, m.accuracy);
                self.train.scalars(epoch, &values(&log.train))?;
                match &log.validation {
                    Some(validation) => self.validation.scalars(epoch, &values(validation)),
                    None => Ok(()),
                }
            }
            Event::Epoch(_) | Event::Validation(_) => Ok(()),
        }
    }
}
