//! Four times ConvLSTM2D(40, 3 x 3) and BatchNormalization, then Conv3D(1, 3 x 3 x 3), which gives
//! logits.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig, Conv3d, Conv3dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, PaddingConfig2d, PaddingConfig3d};
use burn::tensor::activation::{sigmoid, tanh};
use burn::tensor::{Device, Tensor};

/// Number of frames of a film, as in the tutorial.
pub const FRAMES: usize = 15;
/// Height and width of a frame in pixels.
pub const SIDE: usize = 40;
const FILTERS: usize = 40;
const LAYERS: usize = 4;

/// The model `next-frame` of the tutorial in burn: four convolutional LSTMs with normalization and
/// a Conv3D.
#[derive(Module, Debug)]
pub struct Films {
    layers: Vec<ConvLstm>,
    norms: Vec<BatchNorm>,
    predict: Conv3d,
}

/// The convolution of all frames with the bias, and that of h.
#[derive(Module, Debug)]
struct ConvLstm {
    input: Conv2d,
    recurrent: Conv2d,
}

impl Films {
    /// Creates the model with random weights on a device.
    pub fn new(device: &Device) -> Self {
        let conv = |channels, bias| {
            Conv2dConfig::new([channels, 4 * FILTERS], [3, 3])
                .with_padding(PaddingConfig2d::Same)
                .with_bias(bias)
                .init(device)
        };
        let layer = |index| ConvLstm {
            input: conv(if index == 0 { 1 } else { FILTERS }, true),
            recurrent: conv(FILTERS, false),
        };
        let norm = |_| BatchNormConfig::new(FILTERS).with_epsilon(1e-3).with_momentum(0.01);
        Self {
            layers: (0..LAYERS).map(layer).collect(),
            norms: (0..LAYERS).map(|index| norm(index).init(device)).collect(),
            predict: Conv3dConfig::new([FILTERS, 1], [3, 3, 3])
                .with_padding(PaddingConfig3d::Same)
                .init(device),
        }
    }

    /// Computes the logits `[B, T, H, W, 1]` of films `[B, T, H, W, 1]`.
    pub fn forward(&self, films: Tensor<5>) -> Tensor<5> {
        let [batch, frames, height, width, _] = films.dims();
        // Frames lie before films and channels before pixels: [T B, C, H, W].
        let mut x = films.swap_dims(0, 1).reshape([frames * batch, 1, height, width]);
        for (layer, norm) in self.layers.iter().zip(&self.norms) {
            x = norm.forward(layer.forward(x, frames, batch));
        }
        let x = x.reshape([frames, batch, FILTERS, height, width]).permute([1, 2, 0, 3, 4]);
        self.predict.forward(x).permute([0, 2, 3, 4, 1])
    }
}

impl ConvLstm {
    fn forward(&self, x: Tensor<4>, frames: usize, batch: usize) -> Tensor<4> {
        let z = self.input.forward(x);
        let mut state: Option<[Tensor<4>; 2]> = None;
        let mut all = Vec::with_capacity(frames);
        for frame in 0..frames {
            let mut z = z.clone().narrow(0, frame * batch, batch);
            if let Some([h, _]) = &state {
                z = z + self.recurrent.forward(h.clone());
            }
            let gate = |n: usize| z.clone().narrow(1, n * FILTERS, FILTERS);
            let mut c = sigmoid(gate(0)) * tanh(gate(2));
            if let Some([_, before]) = state {
                c = c + sigmoid(gate(1)) * before;
            }
            let h = sigmoid(gate(3)) * tanh(c.clone());
            all.push(h.clone());
            state = Some([h, c]);
        }
        Tensor::cat(all, 0)
    }
}
