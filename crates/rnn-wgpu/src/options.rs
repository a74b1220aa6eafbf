use crate::proof::Prover;
use std::time::Duration;

/// How a device is opened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Compiles kernels with naga's bounds checks and loop guards, and zeroes workgroup memory
    /// before each workgroup: slower, for verification.
    pub checked: bool,
    /// Takes no more than the limits that WebGPU guarantees on every adapter, and chooses kernels
    /// for them, to verify those too.
    pub minimal: bool,
    /// Takes the loops of a thread for no longer than so many iterations, and cuts kernels
    /// accordingly, to verify those too.
    pub loop_iterations: Option<u64>,
    /// Judges matrix units before a program first uses them; without it they are taken for right.
    pub prover: Option<Prover>,
    /// How kernels divide their outputs among threads.
    pub divisions: Divisions,
    /// How long one submission may take, in place of ten minutes, or an hour on a GPU that is
    /// emulated.
    pub patience: Option<Duration>,
}

/// Which division of each kernel's outputs a device takes; all put out the same bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Divisions {
    /// The usual one.
    #[default]
    Usual,
    /// The nth alternative, counted from 1, where there is one, to verify those too.
    Alternative(usize),
    /// The fastest, measured when a program first needs it.
    Fastest,
}
