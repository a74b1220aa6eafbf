//! The words by their rank: function words, the words that carry meaning, then made-up ones.

use std::ops::Range;

/// The number of different words in the bundled corpus. Ranks run from 1 to this number.
pub const VOCABULARY: u32 = 4000;

const COMMON: [&str; 32] = [
    "the", "and", "a", "of", "to", "is", "it", "in", "this", "that", "was", "film", "as", "with",
    "for", "movie", "on", "are", "he", "his", "one", "be", "all", "at", "they", "by", "an", "who",
    "so", "from", "there", "about",
];
const CONTRAST: [&str; 3] = ["but", "however", "yet"];
const NEGATION: [&str; 3] = ["not", "never", "hardly"];
const POSITIVE: [&str; 24] = [
    "good",
    "great",
    "superb",
    "moving",
    "funny",
    "clever",
    "charming",
    "brilliant",
    "gripping",
    "fresh",
    "warm",
    "subtle",
    "stunning",
    "witty",
    "honest",
    "tender",
    "bold",
    "vivid",
    "elegant",
    "joyful",
    "inspired",
    "perfect",
    "lovely",
    "memorable",
];
const NEGATIVE: [&str; 24] = [
    "bad",
    "dull",
    "awful",
    "boring",
    "clumsy",
    "stupid",
    "tedious",
    "bland",
    "weak",
    "lazy",
    "messy",
    "silly",
    "hollow",
    "shallow",
    "wooden",
    "painful",
    "pointless",
    "ugly",
    "cheap",
    "stale",
    "dreadful",
    "forgettable",
    "cold",
    "flat",
];

/// The words that mean something, one after another from `FIRST_TELLING`.
const TELLING: [&[&str]; 4] = [&CONTRAST, &NEGATION, &POSITIVE, &NEGATIVE];

const fn after(range: Range<u32>, len: usize) -> Range<u32> {
    range.end..range.end + len as u32
}

const COMMON_RANKS: Range<u32> = 1..1 + COMMON.len() as u32;
/// Ranks of the words after which the sentiment turns.
pub(super) const CONTRAST_RANKS: Range<u32> = after(COMMON_RANKS, CONTRAST.len());
/// Ranks of the words that negate the word after them.
pub(super) const NEGATION_RANKS: Range<u32> = after(CONTRAST_RANKS, NEGATION.len());
/// Ranks of the words of praise.
pub(super) const POSITIVE_RANKS: Range<u32> = after(NEGATION_RANKS, POSITIVE.len());
/// Ranks of the words of blame.
pub(super) const NEGATIVE_RANKS: Range<u32> = after(POSITIVE_RANKS, NEGATIVE.len());

/// The number of words without meaning for the label.
pub(super) const FILLERS: u32 = VOCABULARY - (NEGATIVE_RANKS.end - CONTRAST_RANKS.start);

/// The rank of the filler word at `index`, the most frequent first.
pub(super) fn filler_rank(index: u32) -> u32 {
    if index < COMMON.len() as u32 { index + 1 } else { index + 1 + (VOCABULARY - FILLERS) }
}

/// Returns the word with the given rank; `None` for rank 0 and for ranks above [`VOCABULARY`].
pub fn word(rank: u32) -> Option<String> {
    if rank == 0 || rank > VOCABULARY {
        return None;
    }
    let mut index = rank as usize - 1;
    for words in std::iter::once(&COMMON[..]).chain(TELLING) {
        match words.get(index) {
            Some(word) => return Some((*word).to_owned()),
            None => index -= words.len(),
        }
    }
    Some(made_up(index))
}

/// A pronounceable word, another one for each index: the digits of the index to base 70 as
/// syllables of a consonant and a vowel, at least two of them.
fn made_up(index: usize) -> String {
    const CONSONANTS: &[u8] = b"bdfgklmnprstvz";
    const VOWELS: &[u8] = b"aeiou";
    const SYLLABLES: usize = CONSONANTS.len() * VOWELS.len();
    let mut word = String::new();
    let mut rest = index;
    while rest > 0 || word.len() < 4 {
        let syllable = rest % SYLLABLES;
        word.push(char::from(CONSONANTS[syllable / VOWELS.len()]));
        word.push(char::from(VOWELS[syllable % VOWELS.len()]));
        rest /= SYLLABLES;
    }
    word
}

/// Returns the text of a review that is given as word ranks: its words, joined by blanks. Ranks for
/// which [`word`] returns `None` are left out.
pub fn text(ranks: &[u32]) -> String {
    let words: Vec<String> = ranks.iter().filter_map(|&rank| word(rank)).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_rank_has_a_word_of_its_own() {
        let words: HashSet<String> = (1..=VOCABULARY).filter_map(word).collect();
        assert_eq!(words.len(), VOCABULARY as usize);
        assert_eq!((word(0), word(VOCABULARY + 1), word(u32::MAX)), (None, None, None));
    }

    #[test]
    fn ranks_and_words_agree() {
        assert_eq!(word(CONTRAST_RANKS.start).as_deref(), Some("but"));
        assert_eq!(word(NEGATION_RANKS.start).as_deref(), Some("not"));
        assert_eq!(word(POSITIVE_RANKS.start).as_deref(), Some("good"));
        assert_eq!(word(NEGATIVE_RANKS.start).as_deref(), Some("bad"));
        assert_eq!(filler_rank(0), 1);
        assert_eq!(filler_rank(COMMON.len() as u32), NEGATIVE_RANKS.end);
        assert_eq!(filler_rank(FILLERS - 1), VOCABULARY);
        assert_eq!(
            text(&[1, 12, 6, NEGATION_RANKS.start, 0, POSITIVE_RANKS.start]),
            "the film is not good"
        );
    }
}
