//! Models as stacks and as graphs of layers: `cargo run --release --example builder`.

use rnn::datasets::{corpus, imdb::LoadOptions};
use rnn::prelude::*;
use std::ops::ControlFlow;

const VOCABULARY: usize = corpus::VOCABULARY as usize + 4;
const LENGTH: usize = 32;

/// As Keras's Sequential.
fn stack() -> Result<Model, ModelError> {
    Model::sequential(InputSpec::tokens([LENGTH]), 1)
        .add(Embedding::new(VOCABULARY, 16))?
        .add(Bidirectional::new(Lstm::new(16)))?
        .add(Dropout::new(0.2))?
        .add(Dense::new(1, Activation::Sigmoid))
}

/// As Keras's functional models: two branches over one embedding.
fn branches() -> Result<Model, ModelError> {
    let mut model = Model::new(1);
    let tokens = model.input(InputSpec::tokens([LENGTH]));
    let words = model.apply(Embedding::new(VOCABULARY, 16), &[tokens])?;
    let order = model.apply(Gru::new(16), &[words])?;
    let strongest = model.apply(GlobalMaxPooling1D(), &[words])?;
    let both = model.apply(Concatenate::new(), &[order, strongest])?;
    let output = model.apply(Dense::new(1, Activation::Sigmoid), &[both])?;
    model.with_outputs([output])
}

fn main() -> anyhow::Result<()> {
    let (reviews, _) = corpus::generate(1, 3000, 0).load(&LoadOptions::default());
    let pad = PadOptions { maxlen: Some(LENGTH), ..PadOptions::default() };
    let tokens = pad_sequences(&reviews.tokens, &pad)?;
    let labels = HostTensor::from_f32([reviews.labels.len()], reviews.labels)?;
    let (train, test) = Dataset::new([tokens], [labels])?.split(0.8, 1);
    let (device, why) = device::open("auto")?;
    println!("device: {}: {why}", device.info());
    for model in [stack()?, branches()?] {
        print!("{}", model.summary());
        let adam = Optimizer::adam().learning_rate(0.005);
        let mut trainer = Trainer::new(model, &*device, adam, 1);
        let mut print = |event: &Event| {
            if let Event::EpochEnd(log) = event {
                println!("epoch {}: loss {:.4}", log.epoch, log.train.loss);
            }
            ControlFlow::Continue(())
        };
        let options = FitOptions { epochs: 3, batch_size: 64 };
        let history = trainer.fit(&train, None, options, &mut [&mut print])?;
        println!("on reviews not seen: accuracy {:.3}", trainer.evaluate(&test, 64)?.accuracy);
        let loss = |epoch: usize| history.epochs[epoch].train.loss;
        anyhow::ensure!(loss(2) < loss(0), "it did not learn");
    }
    Ok(())
}
