//! The `rnn-gpu` command.

#[macro_use(print, println, eprintln)]
extern crate rnn_run;

pub mod bench;
pub mod columns;
pub mod compare;
pub mod hints;
pub mod interchange;
pub mod plot;
pub mod predict;
pub mod progress;
pub mod report;
pub mod training;
pub mod verify;
