//! The Large Movie Review Dataset in the layout of Keras's `imdb.npz`
//! (keras/src/datasets/imdb.py).

use crate::mt19937::Mt19937;
use rnn_formats::npy::ConvertError;
use rnn_formats::npz::{Npz, NpzError};
use std::path::Path;

/// Reviews as sequences of numbers that stand for words, each with a label.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reviews {
    /// Token ids of the words of each review; in [`RawReviews`], their ranks.
    pub tokens: Vec<Vec<u32>>,
    /// Label of each review: 1 if it is positive, 0 if it is negative.
    pub labels: Vec<f32>,
}

/// The arguments of Keras's `imdb.load_data` (keras/src/datasets/imdb.py). [`Default`] gives
/// Keras's defaults. The id of a word is its rank plus `index_from`.
#[derive(Clone, Copy, Debug)]
pub struct LoadOptions {
    /// Words with an id of this number or above are left out; `None`, the default, for no limit.
    pub num_words: Option<u32>,
    /// Words with an id below this number, the most frequent ones, are left out; 0 by default.
    pub skip_top: u32,
    /// Reviews of this number of tokens or more, start token included, are dropped; `None`, the
    /// default, keeps all.
    pub maxlen: Option<usize>,
    /// Seed of the order of the reviews, 113 by default.
    pub seed: u32,
    /// Token id that begins every review, 1 by default; `None` for no such token.
    pub start_char: Option<u32>,
    /// Token id that takes the place of words that are left out, 2 by default; `None` to remove
    /// such words.
    pub oov_char: Option<u32>,
    /// Number that is added to the rank of a word to give its id, 3 by default.
    pub index_from: u32,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            num_words: None,
            skip_top: 0,
            maxlen: None,
            seed: 113,
            start_char: Some(1),
            oov_char: Some(2),
            index_from: 3,
        }
    }
}

/// The reason why reviews could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ImdbError {
    /// The file cannot be read, is damaged, or lacks an array.
    #[error(transparent)]
    Npz(#[from] NpzError),
    /// An array does not hold reviews or labels, but elements of another type.
    #[error("cannot use {array}")]
    Array {
        /// The name of the array.
        array: &'static str,
        /// The reason why it cannot be converted.
        source: ConvertError,
    },
    /// The numbers of reviews and labels differ, or a rank is outside 0..2^32. The text is the
    /// problem.
    #[error("{0}; use the imdb.npz that Keras downloads")]
    Content(String),
}

/// Reviews as they are stored, in the order of the file. Words are ranks: 1 for the most frequent
/// word, 2 for the next, and so on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RawReviews {
    /// The reviews for training.
    pub train: Reviews,
    /// The reviews for testing.
    pub test: Reviews,
}

impl RawReviews {
    /// Reads a file with the layout of Keras's `imdb.npz`.
    ///
    /// # Errors
    /// Fails with [`ImdbError::Npz`] if the file cannot be read or lacks one of the arrays
    /// `x_train`, `y_train`, `x_test` and `y_test`, with [`ImdbError::Array`] if one has elements
    /// of another type, and with [`ImdbError::Content`] if there are not as many labels as reviews,
    /// or a rank is outside 0..2^32.
    pub fn read(path: &Path) -> Result<Self, ImdbError> {
        let mut npz = Npz::open(path)?;
        let train = read_part(&mut npz, "x_train", "y_train")?;
        let test = read_part(&mut npz, "x_test", "y_test")?;
        Ok(Self { train, test })
    }

    /// Returns the training reviews, then the test reviews. Both are shuffled and turned into token
    /// ids as Keras's `imdb.load_data` does with these options (keras/src/datasets/imdb.py).
    pub fn load(self, options: &LoadOptions) -> (Reviews, Reviews) {
        // One stream shuffles both, one after the other.
        let mut rng = Mt19937::new(options.seed);
        let train = indexed(self.train, &mut rng, options);
        let test = indexed(self.test, &mut rng, options);
        let highest = train.tokens.iter().chain(&test.tokens).flatten().max().copied();
        let limit = options.num_words.unwrap_or(highest.map_or(0, |h| h.saturating_add(1)));
        (restricted(train, limit, options), restricted(test, limit, options))
    }
}

