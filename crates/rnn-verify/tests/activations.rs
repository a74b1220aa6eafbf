//! Activations over the whole range of numbers: on every device, and as an emulation of the
//! kernels in which fma rounds once or twice, or sums are rearranged.

#![allow(
    clippy::approx_constant,
    reason = "these are the digits of the kernels, as a test asserts"
)]

use rnn_core::{DType, HostTensor};
use rnn_graph::{Device, DeviceKind, Graph, TensorType};
use rnn_ops::{Activate, ActivateBackward, Activation, Softmax};
use rnn_testing::devices;
use rnn_verify::units_in_the_last_place;
use std::sync::Arc;

/// Sigmoid and tanh, in units in the last place, where a division is rounded to the nearest.
const BOUND: f64 = 3.0;
/// By how much more a division may be off, as WGSL and Metal have it.
const DIVISION: f64 = 2.5;

/// Numbers of both signs, as dense among small ones as among large ones, and those at which
/// something changes: zeros, denormals, where results round to 1, where they become denormal.
fn dense(step: usize) -> Vec<f32> {
    let edges = [
        0.0,
        1e-45,
        1e-40,
        f32::MIN_POSITIVE,
        0.17328,
        0.34657,
        1.0,
        9.0,
        17.33,
        40.0,
        44.0,
        87.0,
        87.336_54,
        88.0,
        88.72,
        103.97,
        104.0,
        1e30,
        f32::MAX,
    ];
    let grid = (0..0x7f80_0000).step_by(step).map(f32::from_bits);
    // A hundred thousand where the functions bend.
    let bend = (0..100_000).map(|i| i as f32 * 1.1e-3);
    let mut all: Vec<f32> = edges.into_iter().chain(grid).chain(bend).collect();
    for i in 0..all.len() {
        all.push(-all[i]);
    }
    all
}

fn sigmoid(x: f32) -> f64 {
    1.0 / (1.0 + (-f64::from(x)).exp())
}

fn tanh(x: f32) -> f64 {
    f64::from(x).tanh()
}

/// What a device makes of x with one op.
fn run(device: &dyn Device, op: impl rnn_graph::Op, shape: &[usize], x: Vec<f32>) -> Vec<f32> {
    run_on(device, op, &[HostTensor::from_f32(shape, x).expect("x has this shape")])
}

/// What a device makes of vectors with one op.
fn run_all(device: &dyn Device, op: impl rnn_graph::Op, inputs: &[Vec<f32>]) -> Vec<f32> {
    let vector = |x: &Vec<f32>| HostTensor::from_f32([x.len()], x.clone()).expect("a vector");
    run_on(device, op, &inputs.iter().map(vector).collect::<Vec<_>>())
}

fn run_on(device: &dyn Device, op: impl rnn_graph::Op, inputs: &[HostTensor]) -> Vec<f32> {
    let mut graph = Graph::new();
    let named = |(i, tensor): (usize, &HostTensor)| {
        let ty = TensorType { shape: tensor.shape().clone(), dtype: DType::F32 };
        graph.input(format!("x{i}"), ty)
    };
    let operands: Vec<_> = inputs.iter().enumerate().map(named).collect();
    let y = graph.apply(op, &operands).expect("the op takes x");
    graph.output(y);
    let mut session = device.session();
    let program = session.compile(Arc::new(graph)).expect("the graph compiles");
    session.run(program, &inputs.iter().collect::<Vec<_>>()).expect("runs");
    session.fetch(program).expect("it puts out y")[0].as_f32().expect("floats").to_vec()
}

fn bound_on(device: &dyn Device) -> f64 {
    BOUND + if device.info().kind == DeviceKind::Cpu { 0.0 } else { DIVISION }
}

#[test]
fn sigmoid_and_tanh_keep_their_bound_on_every_device() {
    let xs = dense(4001);
    for device in devices() {
        for activation in [Activation::Sigmoid, Activation::Tanh] {
            let want = if activation == Activation::Tanh { tanh } else { sigmoid };
            let ys = run(&*device, Activate(activation), &[xs.len()], xs.clone());
            let mut worst = (0.0, 0.0);
            for (&x, y) in xs.iter().zip(ys) {
                let error = units_in_the_last_place(y, want(x));
                if error > worst.0 || error.is_nan() {
                    worst = (error, x);
                }
            }
            let (error, at) = worst;
            println!("{}: {activation:?}: {error:.2} units at {at:e}", device.info());
            assert!(error <= bound_on(&*device), "{activation:?}({at:e}) is {error} units off");
        }
    }
}

