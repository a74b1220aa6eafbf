//! Tensors that begin where a kernel cannot bind them go through copies.

mod common;

use common::{Tiny, apply, graph_of, launched, record};
use rnn_graph::{Binding, Graph, Space, TensorId, TensorType};
use std::sync::Arc;

/// The square of the 10 elements of an input from `offset` on.
fn square_of_view(op: Tiny, offset: usize) -> Graph {
    let (mut graph, x) = graph_of(200);
    let y = graph.input("y", TensorType::f32([10]));
    let view = graph.view(x, offset, [10]).expect("it is inside");
    let product = apply(&mut graph, op, &[view, y]);
    graph.output(product);
    graph
}

#[test]
fn a_view_at_an_aligned_offset_is_bound_where_it_begins() {
    let graph = square_of_view(Tiny::Mul, 2 * Binding::ALIGNMENT);
    assert_eq!(launched(&graph), ["mul"]);
    let region = record(&graph).dispatches().next().map(|d| d.bindings[0].region);
    assert_eq!(region.map(|region| (region.offset, region.len)), Some((128, 10)));
}

#[test]
fn a_view_elsewhere_is_copied_to_scratch_first() {
    let graph = square_of_view(Tiny::Mul, 70);
    assert_eq!(launched(&graph), ["copy", "mul"]);
    let recording = record(&graph);
    let dispatches: Vec<_> = recording.dispatches().collect();
    let scratch = recording.plan.scratch[0][0];
    assert_eq!((dispatches[1].bindings[0].region, scratch.len), (scratch, 10));
}

#[test]
fn a_kernel_that_takes_an_offset_is_given_it_in_place_of_a_copy() {
    let graph = square_of_view(Tiny::MulAnywhere, 70);
    assert_eq!(launched(&graph), ["mul_anywhere"]);
    let recording = record(&graph);
    let dispatch = recording.dispatches().next().expect("a dispatch");
    let region = dispatch.bindings[0].region;
    assert_eq!((region.offset, region.len), (64, 16), "from the last aligned word on");
    let (_, params) = dispatch.params.as_ref().expect("parameters");
    assert_eq!(params[..4], 6u32.to_le_bytes());
}

/// Part of a resident from `offset` on.
fn part(graph: &mut Graph, offset: usize) -> (TensorId, TensorId) {
    let all = graph.resident("all", TensorType::f32([200]));
    (all, graph.view(all, offset, [10]).expect("it is inside"))
}

#[test]
fn an_updated_view_at_an_unaligned_offset_is_copied_and_copied_back() {
    for (offset, wanted) in [(64, &["accumulate"][..]), (70, &["copy", "accumulate", "copy"])] {
        let (mut graph, x) = graph_of(10);
        let (all, part) = part(&mut graph, offset);
        graph.push_node(Arc::new(Tiny::Accumulate), &[x], &[part]).expect("it fits");
        assert_eq!(launched(&graph), wanted);
        let recording = record(&graph);
        let written = recording.dispatches().last().and_then(|d| d.bindings.last());
        assert_eq!(written.map(|binding| binding.region.space), Some(Space::Resident(all)));
    }
}

#[test]
fn an_output_placed_at_an_unaligned_offset_is_copied_there_last() {
    for (offset, wanted) in [(64, &["add"][..]), (70, &["add", "copy"])] {
        let (mut graph, x) = graph_of(10);
        let all = graph.resident("all", TensorType::f32([200]));
        let sum = apply(&mut graph, Tiny::Add, &[x, x]);
        assert!(graph.place(sum, all, offset));
        assert_eq!(launched(&graph), wanted);
    }
}

#[test]
fn an_input_that_turns_into_an_unaligned_output_is_copied_once_on_its_way() {
    for (offset, wanted) in
        [(64, &["add", "copy", "negate"][..]), (70, &["add", "copy", "negate", "copy"])]
    {
        let (mut graph, x) = graph_of(10);
        let all = graph.resident("all", TensorType::f32([200]));
        let sum = apply(&mut graph, Tiny::Add, &[x, x]);
        let negated = apply(&mut graph, Tiny::Negate, &[sum]);
        assert!(graph.place(negated, all, offset));
        assert_eq!(launched(&graph), wanted);
    }
}

#[test]
fn a_tensor_that_is_read_twice_is_copied_once_for_each_operand() {
    let (mut graph, x) = graph_of(200);
    let view = graph.view(x, 70, [10]).expect("it is inside");
    let square = apply(&mut graph, Tiny::Mul, &[view, view]);
    graph.output(square);
    assert_eq!(launched(&graph), ["copy", "copy", "mul"]);
}

#[test]
fn a_view_beyond_its_tensor_is_an_error() {
    let (mut graph, x) = graph_of(10);
    let error = graph.view(x, 5, [6]).expect_err("it ends behind the tensor");
    assert_eq!(error.to_string(), "view(f32[10]): elements 5..11 asked for as [6]");
}
