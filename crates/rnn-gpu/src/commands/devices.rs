//! `rnn-gpu devices`.

/// Prints a line for each device of this machine, with the names by which it is chosen.
pub fn run() {
    print!("{}", rnn::device::list());
}
