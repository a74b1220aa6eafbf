//! What a step of training costs: time by op, and memory. The numbers are of a file that may be
//! damaged: what they add up to is held at the largest number.

use super::chart::{color, key};
use super::page::{figure, numbers, section, table, words};
use maud::{Markup, html};
use rnn::memory::Bytes;
use rnn_run::measure::{Measured, OpTime};
use rnn_run::memory::{Footprint, Span};
use std::collections::HashMap;

/// Ops that get a row, or a colour, of their own.
const MOST_ROWS: usize = 10;
const MOST_COLORS: usize = 6;

pub(super) fn show(measured: &Measured) -> Markup {
    html! {
        @if !measured.ops.is_empty() { (section("Time of a training step", time(&measured.ops))) }
        @if let Some(memory) = &measured.memory {
            (section("Memory of a training step", space(memory)))
        }
    }
}

fn time(ops: &[OpTime]) -> Markup {
    let sum = |ops: &[OpTime]| {
        ops.iter().fold(OpTime::default(), |sum, op| OpTime {
            op: String::new(),
            calls: sum.calls.saturating_add(op.calls),
            seconds: sum.seconds + op.seconds,
            flops: sum.flops.saturating_add(op.flops),
            bytes: sum.bytes.saturating_add(op.bytes),
        })
    };
    let (first, others) = ops.split_at(ops.len().min(MOST_ROWS));
    let whole = sum(ops);
    let row = |class: &str, name: &str, op: &OpTime| {
        let share = format!("{:.1}%", 100.0 * op.seconds / whole.seconds.max(1e-12));
        let rate = |amount: u64| format!("{:.1}", amount as f64 / op.seconds.max(1e-12) / 1e9);
        html! {
            tr class=(class) {
                th scope="row" { (name) }
                td.share { @if class != "sum" { span.bar style={ "--share:" (share) } { (share) } } }
                td.n { (format!("{:.2}", 1e3 * op.seconds)) }
                td.n { (op.calls) }
                td.n { (rate(op.flops)) }
                td.n { (rate(op.bytes)) }
            }
        }
    };
    let rows = html! {
        @for op in first { (row("", &op.op, op)) }
        @if !others.is_empty() {
            (row("rest", &format!("{} others", others.len()), &sum(others)))
        }
        (row("sum", "whole step", &whole))
    };
    let heads = ["ms", "Calls", "GFLOP/s", "GB/s"].map(numbers);
    let table = table("Time by op", &[&[words("Op"), words("Share")], &heads[..]].concat(), rows);
    html! {
        p.quiet {
            "One step after the training, op by op. Bytes are those of each tensor once a call."
        }
        div.card { (table) }
    }
}

fn space(memory: &Footprint) -> Markup {
    let total = memory.total();
    let arena = memory.arena();
    let row = |name: &str, bytes: u64| {
        let share = format!("{:.1}%", 100.0 * bytes as f64 / total.max(1) as f64);
        html! {
            tr {
                th scope="row" { (name) }
                td.share { span.bar style={ "--share:" (share) } { (share) } }
                td.n { (size(bytes)) }
            }
        }
    };
    let mut residents: Vec<&(String, u64)> = memory.residents.iter().collect();
    residents.sort_by_key(|(name, bytes)| (std::cmp::Reverse(*bytes), name));
    let rows = html! {
        (row(&format!("arena, {} blocks", memory.blocks.len()), arena))
        @for (name, bytes) in residents { (row(name, *bytes)) }
        (row("inputs of the step", memory.uploaded()))
        tr.sum { th scope="row" { "sum" } td {} td.n { (size(total)) } }
    };
    let heads = [words("What"), words("Share"), numbers("Size")];
    html! {
        p.quiet { "Planned before the first step: " (memory) "." }
        div.columns {
            (figure("What is kept", "", table("Memory of a step", &heads, rows)))
            (figure("Largest tensors of the arena", "and the ops that they live through", largest(memory)))
        }
        @if arena > 0 { (lifetimes(memory)) }
    }
}

fn size(bytes: u64) -> String {
    Bytes(bytes).to_string()
}

fn largest(memory: &Footprint) -> Markup {
    let mut spans: Vec<&Span> = memory.spans.iter().collect();
    spans.sort_by_key(|span| (std::cmp::Reverse(span.bytes), span.nodes));
    let rows = html! {
        @for span in spans.iter().take(8) {
            tr {
                th scope="row" { (span.op) }
                td.n { (ordinal(span.nodes.0)) " to " (ordinal(span.nodes.1)) }
                td.n { (size(span.bytes)) }
            }
        }
    };
    let heads = [words("Written by"), numbers("Ops"), numbers("Size")];
    table("Largest tensors of the arena", &heads, rows)
}

/// The blocks of the arena one above the other, and what they hold from op to op.
fn lifetimes(memory: &Footprint) -> Markup {
    let arena = memory.arena();
    let mut below = 0.0;
    let mut bottoms = Vec::new();
    for &bytes in &memory.blocks {
        bottoms.push(below);
        below += bytes as f64;
    }
    // The ops that hold most for longest have colours.
    let mut held: HashMap<&str, u64> = HashMap::new();
    for span in &memory.spans {
        let held = held.entry(&span.op).or_default();
        *held = held.saturating_add(span.bytes.saturating_mul(length(span)));
    }
    let mut ops: Vec<(&str, u64)> = held.into_iter().collect();
    ops.sort_by_key(|&(op, held)| (std::cmp::Reverse(held), op));
    ops.truncate(MOST_COLORS);
    let class = |span: &Span| match ops.iter().position(|(op, _)| *op == span.op) {
        Some(index) => color(index),
        None => "other".to_owned(),
    };
    // A thousand units high, whatever the arena's size.
    let scale = 1000.0 / below;
    let y = |span: &Span| {
        let bottom = bottoms.get(span.block).copied().unwrap_or(0.0);
        1000.0 - scale * (bottom + span.bytes as f64)
    };
    let description = format!("What the {} blocks of the arena hold", memory.blocks.len());
    let content = html! {
        (key(ops.iter().map(|(op, _)| *op)))
        div.arena {
            span.top { (size(arena)) }
            span.bottom { "0" }
            svg viewBox={ "0 0 " (memory.nodes) " 1000" } preserveAspectRatio="none" role="img"
                aria-label=(description) {
                @for span in memory.spans.iter().filter(|span| span.bytes > 0) {
                    rect class={ "span " (class(span)) } x=(span.nodes.0) width=(length(span))
                        y=(format!("{:.1}", y(span)))
                        height=(format!("{:.1}", scale * span.bytes as f64)) {
                        title {
                            (span.op) ", " (size(span.bytes)) ", ops "
                            (ordinal(span.nodes.0)) " to " (ordinal(span.nodes.1))
                        }
                    }
                }
            }
            div.ends { span { "first op" } span { "op " (memory.nodes) } }
        }
    };
    let more = "each bar a tensor, from the op that writes it to the last that reads it";
    figure("The arena over a step", more, content)
}

/// The number of a node as people count, from 1 on.
fn ordinal(node: usize) -> usize {
    node.saturating_add(1)
}

fn length(span: &Span) -> u64 {
    span.nodes.1.saturating_sub(span.nodes.0).saturating_add(1) as u64
}
