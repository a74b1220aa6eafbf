//! A part of the full tier: the first case of each op, on the CPU device and on every adapter
//! present. `rnn-gpu verify --full` runs all of them.

use rnn_ops::{Case, Tier};
use rnn_testing::devices;
use rnn_verify::{NotPassed, check_kernel};
use std::collections::HashSet;

/// The first case of each op.
fn first_of_each() -> Vec<Case> {
    let mut seen = HashSet::new();
    let mut cases = Tier::Full.cases();
    cases.retain(|case| case.tier == Tier::Full && seen.insert(case.op.name()));
    cases
}

#[test]
fn a_large_case_of_each_op_matches_its_reference() {
    let devices = devices();
    let mut failures = Vec::new();
    for case in &first_of_each() {
        for device in &devices {
            let case = case.sized_for(device.info().kind);
            match check_kernel(&case, &**device) {
                Ok(_) => {}
                Err(NotPassed::Skipped(why)) => println!("SKIPPED {}: {why}", case.name),
                Err(NotPassed::Failed(why)) => {
                    failures.push(format!("{} on {}: {why}", case.name, device.info()));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn names_are_unique_and_every_op_with_small_cases_has_a_large_one() {
    let mut names = HashSet::new();
    for case in Tier::Full.cases() {
        assert!(names.insert(case.name.clone()), "{} is there twice", case.name);
    }
    let large: HashSet<&str> = first_of_each().iter().map(|case| case.op.name()).collect();
    // Of weights alone, whose sizes no batch changes.
    let small = ["constrain", "moving_average"];
    for case in rnn_ops::suite() {
        let name = case.op.name();
        assert!(large.contains(name) || small.contains(&name), "{name} has no large case");
    }
}
