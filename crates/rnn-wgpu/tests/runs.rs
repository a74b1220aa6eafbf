//! What a session computes and keeps.

mod common;

use common::*;
use rnn_core::HostTensor;
use rnn_graph::{Device, Graph, Grid, Launch, Operand, Shader, TensorType};
use rnn_wgpu::Options;
use std::sync::Arc;

#[test]
fn adapters_are_listed_best_first() {
    let all = rnn_wgpu::adapters();
    assert!(all.is_sorted_by_key(|a| a.class));
    for adapter in all {
        println!(
            "{}: {:?}, {}\n{:?}",
            adapter.info, adapter.class, adapter.features, adapter.limits
        );
    }
}

#[test]
fn a_graph_runs_on_new_inputs_each_time() {
    let Some(device) = open("a_graph_runs_on_new_inputs_each_time") else { return };
    let mut session = device.session();
    let n = 1000;
    let mut graph = Graph::new();
    let (x, y) = (graph.input("x", TensorType::f32([n])), graph.input("y", TensorType::f32([n])));
    let z = graph.apply(axpy(2.0, n), &[x, y]).unwrap();
    let w = graph.apply(axpy(-1.0, n), &[y, z]).unwrap();
    graph.output(w);
    graph.output(z);
    let program = session.compile(Arc::new(graph)).unwrap();
    for round in 0..3 {
        let x: Vec<f32> = (0..n).map(|i| (i + round) as f32).collect();
        let y: Vec<f32> = (0..n).map(|i| (i * round) as f32).collect();
        session.run(program, &[&floats(&x), &floats(&y)]).unwrap();
        let [w, z] = session.fetch(program).unwrap().try_into().unwrap();
        for i in 0..n {
            assert_eq!(z.as_f32().unwrap()[i], 2.0 * x[i] + y[i]);
            assert_eq!(w.as_f32().unwrap()[i], 2.0 * x[i]);
        }
    }
}

#[test]
fn views_bind_at_their_offset() {
    let Some(device) = open("views_bind_at_their_offset") else { return };
    let mut session = device.session();
    let mut graph = Graph::new();
    let x = graph.input("x", TensorType::f32([300]));
    let y = graph.input("y", TensorType::f32([100]));
    let unaligned = graph.view(x, 70, [100]).unwrap();
    let z = graph.apply(axpy(1.0, 100), &[unaligned, y]).unwrap();
    graph.output(z);
    graph.output(unaligned);
    let program = session.compile(Arc::new(graph)).unwrap();
    let x: Vec<f32> = (0..300).map(|i| i as f32).collect();
    session.run(program, &[&floats(&x), &floats(&[0.5; 100])]).unwrap();
    let outputs = session.fetch(program).unwrap();
    let expected: Vec<f32> = (70..170).map(|i| i as f32 + 0.5).collect();
    assert_eq!(outputs[0].as_f32().unwrap(), expected);
    assert_eq!(outputs[1].as_f32().unwrap(), &x[70..170]);
}

#[test]
fn overrides_size_workgroups_and_their_memory() {
    let test = "overrides_size_workgroups_and_their_memory";
    for checked in [false, true] {
        let Some(device) = open_with(test, Options { checked, ..Options::default() }) else {
            return;
        };
        let mut session = device.session();
        for (width, bias, square) in [(8, 0.0, false), (64, 0.5, true), (256, -1.0, false)] {
            let mut graph = Graph::new();
            let x = graph.input("x", TensorType::f32([3 * width]));
            let sums = graph.apply(row_sum(3, width, bias, square), &[x]).unwrap();
            graph.output(sums);
            let program = session.compile(Arc::new(graph)).unwrap();
            let x: Vec<f32> = (0..3 * width).map(|i| (i % 7) as f32).collect();
            session.run(program, &[&floats(&x)]).unwrap();
            let expected: Vec<f32> = x
                .chunks(width)
                .map(|row| row.iter().map(|v| if square { v * v } else { *v }).sum::<f32>() + bias)
                .collect();
            assert_eq!(session.fetch(program).unwrap()[0].as_f32().unwrap(), expected);
        }
    }
}

