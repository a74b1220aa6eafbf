//! Kernels stay within the iterations that a device's loops make: scans, sums and windows are cut
//! where they are longer, and what cannot be cut is refused.

mod counted;

use counted::{Counted, LAUNCHES};
use rnn_core::{DType, HostTensor};
use rnn_graph::{Device, Graph, Op, Recording, TensorType};
use rnn_ops::{
    Activation, AveragePool, AveragePoolBackward, Case, Cast, Constrain, Constraint,
    DropoutMatmulInput, Gru, GruBackward, Lstm, LstmBackward, LstmGates, Matmul, MaxPool,
    MaxPoolBackward, MetricSums, Padding, Sample, ScanInputs, SimpleRnn, SimpleRnnBackward,
    Softmax, StepMask, SumRows, UpdateMetricSums, Windows,
};
use rnn_testing::adapters;
use rnn_verify::{NotPassed, Trial, check_kernel};
use rnn_wgpu::{Adapter, Options, VariantChoice, WgpuDevice};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

fn open(adapter: &Adapter, options: Options) -> WgpuDevice {
    // Nothing is cut for another reason.
    let options = Options { submission: Some(Duration::MAX), ..options };
    WgpuDevice::open(adapter, options).expect("the adapter opens")
}

const PLAIN: ScanInputs = ScanInputs { state: false, mask: false, dropout: false };
const FULL: ScanInputs = ScanInputs { state: true, mask: true, dropout: true };

/// Forward and backward of every cell whose scans are launches of many steps.
fn scans([t, b, h]: [usize; 3], inputs: ScanInputs, half: bool) -> Vec<Case> {
    let (activation, recurrent_activation) = (Activation::Tanh, Activation::Sigmoid);
    let scale = 1.0 / (h as f32).sqrt();
    let sequence = |width: usize| Sample::Normal(vec![t, b, width * h]);
    let values = |width: usize| Sample::Uniform(vec![t, b, width * h], 0.1, 0.9);
    let matrix = |gates: usize| Sample::Uniform(vec![h, gates * h], -scale, scale);
    let turned = |gates: usize| Sample::Uniform(vec![gates * h, h], -scale, scale);
    let state = |states: usize| Sample::Uniform(vec![states, b, h], -1.0, 1.0);
    // The state, of so many parts or none, and what else the inputs ask for.
    let with = |states: usize, gates: usize| {
        let mask = (0..t * b).map(|i| u32::from((i * 7 + i / 3) % 5 != 0)).collect();
        let state = (inputs.state && states > 0).then(|| state(states));
        let mask = inputs.mask.then(|| Sample::Exactly(vec![t, b], mask));
        let dropout = Sample::Uniform(vec![gates, b, h], 0.5, 1.5);
        [state, mask, inputs.dropout.then_some(dropout)].into_iter().flatten().collect::<Vec<_>>()
    };
    let gates = LstmGates { activation, recurrent_activation };
    let lstm = Lstm { gates, inputs };
    let lstm_back = LstmBackward { forward: lstm.clone(), d_hidden: true, d_last: true };
    let simple = SimpleRnn { activation, inputs };
    let simple_back = SimpleRnnBackward { forward: simple.clone(), d_hidden: true, d_last: true };
    let gru = Gru { activation, recurrent_activation, reset_after: true, bias: true, inputs };
    let case = |name: &str, op: Arc<dyn Op>, parts: [Vec<Sample>; 3], halves: &[usize]| Case {
        name: format!("{name} {t}x{b}x{h}{inputs} {half}"),
        op,
        inputs: parts.concat(),
        half: if half { halves.to_vec() } else { vec![] },
        // What is stored of half precision has an error of half of 2^-10.
        tolerance: if half { 4e-3 } else { 2e-5 },
        ..Case::new("", SumRows, vec![])
    };
    let d_lstm = 3 + with(0, 4).len();
    let d_simple = 2 + with(0, 1).len();
    let mut cases = vec![
        case("lstm", Arc::new(lstm), [vec![sequence(4), matrix(4)], with(2, 4), vec![]], &[0]),
        case(
            "lstm backward",
            Arc::new(lstm_back),
            [vec![values(4), turned(4), values(1)], with(0, 4), vec![sequence(1), state(2)]],
            &[0, 2, d_lstm],
        ),
        case(
            "simple rnn",
            Arc::new(simple),
            [vec![sequence(1), matrix(1)], with(1, 1), vec![]],
            &[0],
        ),
        case(
            "simple rnn backward",
            Arc::new(simple_back),
            [vec![turned(1), values(1)], with(0, 1), vec![sequence(1), state(1)]],
            &[1, d_simple],
        ),
    ];
    if !half {
        let bias = Sample::Normal(vec![3 * h]);
        let back = vec![turned(3), values(5), sequence(1)];
        let forward = [vec![sequence(3), matrix(3), bias], with(1, 3), vec![]];
        cases.push(case("gru", Arc::new(gru.clone()), forward, &[]));
        cases.push(case(
            "gru backward",
            Arc::new(GruBackward(gru)),
            [back, with(0, 3), vec![]],
            &[],
        ));
    }
    cases
}

