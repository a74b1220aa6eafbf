//! `fuzz [TARGET|all] [EXECUTIONS] [SEED]`: feeds damaged files to each parser of the project until
//! it panics, hangs or allocates more than it says. What it was fed then is written to
//! `TARGET-found.bin`, for `tests/hostile/worst` of the crate.

#[path = "../../rnn-formats/tests/hostile/targets.rs"]
mod containers;
#[path = "../tests/hostile/targets.rs"]
mod files;
#[path = "../../../tests/hostile/mod.rs"]
mod hostile;

use hostile::Outcome;
use rnn_core::Rng;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

static DONE: AtomicU64 = AtomicU64::new(0);

/// A file of a few kilobytes that is read for longer makes a parser hang.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, or: u64| arguments.get(at).and_then(|a| a.parse().ok()).unwrap_or(or);
    let wanted = arguments.first().map_or("all", |name| name);
    let (executions, seed) = (number(1, 100_000), number(2, 1));
    let targets = containers::all().into_iter().chain(files::all());
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
    for target in targets.filter(|target| wanted == "all" || wanted == target.name) {
        let mut rng = Rng::new(seed, 0);
        let (mut all_sound, mut worst) = (0u64, 0.0f64);
        for execution in 0..executions {
            let case = target.case(&mut rng);
            let Outcome { sound, share } = target.outcome(case.clone());
            worst = worst.max(share);
            all_sound += u64::from(sound == Some(true));
            DONE.fetch_add(1, Relaxed);
            if sound.is_none() || share > 1.0 {
                let path = format!("{}-found.bin", target.name);
                let kept = std::fs::write(&path, &case).map_or("not kept", |()| &*path);
                println!(
                    "{}: execution {execution} of seed {seed}, {} bytes, {share:.3} of what may be allocated: {kept}",
                    target.name,
                    case.len()
                );
                return ExitCode::FAILURE;
            }
        }
        println!(
            "{}: {executions} executions of seed {seed}, {all_sound} read to the end, at most {worst:.3} of what may be allocated",
            target.name
        );
    }
    ExitCode::SUCCESS
}
