//! What kernels may use: offsets, overrides, half precision, subgroups.

mod common;

use common::*;
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
fn views_bind_at_their_offset() {
    let Some(device) = gpu() else { return };
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

/// A poll of one thread may run the callbacks of another's copies.
#[test]
fn threads_share_a_device() {
    let Some(device) = gpu() else { return };
    let device = &device;
    std::thread::scope(|scope| {
        for thread in 0..4u8 {
            scope.spawn(move || {
                let mut session = device.session();
                let mut graph = Graph::new();
                let x = graph.input("x", TensorType::f32([8]));
                let y = graph.input("y", TensorType::f32([8]));
                let z = graph.apply(axpy(1.0, 8), &[x, y]).unwrap();
                graph.output(z);
                let program = session.compile(Arc::new(graph)).unwrap();
                for step in 0..500u16 {
                    let x = [f32::from(step); 8];
                    session.run(program, &[&floats(&x), &floats(&[f32::from(thread); 8])]).unwrap();
                    let sum = f32::from(step) + f32::from(thread);
                    assert_eq!(session.fetch(program).unwrap()[0].as_f32().unwrap(), [sum; 8]);
                }
            });
        }
    });
}

#[test]
fn overrides_size_workgroups_and_their_memory() {
    for checked in [false, true] {
        let Some(device) = gpu_with(Options { checked, ..Options::default() }) else {
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
    let Some(device) = gpu() else { return };
    let features = &rnn_wgpu::adapters()[0].features;
    if !features.f16 || features.subgroups.is_none() {
        return rnn_testing::skip(features);
    }
    let mut session = device.session();
    let launch = Launch::new(&HALF_SUBGROUP, "main", Grid([1, 1, 1]))
        .bind("x", Operand::Input(0))
        .bind("z", Operand::Output(0));
    let outputs = vec![TensorType::f32([64])];
    let mut graph = Graph::new();
    let x = graph.input("x", TensorType::f32([64]));
    let z = graph
        .apply(Kernel { name: "half_subgroup", outputs, launches: vec![launch] }, &[x])
        .unwrap();
    graph.output(z);
    let program = session.compile(Arc::new(graph)).unwrap();
    // 0.1 rounds to 0.0999755859375 in half precision.
    session.run(program, &[&floats(&[0.1; 64])]).unwrap();
    assert_eq!(session.fetch(program).unwrap(), [floats(&[0.099_975_586; 64])]);
}
