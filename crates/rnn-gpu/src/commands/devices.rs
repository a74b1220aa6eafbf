//! `rnn-gpu devices`.

/// Prints the devices of this machine.
pub fn run() {
    print!("{}", rnn::device::list());
}
