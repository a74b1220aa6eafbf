//! Four ConvLSTM layers that predict the next frame of a video.

use super::Preset;
use rnn::nn::ConvLstmCell;
use rnn::nn::{
    BatchNormalization, Concatenate, Conv3D, ConvLstm2D, InputSpec, Model, ModelError, Optimizer,
    Recurrent,
};
use rnn::{Activation, Padding};

const FILTERS: usize = 40;
const LAYERS: usize = 4;

fn conv_lstm(preset: Preset) -> Recurrent<ConvLstmCell<2>> {
    let layer = ConvLstm2D::new(FILTERS, 3).padding(Padding::Same);
    layer.recurrent_activation(preset.gate()).return_sequences()
}

fn normalization(preset: Preset) -> BatchNormalization {
    match preset {
        Preset::Keras3 => BatchNormalization::new(),
        Preset::Keras2018 | Preset::Quick => {
            BatchNormalization::new().corrected_variance().zero_debiased()
        }
    }
}

fn prediction() -> rnn::nn::Conv<3> {
    Conv3D::new(1, 3).padding(Padding::Same).activation(Activation::Sigmoid)
}

/// Adds four ConvLSTM2D layers with normalization, and a Conv3D, to videos `[B, T, S, S, 1]`. The
/// output is the next frame for each frame.
///
/// # Errors
/// If the layers do not fit the input.
pub fn model(mut model: Model, preset: Preset) -> Result<Model, ModelError> {
    for _ in 0..LAYERS {
        model = model.add(conv_lstm(preset))?.add(normalization(preset))?;
    }
    model.add(prediction())
}

/// Builds the same layers for one frame at a time; they keep their states. The last layer also
/// needs the features of the frames before and after its own: those before are an input, and after
/// the last frame of a video there are none. Inputs: a frame `[1, S, S, 1]` and the features of the
/// frame before. Outputs: predictions, of which the second is the next frame, and features.
///
/// # Errors
/// If the layers do not fit the size.
pub fn stepping(size: usize, preset: Preset) -> Result<Model, ModelError> {
    let mut model = Model::new(0);
    let frame = model.input(InputSpec::floats([1, size, size, 1]));
    let before = model.input(InputSpec::floats([1, size, size, FILTERS]));
    let mut features = frame;
    for _ in 0..LAYERS {
        features = model.apply(conv_lstm(preset).stateful(), &[features])?;
        features = model.apply(normalization(preset), &[features])?;
    }
    let both = model.apply(Concatenate::axis(0), &[before, features])?;
    let frames = model.apply(prediction(), &[both])?;
    Ok(model.with_outputs([frames, features]))
}

/// Returns Adadelta with the defaults of the preset's time.
pub fn optimizer(preset: Preset) -> Optimizer {
    match preset {
        Preset::Keras3 => Optimizer::adadelta(),
        Preset::Keras2018 | Preset::Quick => Optimizer::adadelta().learning_rate(1.0),
    }
}
