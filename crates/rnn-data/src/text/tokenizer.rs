use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::ops::Range;

/// The letters that a [`Tokenizer`] converts to lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lowercase {
    /// The letters A to Z.
    Ascii,
    /// The letters of all scripts.
    Unicode,
}

/// The rules that split a text into words and convert them to lower case. Words are separated by
/// blanks and by the characters in `filters`. An apostrophe is part of a word, as in Keras
/// (keras/src/legacy/preprocessing/text.py).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokenizer {
    /// Characters that separate words, in addition to the blank.
    pub filters: String,
    /// The letters that are converted to lower case.
    pub lowercase: Lowercase,
}

/// A word of a text, with its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word<'a> {
    /// The range of the word in the text, in bytes.
    pub place: Range<usize>,
    /// The word, converted to lower case.
    pub word: Cow<'a, str>,
}

impl Default for Tokenizer {
    /// Returns the rules of Keras's `Tokenizer`, with the carriage return as a further filter.
    fn default() -> Self {
        let filters = "!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n\r".to_owned();
        Self { filters, lowercase: Lowercase::Unicode }
    }
}

impl Tokenizer {
    /// Returns the rules by which `imdb_word_index.json` was made: as by default, but only A to Z
    /// are converted to lower case.
    pub fn imdb() -> Self {
        Self { lowercase: Lowercase::Ascii, ..Self::default() }
    }

    /// Iterates over the words of `text`, in order. A text that is empty or holds only separators
    /// has no words.
    pub fn words<'a>(&self, text: &'a str) -> impl Iterator<Item = Word<'a>> + use<'a> {
        let parts = Separators::new(&self.filters);
        let lowercase = self.lowercase;
        let mut at = 0;
        std::iter::from_fn(move || {
            let start = at + text[at..].find(|c| !parts.has(c))?;
            at = text[start..].find(|c| parts.has(c)).map_or(text.len(), |n| start + n);
            Some(Word { place: start..at, word: small(&text[start..at], lowercase) })
        })
    }
}

/// The blank and the filtered characters.
struct Separators {
    ascii: [bool; 128],
    others: Vec<char>,
}

impl Separators {
    fn new(filters: &str) -> Self {
        let mut all = Self { ascii: [false; 128], others: vec![] };
        for c in filters.chars().chain([' ']) {
            match all.ascii.get_mut(c as usize) {
                Some(there) => *there = true,
                None => all.others.push(c),
            }
        }
        all
    }

    fn has(&self, c: char) -> bool {
        self.ascii.get(c as usize).copied().unwrap_or_else(|| self.others.contains(&c))
    }
}

fn small(word: &str, lowercase: Lowercase) -> Cow<'_, str> {
    let plain = word.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase());
    match lowercase {
        _ if plain => Cow::Borrowed(word),
        Lowercase::Ascii => Cow::Owned(word.to_ascii_lowercase()),
        Lowercase::Unicode => Cow::Owned(word.to_lowercase()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_keras() {
        let text = "It ISN'T \"good\".<br />Éric's co-star\r\n(again)!";
        let words = |t: &Tokenizer| t.words(text).map(|w| w.word.into_owned()).collect::<Vec<_>>();
        let wanted = ["it", "isn't", "good", "br", "éric's", "co", "star", "again"];
        assert_eq!(words(&Tokenizer::default()), wanted);
        assert_eq!(words(&Tokenizer::imdb())[4], "Éric's");
        let places = Tokenizer::default().words(text).map(|w| w.place);
        let originals: Vec<&str> = places.map(|place| &text[place]).collect();
        assert_eq!(originals, ["It", "ISN'T", "good", "br", "Éric's", "co", "star", "again"]);
        assert_eq!(Tokenizer::default().words(" ... ").count(), 0);
    }
}
