//! Trains an LSTM on the bundled synthetic reviews: `cargo run --release --example sentiment`.

use rnn_gpu::datasets::{PadOptions, corpus, imdb::LoadOptions, pad_sequences};
use rnn_gpu::nn::{Dataset, Dense, Embedding, Event, FitOptions, InputSpec, Lstm};
use rnn_gpu::nn::{Model, Optimizer, Trainer};
use rnn_gpu::{Activation, HostTensor, device};
use std::ops::ControlFlow;

fn main() -> anyhow::Result<()> {
    let (reviews, _) = corpus::bundled().load(&LoadOptions::default());
    let tokens = pad_sequences(&reviews.tokens, &PadOptions::default())?;
    let (length, labels) = (tokens.shape().last(), reviews.labels);
    let labels = HostTensor::from_f32([labels.len()], labels)?;
    let (train, test) = Dataset::new([tokens], [labels])?.split(0.8, 1);
    let model = Model::sequential(InputSpec::Tokens(length), 1)
        .add(Embedding::new(5000, 32))?
        .add(Lstm::new(64))?
        .add(Dense::new(1, Activation::Sigmoid))?;
    let (device, _) = device::open("auto")?;
    let mut trainer = Trainer::new(model, &*device, Optimizer::adam(), 1);
    let options = FitOptions { epochs: 3, batch_size: 128 };
    let mut print = |event: &Event| {
        if let Event::EpochEnd(log) = event {
            println!("epoch {}: accuracy {:.3}", log.epoch, log.train.accuracy);
        }
        ControlFlow::Continue(())
    };
    trainer.fit(&train, None, options, &mut [&mut print])?;
    println!("on reviews not seen: accuracy {:.3}", trainer.evaluate(&test, 128)?.accuracy);
    Ok(())
}
