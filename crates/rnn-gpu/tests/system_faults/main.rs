//! Calls of the system that fail, made up by `layer.c`: the n-th open, read, write, sync, rename,
//! allocation, thread and so on of a command, for every n, once or from there on. Afterwards either the
//! result is right, or an error was printed and the same command, called again, has the right result.
//! CI tries a part of the places; `RNN_GPU_FAULTS=all` tries all.
#![cfg(all(target_os = "linux", target_env = "gnu"))]

#[path = "../common/mod.rs"]
mod common;
mod fault;
mod scenario;

use fault::{Fault, Layer};
use rnn_core::Rng;
use scenario::{SCENARIOS, Scenario};
use std::sync::Mutex;
use std::thread;

/// The faults of a scenario that CI tries.
const SAMPLE: usize = 80;

/// The faults that are tried: all of them, or ones drawn at random, always the same.
fn chosen(mut all: Vec<Fault>) -> Vec<Fault> {
    if std::env::var("RNN_GPU_FAULTS").as_deref() != Ok("all") {
        Rng::new(16, all.len() as u64).shuffle(&mut all);
        all.truncate(SAMPLE);
    }
    all
}

/// Tries a scenario's faults on all processors, and returns what went wrong.
fn losses(scenario: &Scenario, layer: &Layer) -> Vec<String> {
    let whole = scenario.whole(layer);
    let faults = chosen(Fault::all(&whole.calls));
    let (queue, losses) = (Mutex::new(faults.iter()), Mutex::new(vec![]));
    let work = || {
        while let Some(fault) = { queue.lock().expect("no panic").next() } {
            if let Err(loss) = scenario.with(fault, &whole, layer) {
                losses
                    .lock()
                    .expect("no panic")
                    .push(format!("{}, {fault}: {loss}", scenario.name));
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    println!("{}: {} faults of {:?}", scenario.name, faults.len(), whole.calls);
    losses.into_inner().expect("no panic")
}

#[test]
fn after_a_fault_of_the_system_nothing_is_lost() {
    let layer = match Layer::compile() {
        Ok(layer) => layer,
        Err(missing) => return rnn_testing::skip_outside_ci(missing),
    };
    let wanted = std::env::var("RNN_GPU_FAULTS_OF").unwrap_or_default();
    let scenarios = SCENARIOS.iter().filter(|scenario| scenario.name.contains(&wanted));
    let losses: Vec<String> = scenarios.flat_map(|scenario| losses(scenario, &layer)).collect();
    assert!(losses.is_empty(), "{} losses:\n{}", losses.len(), losses.join("\n"));
}
