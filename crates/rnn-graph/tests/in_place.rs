//! An input that turns into an output shares its memory, or is copied where it is still needed.

mod common;

use common::{Tiny, apply, graph_of, launched, record};
use rnn_graph::{Graph, TensorId, Values, evaluate};
use std::collections::HashMap;

fn share(graph: &Graph, a: TensorId, b: TensorId) -> bool {
    let plan = record(graph).plan;
    plan.region(graph, a) == plan.region(graph, b)
}

#[test]
fn an_input_that_is_read_no_more_turns_into_the_output() {
    let (mut graph, x) = graph_of(4);
    let sum = apply(&mut graph, Tiny::Add, &[x, x]);
    let negated = apply(&mut graph, Tiny::Negate, &[sum]);
    graph.output(negated);
    assert!(share(&graph, sum, negated));
    assert_eq!(launched(&graph), ["add", "negate"]);
    assert_eq!(record(&graph).plan.blocks, [4]);
}

#[test]
fn one_tensor_turns_into_another_time_and_again() {
    let (mut graph, x) = graph_of(4);
    let sum = apply(&mut graph, Tiny::Add, &[x, x]);
    let added = apply(&mut graph, Tiny::AddInto, &[sum, x]);
    let negated = apply(&mut graph, Tiny::Negate, &[added]);
    graph.output(negated);
    assert!(share(&graph, sum, added) && share(&graph, added, negated));
    assert_eq!(record(&graph).plan.blocks, [4]);
}

#[test]
fn an_input_that_a_later_node_reads_is_copied_first() {
    let (mut graph, x) = graph_of(4);
    let sum = apply(&mut graph, Tiny::Add, &[x, x]);
    let negated = apply(&mut graph, Tiny::Negate, &[sum]);
    let product = apply(&mut graph, Tiny::Mul, &[sum, negated]);
    graph.output(product);
    assert!(!share(&graph, sum, negated));
    assert_eq!(launched(&graph), ["add", "copy", "negate", "mul"]);
}

#[test]
fn an_input_of_which_a_later_node_reads_a_view_is_copied_first() {
    let (mut graph, x) = graph_of(128);
    let sum = apply(&mut graph, Tiny::Add, &[x, x]);
    let part = graph.view(sum, 64, [64]).expect("it is inside");
    let negated = apply(&mut graph, Tiny::Negate, &[sum]);
    let square = apply(&mut graph, Tiny::Mul, &[part, part]);
    [negated, square].into_iter().for_each(|tensor| graph.output(tensor));
    assert!(!share(&graph, sum, negated));
    assert_eq!(launched(&graph), ["add", "copy", "negate", "mul"]);
}

#[test]
fn an_input_that_the_host_reads_is_copied_first() {
    let (mut graph, x) = graph_of(4);
    let sum = apply(&mut graph, Tiny::Add, &[x, x]);
    graph.output(sum);
    let negated = apply(&mut graph, Tiny::Negate, &[sum]);
    graph.output(negated);
    assert!(!share(&graph, sum, negated));
    assert_eq!(launched(&graph), ["add", "copy", "negate"]);
}

#[test]
fn an_input_that_the_host_writes_is_copied_first() {
    let (mut graph, x) = graph_of(4);
    let negated = apply(&mut graph, Tiny::Negate, &[x]);
    graph.output(negated);
    assert!(!share(&graph, x, negated));
    assert_eq!(launched(&graph), ["copy", "negate"]);
}

#[test]
fn an_input_that_its_node_reads_twice_is_copied_first() {
    let (mut graph, x) = graph_of(4);
    let sum = apply(&mut graph, Tiny::Add, &[x, x]);
    let doubled = apply(&mut graph, Tiny::AddInto, &[sum, sum]);
    graph.output(doubled);
    assert!(!share(&graph, sum, doubled));
    assert_eq!(launched(&graph), ["add", "copy", "accumulate"]);
}

#[test]
fn the_definition_reads_the_input_where_the_output_is() {
    let (mut graph, x) = graph_of(2);
    let sum = apply(&mut graph, Tiny::Add, &[x, x]);
    let negated = apply(&mut graph, Tiny::Negate, &[sum]);
    let values = evaluate(&graph, HashMap::from([(x, Values::Float(vec![1.0, -2.0]))]));
    assert_eq!(values[&negated], Values::<f64>::Float(vec![-2.0, 4.0]));
    assert_eq!(values[&sum], Values::<f64>::Float(vec![2.0, -4.0]), "the input stays as it is");
}