fn bits(trial: &Trial, device: &dyn Device) -> Vec<Vec<u8>> {
    let tensors = trial.run(device).unwrap_or_else(|why| panic!("{why:?}"));
    tensors.iter().map(|tensor| tensor.as_bytes().to_vec()).collect()
}

/// In how many launches a trial's scan runs; 0 where every step is one.
fn scan_launches(trial: &Trial, device: &dyn Device) -> usize {
    let recording = Recording::new(trial.graph(), device.limits()).expect("it is recorded");
    recording.dispatches().filter(|d| d.shader.name().contains("_rows")).count()
}

#[test]
fn a_scan_that_is_cut_puts_out_the_same_bits() {
    for adapter in &adapters() {
        let usual = open(adapter, Options::default());
        let cut = [120, 200, 400].map(|limit| {
            open(adapter, Options { loop_iterations: Some(limit), ..Options::default() })
        });
        let mut compared = 0;
        for half in [false, true].into_iter().filter(|half| !half || usual.limits().half) {
            let shapes = [[17, 5, 20], [9, 2, 66]];
            let all = shapes.into_iter().flat_map(|shape| {
                [PLAIN, FULL].into_iter().flat_map(move |inputs| scans(shape, inputs, half))
            });
            for case in all {
                let trial = Trial::new(&case).expect("the case is sound");
                assert_eq!(scan_launches(&trial, &usual), 1, "{}", case.name);
                let want = bits(&trial, &usual);
                for device in &cut {
                    let launches = scan_launches(&trial, device);
                    if launches > 0 {
                        compared += usize::from(launches > 1);
                        let limit = device.limits().loop_iterations;
                        assert!(bits(&trial, device) == want, "{} at {limit}", case.name);
                    }
                }
            }
        }
        println!("{}: {compared} scans were cut", adapter.info);
        assert!(compared > 40, "{compared}");
    }
}

/// A minimal device has no subgroups.
#[test]
fn sums_exchanged_in_workgroup_memory_have_the_bits_of_shuffles() {
    for adapter in &adapters() {
        let usual = open(adapter, Options::default());
        let minimal = open(adapter, Options { minimal: true, ..Options::default() });
        println!("{}: subgroups of {}", adapter.info, usual.limits().subgroup_lanes);
        for case in [PLAIN, FULL].into_iter().flat_map(|inputs| scans([9, 5, 20], inputs, false)) {
            let trial = Trial::new(&case).expect("the case is sound");
            assert!(bits(&trial, &usual) == bits(&trial, &minimal), "{}", case.name);
        }
    }
}

/// Fails with all that a device does not compute right.
fn check_all(device: &dyn Device, cases: &[Case]) {
    let failures: Vec<_> = cases
        .iter()
        .filter_map(|case| Some(format!("{}: {:?}", case.name, check_kernel(case, device).err()?)))
        .collect();
    assert!(failures.is_empty(), "{}\n{}", device.info(), failures.join("\n"));
}

/// llvmpipe ends the loops of a thread after 65,535 iterations.
#[test]
fn long_sequences_are_right() {
    for adapter in &adapters() {
        let device = open(adapter, Options::default());
        let mut cases = scans([500, 1, 128], PLAIN, false);
        cases.extend(scans([600, 2, 128], FULL, false));
        cases.extend(scans([300, 1, 256], PLAIN, false));
        if device.limits().half {
            cases.extend(scans([600, 1, 128], FULL, true));
        }
        check_all(&device, &cases);
    }
}

/// Windows of all of a sequence.
fn global(steps: usize) -> Windows {
    let shapes = [(1, 1, 1), (1, 1, 1), (steps, steps, 1)];
    Windows::over([1, 1, steps], shapes, Padding::Valid, false).expect("windows fit")
}

