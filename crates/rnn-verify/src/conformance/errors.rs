//! Mistakes of a caller are errors of the type that says so, the same on every device, and the
//! session goes on.

use super::{Outcome, accumulator, ensure, expect, expect_resident, floats};
use rnn_core::{DType, HostTensor};
use rnn_graph::{Device, DeviceError, Graph, Program, TensorType, Ticket};
use rnn_ops::Cast;
use std::fmt::Debug;
use std::sync::Arc;

/// Checks the message of an error of one type.
fn expect_error<T: Debug>(
    result: Result<T, DeviceError>,
    is_of_type: impl Fn(&DeviceError) -> bool,
    message: &str,
) -> Outcome {
    match result {
        Ok(value) => ensure(false, || format!("{value:?}, not the error {message:?}")),
        Err(error) => {
            ensure(is_of_type(&error), || format!("an error of another type: {error:?}"))?;
            expect("the message", &*error.to_string(), message)
        }
    }
}

fn is_mismatch(error: &DeviceError) -> bool {
    matches!(error, DeviceError::Mismatch { .. })
}

fn is_missing(error: &DeviceError) -> bool {
    matches!(error, DeviceError::Missing { .. })
}

fn is_resident(error: &DeviceError) -> bool {
    matches!(error, DeviceError::Resident(_))
}

pub(super) fn inputs_of_other_types_are_mismatches(device: &dyn Device) -> Outcome {
    let mut session = device.session();
    let program = session.compile(accumulator(4)?)?;
    let longer = session.run(program, &[&floats(&[1.0; 5])]);
    expect_error(longer, is_mismatch, "x: the program takes f32[4], got f32[5]")?;
    let integers = HostTensor::from_u32([4], vec![1; 4])?;
    let integers = session.run(program, &[&integers]);
    expect_error(integers, is_mismatch, "x: the program takes f32[4], got u32[4]")?;
    let none = session.run(program, &[]);
    expect_error(none, is_mismatch, "inputs: the program takes 1 tensors, got 0")?;
    expect_resident(&mut *session, "total", &[0.0; 4])?;
    session.run(program, &[&floats(&[1.0; 4])])?;
    expect_resident(&mut *session, "total", &[1.0; 4])
}

pub(super) fn values_of_other_types_are_not_written(device: &dyn Device) -> Outcome {
    let mut session = device.session();
    session.compile(accumulator(4)?)?;
    session.write("total", &floats(&[3.0; 4]))?;
    let longer = session.write("total", &floats(&[1.0; 5]));
    expect_error(longer, is_mismatch, "total: the program takes f32[4], got f32[5]")?;
    let integers = session.write("total", &HostTensor::from_u32([4], vec![1; 4])?);
    expect_error(integers, is_mismatch, "total: the program takes f32[4], got u32[4]")?;
    expect_resident(&mut *session, "total", &[3.0; 4])
}

pub(super) fn what_no_program_has_is_named(device: &dyn Device) -> Outcome {
    let mut session = device.session();
    let program = session.compile(accumulator(4)?)?;
    let no_program = "the session has no program 7";
    expect_error(session.run(Program(7), &[]), is_missing, no_program)?;
    expect_error(session.fetch(Program(7)), is_missing, no_program)?;
    expect_error(pollster::block_on(session.fetch_async(Program(7))), is_missing, no_program)?;
    let no_resident = "resident weights: no program of this session has it";
    expect_error(session.write("weights", &floats(&[])), is_resident, no_resident)?;
    expect_error(session.start_read("weights"), is_resident, no_resident)?;
    session.run(program, &[&floats(&[1.0; 4])])?;
    expect_resident(&mut *session, "total", &[1.0; 4])
}

pub(super) fn tickets_yield_their_tensor_once(device: &dyn Device) -> Outcome {
    let mut session = device.session();
    session.compile(accumulator(4)?)?;
    let gone = |ticket: Ticket| {
        format!("the session has no read {} under way; each yields its tensor once", ticket.0)
    };
    let never = Ticket(99);
    expect_error(session.poll_read(never), is_missing, &gone(never))?;
    expect_error(session.wait_read(never), is_missing, &gone(never))?;
    let ticket = session.start_read("total")?;
    session.wait_read(ticket)?;
    expect_error(session.wait_read(ticket), is_missing, &gone(ticket))?;
    expect_error(session.poll_read(ticket), is_missing, &gone(ticket))?;
    expect_error(pollster::block_on(session.read_async(ticket)), is_missing, &gone(ticket))?;
    // A read that nobody waits for is gone, and leaves others alone.
    let [dropped, other] = [session.start_read("total")?, session.start_read("total")?];
    drop(session.read_async(dropped));
    expect_error(session.wait_read(dropped), is_missing, &gone(dropped))?;
    expect("the other read", &session.wait_read(other)?, &floats(&[0.0; 4]))
}

pub(super) fn programs_agree_on_the_types_of_residents(device: &dyn Device) -> Outcome {
    let mut session = device.session();
    session.compile(accumulator(4)?)?;
    let message = "resident total: f32[4] in one program, f32[5] in another";
    expect_error(session.compile(accumulator(5)?), is_resident, message)
}

pub(super) fn a_program_that_is_refused_leaves_nothing_behind(device: &dyn Device) -> Outcome {
    let mut session = device.session();
    let mut graph = Graph::new();
    graph.resident("total", TensorType::f32([5]));
    graph.resident("weights", TensorType::f32([1 << 60]));
    match session.compile(Arc::new(graph)) {
        Err(DeviceError::OutOfMemory { .. }) => {}
        other => ensure(false, || format!("2^62 bytes were not refused for memory: {other:?}"))?,
    }
    let total = session.start_read("total");
    ensure(matches!(total, Err(DeviceError::Resident(_))), || "it left a resident".into())?;
    let program = session.compile(accumulator(4)?)?;
    session.run(program, &[&floats(&[1.0; 4])])?;
    expect_resident(&mut *session, "total", &[1.0; 4])
}

pub(super) fn half_precision_is_refused_where_there_is_none(device: &dyn Device) -> Outcome {
    let mut graph = Graph::new();
    let x = graph.input("x", TensorType::f32([4]));
    let half = graph.apply(Cast(DType::F16), &[x])?;
    let whole = graph.apply(Cast(DType::F32), &[half])?;
    graph.output(whole);
    let mut session = device.session();
    match (device.limits().half, session.compile(Arc::new(graph))) {
        (true, Ok(program)) => {
            // 0.1 is 0.0999755859375 in half precision.
            session.run(program, &[&floats(&[0.1; 4])])?;
            expect("rounded", &session.fetch(program)?[0], &floats(&[0.099_975_586; 4]))
        }
        (false, Err(DeviceError::Recording(_))) => Ok(()),
        (half, other) => ensure(false, || format!("half is {half}, the graph {other:?}")),
    }
}
