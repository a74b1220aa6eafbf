//! Submissions and launches are cut by their work, and the cut changes no bit.

use rnn_core::DType;
use rnn_graph::{Device, Graph, Op, Recording, TensorType};
use rnn_ops::{
    Activation, Conv, ConvKernel, Lstm, LstmGates, Matmul, Padding, ScanInputs, Windows,
};
use rnn_testing::adapters;
use rnn_verify::{NotPassed, Trial};
use rnn_wgpu::{Adapter, Options, WgpuDevice};
use std::time::Duration;

/// A device of a made-up pace: it takes so many nanoseconds for a unit of work.
fn open(adapter: &Adapter, submission: Duration, pace: f64) -> WgpuDevice {
    let (submission, pace) = (Some(submission), Some(pace));
    let options = Options { submission, pace, ..Options::default() };
    WgpuDevice::open(adapter, options).expect("the adapter opens")
}

/// What a device puts out, as bits; none where its limits do not reach.
fn bits(trial: &Trial, device: &dyn Device) -> Option<Vec<Vec<u8>>> {
    match trial.run(device) {
        Ok(tensors) => Some(tensors.iter().map(|tensor| tensor.as_bytes().to_vec()).collect()),
        Err(NotPassed::Skipped(_)) => None,
        Err(NotPassed::Failed(why)) => panic!("{why}"),
    }
}

/// How many launches a trial's kernels are divided into; `None` where the device's limits do not reach.
fn launches(trial: &Trial, device: &dyn Device) -> Option<usize> {
    let mut recording = Recording::new(trial.graph(), device.limits()).ok()?;
    recording.divide(device.limits().launch_work);
    Some(recording.dispatches().count())
}

#[test]
fn every_op_puts_out_the_same_bits_however_its_work_is_cut() {
    for adapter in &adapters() {
        let whole = open(adapter, Duration::MAX, 1.0);
        let cut = open(adapter, Duration::from_micros(80), 1.0);
        let mut compared = 0;
        for case in &rnn_ops::suite() {
            let trial = Trial::new(case).expect("the case is sound");
            if launches(&trial, &cut) > launches(&trial, &whole) {
                compared += 1;
                assert!(bits(&trial, &cut) == bits(&trial, &whole), "{}", case.name);
            }
        }
        println!("{}: {compared} cases were divided", adapter.info);
        assert!(compared > 50, "{compared}");
    }
}

/// 3 GFLOP/s, as an old integrated GPU may reach.
const SLOW: f64 = 33.0;

fn graph(op: impl Op, inputs: &[&[usize]]) -> Graph {
    let mut graph = Graph::new();
    let inputs: Vec<_> =
        inputs.iter().map(|&shape| graph.input("x", TensorType::f32(shape.to_vec()))).collect();
    let outputs = graph.push(op, &inputs).expect("the shapes fit");
    outputs.into_iter().for_each(|output| graph.output(output));
    graph
}

/// What runs long on a slow device, a scan of many steps or a large product, is divided into launches
/// that are planned to take less than half of a submission.
#[test]
fn no_launch_is_long_on_a_slow_device() {
    let gates =
        LstmGates { activation: Activation::Tanh, recurrent_activation: Activation::Sigmoid };
    let lstm = Lstm { gates, inputs: ScanInputs::default() };
    let shapes = [(1, 1, 1), (3, 1, 1), (3, 1, 1)];
    let windows = Windows::over([1, 64, 64], shapes, Padding::Same, false).expect("windows fit");
    let conv = Conv { windows, bias: false, output: DType::F32 };
    let (x, y): (&[usize], &[usize]) = (&[8, 1, 64, 64, 32], &[8, 1, 64, 64, 64]);
    let graphs = [
        ("a scan", graph(lstm, &[&[2000, 4, 512], &[128, 512]])),
        ("a product", graph(Matmul::default(), &[&[4000, 300], &[300, 500]])),
        ("a convolution", graph(conv, &[x, &[9, 32, 64]])),
        ("its gradient", graph(ConvKernel { windows }, &[x, y])),
    ];
    let budget = Duration::from_millis(100);
    for adapter in &adapters() {
        let slow = open(adapter, budget, SLOW);
        for (name, graph) in &graphs {
            let mut recording = Recording::new(graph, slow.limits()).expect("it is recorded");
            recording.divide(slow.limits().launch_work);
            let work = recording.work();
            let time = SLOW * work.iter().copied().max().unwrap_or(0) as f64 / 1e6;
            println!("{name}: {} launches of at most {time:.1} ms", work.len());
            assert!(work.len() > 3 && time <= 50.0, "{name}: {time:.1} ms");
        }
    }
}
