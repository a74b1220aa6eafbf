//! Writes the bundled corpus as .npy files for other programs: word ranks shifted by 3 and padded
//! in front to 200, behind the start token, and labels.
//!
//! Usage: `export_corpus FOLDER`

use rnn_core::HostTensor;
use rnn_data::{PadOptions, corpus, pad_sequences};
use rnn_formats::npy;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = PathBuf::from(std::env::args_os().nth(1).ok_or("usage: export_corpus FOLDER")?);
    let corpus = corpus::bundled();
    for (name, reviews) in [("train", corpus.train), ("test", corpus.test)] {
        let tokens: Vec<Vec<u32>> =
            reviews.tokens.iter().map(|r| r.iter().map(|w| w + 3).collect()).collect();
        let options = PadOptions { maxlen: Some(200), ..PadOptions::default() };
        npy::write(&folder.join(format!("x_{name}.npy")), &pad_sequences(&tokens, &options)?)?;
        let labels = HostTensor::from_f32([reviews.labels.len(), 1], reviews.labels)?;
        npy::write(&folder.join(format!("y_{name}.npy")), &labels)?;
    }
    Ok(())
}