fn read_part<R: std::io::Read + std::io::Seek>(
    npz: &mut Npz<R>,
    x: &'static str,
    y: &'static str,
) -> Result<Reviews, ImdbError> {
    let array = |array| move |source| ImdbError::Array { array, source };
    let lists = npz.read(x)?.into_lists().map_err(array(x))?;
    let labels = npz.read(y)?.to_f32().map_err(array(y))?;
    let labels = labels.as_f32().map_err(|e| ImdbError::Content(e.to_string()))?.to_vec();
    if lists.len() != labels.len() {
        let (n, m) = (lists.len(), labels.len());
        return Err(ImdbError::Content(format!("{x} has {n} reviews, {y} {m} labels")));
    }
    let rank = |rank: i64| {
        u32::try_from(rank).map_err(|_| ImdbError::Content(format!("{x}: a word has rank {rank}")))
    };
    let ranks = |list: Vec<i64>| list.into_iter().map(rank).collect();
    Ok(Reviews { tokens: lists.into_iter().map(ranks).collect::<Result<_, _>>()?, labels })
}

/// In shuffled order; ranks become ids, and reviews that are too long go.
fn indexed(raw: Reviews, rng: &mut Mt19937, o: &LoadOptions) -> Reviews {
    let mut pairs: Vec<_> = raw.tokens.into_iter().zip(raw.labels).collect();
    rng.shuffle(&mut pairs);
    let id = |rank: u32| rank.saturating_add(o.index_from);
    let (tokens, labels) = pairs
        .into_iter()
        .map(|(ranks, label)| {
            (o.start_char.into_iter().chain(ranks.into_iter().map(id)).collect::<Vec<_>>(), label)
        })
        .filter(|(tokens, _)| o.maxlen.is_none_or(|max| tokens.len() < max))
        .unzip();
    Reviews { tokens, labels }
}

/// Rare and very frequent words become `oov_char`, or vanish. The start token counts as a word.
fn restricted(mut reviews: Reviews, limit: u32, o: &LoadOptions) -> Reviews {
    let kept = |t: &u32| (o.skip_top..limit).contains(t);
    for tokens in &mut reviews.tokens {
        match o.oov_char {
            Some(oov) => tokens.iter_mut().filter(|t| !kept(t)).for_each(|t| *t = oov),
            None => tokens.retain(kept),
        }
    }
    reviews
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    /// The real data, where `RNN_GPU_IMDB` says, or else in the shared data.
    fn real_data() -> Option<PathBuf> {
        let named = std::env::var_os("RNN_GPU_IMDB").map(PathBuf::from);
        named.or_else(|| rnn_testing::shared("imdb/imdb.npz"))
    }

    #[test]
    fn the_options_do_what_keras_documents() {
        let part = |tokens: &[&[u32]]| Reviews {
            tokens: tokens.iter().map(|t| t.to_vec()).collect(),
            labels: vec![1.0; tokens.len()],
        };
        let raw = RawReviews { train: part(&[&[1, 5, 9]]), test: part(&[&[2]]) };
        let load = |o: LoadOptions| raw.clone().load(&o).0.tokens;
        let standard = LoadOptions::default();
        assert_eq!(load(standard), [[1, 4, 8, 12]]);
        assert_eq!(load(LoadOptions { num_words: Some(9), ..standard }), [[1, 4, 8, 2]]);
        let vanish = LoadOptions { oov_char: None, skip_top: 5, ..standard };
        assert_eq!(load(vanish), [[8, 12]]);
        assert!(load(LoadOptions { maxlen: Some(4), ..standard }).is_empty());
    }

    // The review at place 21463 of the file, which the shuffle moves to 3093.
    #[test]
    fn a_known_review_is_where_it_should_be() -> Result<(), ImdbError> {
        let Some(path) = real_data() else { return Ok(()) };
        let options = LoadOptions { num_words: Some(5000), ..LoadOptions::default() };
        let (train, test) = RawReviews::read(&path)?.load(&options);
        assert_eq!((train.tokens.len(), test.tokens.len()), (25_000, 25_000));
        let review = &train.tokens[3093];
        let beginning = [1, 416, 9, 35, 576, 73, 93, 248, 201, 44, 49, 84, 15, 26, 416, 23, 35];
        assert_eq!((review.len(), train.labels[3093]), (186, 1.0));
        assert_eq!(review[..beginning.len()], beginning);
        Ok(())
    }
}