static HALF_SUBGROUP: Shader = Shader::new(
    "half_subgroup",
    &["enable f16;
    @group(0) @binding(0) var<storage, read> x: array<f32>;
    @group(0) @binding(1) var<storage, read_write> z: array<f32>;
    @compute @workgroup_size(64)
    fn main(
        @builtin(local_invocation_index) lane: u32,
        @builtin(subgroup_size) size: u32,
    ) {
        let sum = subgroupAdd(f32(f16(x[lane])));
        z[lane] = sum / f32(size);
    }"],
);

#[test]
fn kernels_use_half_precision_and_subgroups_where_there_are_any() {
    let test = "kernels_use_half_precision_and_subgroups_where_there_are_any";
    let Some(device) = open(test) else { return };
    let features = &rnn_wgpu::adapters()[0].features;
    if !features.f16 || features.subgroups.is_none() {
        return println!("SKIPPED {test}: {features}");
    }
    let mut session = device.session();
    let launch = Launch::new(&HALF_SUBGROUP, "main", Grid([1, 1, 1]))
        .bind("x", Operand::Input(0))
        .bind("z", Operand::Output(0));
    let outputs = vec![TensorType::f32([64])];
    let mut graph = Graph::new();
    let x = graph.input("x", TensorType::f32([64]));
    let z = graph.apply(Kernel { name: test, outputs, launches: vec![launch] }, &[x]).unwrap();
    graph.output(z);
    let program = session.compile(Arc::new(graph)).unwrap();
    // 0.1 rounds to 0.0999755859375 in half precision.
    session.run(program, &[&floats(&[0.1; 64])]).unwrap();
    assert_eq!(session.fetch(program).unwrap(), [floats(&[0.099_975_586; 64])]);
}

#[test]
fn residents_start_at_zero_and_outlive_runs_and_programs() {
    let test = "residents_start_at_zero_and_outlive_runs_and_programs";
    let Some(device) = open(test) else { return };
    let mut session = device.session();
    let first = session.compile(Arc::new(accumulator(100))).unwrap();
    assert_eq!(read(&mut session, "total"), [0.0; 100]);
    session.run(first, &[&floats(&[1.0; 100])]).unwrap();
    session.run(first, &[&floats(&[2.0; 100])]).unwrap();
    let second = session.compile(Arc::new(accumulator(100))).unwrap();
    session.run(second, &[&floats(&[4.0; 100])]).unwrap();
    assert_eq!(read(&mut session, "total"), [7.0; 100]);
    session.write("total", &floats(&[10.0; 100])).unwrap();
    session.run(first, &[&floats(&[1.0; 100])]).unwrap();
    assert_eq!(read(&mut session, "total"), [11.0; 100]);
}

#[test]
fn outputs_survive_the_run_of_another_program() {
    let Some(device) = open("outputs_survive_the_run_of_another_program") else { return };
    let mut session = device.session();
    let chain = |scale: f32| {
        let mut graph = Graph::new();
        let x = graph.input("x", TensorType::f32([256]));
        let y = graph.apply(axpy(scale, 256), &[x, x]).unwrap();
        let z = graph.apply(axpy(scale, 256), &[y, y]).unwrap();
        graph.output(z);
        Arc::new(graph)
    };
    let one = session.compile(chain(1.0)).unwrap();
    let three = session.compile(chain(3.0)).unwrap();
    session.run(one, &[&floats(&[1.0; 256])]).unwrap();
    session.run(three, &[&floats(&[1.0; 256])]).unwrap();
    assert_eq!(session.fetch(one).unwrap()[0], floats(&[4.0; 256]));
    assert_eq!(session.fetch(three).unwrap()[0], floats(&[16.0; 256]));
}

#[test]
fn reads_see_the_runs_queued_before_them() {
    let Some(device) = open("reads_see_the_runs_queued_before_them") else { return };
    let mut session = device.session();
    let program = session.compile(Arc::new(accumulator(64))).unwrap();
    let ones = floats(&[1.0; 64]);
    session.run(program, &[&ones]).unwrap();
    let early = session.start_read("total").unwrap();
    session.run(program, &[&ones]).unwrap();
    let late = session.start_read("total").unwrap();
    session.run(program, &[&ones]).unwrap();
    assert_eq!(session.wait_read(late).unwrap(), floats(&[2.0; 64]));
    let early = loop {
        if let Some(values) = session.poll_read(early).unwrap() {
            break values;
        }
        std::thread::yield_now();
    };
    assert_eq!(early, ones);
}

#[test]
fn futures_bring_the_same_values() {
    let Some(device) = open("futures_bring_the_same_values") else { return };
    let mut session = device.session();
    let program = session.compile(Arc::new(accumulator(64))).unwrap();
    session.run(program, &[&floats(&[1.0; 64])]).unwrap();
    let ticket = session.start_read("total").unwrap();
    // A read that nobody waits for is gone, and leaves others alone.
    let dropped = session.start_read("total").unwrap();
    drop(session.read_async(dropped));
    assert!(session.wait_read(dropped).is_err());
    let outputs = pollster::block_on(session.fetch_async(program)).unwrap();
    assert_eq!(outputs, session.fetch(program).unwrap());
    assert_eq!(pollster::block_on(session.read_async(ticket)).unwrap(), floats(&[1.0; 64]));
    assert!(pollster::block_on(session.read_async(ticket)).is_err());
    assert!(pollster::block_on(session.fetch_async(rnn_graph::Program(99))).is_err());
}

#[test]
fn two_sessions_of_one_device_do_not_meet() {
    let Some(device) = open("two_sessions_of_one_device_do_not_meet") else { return };
    let mut sessions = [session(&device), session(&device)];
    for (i, session) in sessions.iter_mut().enumerate() {
        let program = session.compile(Arc::new(accumulator(10))).unwrap();
        session.run(program, &[&floats(&[i as f32 + 1.0; 10])]).unwrap();
    }
    assert_eq!(read(&mut sessions[0], "total"), [1.0; 10]);
    assert_eq!(read(&mut sessions[1], "total"), [2.0; 10]);
}

#[test]
fn empty_tensors_and_graphs_without_kernels_run() {
    let Some(device) = open("empty_tensors_and_graphs_without_kernels_run") else { return };
    let mut session = device.session();
    let mut graph = Graph::new();
    let x = graph.input("x", TensorType::u32([0, 3]));
    graph.output(x);
    graph.resident("nothing", TensorType::f32([0]));
    let program = session.compile(Arc::new(graph)).unwrap();
    let x = HostTensor::from_u32([0, 3], vec![]).unwrap();
    session.run(program, &[&x]).unwrap();
    assert_eq!(session.fetch(program).unwrap(), [x]);
    assert!(session.read("nothing").unwrap().shape().is_empty());
}
