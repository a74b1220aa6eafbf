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

/// Adds four ConvLSTM2D(40, 3 x 3) layers, each followed by a BatchNormalization, and a Conv3D(1, 3
/// x 3 x 3) with a sigmoid to `model` (Keras's example conv_lstm of 2018). Its input is B videos of
/// T frames of S x S pixels, `[B, T, S, S, 1]`. The output has the same shape: for each frame the
/// prediction of the next. `preset` chooses between the gates and the normalization of Keras 2 and
/// those of today.
///
/// # Errors
/// Fails if the layers do not fit the input.
pub fn model(mut model: Model, preset: Preset) -> Result<Model, ModelError> {
    for _ in 0..LAYERS {
        model = model.add(conv_lstm(preset))?.add(normalization(preset))?;
    }
    model.add(prediction())
}

/// Builds the layers of [`model`] for one frame of `size` x `size` (S) pixels at a time. The
/// recurrent layers are stateful: they keep their states from call to call.
///
/// The last layer, Conv3D, takes the features of a frame, of the one before and of the one after.
/// The features of the frame before are therefore an input; those of the frame after are zeros, as
/// after the last frame of a video.
///
/// - Inputs: a frame `[B, 1, S, S, 1]`, and the features of the frame before `[B, 1, S, S, 40]`,
///   zeros for the first frame.
/// - Outputs: predictions `[B, 2, S, S, 1]`, the second of which is the next frame, and the
///   features of this frame `[B, 1, S, S, 40]`.
///
/// # Errors
/// Fails if the layers do not fit the size.
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
    model.with_outputs([frames, features])
}

/// Returns Adadelta with the preset's learning rate: 0.001 for Keras 3, 1 for the others.
pub fn optimizer(preset: Preset) -> Optimizer {
    match preset {
        Preset::Keras3 => Optimizer::adadelta(),
        Preset::Keras2018 | Preset::Quick => Optimizer::adadelta().learning_rate(1.0),
    }
}
