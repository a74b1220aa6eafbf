//! How much of the bundled corpus counting words explains: a logistic regression, the best that
//! can be done without their order.

use rnn_data::corpus::{VOCABULARY, bundled};
use rnn_data::imdb::Reviews;

const EPOCHS: usize = 12;

/// What a review is to the regression: words with a value each.
type Features = Vec<(usize, f32)>;

fn features(words: &[u32], presence: bool) -> Features {
    let mut words = words.to_vec();
    words.sort_unstable();
    let groups = words.chunk_by(|a, b| a == b);
    groups.map(|g| (g[0] as usize, if presence { 1.0 } else { g.len() as f32 })).collect()
}

fn score(weights: &[f32], features: &Features) -> f32 {
    weights[0] + features.iter().map(|&(word, value)| weights[word] * value).sum::<f32>()
}

/// Stochastic gradient descent with Adagrad's step sizes; returns the accuracy on `test`.
fn accuracy(train: &Reviews, test: &Reviews, presence: bool) -> f64 {
    let all = |set: &Reviews| -> Vec<Features> {
        set.tokens.iter().map(|words| features(words, presence)).collect()
    };
    let mut weights = vec![0.0f32; VOCABULARY as usize + 1];
    let mut squares = vec![1e-6f32; weights.len()];
    let reviews = all(train);
    for _ in 0..EPOCHS {
        for (features, label) in reviews.iter().zip(&train.labels) {
            let error = 1.0 / (1.0 + (-score(&weights, features)).exp()) - label;
            for &(word, value) in features.iter().chain(&[(0, 1.0)]) {
                let gradient = error * value;
                squares[word] += gradient * gradient;
                weights[word] -= 0.05 * gradient / squares[word].sqrt();
            }
        }
    }
    let reviews = all(test);
    let pairs = reviews.iter().zip(&test.labels);
    let right = pairs.filter(|(f, label)| (score(&weights, f) > 0.0) == (**label > 0.5)).count();
    right as f64 / reviews.len() as f64
}

#[test]
fn counting_words_is_not_enough() {
    let corpus = bundled();
    let [counts, presence] = [false, true].map(|p| accuracy(&corpus.train, &corpus.test, p));
    println!("bag of words: accuracy {counts:.3} from counts, {presence:.3} from presence");
    let best = counts.max(presence);
    // Above chance, or the regression learned nothing and the comparison means nothing.
    assert!((0.55..0.8).contains(&best), "{best}");
}
