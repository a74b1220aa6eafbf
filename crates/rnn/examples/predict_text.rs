//! From reviews in a table to the words that decide: `cargo run --release --example predict_text`.

use rnn::datasets::{imdb::LoadOptions, text};
use rnn::prelude::*;
use rnn::text_classifier::TextClassifier;
use std::fmt::Write as _;

const LENGTH: usize = 8;

/// Reviews as people keep them: a line each, a text and a label.
fn table() -> String {
    let praise = ["superb", "a delight", "moving and clever", "wonderful"];
    let blame = ["dull", "a waste of time", "loud and stupid", "dreadful"];
    let films = ["The film", "This movie", "It", "The sequel", "Her debut", "His last work"];
    let mut csv = "review,sentiment\n".to_owned();
    for (i, film) in films.iter().enumerate().cycle().take(240) {
        for (words, label) in [(praise, "positive"), (blame, "negative")] {
            let _ = writeln!(csv, "{film} is {}!,{label}", words[(csv.len() + i) % words.len()]);
        }
    }
    csv
}

fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("reviews.csv");
    std::fs::write(&file, table())?;
    let read = text::read(&file, &text::Columns::default(), None, 1)?;
    println!("the most frequent words: {:?}", &read.vocabulary.words()[..6]);
    let (reviews, _) = read.reviews.load(&LoadOptions::default());
    let pad = PadOptions { maxlen: Some(LENGTH), ..PadOptions::default() };
    let labels = HostTensor::from_f32([reviews.labels.len()], reviews.labels)?;
    let train = Dataset::new([pad_sequences(&reviews.tokens, &pad)?], [labels])?;

    let model = Model::sequential(InputSpec::tokens([LENGTH]), 1)
        .add(Embedding::new(read.vocabulary.words().len() + 4, 8))?
        .add(Lstm::new(16))?
        .add(Dense::new(1, Activation::Sigmoid))?;
    let (device, _) = device::open("auto")?;
    let adam = Optimizer::adam().learning_rate(0.01);
    let mut trainer = Trainer::new(model, &*device, adam, 1);
    trainer.fit(&train, None, FitOptions { epochs: 6, batch_size: 32 }, &mut [])?;

    let mut classifier = TextClassifier::new(trainer, read.vocabulary, LENGTH);
    let predictions = classifier.explain(&["Her film is superb", "It is a waste of time."])?;
    for prediction in &predictions {
        println!("{} ({:.3}): {}", prediction.label, prediction.probability, prediction.text);
        for word in prediction.words.iter().flatten() {
            println!("  {:<8} {:+.3}", word.word, word.contribution.unwrap_or(0.0));
        }
    }
    let labels: Vec<&str> = predictions.iter().map(|p| p.label).collect();
    anyhow::ensure!(labels == ["positive", "negative"], "it did not learn");
    Ok(())
}
