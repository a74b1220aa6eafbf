//! Cropping and zero padding by their definition, and what they refuse.

use rnn_core::HostTensor;
use rnn_graph::{Device, Graph, TensorType};
use rnn_nn::{
    Cropping1D, Cropping2D, Cropping3D, ForwardContext, Layer, MaskFlow, ZeroPadding1D,
    ZeroPadding2D, ZeroPadding3D,
};
use std::sync::Arc;

const BATCH: usize = 2;

/// The shape of a batch of these examples in a graph, the first axis in front of the batch.
fn batched(example: &[usize]) -> Vec<usize> {
    [&example[..1], &[BATCH], &example[1..]].concat()
}

/// The index of each element in a graph, row-major.
fn indices(shape: &[usize]) -> Vec<Vec<usize>> {
    let index = |mut rest: usize| {
        let mut index = vec![0; shape.len()];
        for (place, extent) in index.iter_mut().zip(shape).rev() {
            *place = rest % extent;
            rest /= extent;
        }
        index
    };
    (0..shape.iter().product()).map(index).collect()
}

/// Checks a layer that shifts pixel p of axis i to p + `shifts[i]`.
fn check(layer: &dyn Layer, example: &[usize], shifts: &[isize], target: &[usize]) {
    assert_eq!(layer.output_shape(example).expect("the layer fits"), target, "{layer:?}");
    let (from, to) = (batched(example), batched(target));
    let mut graph = Graph::new();
    let x = graph.input("x", TensorType::f32(from.clone()));
    let dy = graph.input("dy", TensorType::f32(to.clone()));
    let mut cx = ForwardContext::new(&mut graph, None);
    let y = layer.forward(&mut cx, x.into(), &[]).expect("the layer fits");
    assert_eq!(y.mask, None);
    let dx = rnn_ops::gradients(&mut graph, &[(y.tensor, dy)], &[x]).expect("gradients");
    for end in [y.tensor, dx[0].expect("y depends on x")] {
        let copy = graph.apply(rnn_ops::Scale(1.0), &[end]).expect("a copy");
        graph.output(copy);
    }
    let mut session = rnn_cpu::CpuDevice::new().session();
    let program = session.compile(Arc::new(graph)).expect("it compiles");
    let numbers = |shape: &[usize]| {
        let values = (1..=shape.iter().product()).map(|i: usize| i as f32).collect();
        HostTensor::from_f32(shape, values).expect("they fit")
    };
    let (x, dy) = (numbers(&from), numbers(&to));
    session.run(program, &[&x, &dy]).expect("it runs");
    let outputs = session.fetch(program).expect("outputs");
    let (from, to) = (indices(&from), indices(&to));
    let shift = |index: &[usize], sign: isize| -> Vec<usize> {
        let by = |axis: usize| match axis {
            0 => shifts[0],
            1 => 0,
            axis => shifts.get(axis - 1).copied().unwrap_or(0),
        };
        let moved = index.iter().enumerate().map(|(axis, &at)| at as isize + sign * by(axis));
        moved.map(|at| usize::try_from(at).unwrap_or(usize::MAX)).collect()
    };
    for (output, own, others, sign) in [(0, &to, &from, -1), (1, &from, &to, 1)] {
        for (i, index) in own.iter().enumerate() {
            let source = shift(index, sign);
            let want = others.iter().position(|other| *other == source).map_or(0, |at| at + 1);
            let got = outputs[output].as_f32().expect("floats")[i];
            assert_eq!(got, want as f32, "{layer:?}, {index:?}");
        }
    }
}

#[test]
fn pixels_are_cut_off_and_added_at_each_end() {
    check(&Cropping1D(1), &[5, 3], &[-1], &[3, 3]);
    check(&Cropping1D([[0, 2]]), &[5, 3], &[0], &[3, 3]);
    check(&Cropping2D([[2, 0], [1, 2]]), &[4, 5, 2], &[-2, -1], &[2, 2, 2]);
    check(&Cropping3D([[0, 0], [1, 0], [0, 1]]), &[2, 3, 4, 2], &[0, -1, 0], &[2, 2, 3, 2]);
    check(&Cropping2D(0), &[2, 3, 2], &[0, 0], &[2, 3, 2]);
    check(&ZeroPadding1D(2), &[3, 2], &[2], &[7, 2]);
    check(&ZeroPadding1D([[0, 1]]), &[3, 2], &[0], &[4, 2]);
    check(&ZeroPadding2D([[1, 0], [2, 1]]), &[2, 3, 2], &[1, 2], &[3, 6, 2]);
    check(&ZeroPadding3D([[0, 1], [1, 0], [1, 1]]), &[2, 2, 3, 1], &[0, 1, 1], &[3, 3, 5, 1]);
}

#[test]
fn inputs_of_which_nothing_is_left_are_refused() {
    for example in [&[2, 3][..], &[5], &[5, 3, 2]] {
        let error = Cropping1D(1).output_shape(example).expect_err("nothing is left");
        assert!(error.to_string().contains("longer than what it crops"), "{error}");
    }
    let huge = ZeroPadding1D(usize::MAX).output_shape(&[2, 3]);
    assert!(huge.expect_err("no number of steps").to_string().contains("ZeroPadding1D"));
    ZeroPadding2D(1).output_shape(&[2, 3]).expect_err("no picture");
    assert_eq!(ZeroPadding1D(1).mask_flow(), MaskFlow::Ends);
    assert_eq!(Cropping1D(1).mask_flow(), MaskFlow::Ends);
}
