//! The `rnn-gpu` command: its arguments, and what it tells people.

#[macro_use(print, println, eprintln)]
extern crate rnn_run;

pub mod commands;
pub mod hints;
