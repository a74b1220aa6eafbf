//! What a user pays before anything is computed: the size of the command and its time to start.

mod common;

use common::{Sandbox, rnn_gpu, text};
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

const MOST_BYTES: u64 = 25_000_000;
const DEVICES: Duration = Duration::from_millis(300);
const FIRST_STEP: Duration = Duration::from_secs(2);
/// Other tests may compute at the same time.
const NOISE: u32 = 4;

/// The shortest of some times.
fn best(what: &str, limit: Duration, run: impl FnMut() -> Duration) {
    let best = std::iter::repeat_with(run).take(3).min().expect("three");
    println!("{what}: {best:.2?} of {limit:?}");
    assert!(best < NOISE * limit, "{what} takes {best:.2?}");
}

#[test]
fn the_command_is_small() {
    let size = fs::metadata(env!("CARGO_BIN_EXE_rnn-gpu")).expect("the command").len();
    println!("{size} bytes of {MOST_BYTES}");
    assert!(size < MOST_BYTES, "the command has {size} bytes");
}

#[test]
fn devices_are_listed_at_once() {
    best("rnn-gpu devices", DEVICES, || {
        let started = Instant::now();
        let output = rnn_gpu(&["devices"]).env_remove("XDG_RUNTIME_DIR").output();
        let elapsed = started.elapsed();
        let output = output.expect("it starts");
        assert!(output.status.success() && output.stderr.is_empty(), "{}", text(&output.stderr));
        elapsed
    });
}

#[test]
fn the_first_step_is_done_at_once() {
    let sandbox = Sandbox::new();
    let out = sandbox.path("run");
    let first = Path::new(&out).join("checkpoints").join("step-00000001.safetensors");
    let size = ["--length", "500", "--epochs", "1", "--device", "cpu", "--overwrite"];
    let args = [&["train", "lstm", "--checkpoint-every", "1", "--out", &out], &size[..]].concat();
    best("the first step of lstm", FIRST_STEP, || {
        let started = Instant::now();
        let mut run = rnn_gpu(&args)
            .env("RNN_GPU_OFFLINE", "1")
            .env("RNN_GPU_CACHE", sandbox.path("cache"))
            .stdout(Stdio::null())
            .spawn()
            .expect("it starts");
        while !first.exists() && run.try_wait().expect("a process").is_none() {
            std::thread::sleep(Duration::from_millis(2));
        }
        let elapsed = started.elapsed();
        run.kill().and_then(|()| run.wait()).expect("it was training");
        fs::remove_file(&first).expect("a checkpoint of the first step");
        elapsed
    });
}
