//! `rnn-gpu devices`.

/// Lists what can be computed on.
pub fn run() {
    print!("{}", rnn::device::list());
}
