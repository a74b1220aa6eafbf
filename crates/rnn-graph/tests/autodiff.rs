//! Gradients add up over all ways by which a tensor reaches the result.

mod common;

use common::{Tiny, apply, graph_of};
use rnn_graph::{Graph, GraphError, TensorId, TensorType, Values, evaluate, gradients};
use std::collections::HashMap;

/// The gradients of the sum of `end` with respect to each of `sources`.
fn differentiate(
    graph: &mut Graph,
    end: TensorId,
    sources: &[TensorId],
) -> Result<Vec<Option<TensorId>>, GraphError> {
    let seed = graph.resident("seed", graph[end].ty.clone());
    gradients(graph, &[(end, seed)], sources, &Tiny::Add)
}

/// The values of a gradient, with 1, 2, 3, .. in every input, and a seed of ones.
fn values(graph: &Graph, gradient: Option<TensorId>) -> Vec<f64> {
    let mut given = HashMap::new();
    for (id, tensor) in graph.tensors() {
        let n = tensor.ty.len();
        if graph.inputs().contains(&id) {
            given.insert(id, Values::Float((1..=n).map(|i| i as f64).collect()));
        } else if tensor.name == "seed" {
            given.insert(id, Values::Float(vec![1.0; n]));
        }
    }
    let gradient = gradient.expect("a gradient");
    let (root, offset) = graph.root(gradient);
    evaluate(graph, given)[&root].floats()[offset..][..graph[gradient].ty.len()].to_vec()
}

#[test]
fn a_tensor_that_one_node_reads_twice_gets_the_sum() {
    let (mut graph, x) = graph_of(3);
    let square = apply(&mut graph, Tiny::Mul, &[x, x]);
    let d = differentiate(&mut graph, square, &[x]).expect("gradients")[0];
    assert_eq!(values(&graph, d), [2.0, 4.0, 6.0]);
}

#[test]
fn a_tensor_that_two_nodes_read_gets_the_sum() {
    let (mut graph, x) = graph_of(3);
    let square = apply(&mut graph, Tiny::Mul, &[x, x]);
    let cube = apply(&mut graph, Tiny::Mul, &[square, x]);
    let sum = apply(&mut graph, Tiny::Add, &[cube, square]);
    let d = differentiate(&mut graph, sum, &[x, square]).expect("gradients");
    assert_eq!(values(&graph, d[0]), [5.0, 16.0, 33.0], "3 x^2 + 2 x");
    assert_eq!(values(&graph, d[1]), [2.0, 3.0, 4.0], "x + 1");
}

#[test]
fn several_seeds_of_one_tensor_add_up() {
    let (mut graph, x) = graph_of(3);
    let square = apply(&mut graph, Tiny::Mul, &[x, x]);
    let seed = graph.resident("seed", TensorType::f32([3]));
    let seeds = [(square, seed), (square, seed), (x, seed)];
    let d = gradients(&mut graph, &seeds, &[x], &Tiny::Add).expect("gradients")[0];
    assert_eq!(values(&graph, d), [5.0, 9.0, 13.0], "4 x + 1");
}

#[test]
fn the_gradient_of_a_view_is_zero_around_it() {
    let (mut graph, x) = graph_of(5);
    let view = graph.view(x, 1, [3]).expect("it is inside");
    let square = apply(&mut graph, Tiny::Mul, &[view, view]);
    let d = differentiate(&mut graph, square, &[x, view]).expect("gradients");
    assert_eq!(values(&graph, d[0]), [0.0, 4.0, 6.0, 8.0, 0.0]);
    assert_eq!(values(&graph, d[1]), [4.0, 6.0, 8.0]);
}

#[test]
fn views_that_overlap_add_up_in_what_they_look_at() {
    let (mut graph, x) = graph_of(4);
    let [first, second] = [0, 1].map(|offset| graph.view(x, offset, [3]).expect("it is inside"));
    let sum = apply(&mut graph, Tiny::Add, &[first, second]);
    let d = differentiate(&mut graph, sum, &[x]).expect("gradients")[0];
    assert_eq!(values(&graph, d), [1.0, 2.0, 2.0, 1.0]);
}

#[test]
fn the_gradient_of_a_view_of_a_view_reaches_the_tensor() {
    let (mut graph, x) = graph_of(6);
    let outer = graph.view(x, 1, [4]).expect("it is inside");
    let inner = graph.view(outer, 2, [2]).expect("it is inside");
    let square = apply(&mut graph, Tiny::Mul, &[inner, inner]);
    let d = differentiate(&mut graph, square, &[x]).expect("gradients")[0];
    assert_eq!(values(&graph, d), [0.0, 0.0, 0.0, 8.0, 10.0, 0.0]);
}

#[test]
fn the_gradient_of_another_shape_of_all_elements_costs_no_node() {
    let (mut graph, x) = graph_of(4);
    let square = graph.reshape(x, [2, 2]).expect("as many elements");
    let product = apply(&mut graph, Tiny::Add, &[square, square]);
    let before = graph.nodes().len();
    let d = differentiate(&mut graph, product, &[x]).expect("gradients")[0].expect("a gradient");
    assert_eq!(graph.nodes().len(), before + 1, "the sum of both operands alone");
    assert_eq!(graph.shape(d), graph.shape(x));
}

#[test]
fn what_the_result_does_not_depend_on_has_no_gradient() {
    let (mut graph, x) = graph_of(3);
    let unused = graph.input("unused", TensorType::f32([3]));
    let beside = apply(&mut graph, Tiny::Mul, &[x, unused]);
    let square = apply(&mut graph, Tiny::Mul, &[x, x]);
    let d = differentiate(&mut graph, square, &[x, unused, beside]).expect("gradients");
    assert!(d[0].is_some() && d[1].is_none() && d[2].is_none(), "{d:?}");
}

#[test]
fn nothing_is_computed_for_what_is_not_asked_for() {
    let (mut graph, x) = graph_of(3);
    let constant = graph.input("constant", TensorType::f32([3]));
    // No op of this branch has a gradient.
    let negated = apply(&mut graph, Tiny::Negate, &[constant]);
    let product = apply(&mut graph, Tiny::Mul, &[x, negated]);
    let d = differentiate(&mut graph, product, &[x]).expect("gradients")[0];
    assert_eq!(values(&graph, d), [-1.0, -2.0, -3.0]);
}

#[test]
fn an_op_without_a_gradient_on_the_way_is_an_error_that_names_it() {
    let (mut graph, x) = graph_of(3);
    let negated = apply(&mut graph, Tiny::Negate, &[x]);
    let error = differentiate(&mut graph, negated, &[x]).expect_err("it has no gradient");
    assert_eq!(error.to_string(), "negate(f32[3]): it has no gradient");
}

#[test]
fn a_gradient_of_another_shape_than_its_input_is_an_error() {
    let (mut graph, x) = graph_of(3);
    let y = apply(&mut graph, Tiny::WrongGradient, &[x]);
    let error = differentiate(&mut graph, y, &[x]).expect_err("it is too long");
    assert_eq!(error.to_string(), "wrong_gradient(f32[3]): gradient of shape [4] for [3]");
}
