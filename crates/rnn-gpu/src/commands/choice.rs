//! What `rnn-gpu train` trains.

use clap::builder::PossibleValue;
use rnn::datasets::movies::MovieOptions;
use rnn_run::experiment::Experiment;

/// Videos that two cores learn from in five minutes.
pub const QUICK: MovieOptions =
    MovieOptions { count: 720, frames: 12, size: 20, squares: (1, 3), seed: 1 };

/// The experiment or experiments to train.
#[derive(Clone, Copy, Debug)]
pub enum Choice {
    /// One of the tutorial's.
    One(Experiment),
    /// A forecast of time series.
    Forecast,
    /// All of the tutorial's on reviews.
    All,
}

impl clap::ValueEnum for Choice {
    fn value_variants<'a>() -> &'a [Self] {
        const {
            &{
                let [a, b, c, d] = Experiment::REVIEWS;
                let videos = Choice::One(Experiment::NextFrame);
                [
                    Choice::One(a),
                    Choice::One(b),
                    Choice::One(c),
                    Choice::One(d),
                    videos,
                    Choice::Forecast,
                    Choice::All,
                ]
            }
        }
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Self::One(experiment) => experiment.to_possible_value(),
            Self::Forecast => {
                Some(PossibleValue::new("forecast").help("rows of a .csv from those before"))
            }
            Self::All => Some(PossibleValue::new("all").help("all those on reviews")),
        }
    }
}

/// Squares start on a grid that is half as far from the frame's middle as its edge.
pub fn movie_size(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(size @ 8..=1024) if size % 2 == 0 => Ok(size),
        _ => Err("a video takes an even number of pixels from 8 to 1024".into()),
    }
}
