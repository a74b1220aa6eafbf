//! Models that are graphs of layers.

use super::{VOCABULARY, attention};
use rnn::Activation;
use rnn::nn::{
    Add, Average, Bidirectional, Concatenate, ConvLstm2D, Dense, Dot, Embedding, Flatten, Gru,
    InputSpec, Lstm, Maximum, Minimum, Model, ModelError, Multiply, Subtract,
};

/// States handed on, branches, layers that are applied twice, several inputs and outputs.
pub fn models() -> Result<Vec<(String, Model)>, ModelError> {
    let mut encoder = Model::new(1);
    let from = encoder.input(InputSpec::tokens([5]));
    let to = encoder.input(InputSpec::floats([4, 3]));
    let words = encoder.apply(Embedding::new(VOCABULARY as usize, 2), &[from])?;
    let end = encoder.call(Lstm::new(4).return_state(), &[words])?;
    let decoder = Lstm::new(4).return_sequences().return_state();
    let made = encoder.call(decoder, &[to, end[1], end[2]])?;
    let encoder = encoder.with_outputs([made[0], made[2]]).unwrap();

    let mut both = Model::new(1);
    let [x, y] = [&[5, 3], &[4, 2]].map(|shape| both.input(InputSpec::floats(*shape)));
    let layer = || Bidirectional::new(Lstm::new(3).return_sequences().return_state());
    let read = both.call(layer(), &[x])?;
    let told = both.call(layer(), &[&[y], &read[1..]].concat())?;
    let both = both.with_outputs([&read[..], &told[..]].concat()).unwrap();

    let mut gru = Model::new(1);
    let [x, h] = [&[4, 3][..], &[4]].map(|shape| gru.input(InputSpec::floats(shape)));
    let made = gru.call(Gru::new(4).return_state(), &[x, h])?;
    let gru = gru.with_outputs(made).unwrap();

    let mut film = Model::new(1);
    let x = film.input(InputSpec::floats([3, 4, 4, 2]));
    let layer = || ConvLstm2D::new(2, 3).padding(rnn::Padding::Same).return_state();
    let end = film.call(layer(), &[x])?;
    let made = film.call(layer().return_sequences(), &[x, end[1], end[2]])?;
    let film = film.with_outputs(made).unwrap();

    let mut merging = Model::new(1);
    let [x, y] = [(); 2].map(|()| merging.input(InputSpec::floats([4, 3])));
    let shared = merging.apply(Dense::new(3, Activation::Tanh), &[x])?;
    let again = merging.call_again(shared, &[y])?[0];
    let sum = merging.apply(Add(), &[x, y, again])?;
    let product = merging.apply(Multiply(), &[sum, again, shared])?;
    let mean = merging.apply(Average(), &[product, x])?;
    let mean = merging.apply(Maximum(), &[mean, x, again])?;
    let mean = merging.apply(Minimum(), &[mean, shared])?;
    let rest = merging.apply(Subtract(), &[mean, y])?;
    let wide = merging.apply(Concatenate::new(), &[rest, x])?;
    let scores = merging.apply(Dot::new([2, -1]).normalize(), &[x, shared])?;
    let attended = merging.apply(Dot::new([2, 1]), &[scores, y])?;
    let long = merging.apply(Concatenate::axis(0), &[rest, x])?;
    let flat = merging.apply(Flatten, &[long])?;
    let merging = merging.with_outputs([wide, flat, shared, again, attended]).unwrap();

    // Outputs of one layer, one that is listed twice, and the inputs themselves.
    let mut ends = Model::new(2);
    let (x, words) = (ends.input(InputSpec::floats([4, 3])), ends.input(InputSpec::tokens([3])));
    let states = ends.call(Lstm::new(3).return_sequences().return_state(), &[x])?;
    let looked_up = ends.apply(Embedding::new(VOCABULARY as usize, 2), &[words])?;
    let outputs = [&states[..], &[states[1], x, words, looked_up]].concat();
    let ends = ends.with_outputs(outputs).unwrap();

    let named = [
        ("encoder", encoder),
        ("gru_states", gru),
        ("both_directions", both),
        ("film", film),
        ("merging", merging),
        ("attention", attention::model()?),
        ("ends", ends),
    ];
    Ok(named.map(|(name, model)| (name.to_owned(), model)).into())
}
