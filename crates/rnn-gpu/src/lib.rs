//! The `rnn-gpu` command: its arguments, and what it tells people.

#[macro_use]
pub mod console;

pub mod commands;
pub mod hints;
pub mod interrupt;
pub mod process;
