//! Residents belong to a session, and outlive its runs and programs.

use super::{Outcome, accumulator, expect, expect_resident, floats};
use rnn_graph::{Device, Graph, TensorType};
use rnn_ops::{Assign, Scale};
use std::sync::Arc;

pub(super) fn they_start_at_zero_and_outlive_runs_and_programs(device: &dyn Device) -> Outcome {
    let mut session = device.session();
    let first = session.compile(accumulator(100)?)?;
    expect_resident(&mut *session, "total", &[0.0; 100])?;
    session.run(first, &[&floats(&[1.0; 100])])?;
    session.run(first, &[&floats(&[2.0; 100])])?;
    let second = session.compile(accumulator(100)?)?;
    session.run(second, &[&floats(&[4.0; 100])])?;
    expect_resident(&mut *session, "total", &[7.0; 100])?;
    session.write("total", &floats(&[10.0; 100]))?;
    session.run(first, &[&floats(&[1.0; 100])])?;
    expect_resident(&mut *session, "total", &[11.0; 100])
}

pub(super) fn views_of_them_are_changed_in_place(device: &dyn Device) -> Outcome {
    let mut graph = Graph::new();
    let x = graph.input("x", TensorType::f32([3]));
    let all = graph.resident("all", TensorType::f32([200]));
    let part = graph.view(all, 70, [3])?;
    graph.push_node(Arc::new(Assign), &[x], &[part])?;
    graph.output(part);
    let mut session = device.session();
    let program = session.compile(Arc::new(graph))?;
    session.write("all", &floats(&[5.0; 200]))?;
    session.run(program, &[&floats(&[1.0, 2.0, 3.0])])?;
    expect("the view", &session.fetch(program)?[0], &floats(&[1.0, 2.0, 3.0]))?;
    let mut want = [5.0; 200];
    want[70..73].copy_from_slice(&[1.0, 2.0, 3.0]);
    expect_resident(&mut *session, "all", &want)
}

pub(super) fn reads_see_the_runs_queued_before_them(device: &dyn Device) -> Outcome {
    let mut session = device.session();
    let program = session.compile(accumulator(64)?)?;
    let ones = floats(&[1.0; 64]);
    session.run(program, &[&ones])?;
    let early = session.start_read("total")?;
    session.run(program, &[&ones])?;
    let late = session.start_read("total")?;
    session.run(program, &[&ones])?;
    expect("the late read", &session.wait_read(late)?, &floats(&[2.0; 64]))?;
    let early = loop {
        if let Some(values) = session.poll_read(early)? {
            break values;
        }
        std::thread::yield_now();
    };
    expect("the early read", &early, &ones)
}

pub(super) fn futures_bring_what_blocking_calls_bring(device: &dyn Device) -> Outcome {
    let mut graph = Graph::clone(&*accumulator(64)?);
    let total = graph.resident("total", TensorType::f32([64]));
    let twice = graph.apply(Scale(2.0), &[total])?;
    graph.output(twice);
    let mut session = device.session();
    let program = session.compile(Arc::new(graph))?;
    session.run(program, &[&floats(&[1.0; 64])])?;
    let ticket = session.start_read("total")?;
    let outputs = pollster::block_on(session.fetch_async(program))?;
    expect("the outputs", &outputs, &session.fetch(program)?)?;
    expect("the outputs", &outputs, &vec![floats(&[2.0; 64])])?;
    let read = pollster::block_on(session.read_async(ticket))?;
    expect("the read", &read, &floats(&[1.0; 64]))
}

pub(super) fn sessions_of_one_device_do_not_share_them(device: &dyn Device) -> Outcome {
    let mut sessions = [device.session(), device.session()];
    for (session, value) in sessions.iter_mut().zip([1.0, 2.0]) {
        let program = session.compile(accumulator(10)?)?;
        session.run(program, &[&floats(&[value; 10])])?;
    }
    for (session, value) in sessions.iter_mut().zip([1.0, 2.0]) {
        expect_resident(&mut **session, "total", &[value; 10])?;
    }
    Ok(())
}

pub(super) fn memory_counts_them_and_the_arena(device: &dyn Device) -> Outcome {
    let mut session = device.session();
    let mut graph = Graph::new();
    let x = graph.input("x", TensorType::f32([64]));
    // Two blocks alternate along the chain; the result lies in one of them.
    let mut y = x;
    for _ in 0..3 {
        y = graph.apply(Scale(2.0), &[y])?;
    }
    graph.output(y);
    let chain = session.compile(Arc::new(graph))?;
    expect("arena and residents", &session.memory(chain), &(2 * 256, 0))?;
    let program = session.compile(accumulator(100)?)?;
    expect("arena and residents", &session.memory(program), &(400, 400))?;
    expect("arena and residents", &session.memory(chain), &(2 * 256, 400))
}
