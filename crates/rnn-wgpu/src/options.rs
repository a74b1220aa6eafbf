use crate::proof::Prover;
use std::time::Duration;

/// Options of opening a device. [`Default`] is for normal use, but without variants that are
/// measured and without a test of the matrix units.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// True to compile kernels with naga's bounds checks and loop guards, and to zero workgroup
    /// memory before each workgroup: slower, for verification. The default is false.
    pub checked: bool,
    /// True to request only the limits that WebGPU guarantees on every adapter, so that the kernels
    /// for them can be verified; false, the default, for all that the adapter has.
    pub minimal: bool,
    /// An upper bound on the limit on the loop iterations of a thread, so that the splitting of
    /// kernels can be verified; `None`, the default, for the device's own limit.
    pub loop_iterations: Option<u64>,
    /// Test of the matrix units before a program first uses them; with `None`, the default, they
    /// are trusted.
    pub prover: Option<Prover>,
    /// Choice among the variants of each kernel.
    pub variants: VariantChoice,
    /// True to open the device to compile kernels and to run nothing, so that not even its loop
    /// limit is measured: a driver can compile for a card that is not there. The default is false.
    pub compile_only: bool,
    /// Time after which a submission counts as hung; `None`, the default, for ten minutes, or an
    /// hour on an emulated GPU.
    pub patience: Option<Duration>,
}

/// Choice among the variants of a launch ([`LaunchVariant`](rnn_graph::LaunchVariant)), which all
/// compute the same bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VariantChoice {
    /// The launch itself.
    #[default]
    First,
    /// The nth variant, counted from 1, or the launch itself if there is none; for verification.
    Nth(usize),
    /// The fastest one, measured when a program first needs it.
    Fastest,
}
