//! Embedding(5000, 32), one of the four recurrent parts, Dense(1), which gives logits.

use crate::Experiment;
use burn::module::{Module, Param};
use burn::nn::conv::{Conv1d, Conv1dConfig};
use burn::nn::pool::{MaxPool1d, MaxPool1dConfig};
use burn::nn::{
    Embedding, EmbeddingConfig, Initializer, Linear, LinearConfig, Lstm, LstmConfig,
    PaddingConfig1d, Rnn, RnnConfig,
};
use burn::tensor::activation::{relu, sigmoid, tanh};
use burn::tensor::{Device, Distribution, Int, Tensor};

/// Number of token ids that the models know.
pub const WORDS: usize = 5000;
const FEATURES: usize = 32;
const UNITS: usize = 128;
const DROPOUT: f64 = 0.4;

/// A model of the tutorial on reviews in burn: an embedding, optional windows, a recurrent layer
/// and a dense one.
#[derive(Module, Debug)]
pub struct Reviews {
    embedding: Embedding,
    windows: Option<Windows>,
    recurrent: Recurrent,
    dense: Linear,
}

/// Conv1D(32, 3, relu) and MaxPooling1D(2).
#[derive(Module, Debug)]
struct Windows {
    conv: Conv1d,
    pool: MaxPool1d,
}

#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one of it")]
enum Recurrent {
    Rnn(Rnn),
    Lstm(Lstm),
    Loop(Loop),
}

impl Reviews {
    /// Creates the model of an experiment with random weights on a device. `training` is true for
    /// dropout to act; `looped` for the recurrent layer that steps in a loop written here.
    pub fn new(experiment: Experiment, training: bool, looped: bool, device: &Device) -> Self {
        let windows = || Windows {
            conv: Conv1dConfig::new(FEATURES, FEATURES, 3)
                .with_padding(PaddingConfig1d::Same)
                .init(device),
            pool: MaxPool1dConfig::new(2).init(),
        };
        let gates = if experiment == Experiment::SimpleRnn { 1 } else { 4 };
        let dropout = training && experiment == Experiment::LstmDropout;
        Self {
            embedding: EmbeddingConfig::new(WORDS, FEATURES)
                .with_initializer(Initializer::Uniform { min: -0.05, max: 0.05 })
                .init(device),
            windows: (experiment == Experiment::CnnLstm).then(windows),
            recurrent: match (looped, gates) {
                (true, _) => Recurrent::Loop(Loop::new(gates, dropout, device)),
                (false, 1) => Recurrent::Rnn(RnnConfig::new(FEATURES, UNITS, true).init(device)),
                (false, _) => Recurrent::Lstm(LstmConfig::new(FEATURES, UNITS, true).init(device)),
            },
            dense: LinearConfig::new(UNITS, 1).init(device),
        }
    }

    /// Computes the logits `[B, 1]` of token ids `[B, T]`.
    pub fn forward(&self, tokens: Tensor<2, Int>) -> Tensor<2> {
        let embedded = || self.embedding.forward(tokens.clone());
        let seen = self.windows.as_ref().map(|w| {
            let x = relu(w.conv.forward(embedded().swap_dims(1, 2)));
            w.pool.forward(x).swap_dims(1, 2)
        });
        let h = match &self.recurrent {
            Recurrent::Rnn(rnn) => rnn.forward(seen.unwrap_or_else(embedded), None).1.hidden,
            Recurrent::Lstm(lstm) => lstm.forward(seen.unwrap_or_else(embedded), None).1.hidden,
            Recurrent::Loop(looped) => match seen {
                Some(x) => looped.forward(x.iter_dim(1).map(|x| x.squeeze_dim(1))),
                // Words are looked up step by step: the gradient of a slice is as large as all of x.
                None => looped.forward(
                    tokens.iter_dim(1).map(|tokens| self.embedding.forward(tokens).squeeze_dim(1)),
                ),
            },
        };
        self.dense.forward(h)
    }
}

/// Keras's SimpleRNN, or with four gates its LSTM, as a loop over the steps; with dropout and
/// recurrent dropout, factors of their own for each gate.
#[derive(Module, Debug)]
struct Loop {
    kernel: Param<Tensor<2>>,
    recurrent: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
    gates: usize,
    dropout: bool,
}

impl Loop {
    fn new(gates: usize, dropout: bool, device: &Device) -> Self {
        let uniform = Initializer::XavierUniform { gain: 1.0 };
        let draw = |rows| {
            let fans = (Some(rows), Some(gates * UNITS));
            uniform.init_with([rows, gates * UNITS], fans.0, fans.1, device)
        };
        let (kernel, recurrent) = (draw(FEATURES), draw(UNITS));
        let bias = Initializer::Zeros.init([gates * UNITS], device);
        Self { kernel, recurrent, bias, gates, dropout }
    }

    /// The last h `[B, H]`, from what is seen at each step, `[B, F]`.
    fn forward(&self, steps: impl Iterator<Item = Tensor<2>>) -> Tensor<2> {
        let mut steps = steps.peekable();
        let Some(first) = steps.peek() else { panic!("a review has a word") };
        let (batch, device) = (first.dims()[0], first.device());
        let zeros = || Tensor::<2>::zeros([batch, UNITS], &device);
        let (mut h, mut c) = (zeros(), zeros());
        let mut product = self.product(batch, &device);
        for x in steps {
            let z = product(x, h.clone());
            if self.gates == 1 {
                h = tanh(z);
                continue;
            }
            let gate = |n: usize| z.clone().narrow(1, n * UNITS, UNITS);
            c = sigmoid(gate(1)) * c + sigmoid(gate(0)) * tanh(gate(2));
            h = sigmoid(gate(3)) * tanh(c.clone());
        }
        h
    }

    /// x W + h U + b, in which each gate sees x and h with factors of its own if there is dropout.
    fn product(
        &self,
        batch: usize,
        device: &Device,
    ) -> Box<dyn FnMut(Tensor<2>, Tensor<2>) -> Tensor<2>> {
        let (kernel, recurrent) = (self.kernel.val(), self.recurrent.val());
        let bias = self.bias.val().unsqueeze::<2>();
        if !self.dropout {
            return Box::new(move |x, h| {
                x.matmul(kernel.clone()) + h.matmul(recurrent.clone()) + bias.clone()
            });
        }
        let (gates, keep) = (self.gates, 1.0 - DROPOUT);
        let factors = |features| {
            let drawn = Distribution::Bernoulli(keep);
            Tensor::<3>::random([gates, batch, features], drawn, device) / keep
        };
        let by_gate =
            |matrix: Tensor<2>, rows| matrix.reshape([rows, gates, UNITS]).swap_dims(0, 1);
        let (of_x, of_h) = (factors(FEATURES), factors(UNITS));
        let (kernels, recurrent) = (by_gate(kernel, FEATURES), by_gate(recurrent, UNITS));
        Box::new(move |x, h| {
            let seen = |x: Tensor<2>, by: &Tensor<3>| x.unsqueeze::<3>() * by.clone();
            let z =
                seen(x, &of_x).matmul(kernels.clone()) + seen(h, &of_h).matmul(recurrent.clone());
            z.swap_dims(0, 1).reshape([batch, gates * UNITS]) + bias.clone()
        })
    }
}
