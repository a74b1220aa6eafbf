//! Layers that draw random numbers, which no golden can hold: what they do to their input.

use rnn_core::{HostTensor, Rng};
use rnn_graph::{Device, Graph, TensorType};
use rnn_nn::{
    AlphaDropout, Dropout, ForwardContext, GaussianDropout, GaussianNoise, Layer, SpatialDropout2D,
    SpatialDropout3D,
};
use std::sync::Arc;

/// What a layer makes of a tensor in a graph, whose second axis is the batch; in training or not.
fn run(layer: &dyn Layer, x: &HostTensor, trains: bool) -> Result<Vec<f32>, String> {
    let mut graph = Graph::new();
    let input = graph.input("x", TensorType::f32(x.shape().clone()));
    let random = trains.then(|| graph.input("random", TensorType::u32([4])));
    let mut cx = ForwardContext::new(&mut graph, random);
    let y = layer.forward(&mut cx, input.into(), &[]).map_err(|error| error.to_string())?;
    let y = graph.apply(rnn_ops::Scale(1.0), &[y.tensor]).expect("a copy");
    graph.output(y);
    let mut session = rnn_cpu::CpuDevice::new().session();
    let program = session.compile(Arc::new(graph)).expect("it compiles");
    let key = HostTensor::from_u32([4], vec![1, 2, 3, 4]).expect("a key");
    let inputs = if trains { vec![x, &key] } else { vec![x] };
    session.run(program, &inputs).expect("it runs");
    let y = session.fetch(program).expect("an output").remove(0);
    Ok(y.as_f32().expect("floats").to_vec())
}

fn trained(layer: &dyn Layer, x: &HostTensor) -> Vec<f32> {
    run(layer, x, true).expect("the layer fits")
}

fn all(shape: &[usize], value: impl Fn(usize) -> f32) -> HostTensor {
    let values = (0..shape.iter().product()).map(value).collect();
    HostTensor::from_f32(shape, values).expect("they fit")
}

fn moments(values: impl Iterator<Item = f32> + Clone) -> (f64, f64) {
    let count = values.clone().count() as f64;
    let mean = values.clone().map(f64::from).sum::<f64>() / count;
    (mean, values.map(|v| (f64::from(v) - mean).powi(2)).sum::<f64>() / count)
}

#[test]
fn inputs_pass_unchanged_at_inference_whatever_the_arguments() {
    let x = all(&[2, 3, 4], |i| i as f32);
    let layers: [Box<dyn Layer>; 7] = [
        Box::new(Dropout::new(1.0)),
        Box::new(Dropout::new(0.5).noise_shape([Some(7)])),
        Box::new(AlphaDropout::new(1.0)),
        Box::new(AlphaDropout::new(0.5).noise_shape([None, Some(9), None, None])),
        Box::new(GaussianDropout::new(1.0)),
        Box::new(GaussianDropout::new(0.3)),
        Box::new(GaussianNoise::new(2.0)),
    ];
    for layer in layers {
        assert_eq!(
            run(&*layer, &x, false).as_deref(),
            Ok(x.as_f32().expect("floats")),
            "{layer:?}"
        );
    }
}

#[test]
fn what_cannot_be_drawn_ends_a_training() {
    let x = all(&[2, 3, 4], |i| i as f32);
    let rate = "a rate below 1 in training";
    let shape = "an input of its noise_shape";
    let layers: [(Box<dyn Layer>, &str); 6] = [
        (Box::new(Dropout::new(1.0)), rate),
        (Box::new(AlphaDropout::new(1.0)), rate),
        (Box::new(GaussianDropout::new(1.0)), rate),
        (Box::new(Dropout::new(0.5).noise_shape([Some(7)])), shape),
        (Box::new(Dropout::new(0.5).noise_shape([None, Some(3), None])), shape),
        (Box::new(AlphaDropout::new(0.5).noise_shape([None, Some(1), None, None])), shape),
    ];
    for (layer, what) in layers {
        let error = run(&*layer, &x, true).expect_err("it cannot be drawn");
        assert!(error.contains(what), "{error}");
    }
}

