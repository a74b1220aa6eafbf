use crate::proof::Prover;
use std::time::Duration;

/// Options of opening a device. The default options suit normal use, except that they measure no
/// kernel variants and do not test the matrix units.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// True to compile kernels with naga's bounds checks and loop guards, and to zero workgroup
    /// memory before each workgroup. This is slower and serves verification. The default is false.
    pub checked: bool,
    /// True to request only the limits that WebGPU guarantees on every adapter, and neither half
    /// precision nor subgroups nor matrix units, so that the kernels for such adapters can be
    /// verified. False, the default, requests all that the adapter has.
    pub minimal: bool,
    /// A word of poison that surrounds each tensor that a kernel binds, to test that kernels stay within
    /// their bindings: a run whose kernels write outside is an error, and one whose kernels read outside
    /// depends on the poison. This is slow and takes a copy of each operand; `None` is the default.
    pub guards: Option<u32>,
    /// An upper bound on [`Limits::loop_iterations`](rnn_graph::Limits::loop_iterations), so that
    /// kernels that split their loops can be verified. `None`, the default, leaves the device's own
    /// limit.
    pub loop_iterations: Option<u64>,
    /// The test that the matrix units must pass before a program first uses them. With `None`, the
    /// default, they are used untested.
    pub prover: Option<Prover>,
    /// Choice among the variants of each kernel.
    pub variants: VariantChoice,
    /// True to launch another variant of a kernel where the driver refuses the one chosen. False, the
    /// default, makes that an error, so that a verification sees it.
    pub falls_back: bool,
    /// True to open the device only to compile kernels, so that it works for a card that is not
    /// there. Nothing is measured: the device is assumed to end no loops early and to number the
    /// lanes of subgroups in the order of threads. The default is false.
    pub compile_only: bool,
    /// Longest time that a submission may take, by what is known of the device; `None`, the default,
    /// stands for 100 ms. Programs are cut into submissions, and large launches divided, by their work.
    /// No bit of a result depends on it.
    pub submission: Option<Duration>,
    /// The nanoseconds that a unit of [`work`](rnn_graph::work) takes, so that a device can be treated as
    /// a slower one. With `None`, the default, they are measured.
    pub pace: Option<f64>,
    /// Time after which a submission counts as hung. `None`, the default, stands for ten minutes,
    /// or an hour on an emulated GPU.
    pub patience: Option<Duration>,
}

/// Choice among the variants of a launch ([`LaunchVariant`](rnn_graph::LaunchVariant)), which all
/// compute the same bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VariantChoice {
    /// The launch itself. This is the default.
    #[default]
    First,
    /// The nth variant, counted from 1; the launch itself if there is no such variant. This serves
    /// verification.
    Nth(usize),
    /// The fastest variant or the launch itself, as measured when a program first needs the kernel.
    Fastest,
}