#[test]
fn long_sums_are_right() {
    const LONG: usize = 70_000;
    let windows = global(LONG);
    let x = Sample::Normal(vec![1, 1, 1, LONG, 2]);
    let product = |op| {
        Case::new(
            "a product",
            op,
            vec![Sample::Normal(vec![3, LONG]), Sample::Normal(vec![LONG, 5])],
        )
    };
    let to_half = Matmul { output: DType::F16, ..Matmul::default() };
    // Each logit lies in the middle of a bucket of probabilities, out of which no rounding moves it.
    let logit = |i: usize| {
        let p = ((i * 83 % 199) as f32 + 0.5) / 199.0;
        (p / (1.0 - p)).ln() + 1e-4
    };
    let logits = Sample::Floats(vec![132, 500], (0..132 * 500).map(logit).collect());
    let labels = Sample::Normal(vec![132, 500]);
    let row = || Sample::Normal(vec![1, LONG]);
    let metric_sums = UpdateMetricSums { of: MetricSums::Binary, examples: 132 };
    let sums = MetricSums::Binary.len(500);
    let cases = [
        Case::new("max_pool", MaxPool(windows), vec![x.clone()]),
        // The mean of so many normal numbers is small beside each.
        Case::new("average_pool", AveragePool(windows), vec![x]).tolerance(2e-4),
        product(Matmul::default()).tolerance(2e-5),
        Case::new(
            "gates among the terms",
            DropoutMatmulInput,
            vec![
                Sample::Normal(vec![1, 2, LONG]),
                Sample::Normal(vec![3, LONG]),
                Sample::Uniform(vec![2, 2, 3], 0.0, 2.0),
            ],
        )
        .tolerance(2e-5),
        Case::new("sum_rows", SumRows, vec![Sample::Normal(vec![LONG, 2])]).tolerance(2e-5),
        Case::new("softmax", Softmax, vec![row()]),
        Case::new("step_mask", StepMask { padding: 0.0 }, vec![Sample::Normal(vec![2, 60_000])]),
        Case::new("metric_sums", metric_sums, vec![logits, labels, Sample::Normal(vec![1])])
            .updates(vec![Sample::Floats(vec![sums], vec![0.0; sums])])
            .tolerance(2e-5),
        product(to_half).tolerance(1e-3),
    ];
    for adapter in &adapters() {
        let device = open(adapter, Options::default());
        // The one whose result is of half precision comes last.
        let known = cases.len() - usize::from(!device.limits().half);
        check_all(&device, &cases[..known]);
    }
}

#[test]
fn windows_of_many_taps_are_cut() {
    const STEPS: usize = 3000;
    let (windows, source) = (global(STEPS), [1, 1, STEPS]);
    let x = Sample::Normal(vec![1, 1, 1, STEPS, 2]);
    let d = Sample::Normal(vec![1, 1, 1, 1, 2]);
    let at = Sample::Exactly(vec![1, 1, 1, 1, 2], vec![STEPS as u32 - 1, 1200]);
    let cases = [
        Case::new("max_pool", MaxPool(windows), vec![x.clone()]),
        Case::new("max_pool_backward", MaxPoolBackward { windows, source }, vec![d.clone(), at]),
        Case::new("average_pool", AveragePool(windows), vec![x]).tolerance(2e-5),
        Case::new("average_pool_backward", AveragePoolBackward { windows, source }, vec![d]),
    ];
    for adapter in &adapters() {
        let options = Options { loop_iterations: Some(1000), ..Options::default() };
        let (usual, cut) = (open(adapter, Options::default()), open(adapter, options));
        check_all(&cut, &cases);
        for case in &cases {
            let trial = Trial::new(case).expect("the case is sound");
            assert!(bits(&trial, &cut) == bits(&trial, &usual), "{}", case.name);
        }
    }
}

#[test]
fn what_cannot_be_cut_is_refused() {
    let norm = Constraint::Norm { low: 0.0, high: 1.0, rate: 1.0 };
    let case = Case::new("a long column", Constrain(norm), vec![])
        .updates(vec![Sample::Normal(vec![2000, 2])]);
    for adapter in &adapters() {
        let options = Options { loop_iterations: Some(4001), ..Options::default() };
        match check_kernel(&case, &open(adapter, options)) {
            Err(NotPassed::Skipped(why)) => {
                let named =
                    ["constrain.limit_norm", "4002 iterations", "after 4001", "the CPU device"];
                assert!(named.iter().all(|part| why.contains(part)), "{why}");
            }
            other => panic!("{other:?}"),
        }
        let options = Options { loop_iterations: Some(4002), ..Options::default() };
        check_all(&open(adapter, options), std::slice::from_ref(&case));
    }
}

