//! Many runs in a row: the profile adds up, the overhead is printed.

mod common;

use common::*;
use rnn_graph::{Device, DeviceError, Graph, TensorType};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// `count` small dispatches, each waiting for the one before.
fn chain(count: usize) -> Arc<Graph> {
    let mut graph = Graph::new();
    let x = graph.input("x", TensorType::f32([64]));
    let mut y = x;
    for _ in 0..count {
        y = graph.apply(axpy(0.5, 64), &[x, y]).unwrap();
    }
    graph.output(y);
    Arc::new(graph)
}

#[test]
fn profiles_count_ops_and_their_cost() {
    let Some(device) = gpu() else { return };
    let mut session = device.session();
    let n = 4096;
    let mut graph = Graph::new();
    let x = graph.input("x", TensorType::f32([n]));
    let total = graph.resident("total", TensorType::f32([n]));
    graph.push_node(Arc::new(add_in_place(n, 3)), &[x], &[total]).unwrap();
    let y = graph.apply(axpy(2.0, n), &[x, total]).unwrap();
    let z = graph.apply(axpy(2.0, n), &[x, y]).unwrap();
    graph.output(z);
    let program = session.compile(Arc::new(graph)).unwrap();
    let x = floats(&vec![1.0; n]);
    session.run(program, &[&x]).unwrap();
    assert!(session.profile().map_or(true, |p| p.rows.is_empty()), "not yet enabled");
    session.enable_profile();
    for _ in 0..5 {
        session.run(program, &[&x]).unwrap();
    }
    let profile = match session.profile() {
        Ok(profile) => profile,
        Err(error) => {
            assert!(matches!(error, DeviceError::Missing { .. }), "{error}");
            return rnn_testing::skip(error);
        }
    };
    println!("{profile}");
    let row = |op: &str| profile.rows.iter().find(|r| r.op == op).unwrap();
    assert_eq!((row("axpy").calls, row("axpy").cost.flops), (10, 10_000));
    assert_eq!((row("add_in_place").calls, row("add_in_place").cost.flops), (5, 5_000));
    assert!(profile.rows.iter().all(|r| !r.time.is_zero()));
    // Six runs of three additions each, profiled or not.
    assert_eq!(read(&mut session, "total"), vec![18.0; n]);
}

#[test]
fn profiles_span_several_query_sets() {
    let Some(device) = gpu() else { return };
    let mut session = device.session();
    let program = session.compile(chain(2500)).unwrap();
    session.enable_profile();
    session.run(program, &[&floats(&[1.0; 64])]).unwrap();
    if let Ok(profile) = session.profile() {
        assert_eq!(profile.rows[0].calls, 2500);
    }
}

#[test]
fn overhead_of_a_dispatch() {
    let Some(device) = gpu() else { return };
    let mut session = device.session();
    let programs = [40, 400].map(|n| (n, session.compile(chain(n)).unwrap()));
    let x = floats(&[1.0; 64]);
    for (count, program) in programs {
        session.run(program, &[&x]).unwrap();
        session.fetch(program).unwrap();
        let (start, runs) = (Instant::now(), 50);
        let mut queueing = Duration::MAX;
        for _ in 0..runs {
            let queued = Instant::now();
            session.run(program, &[&x]).unwrap();
            // A run that did not have to wait for another shows what queueing itself takes.
            queueing = queueing.min(queued.elapsed());
        }
        session.fetch(program).unwrap();
        let micros = |d: Duration| 1e6 * d.as_secs_f64();
        let run = micros(start.elapsed()) / f64::from(runs);
        println!(
            "{count} dispatches: {run:.1} us a run, {:.2} us a dispatch, queued in {:.1} us",
            run / count as f64,
            micros(queueing)
        );
    }
}
