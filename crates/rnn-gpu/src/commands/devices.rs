//! The command `rnn-gpu devices`.

/// Prints a line for each device of this machine, as [`rnn::device::list`] returns it.
pub fn run() {
    print!("{}", rnn::device::list());
}
