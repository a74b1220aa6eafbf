//! A model of all kinds of attention.

use rnn::nn::{AdditiveAttention, Attention, InputSpec, Model, ModelError, MultiHeadAttention};

pub fn model() -> Result<Model, ModelError> {
    let mut attention = Model::new(1);
    let [x, y] = [&[4, 3], &[5, 3]].map(|shape| attention.input(InputSpec::floats(*shape)));
    let causal = Attention::new().use_causal_mask();
    let own = attention.apply(causal, &[y, y])?;
    let scored = || Attention::new().use_scale(true).return_attention_scores();
    let dot = attention.call(scored(), &[x, y, own])?;
    let concat = attention.call(scored().concat().dropout(0.1), &[x, own])?;
    let additive = attention.apply(AdditiveAttention(), &[own, x])?;
    let plain = attention.apply(AdditiveAttention().use_scale(false), &[x, y])?;
    let heads = MultiHeadAttention::new(2, 3).value_dim(4).output_shape([2, 3]);
    let heads = attention.call(heads.return_attention_scores(), &[x, y])?;
    let causal = MultiHeadAttention::new(3, 2).without_bias().use_causal_mask();
    let end = attention.apply(causal, &[own, x, dot[0]])?;
    let outputs = [&dot[..], &concat, &heads, &[additive, plain, end]].concat();
    Ok(attention.with_outputs(outputs).unwrap())
}
