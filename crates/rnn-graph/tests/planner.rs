//! Which nodes a plan runs, how long tensors live, and which of them share a block of the arena.

mod common;

use common::{Tiny, apply, graph_of};
use rnn_core::Rng;
use rnn_graph::{Graph, Plan, Space, TensorId, TensorType};
use std::collections::HashSet;
use std::sync::Arc;

fn plan(graph: &Graph) -> Plan {
    Plan::new(graph, |_| vec![])
}

fn space(plan: &Plan, graph: &Graph, tensor: TensorId) -> Space {
    plan.region(graph, tensor).space
}

#[test]
fn nodes_whose_results_nobody_needs_are_dropped() {
    let (mut graph, x) = graph_of(4);
    let idle = apply(&mut graph, Tiny::Add, &[x, x]);
    apply(&mut graph, Tiny::Add, &[idle, x]);
    let used = apply(&mut graph, Tiny::Mul, &[x, x]);
    graph.output(used);
    assert_eq!(plan(&graph).order, [2]);
}

#[test]
fn nodes_that_change_a_resident_run_with_all_that_they_read() {
    let (mut graph, x) = graph_of(4);
    let total = graph.resident("total", TensorType::f32([4]));
    let square = apply(&mut graph, Tiny::Mul, &[x, x]);
    graph.push_node(Arc::new(Tiny::Accumulate), &[square], &[total]).expect("it fits");
    let plan = plan(&graph);
    assert_eq!(plan.order, [0, 1]);
    assert_eq!(space(&plan, &graph, total), Space::Resident(total));
    assert_eq!(space(&plan, &graph, x), Space::Input(x));
}

#[test]
fn a_chain_alternates_between_two_blocks() {
    let (mut graph, x) = graph_of(100);
    let mut chain = vec![apply(&mut graph, Tiny::Add, &[x, x])];
    for step in 0..4 {
        chain.push(apply(&mut graph, Tiny::Add, &[chain[step], x]));
    }
    graph.output(chain[4]);
    let plan = plan(&graph);
    assert_eq!((&plan.blocks[..], plan.arena_bytes()), (&[100, 100][..], 800));
    let spaces: Vec<Space> = chain.iter().map(|&t| space(&plan, &graph, t)).collect();
    assert!(spaces[0] != spaces[1], "{spaces:?}");
    assert_eq!([spaces[2], spaces[3], spaces[4]], [spaces[0], spaces[1], spaces[0]]);
}

#[test]
fn a_tensor_lives_from_its_writer_to_its_last_reader() {
    let (mut graph, x) = graph_of(4);
    let early = apply(&mut graph, Tiny::Add, &[x, x]);
    let middle = apply(&mut graph, Tiny::Add, &[early, x]);
    let late = apply(&mut graph, Tiny::Mul, &[middle, early]);
    graph.output(late);
    let plan = plan(&graph);
    let life = |tensor| {
        let range = plan.live_ranges.iter().find(|range| range.tensor == Some(tensor));
        range.map(|range| (range.first, range.last))
    };
    assert_eq!(life(early), Some((0, 2)));
    assert_eq!(life(middle), Some((1, 2)));
    assert_eq!(life(late), Some((2, usize::MAX)), "the host reads it after the run");
    assert_eq!(plan.blocks.len(), 3, "all three are operands of the last node");
}

#[test]
fn an_output_keeps_its_block_to_the_end() {
    let (mut graph, x) = graph_of(4);
    let first = apply(&mut graph, Tiny::Add, &[x, x]);
    graph.output(first);
    let later: Vec<TensorId> = (0..3).map(|_| apply(&mut graph, Tiny::Mul, &[x, x])).collect();
    later.iter().for_each(|&tensor| graph.output(tensor));
    let plan = plan(&graph);
    let spaces: HashSet<Space> =
        later.iter().chain([&first]).map(|&t| space(&plan, &graph, t)).collect();
    assert_eq!(spaces.len(), 4);
}

#[test]
fn a_view_keeps_what_it_looks_at() {
    let (mut graph, x) = graph_of(100);
    let base = apply(&mut graph, Tiny::Add, &[x, x]);
    let view = graph.view(base, 10, [50]).expect("it is inside");
    let inner = graph.view(view, 5, [20]).expect("it is inside");
    let between = apply(&mut graph, Tiny::Mul, &[x, x]);
    let last = apply(&mut graph, Tiny::Mul, &[inner, inner]);
    [between, last].into_iter().for_each(|tensor| graph.output(tensor));
    let plan = plan(&graph);
    let region = plan.region(&graph, inner);
    assert_eq!((region.space, region.offset, region.len), (space(&plan, &graph, base), 15, 20));
    assert!(region.space != space(&plan, &graph, between), "it was overwritten before it was read");
}

