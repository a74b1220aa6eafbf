use super::{TextError, Tokenizer, Word};
use crate::imdb::LoadOptions;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// The words that a model knows, by rank, and the rules that find words in a text. The rank of the
/// most frequent word is 1. Token ids are those of Keras's `imdb.load_data` with its default
/// arguments: 0 is padding, 1 begins a text, 2 stands for every unknown word, and other words have
/// their rank plus 3.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Saved", into = "Saved")]
pub struct Vocabulary {
    tokenizer: Tokenizer,
    words: Vec<String>,
    ranks: HashMap<String, u32>,
}

/// The rank of a word that is not in the vocabulary: too rare for any.
pub(super) const UNKNOWN: u32 = u32::MAX;

/// The form of `vocabulary.json`.
#[derive(Clone, Serialize, Deserialize)]
struct Saved {
    tokenizer: Tokenizer,
    /// From rank 1 on.
    words: Vec<String>,
}

impl From<Saved> for Vocabulary {
    fn from(saved: Saved) -> Self {
        Self::new(saved.tokenizer, saved.words)
    }
}

impl From<Vocabulary> for Saved {
    fn from(vocabulary: Vocabulary) -> Self {
        let Vocabulary { tokenizer, words, .. } = vocabulary;
        Self { tokenizer, words }
    }
}

impl Vocabulary {
    /// Returns the vocabulary of `words`, whose ranks are 1, 2, .. in this order. They should be as
    /// `tokenizer` finds them in a text. If a word occurs several times, its last rank counts.
    pub fn new(tokenizer: Tokenizer, words: Vec<String>) -> Self {
        let ranks = words.iter().cloned().zip(1..).collect();
        Self { tokenizer, words, ranks }
    }

    /// Reads a file like Keras's `imdb_word_index.json`: a JSON object that maps words to ranks.
    /// The rules are [`Tokenizer::imdb`].
    ///
    /// # Errors
    /// Fails with [`TextError::WordIndex`] if the file cannot be read, or its ranks are not the
    /// numbers from 1 to the number of words.
    pub fn read_word_index(path: &Path) -> Result<Self, TextError> {
        let wrong = |problem: String| TextError::WordIndex { path: path.into(), problem };
        let file = File::open(path).map_err(|e| wrong(e.to_string()))?;
        let ranks: HashMap<String, u32> =
            serde_json::from_reader(BufReader::new(file)).map_err(|e| wrong(e.to_string()))?;
        let mut words = vec![None; ranks.len()];
        for (word, &rank) in &ranks {
            let place = (rank as usize).checked_sub(1).and_then(|index| words.get_mut(index));
            match place {
                Some(place @ None) => *place = Some(word.clone()),
                _ => return Err(wrong(format!("{word:?} has rank {rank}, twice or too high"))),
            }
        }
        let words = words.into_iter().flatten().collect();
        Ok(Self { tokenizer: Tokenizer::imdb(), words, ranks })
    }

    /// Returns the vocabulary of those words whose ids are below `num_words`, the most frequent
    /// ones, as Keras's `num_words` does. If `num_words` is 4 or less, no word is left.
    pub fn limited(self, num_words: u32) -> Self {
        let kept = num_words.saturating_sub(LoadOptions::default().index_from + 1) as usize;
        let Self { tokenizer, mut words, .. } = self;
        words.truncate(kept);
        Self::new(tokenizer, words)
    }

    /// Returns the rules that find words in a text.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Returns the words in the order of their ranks, from rank 1 on.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// Returns the rank of a word, which has to be in lower case; `None` if it is not in the
    /// vocabulary.
    pub fn rank(&self, word: &str) -> Option<u32> {
        self.ranks.get(word).copied()
    }

    /// Returns the id of a word, which has to be in lower case: its rank plus 3, or 2 if it is not
    /// in the vocabulary.
    pub fn id(&self, word: &str) -> u32 {
        let LoadOptions { index_from, oov_char, .. } = LoadOptions::default();
        self.rank(word).map_or(oov_char.unwrap_or_default(), |rank| rank + index_from)
    }

    /// Returns the ids of a text and its words. The first id is 1, which begins a text; then
    /// follows the id of each word, in order. A text without words has the first id alone.
    pub fn encode<'a>(&self, text: &'a str) -> (Vec<u32>, Vec<Word<'a>>) {
        let words: Vec<Word<'a>> = self.tokenizer.words(text).collect();
        let start = LoadOptions::default().start_char;
        let ids = start.into_iter().chain(words.iter().map(|word| self.id(&word.word)));
        (ids.collect(), words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_the_ids_of_keras() {
        let words = ["the", "film", "isn't"].map(String::from).to_vec();
        let vocabulary = Vocabulary::new(Tokenizer::default(), words);
        assert_eq!(vocabulary.encode("The film isn't... bad").0, [1, 4, 5, 6, 2]);
        assert_eq!(vocabulary.clone().limited(6).encode("the isn't").0, [1, 4, 2]);
        let json = serde_json::to_string(&vocabulary).unwrap();
        assert_eq!(serde_json::from_str::<Vocabulary>(&json).unwrap(), vocabulary);
    }

    #[test]
    fn a_word_index_has_each_rank_once() {
        let folder = tempfile::tempdir().unwrap();
        let read = |json: &str| {
            let path = folder.path().join("index.json");
            std::fs::write(&path, json).unwrap();
            Vocabulary::read_word_index(&path)
        };
        assert_eq!(read(r#"{"film": 2, "the": 1}"#).unwrap().words(), ["the", "film"]);
        for damaged in [r#"{"a": 1, "b": 1}"#, r#"{"a": 0}"#, r#"{"a": 5}"#, r#"{"a": "x"}"#, "["] {
            assert!(read(damaged).unwrap_err().to_string().contains("index.json"), "{damaged}");
        }
    }
}
