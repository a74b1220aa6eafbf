//! The `rnn-gpu` command.

#[macro_use]
pub mod console;

pub mod arrays;
pub mod bench;
pub mod checkpoint;
pub mod compare;
pub mod distributed;
pub mod experiment;
pub mod finite;
pub mod fit;
pub mod frame_error;
pub mod hints;
pub mod interchange;
pub mod interrupt;
pub mod measure;
pub mod memory;
pub mod outputs;
pub mod plot;
pub mod predict;
pub mod progress;
pub mod report;
pub mod rollout;
pub mod run;
pub mod source;
pub mod splits;
pub mod train;
pub mod training;
pub mod verify;

pub use rnn::*;