/// Along an axis of 1 all elements share what is drawn, along others they do not.
#[test]
fn axes_of_a_noise_shape_share_what_is_drawn() {
    const SHAPE: [usize; 4] = [6, 5, 4, 7];
    let ones = all(&SHAPE, |_| 1.0);
    // Keras's axes: the batch, which is the second in a graph, then the others.
    for shared in 0..16 {
        let shape: Vec<Option<usize>> =
            (0..4).map(|axis| (shared >> axis & 1 == 1).then_some(1)).collect();
        let y = trained(&Dropout::new(0.5).noise_shape(shape.clone()), &ones);
        assert!(y.iter().all(|&y| y == 0.0 || y == 2.0));
        for (axis, place) in [1, 0, 2, 3].into_iter().enumerate() {
            let stride: usize = SHAPE[place + 1..].iter().product();
            let first = |i: usize| i - i / stride % SHAPE[place] * stride;
            let same = (0..y.len()).all(|i| y[i] == y[first(i)]);
            // Of one number that all share, nothing differs.
            let differs = shape[axis].is_none();
            assert_eq!(same, !differs, "{shape:?}, axis {axis}");
        }
    }
    let left_out = trained(&Dropout::new(0.5).noise_shape([Some(1), Some(1), None]), &ones);
    let given = [Some(1), Some(1), Some(1), None];
    assert_eq!(left_out, trained(&Dropout::new(0.5).noise_shape(given), &ones));
}

#[test]
fn channels_are_dropped_at_all_pixels() {
    let pictures = all(&[6, 5, 4, 7], |_| 1.0);
    let shared = [None, Some(1), Some(1), None];
    let dropped = trained(&SpatialDropout2D::new(0.4), &pictures);
    assert_eq!(dropped, trained(&Dropout::new(0.4).noise_shape(shared), &pictures));
    let volumes = all(&[2, 5, 3, 4, 7], |_| 1.0);
    let shared = [None, Some(1), Some(1), Some(1), None];
    let dropped = trained(&SpatialDropout3D::new(0.4), &volumes);
    assert_eq!(dropped, trained(&Dropout::new(0.4).noise_shape(shared), &volumes));
    for other in [&[4][..], &[4, 3], &[2, 2, 2, 2]] {
        SpatialDropout2D::new(0.4).output_shape(other).expect_err("no picture");
    }
}

#[test]
fn noise_is_normally_distributed() {
    let x = all(&[50, 40, 30], |i| (i % 7) as f32 - 3.0);
    let values = x.as_f32().expect("floats");
    let y = trained(&GaussianNoise::new(0.3), &x);
    let (mean, variance) = moments(y.iter().zip(values).map(|(y, x)| y - x));
    assert!(mean.abs() < 0.01 && (variance - 0.09).abs() < 0.002, "{mean}, {variance}");
    let y = trained(&GaussianDropout::new(0.2), &x);
    let factors = y.iter().zip(values).filter(|(_, x)| **x != 0.0).map(|(y, x)| y / x);
    let (mean, variance) = moments(factors);
    assert!((mean - 1.0).abs() < 0.01 && (variance - 0.25).abs() < 0.006, "{mean}, {variance}");
}

/// What a SELU puts out keeps its mean and variance.
#[test]
fn alpha_dropout_sets_elements_to_where_selu_ends() {
    let mut rng = Rng::new(3, 0);
    let x = (0..60_000).map(|_| rng.normal() as f32).collect();
    let x = HostTensor::from_f32([50, 40, 30], x).expect("they fit");
    let y = trained(&AlphaDropout::new(0.3), &x);
    let (mean, variance) = moments(y.iter().copied());
    assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.02, "{mean}, {variance}");
    // Keras's equations.
    let (rate, s) = (0.3f64, -1.673_263_242_354_377_2 * 1.050_700_987_355_480_5);
    let a = ((1.0 - rate) * (1.0 + rate * s * s)).powf(-0.5);
    let b = -a * s * rate;
    let mut dropped = 0;
    for (y, x) in y.iter().zip(x.as_f32().expect("floats")) {
        let ends = [a * s + b, a * f64::from(*x) + b].map(|end| (f64::from(*y) - end).abs());
        assert!(ends[0].min(ends[1]) < 2e-6, "{x} became {y}");
        dropped += usize::from(ends[0] < 2e-6);
    }
    let share = dropped as f64 / y.len() as f64;
    assert!((share - 0.3).abs() < 0.01, "{share} dropped");
}
