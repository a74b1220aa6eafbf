//! `fuzz [TARGET|all] [EXECUTIONS] [SEED]`: feeds damaged files to a parser until it panics, hangs
//! or allocates more than it says. What it was fed then is written to `fuzz-TARGET.bin`.

#[path = "../tests/hostile/mutate.rs"]
mod mutate;
#[path = "../tests/hostile/targets.rs"]
mod targets;

use peak_alloc::PeakAlloc;
use rnn_core::Rng;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

static DONE: AtomicU64 = AtomicU64::new(0);

/// A file of a few kilobytes that is read for longer makes a parser hang.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, or: u64| arguments.get(at).and_then(|a| a.parse().ok()).unwrap_or(or);
    let wanted = arguments.first().map_or("all", |name| name);
    let (executions, seed) = (number(1, 100_000), number(2, 1));
    std::thread::spawn(|| {
        let mut last = u64::MAX;
        loop {
            let done = DONE.load(Relaxed);
            if done == last {
                eprintln!("a parser hangs: execution {done}");
                std::process::exit(2);
            }
            last = done;
            std::thread::sleep(PATIENCE);
        }
    });
    for target in targets::all() {
        if wanted != "all" && wanted != target.name {
            continue;
        }
        let mut rng = Rng::new(seed, 0);
        let (mut sound, mut worst) = (0u64, 0.0f64);
        for execution in 0..executions {
            let case = target.case(&mut rng);
            let (size, bound) = (case.len(), target.bound(case.len()) as f64);
            MEMORY.reset_peak_usage();
            let before = MEMORY.current_usage() as f64;
            let result = catch_unwind(AssertUnwindSafe(|| (target.run)(case.clone())));
            let share = (MEMORY.peak_usage() as f64 - before) / bound;
            worst = worst.max(share);
            sound += u64::from(matches!(result, Ok(true)));
            DONE.fetch_add(1, Relaxed);
            if result.is_err() || share > 1.0 {
                let path = format!("fuzz-{}.bin", target.name);
                let kept = std::fs::write(&path, &case).map_or("not kept", |()| &*path);
                println!(
                    "{}: execution {execution} of seed {seed}, {size} bytes, {share:.3} of what may be allocated: {kept}",
                    target.name
                );
                return ExitCode::FAILURE;
            }
        }
        println!(
            "{}: {executions} executions of seed {seed}, {sound} read to the end, at most {worst:.3} of what may be allocated",
            target.name
        );
    }
    ExitCode::SUCCESS
}
