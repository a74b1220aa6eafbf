use super::grammar::{MAX_WORDS, MIN_WORDS};
use super::*;
use std::collections::HashSet;

/// The shortest of six reviews from [`SEED`]: a change of the grammar shows here.
const SHORTEST: &str = "subtle zebe lema is ribe vefa nebo fida this dobe film fresh bebo it gobi \
    fresh dalo and his tender kuri zamo one lube gripping gipi beri";

#[test]
fn it_is_the_same_everywhere_and_another_for_another_seed() {
    let corpus = generate(SEED, 3, 0);
    assert_eq!(corpus, generate(SEED, 3, 0));
    assert_ne!(corpus, generate(SEED + 1, 3, 0));
    let shortest = corpus.train.tokens.iter().min_by_key(|t| t.len()).map(|t| text(t));
    assert_eq!(shortest.as_deref(), Some(SHORTEST));
}

#[test]
fn reviews_are_as_promised() {
    let Reviews { tokens, labels } = generate(1, 4001, 0).train;
    assert!(tokens.iter().all(|t| (MIN_WORDS..=MAX_WORDS).contains(&t.len())));
    assert_eq!(labels.iter().sum::<f32>(), 2001.0);
    let words: HashSet<u32> = tokens.iter().flatten().copied().collect();
    assert!(words.len() > 3000 && words.iter().all(|&w| (1..=VOCABULARY).contains(&w)));
    let the = tokens.iter().flatten().filter(|&&w| w == 1).count();
    let of_all = tokens.iter().map(Vec::len).sum::<usize>();
    assert!((20..8 * 20).contains(&(of_all / the)), "the most frequent word is frequent");
}