/// Every op on a device of short loops: right or refused.
#[test]
fn every_op_is_right_or_refused_where_loops_are_short() {
    for adapter in &adapters() {
        for limit in [150, 1000] {
            let options = Options { loop_iterations: Some(limit), ..Options::default() };
            let device = open(adapter, options);
            let (mut refused, mut right, mut failures) = (0, 0, vec![]);
            for case in &rnn_ops::suite() {
                match check_kernel(case, &device) {
                    Ok(_) => right += 1,
                    Err(NotPassed::Skipped(_)) => refused += 1,
                    Err(NotPassed::Failed(why)) => failures.push(format!("{}: {why}", case.name)),
                }
            }
            println!("{} at {limit}: {right} right, {refused} refused", adapter.info);
            assert!(failures.is_empty(), "{}", failures.join("\n"));
            assert!(right > 200, "{right} right, {refused} refused");
        }
    }
}

/// No thread makes more iterations than its launch states, however a kernel is divided.
#[test]
fn launches_state_their_iterations() {
    for adapter in &adapters() {
        let mut counted = 0;
        for variants in [VariantChoice::First, VariantChoice::Nth(2)] {
            let device = open(adapter, Options { variants, ..Options::default() });
            let mut seen = HashMap::new();
            for case in &rnn_ops::suite() {
                counted += count(case, &device, variants != VariantChoice::First, &mut seen);
            }
        }
        println!("{}: {counted} launches", adapter.info);
        assert!(counted > 100, "{counted}");
    }
}

/// How often a kernel was seen, by shader and entry point.
type Seen = HashMap<(&'static str, &'static str), usize>;

const MAX_FLOPS: u64 = 2_000_000;

/// How many launches of a case loop, each of which makes no more iterations than it states.
fn count(case: &Case, device: &dyn Device, divided: bool, seen: &mut Seen) -> usize {
    let (inputs, updates) = case.draw();
    let ty = |t: &HostTensor| TensorType { shape: t.shape().clone(), dtype: t.dtype() };
    let mut graph = Graph::new();
    let mut operands: Vec<_> = inputs.iter().map(|t| graph.input("input", ty(t))).collect();
    for &i in &case.half {
        operands[i] = graph.apply(Cast(DType::F16), &[operands[i]]).expect("it is rounded");
    }
    let name = |i: usize| format!("update {i}");
    let mut changed: Vec<_> =
        updates.iter().enumerate().map(|(i, t)| graph.resident(&name(i), ty(t))).collect();
    changed.push(graph.resident("counted", TensorType::u32([LAUNCHES])));
    let op = Arc::new(Counted(case.op.clone()));
    graph.push_node(op, &operands, &changed).expect("it fits");
    let node = graph.nodes().len() - 1;
    // Counting is slow, and large cases loop as small ones do.
    if case.op.cost(&graph.signature(&graph.nodes()[node])).flops > MAX_FLOPS {
        return 0;
    }
    let Ok(recording) = Recording::new(&graph, device.limits()) else { return 0 };
    let own = recording.dispatches().filter(|d| d.node == node);
    // An input that turns into an output is copied first.
    let own: Vec<_> = own.filter(|d| d.shader.name() != "copy").collect();
    if divided && own.iter().all(|d| d.variants.is_empty()) {
        return 0;
    }
    // A few cases of each kernel: compiling takes the time.
    let kernels = own.iter().map(|d| (d.shader.name(), d.entry));
    let new =
        kernels.filter(|&kernel| *seen.entry(kernel).and_modify(|n| *n += 1).or_insert(1) < 4);
    if new.count() == 0 {
        return 0;
    }
    let stated: Vec<Option<u64>> = own.iter().map(|d| d.iterations).collect();
    let mut session = device.session();
    let program = session.compile(Arc::new(graph)).expect("it compiles");
    for (i, values) in updates.iter().enumerate() {
        session.write(&name(i), values).expect("it is there");
    }
    session.run(program, &inputs.iter().collect::<Vec<_>>()).expect("it runs");
    let made = session.read("counted").expect("it is there");
    let made = made.as_u32().expect("numbers");
    for (launch, (&made, stated)) in made.iter().zip(&stated).enumerate() {
        let most = stated.unwrap_or(0);
        assert!(u64::from(made) <= most, "{} launch {launch}: {made} of {most}", case.name);
    }
    made.iter().filter(|&&made| made > 0).count()
}
