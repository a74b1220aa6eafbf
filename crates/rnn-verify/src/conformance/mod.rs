//! The contract of [`Device`] and its sessions, as checks that hold on every device.

mod errors;
mod programs;
mod residents;

use rnn_core::HostTensor;
use rnn_graph::{Device, Graph, GraphError, Session, TensorType};
use rnn_ops::{Assign, Binary};
use std::fmt::{self, Debug};
use std::sync::Arc;

/// One rule of the contract of devices, with the check whether a device keeps it.
pub struct ConformanceCheck {
    /// The rule as `module::words_of_the_rule`, such as `programs::views_begin_anywhere`.
    pub name: &'static str,
    check: fn(&dyn Device) -> Outcome,
}

impl ConformanceCheck {
    /// Checks that a device keeps the rule.
    ///
    /// # Errors
    /// Fails with a sentence for users that says what the device did instead.
    pub fn run(&self, device: &dyn Device) -> Result<(), String> {
        (self.check)(device).map_err(|broken| broken.0)
    }
}

impl Debug for ConformanceCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ConformanceCheck").field(&self.name).finish()
    }
}

macro_rules! checks {
    ($($module:ident::$name:ident,)*) => {
        &[$(ConformanceCheck {
            name: concat!(stringify!($module), "::", stringify!($name)),
            check: $module::$name,
        }),*]
    };
}

/// Returns the checks of all rules of the contract of [`Device`] and [`Session`]. They do not check
/// the results of ops, which [`check_kernel`](crate::check_kernel) does.
pub fn conformance() -> &'static [ConformanceCheck] {
    checks![
        programs::runs_take_new_inputs,
        programs::one_tensor_may_be_several_operands_and_outputs,
        programs::views_begin_anywhere,
        programs::an_input_that_turns_into_an_output_is_copied_if_it_is_read_later,
        programs::integers_pass_unchanged,
        programs::empty_tensors_and_graphs_without_nodes_run,
        programs::programs_of_other_sizes_share_a_session,
        programs::outputs_outlive_runs_of_other_programs,
        programs::profiles_count_calls,
        residents::they_start_at_zero_and_outlive_runs_and_programs,
        residents::views_of_them_are_changed_in_place,
        residents::reads_see_the_runs_queued_before_them,
        residents::futures_bring_what_blocking_calls_bring,
        residents::sessions_of_one_device_do_not_share_them,
        residents::memory_counts_them_and_the_arena,
        errors::inputs_of_other_types_are_mismatches,
        errors::values_of_other_types_are_not_written,
        errors::what_no_program_has_is_named,
        errors::tickets_yield_their_tensor_once,
        errors::programs_agree_on_the_types_of_residents,
        errors::a_program_that_is_refused_leaves_nothing_behind,
        errors::half_precision_is_refused_where_there_is_none,
    ]
}

/// A sentence about what a device did wrong.
struct Broken(String);

type Outcome = Result<(), Broken>;

impl<E: std::error::Error> From<E> for Broken {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

fn ensure(condition: bool, message: impl FnOnce() -> String) -> Outcome {
    if condition { Ok(()) } else { Err(Broken(message())) }
}

fn expect<T: PartialEq + Debug + ?Sized>(what: &str, got: &T, want: &T) -> Outcome {
    ensure(got == want, || format!("{what}: {got:?}, not {want:?}"))
}

/// A vector of floats.
fn floats(values: &[f32]) -> HostTensor {
    HostTensor::from_f32([values.len()], values.to_vec()).expect("a vector of its length")
}

/// `total += x` over a resident named `total`.
fn accumulator(n: usize) -> Result<Arc<Graph>, GraphError> {
    let mut graph = Graph::new();
    let x = graph.input("x", TensorType::f32([n]));
    let total = graph.resident("total", TensorType::f32([n]));
    let sum = graph.apply(Binary::Add, &[total, x])?;
    graph.push_node(Arc::new(Assign), &[sum], &[total])?;
    Ok(Arc::new(graph))
}

/// Checks what a resident holds.
fn expect_resident(session: &mut (dyn Session + 'static), name: &str, want: &[f32]) -> Outcome {
    expect(name, &session.read(name)?, &floats(want))
}
