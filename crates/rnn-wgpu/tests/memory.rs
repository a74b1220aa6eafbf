//! Memory over many runs. Alone in this file, and so in its process: it measures the process, and
//! other tests at the same time would be measured too.

mod common;

use common::*;
use rnn_graph::Device;
use std::sync::Arc;

/// Resident memory of this process, where the system tells.
fn process_bytes() -> Option<usize> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(4096 * statm.split_whitespace().nth(1)?.parse::<usize>().ok()?)
}

#[test]
fn a_thousand_runs_leave_memory_flat() {
    let Some(device) = gpu() else { return };
    let mut session = device.session();
    let program = session.compile(Arc::new(accumulator(1 << 16))).unwrap();
    let ones = floats(&vec![1.0; 1 << 16]);
    let mut batch = |runs| {
        for run in 0..runs {
            session.run(program, &[&ones]).unwrap();
            if run % 10 == 0 {
                let ticket = session.start_read("total").unwrap();
                session.wait_read(ticket).unwrap();
            }
        }
        process_bytes()
    };
    let before = batch(100);
    let after = batch(1000);
    assert_eq!(read(&mut session, "total")[0], 1100.0);
    if let (Some(before), Some(after)) = (before, after) {
        let grown = after.saturating_sub(before);
        println!("grown by {} KiB", grown >> 10);
        // A leak of one upload a run would be 256 MiB.
        assert!(grown < 32 << 20, "grown by {grown} bytes");
    }
}