/// The relative error of all, where they are so large that no factor of theirs is denormal. That of the approximation of gelu grows with the exponent that it has.
#[test]
fn values_are_exact_to_a_millionth_at_every_number() {
    let xs = dense(40_009);
    for device in devices() {
        for activation in Activation::ALL {
            let ys = run(&*device, Activate(activation), &[xs.len()], xs.clone());
            for (&x, y) in xs.iter().zip(ys) {
                let want: f64 = activation.apply(f64::from(x));
                // In f32 the value is infinite there.
                if want > f64::from(f32::MAX) {
                    assert!(y >= 3.4e38, "{activation:?}({x:e}) = {y:e}");
                    continue;
                }
                let wide = f64::from(x).abs();
                let allowed = match activation {
                    Activation::GeluTanh if x < 0.0 => 1e-6 + 2e-7 * (wide + wide.powi(3)),
                    _ => 1e-6,
                };
                // Near the lower kink of these little is left of a sum.
                let least = match activation {
                    Activation::HardSigmoid | Activation::HardSigmoid2018 => 1.0,
                    Activation::HardSilu => 3.0,
                    _ => 1e-30,
                };
                let error = (f64::from(y) - want).abs() / want.abs().max(least);
                let place = device.info();
                assert!(error <= allowed, "{place}: {activation:?}({x:e}) = {y:e}, not {want:e}");
            }
        }
    }
}

#[test]
fn slopes_are_exact_to_a_millionth_at_every_number() {
    let xs = dense(40_009);
    for device in devices() {
        for activation in Activation::ALL.into_iter().filter(|activation| activation.keeps_input())
        {
            let ones = vec![1.0; xs.len()];
            let slopes = run_all(&*device, ActivateBackward(activation), &[xs.clone(), ones]);
            for (&x, slope) in xs.iter().zip(slopes) {
                let want: f64 = activation.slope(f64::from(x));
                let error = (f64::from(slope) - want).abs();
                let place = device.info();
                assert!(error <= 1e-6, "{place}: {activation:?}'({x:e}) = {slope:e}, not {want:e}");
            }
        }
    }
}

#[test]
fn infinities_saturate_and_what_is_not_a_number_stays_so() {
    let xs =
        vec![f32::INFINITY, f32::NEG_INFINITY, f32::NAN, -f32::NAN, f32::from_bits(0x7f80_0001)];
    for device in devices() {
        for activation in Activation::ALL {
            let ys = run(&*device, Activate(activation), &[xs.len()], xs.clone());
            for (x, y) in xs.iter().zip(&ys) {
                let want: f64 = activation.apply(f64::from(*x));
                let same = *y == want as f32 || (y.is_nan() && want.is_nan());
                assert!(same, "{}: {activation:?}({x}) = {y}, not {want}", device.info());
            }
        }
    }
}

/// The gradient y (1 - y) of a saturated gate is what f32 has of it: not zero where y is small, and
/// zero where y rounds to 1, as with TensorFlow.
#[test]
fn saturated_gates_have_the_gradients_that_f32_has() {
    for device in devices() {
        let xs = vec![-88.0, -87.0, -60.0, -40.0, -17.0, 16.0, 40.0, 88.0, 1e30];
        let ys = run(&*device, Activate(Activation::Sigmoid), &[xs.len()], xs);
        let slopes: Vec<f32> = ys.iter().map(|&y| Activation::Sigmoid.slope(y)).collect();
        assert!(slopes[1..6].iter().all(|&s| s.is_finite() && s > 0.0), "{slopes:?}");
        assert!(slopes[6..].iter().all(|&s| s == 0.0), "{slopes:?}");
        let error = units_in_the_last_place(ys[3], sigmoid(-40.0));
        assert!(error <= bound_on(&*device), "sigmoid(-40) = {:e}", ys[3]);
    }
}

/// softmax(0, -a) holds e^-a / (1 + e^-a).
#[test]
fn softmax_is_exact_down_to_the_smallest_numbers() {
    let a: Vec<f32> = dense(400_009).into_iter().filter(|a| (0.0..104.0).contains(a)).collect();
    let rows: Vec<f32> = a.iter().flat_map(|&a| [3.0, 3.0 - a]).collect();
    for device in devices() {
        let ys = run(&*device, Softmax, &[a.len(), 2], rows.clone());
        for (row, y) in rows.chunks_exact(2).zip(ys.chunks_exact(2)) {
            let x = row[1] - 3.0;
            let error = units_in_the_last_place(y[1], sigmoid(x));
            assert!(error <= bound_on(&*device) + 1.0, "{}: {x}: {y:?}, {error}", device.info());
        }
    }
}

/// The text of exponential.wgsl and activations.wgsl in Rust, as drivers compile it.
struct Emulated<const HOW: u8>;

/// fma rounds once.
const FUSED: u8 = 0;
/// fma rounds twice.
const SPLIT: u8 = 1;
/// a b + a is a (b + 1), as Mesa has it: any sum of products with a common factor.
const FACTORED: u8 = 2;

impl<const HOW: u8> Emulated<HOW> {
    fn fma(a: f32, b: f32, c: f32) -> f32 {
        if HOW == FUSED { a.mul_add(b, c) } else { a * b + c }
    }

    /// a b + a c.
    fn shared(a: f32, b: f32, c: f32) -> f32 {
        if HOW == FACTORED { a * (b + c) } else { Self::fma(a, b, a * c) }
    }

