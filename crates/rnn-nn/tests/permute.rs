//! Permute by its definition: axis i of y is axis dims[i] of x, so that dx is dy with its axes put
//! back.

use rnn_core::HostTensor;
use rnn_graph::{Device, Graph, TensorId, TensorType};
use rnn_nn::{ForwardContext, Layer, Permute};
use std::sync::Arc;

const BATCH: usize = 3;

fn forward(graph: &mut Graph, dims: &[usize], input: &[usize]) -> Result<[TensorId; 2], String> {
    let x = graph.input("x", TensorType::f32(input));
    let mut cx = ForwardContext::new(graph, None);
    let y = Permute::new(dims).forward(&mut cx, x.into(), &[]);
    let y = y.map_err(|error| error.to_string())?;
    assert_eq!(y.mask, None);
    Ok([x, y.tensor])
}

/// The shape of a batch of these examples in a graph, the first axis in front of the batch.
fn batched(example: &[usize]) -> Vec<usize> {
    match example {
        [features] => vec![BATCH, *features],
        axes => [&axes[..1], &[BATCH], &axes[1..]].concat(),
    }
}

/// The indices of all elements of a batch, in the order of the graph: of the example first, then
/// along Keras's axes.
fn indices(example: &[usize]) -> Vec<(usize, Vec<usize>)> {
    let shape = batched(example);
    let count: usize = shape.iter().product();
    let index = |mut rest: usize| {
        let mut all = vec![0; shape.len()];
        for (place, extent) in all.iter_mut().zip(&shape).rev() {
            *place = rest % extent;
            rest /= extent;
        }
        let batch = all.remove(usize::from(example.len() > 1));
        (batch, all)
    };
    (0..count).map(index).collect()
}

/// All orders of the axes 1 to `rank`.
fn orders(rank: usize) -> Vec<Vec<usize>> {
    let mut all = vec![vec![]];
    for axis in 1..=rank {
        let longer = |order: &Vec<usize>| -> Vec<Vec<usize>> {
            let with = |at: usize| [&order[..at], &[axis], &order[at..]].concat();
            (0..=order.len()).map(with).collect()
        };
        all = all.iter().flat_map(longer).collect();
    }
    all
}

#[test]
fn every_order_of_the_axes_is_that_of_the_definition() {
    let extents = [2, 3, 5, 4];
    for rank in 1..=extents.len() {
        let example = &extents[..rank];
        let elements = indices(example);
        // A different number for each element.
        let number = |shape: Vec<usize>| {
            let values = (0..elements.len()).map(|i| i as f32).collect();
            HostTensor::from_f32(shape, values).expect("a tensor")
        };
        let all = orders(rank);
        assert_eq!(all.len(), (1..=rank).product::<usize>());
        for dims in all {
            let permuted: Vec<usize> = dims.iter().map(|dim| example[dim - 1]).collect();
            let layer = Permute::new(dims.clone());
            assert_eq!(layer.output_shape(example).expect("its rank"), permuted);
            let mut graph = Graph::new();
            let fits = forward(&mut graph, &dims, &batched(example));
            let [x, y] = fits.unwrap_or_else(|error| panic!("{dims:?}: {error}"));
            let dy = graph.input("dy", TensorType::f32(batched(&permuted)));
            let dx = rnn_ops::gradients(&mut graph, &[(y, dy)], &[x]).expect("gradients");
            // Outputs of their own, also where the order is the one that is there.
            let ends = [y, dx[0].expect("y depends on x")];
            let ends = ends.map(|end| graph.apply(rnn_ops::Scale(1.0), &[end]).expect("a copy"));
            ends.iter().for_each(|&end| graph.output(end));
            let mut session = rnn_cpu::CpuDevice::new().session();
            let program = session.compile(Arc::new(graph)).expect("it compiles");
            let (x, dy) = (number(batched(example)), number(batched(&permuted)));
            session.run(program, &[&x, &dy]).expect("it runs");
            let outputs = session.fetch(program).expect("outputs");
            assert_eq!(outputs[0].shape().dims(), batched(&permuted), "{dims:?}");
            assert_eq!(outputs[1].shape(), x.shape(), "{dims:?}");
            let [y, dx] = [0, 1].map(|i| outputs[i].as_f32().expect("floats"));
            for (i, (batch, index)) in indices(&permuted).iter().enumerate() {
                let mut source = vec![0; rank];
                dims.iter().zip(index).for_each(|(dim, &at)| source[dim - 1] = at);
                let source = (*batch, source);
                let at = elements.iter().position(|element| *element == source).expect("it is one");
                assert_eq!((y[i], dx[at]), (at as f32, i as f32), "{dims:?}, {index:?}");
            }
        }
    }
}

#[test]
fn only_inputs_of_its_rank_are_permuted() {
    let layer = Permute::new([2, 1]);
    assert_eq!(layer.output_shape(&[4, 3]).expect("a sequence"), [3, 4]);
    for other in [&[4][..], &[4, 3, 2]] {
        layer.output_shape(other).expect_err("another rank");
        let error = forward(&mut Graph::new(), &[2, 1], &batched(other)).expect_err("as well");
        assert!(error.contains("as many axes"), "{error}");
    }
}