#[test]
fn a_block_is_as_long_as_the_longest_that_it_holds() {
    let (mut graph, x) = graph_of(100);
    let long = apply(&mut graph, Tiny::Add, &[x, x]);
    let part = graph.view(long, 0, [10]).expect("it is inside");
    let short = apply(&mut graph, Tiny::Add, &[part, part]);
    let shorter = graph.view(short, 0, [5]).expect("it is inside");
    let last = apply(&mut graph, Tiny::Add, &[shorter, shorter]);
    graph.output(last);
    let plan = plan(&graph);
    assert_eq!(plan.blocks, [100, 10]);
    let region = plan.region(&graph, last);
    assert_eq!((region.space, region.len), (space(&plan, &graph, long), 5));
}

#[test]
fn an_output_that_is_placed_in_a_resident_takes_no_block() {
    let (mut graph, x) = graph_of(4);
    let all = graph.resident("all", TensorType::f32([10]));
    let part = apply(&mut graph, Tiny::Add, &[x, x]);
    assert!(graph.place(part, all, 3));
    assert!(!graph.place(part, all, 6), "it has a place");
    assert!(!graph.place(x, all, 0), "the host writes it");
    let plan = plan(&graph);
    assert_eq!((&plan.order[..], plan.arena_bytes()), (&[0][..], 0));
    let region = plan.region(&graph, part);
    assert_eq!((region.space, region.offset, region.len), (Space::Resident(all), 3, 4));
}

#[test]
fn two_halves_share_a_word_where_the_device_packs_them() {
    let (mut graph, x) = graph_of(7);
    let half = apply(&mut graph, Tiny::Halve, &[x]);
    graph.output(half);
    assert_eq!(plan(&graph).region(&graph, half).len, 4);
    assert_eq!(Plan::unpacked(&graph).region(&graph, half).len, 7);
}

/// Nodes of random operands, some of them in place, some with scratch, some read by the host.
fn random(seed: u64) -> Graph {
    let mut rng = Rng::new(seed, 0);
    let (mut graph, x) = graph_of(64);
    let mut tensors = vec![x];
    for _ in 0..20 {
        let mut any = || tensors[rng.below(tensors.len() as u32) as usize];
        let (a, b) = (any(), any());
        let ops = [Tiny::Add, Tiny::Mul, Tiny::Negate, Tiny::AddInto];
        let op = ops[rng.below(4) as usize];
        let inputs = if op == Tiny::Negate { vec![a] } else { vec![a, b] };
        let made = apply(&mut graph, op, &inputs);
        tensors.push(made);
        if rng.below(4) == 0 {
            graph.output(made);
        }
    }
    graph.output(tensors[20]);
    graph
}

#[test]
fn no_two_tensors_that_live_at_once_share_a_block() {
    for seed in 0..50 {
        let graph = random(seed);
        let plan = Plan::new(&graph, |node| vec![16; node % 3]);
        for (i, a) in plan.live_ranges.iter().enumerate() {
            assert!(a.len <= plan.blocks[a.block.0], "seed {seed}: {a:?}");
            for b in &plan.live_ranges[i + 1..] {
                let at_once = a.first <= b.last && b.first <= a.last;
                assert!(!at_once || a.block != b.block, "seed {seed}: {a:?}, {b:?}");
            }
        }
    }
}

#[test]
fn no_two_operands_of_a_node_share_a_buffer_but_an_input_that_turns_into_an_output() {
    for seed in 0..50 {
        let graph = random(seed);
        let plan = Plan::new(&graph, |node| vec![16; node % 3]);
        for (&index, scratch) in plan.order.iter().zip(&plan.scratch) {
            let node = &graph.nodes()[index];
            let output = node.operands.outputs[0];
            let written = space(&plan, &graph, output);
            let read = node.operands.inputs.iter().enumerate();
            for (place, &input) in read.filter(|&(_, &t)| space(&plan, &graph, t) == written) {
                let turns = node.op.in_place().is_some_and(|pair| pair.input == place);
                assert!(turns, "seed {seed}: node {index} reads {input:?} where it writes");
            }
            let mut buffers: Vec<Space> = scratch.iter().map(|region| region.space).collect();
            let inputs: HashSet<Space> =
                node.operands.inputs.iter().map(|&t| space(&plan, &graph, t)).collect();
            assert!(buffers.iter().all(|s| *s != written && !inputs.contains(s)), "seed {seed}");
            buffers.sort();
            buffers.dedup();
            assert_eq!(buffers.len(), scratch.len(), "seed {seed}");
        }
        common::record(&graph);
    }
}