    fn exponential(a: f32) -> [f32; 2] {
        let k = Self::fma(a, 1.442695, 12582912.0).to_bits() & 0xff;
        let bits = a.to_bits();
        let shift = (bits >> 23).wrapping_sub(125) & 31;
        let whole = ((bits & 0x7f_ffff) | 0x80_0000) << shift;
        let difference = (k * 23258160).wrapping_sub(whole) as i32 as f32;
        let r = match k {
            0 => -a,
            _ => Self::fma(difference, 2.9802322e-8, k as f32 * -1.9046543e-9),
        };
        let mut p = Self::fma(1.3882509e-3, r, 8.36658e-3);
        for coefficient in [0.0416672, 0.16666543, 0.49999997] {
            p = Self::fma(p, r, coefficient);
        }
        [Self::shared(r, r * p, 1.0), f32::from_bits((127 - k) << 23)]
    }

    fn decay(x: f32) -> f32 {
        let [rest, scale] = Self::exponential(x.abs().min(88.0));
        Self::shared(scale, rest, 1.0)
    }

    fn growth(x: f32) -> f32 {
        let a = x.abs().min(90.0);
        let far = a > 80.0;
        let [rest, scale] = Self::exponential(if far { a - 2.0 } else { a });
        if x < 0.0 {
            Self::shared(scale, rest, 1.0) * if far { 0.13533528 } else { 1.0 }
        } else {
            1.0 / scale / (1.0 + rest) * if far { 7.389056 } else { 1.0 }
        }
    }

    fn sigmoid(x: f32) -> f32 {
        let e = Self::decay(x);
        (if x < 0.0 { e } else { 1.0 }) / (1.0 + e)
    }

    fn tanh(x: f32) -> f32 {
        let [rest, scale] = Self::exponential(2.0 * x.abs().min(44.0));
        let m = match scale {
            1.0 => rest,
            _ if HOW == FACTORED => scale * (rest + 1.0) - 1.0,
            _ => Self::fma(rest, scale, scale - 1.0),
        };
        (-m / (2.0 + m)).copysign(x)
    }

    fn twice_atanh(s: f32) -> f32 {
        let z = s * s;
        let mut p = Self::fma(0.28018773, z, 0.28000537);
        for coefficient in [0.40021598, 0.6666641] {
            p = Self::fma(p, z, coefficient);
        }
        Self::shared(s, z * p, 2.0)
    }

    fn log_of_one_and(e: f32) -> f32 {
        Self::twice_atanh(e / (2.0 + e))
    }

    fn log_from_one(x: f32) -> f32 {
        let n = (x.to_bits().wrapping_sub(0x3f35_04f3) as i32) >> 23;
        let m = f32::from_bits(x.to_bits().wrapping_sub((n as u32) << 23));
        Self::fma(n as f32, 0.6931472, Self::twice_atanh((m - 1.0) / (m + 1.0)))
    }

    fn check(xs: &[f32]) {
        let mut worst = [0.0f64; 6];
        for &x in xs {
            let wide = f64::from(x);
            let mut see = |function: usize, y: f32, want: f64| {
                worst[function] = worst[function].max(units_in_the_last_place(y, want));
            };
            see(0, Self::decay(x), (-wide.abs()).exp());
            see(1, Self::sigmoid(x), sigmoid(x));
            see(2, Self::tanh(x), tanh(x));
            if (0.0..=1.0).contains(&x) {
                see(3, Self::log_of_one_and(x), wide.ln_1p());
            }
            // Noise takes logarithms of fractions of 24 bits, losses of any number.
            if x >= f32::MIN_POSITIVE && x.is_finite() {
                see(4, Self::log_from_one(x), wide.ln());
            }
            // Beyond the largest number there are no units.
            if x < 88.72 {
                see(5, Self::growth(x), wide.exp());
            }
        }
        println!(
            "{}: e^-|x|, sigmoid, tanh, log(1 + e), log, e^x: {worst:.2?} units",
            ["fused", "split", "factored"][usize::from(HOW)]
        );
        let bounds = [1.6, BOUND, BOUND, 3.0, 3.0, 3.0];
        assert!(worst.iter().zip(bounds).all(|(worst, bound)| *worst <= bound), "{worst:?}");
    }
}

#[test]
fn the_bounds_hold_however_sums_are_compiled() {
    let xs = dense(997);
    Emulated::<FUSED>::check(&xs);
    Emulated::<SPLIT>::check(&xs);
    Emulated::<FACTORED>::check(&xs);
}

/// The coefficients of the emulation are those of the kernels.
#[test]
fn the_emulation_has_the_numbers_of_the_kernels() {
    let shader = rnn_shaders::shared::EXPONENTIAL;
    let own = include_str!("activations.rs");
    let numbers = |text: &str| -> Vec<String> {
        let pieces =
            text.split(|c: char| !(c.is_ascii_digit() || c == '.' || c == 'e' || c == '-'));
        pieces
            .filter(|p| p.len() > 8 && p.starts_with(|c: char| c == '-' || c.is_ascii_digit()))
            .map(String::from)
            .collect()
    };
    let code = |text: &str| -> String {
        text.lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .collect::<Vec<_>>()
            .join("\n")
    };
    let own = numbers(&code(own));
    let missing: Vec<String> =
        numbers(&code(shader)).into_iter().filter(|n| !own.contains(n)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
