//! Matrix units are proven right before they are used, and left where they are not.

use rnn_core::{DType, HostTensor};
use rnn_graph::{Device, Graph, Session, TensorType};
use rnn_ops::{Cast, Matmul, prove_matrix_units};
use rnn_testing::{adapters, open, skip};
use rnn_wgpu::{Adapter, Options, Prover, WgpuDevice};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Adapters that have matrix units.
fn with_units() -> Vec<Adapter> {
    let all: Vec<_> =
        adapters().into_iter().filter(|adapter| adapter.features.matrix_units.is_some()).collect();
    if all.is_empty() {
        skip("no adapter has matrix units");
    }
    all
}

#[test]
fn matrix_units_prove_themselves() {
    for adapter in &with_units() {
        let device = open(adapter);
        let begin = std::time::Instant::now();
        let wrong = prove_matrix_units(&mut *device.session()).expect("it runs");
        println!("{}: {wrong:?} after {:.2?}", adapter.info, begin.elapsed());
        assert_eq!(wrong, None, "{}", adapter.info);
    }
}

static LINES: AtomicUsize = AtomicUsize::new(0);

#[test]
fn units_that_fail_are_left() {
    let tell = |line: &str| {
        assert!(line.contains("are not used") && line.contains("made up"), "{line}");
        LINES.fetch_add(1, Ordering::SeqCst);
    };
    let test = |_: &mut dyn Session| Ok(Some("a failure that is made up".into()));
    let prover = Some(Prover { test, tell: Arc::new(tell) });
    for adapter in &with_units() {
        let options = Options { prover: prover.clone(), ..Options::default() };
        let device = WgpuDevice::open(adapter, options).expect("the adapter opens");
        let before = LINES.load(Ordering::SeqCst);
        for _ in 0..2 {
            let mut graph = Graph::new();
            let x = graph.input("x", TensorType::f32([64, 64]));
            let x = graph.apply(Cast(DType::F16), &[x]).expect("it fits");
            let y = graph.apply(Matmul::default(), &[x, x]).expect("it fits");
            graph.output(y);
            let mut session = device.session();
            let program = session.compile(Arc::new(graph)).expect("it compiles");
            let ones = HostTensor::from_f32([64, 64], vec![1.0; 64 * 64]).expect("the shape");
            session.run(program, &[&ones]).expect("it runs");
            let y = session.fetch(program).expect("a product");
            assert!(y[0].as_f32().expect("floats").iter().all(|&v| v == 64.0));
        }
        assert_eq!(LINES.load(Ordering::SeqCst), before + 1, "{}", adapter.info);
    }
}
