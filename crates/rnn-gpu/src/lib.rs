//! The command `rnn-gpu`: its arguments, its output and the advice in its error messages.

#[macro_use]
pub mod console;

pub mod commands;
pub mod hints;
pub mod interrupt;
pub mod probe;
pub mod process;
