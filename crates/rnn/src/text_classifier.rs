//! Classification of texts as positive or negative, and the words that decide it.

use crate::HostTensor;
use crate::nn::{TrainError, Trainer};
use rnn_data::text::{Vocabulary, Word};
use rnn_data::{PadOptions, pad_sequences};
use serde::Serialize;

/// The probability above which a text is called positive; at exactly this it is negative.
pub const THRESHOLD: f32 = 0.5;

type Result<T> = std::result::Result<T, TrainError>;

/// A model that classifies texts as positive or negative, with its vocabulary and the length of its
/// input in tokens.
pub struct TextClassifier {
    trainer: Trainer,
    vocabulary: Vocabulary,
    length: usize,
}

/// The prediction of a model for one text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Prediction {
    /// The text.
    pub text: String,
    /// "positive" if the probability is above [`THRESHOLD`], "undefined" if it is NaN, else
    /// "negative".
    pub label: &'static str,
    /// The probability that the text is positive.
    pub probability: f32,
    /// The contribution of each word, in the order of the text, from [`TextClassifier::explain`];
    /// `None` from [`TextClassifier::predict`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub words: Option<Vec<Contribution>>,
}

/// One word of a text and its contribution to the prediction.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Contribution {
    /// The word in lower case.
    pub word: String,
    /// Offset of the word's first byte in the text.
    pub start: usize,
    /// Offset of the byte after the word in the text.
    pub end: usize,
    /// True if the vocabulary has the word. All words that it does not have are the same token to
    /// the model.
    pub known: bool,
    /// The contribution of the word to the log-odds of a positive text, as
    /// [`Trainer::attribute_batch`] defines it; `None` for a word that was cut off because the text
    /// is longer than the model's input.
    pub contribution: Option<f32>,
}

impl TextClassifier {
    /// Creates a classifier from the trainer of a model that takes token ids `[B, length]` and
    /// outputs one probability per row, `[B, 1]`. `vocabulary` maps words to ids. Whether the model
    /// is of this kind is not checked here.
    pub fn new(trainer: Trainer, vocabulary: Vocabulary, length: usize) -> Self {
        Self { trainer, vocabulary, length }
    }

    /// Returns the prediction for each text, in order, without contributions of words. Texts are
    /// encoded with the vocabulary, cut at their beginning or padded there to the length of the
    /// model's input, and predicted as one batch.
    ///
    /// # Errors
    /// Fails if the model does not take such inputs or has no output, a token is beyond the model's
    /// vocabulary ([`TrainError::Token`]), or the device fails.
    pub fn predict<T: AsRef<str>>(&mut self, texts: &[T]) -> Result<Vec<Prediction>> {
        let encoded = self.encode(texts);
        let outputs = self.trainer.predict_batch(&[self.padded(&encoded)?])?;
        let probabilities = outputs.first().ok_or(TrainError::NoOutput)?.as_f32()?;
        let texts = texts.iter().zip(probabilities);
        Ok(texts.map(|(text, &p)| Prediction::new(text.as_ref(), p)).collect())
    }

    /// Returns the prediction for each text, in order, with the contribution of each word.
    ///
    /// # Errors
    /// Fails as [`TextClassifier::predict`] does, and if the first output does not depend on an
    /// Embedding layer or its shape is not `[B, 1]`.
    pub fn explain<T: AsRef<str>>(&mut self, texts: &[T]) -> Result<Vec<Prediction>> {
        let encoded = self.encode(texts);
        let tokens = self.padded(&encoded)?;
        let ones = HostTensor::from_f32([texts.len(), 1], vec![1.0; texts.len()])?;
        let [output, contributions] = self.trainer.attribute_batch(&[tokens], &ones)?;
        let rows = contributions.as_f32()?.chunks(self.length);
        let texts = texts.iter().zip(encoded).zip(output.as_f32()?.iter().zip(rows));
        Ok(texts
            .map(|((text, (_, words)), (&p, row))| {
                let words = Some(self.contributions(&words, row));
                Prediction { words, ..Prediction::new(text.as_ref(), p) }
            })
            .collect())
    }

    fn encode<'a, T: AsRef<str>>(&self, texts: &'a [T]) -> Vec<(Vec<u32>, Vec<Word<'a>>)> {
        texts.iter().map(|text| self.vocabulary.encode(text.as_ref())).collect()
    }

    fn padded(&self, encoded: &[(Vec<u32>, Vec<Word<'_>>)]) -> Result<HostTensor> {
        let ids: Vec<Vec<u32>> = encoded.iter().map(|(ids, _)| ids.clone()).collect();
        let options = PadOptions { maxlen: Some(self.length), ..PadOptions::default() };
        Ok(pad_sequences(&ids, &options)?)
    }

    /// The last word stands at the end of the row, after padding and the start token.
    fn contributions(&self, words: &[Word<'_>], row: &[f32]) -> Vec<Contribution> {
        let each = words.iter().rev().enumerate().map(|(before_end, word)| Contribution {
            word: word.word.clone().into_owned(),
            start: word.place.start,
            end: word.place.end,
            known: self.vocabulary.rank(&word.word).is_some(),
            contribution: row.iter().rev().nth(before_end).copied(),
        });
        let mut each: Vec<Contribution> = each.collect();
        each.reverse();
        each
    }
}

impl Prediction {
    fn new(text: &str, probability: f32) -> Self {
        let label = match probability {
            p if p.is_nan() => "undefined",
            p if p > THRESHOLD => "positive",
            _ => "negative",
        };
        Self { text: text.into(), label, probability, words: None }
    }
}
