//! Commands that are interrupted, told to terminate, or read by nobody: they end at once, with the
//! usual exit code, say no more than that, and leave nothing half-written behind.
#![cfg(unix)]

mod common;

use common::{Sandbox, random_arrays, rnn_gpu, text};
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A second is what is promised; the rest is for machines that do a lot besides.
const SOON: Duration = Duration::from_secs(20);

fn start(args: &[&str]) -> Child {
    let mut command = rnn_gpu(args);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env_remove("RNN_GPU_IMDB").env("RNN_GPU_OFFLINE", "1");
    command.spawn().expect("it starts")
}

fn send(child: &Child, signal: &str) {
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status();
    assert!(sent.expect("there is a kill").success());
}

/// What a process came to that was sent a signal just now.
fn ended(mut child: Child, args: &[&str]) -> Output {
    let sent = Instant::now();
    while child.try_wait().expect("it is ours").is_none() {
        if sent.elapsed() > SOON {
            child.kill().expect("it is ours");
            panic!("{args:?} goes on {SOON:?} after the signal");
        }
        thread::sleep(Duration::from_millis(5));
    }
    child.wait_with_output().expect("it has ended")
}

/// Sends a signal to a command once it has the time to be at work.
fn interrupted(args: &[&str], signal: &str, after: Duration) -> Output {
    let mut child = start(args);
    thread::sleep(after);
    assert!(child.try_wait().expect("it is ours").is_none(), "{args:?} has ended by itself");
    send(&child, signal);
    ended(child, args)
}

const AT_WORK: Duration = Duration::from_millis(700);

#[test]
fn output_that_nobody_reads_ends_a_command_quietly() {
    for (args, code) in [
        (&["devices"][..], 0),
        (&["--help"], 0),
        (&["help", "train"], 0),
        (&["summary", "lstm"], 0),
        (&["bench", "--suite", "kernels", "--filter", "adam", "--quick", "--device", "cpu"], 0),
    ] {
        let mut child = start(args);
        drop(child.stdout.take());
        let mut said = String::new();
        child.stderr.take().expect("a pipe").read_to_string(&mut said).expect("text");
        assert_eq!(
            (said.as_str(), child.wait().expect("it ends").code()),
            ("", Some(code)),
            "{args:?}"
        );
        // As with `2>&1 | head -1`.
        let mut child = start(args);
        drop((child.stdout.take(), child.stderr.take()));
        assert_eq!(child.wait().expect("it ends").code(), Some(code), "{args:?}");
    }
    // An exit code that is to say whether work succeeded does not say so of work that was left.
    let mut child = start(&["verify", "--verbose", "--device", "cpu"]);
    drop((child.stdout.take(), child.stderr.take()));
    assert_eq!(child.wait().expect("it ends").code(), Some(141));
}

#[test]
fn a_full_disk_is_no_closed_pipe() {
    let Ok(full) = fs::OpenOptions::new().write(true).open("/dev/full") else {
        return rnn_testing::skip("no /dev/full");
    };
    let output = rnn_gpu(&["devices"]).stdout(full).output().expect("it starts");
    let said = text(&output.stderr);
    assert!(said.starts_with("error: cannot write to standard output: "), "{said}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn long_work_is_interrupted_within_a_second() {
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        for args in [
            &["verify", "--device", "cpu"][..],
            &["bench", "--device", "cpu", "--suite", "kernels"],
            &["bench", "--device", "cpu", "--suite", "steps"],
        ] {
            let output = interrupted(args, signal, AT_WORK);
            let said = text(&output.stdout) + &text(&output.stderr);
            assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
            assert!(!said.contains("FAIL") && !said.contains("panicked"), "{args:?}: {said}");
            assert!(text(&output.stderr).ends_with("interrupted\n"), "{args:?}: {said}");
        }
    }
}

/// A file that is never read to its end: whoever opens it waits.
fn never_ending(sandbox: &Sandbox, name: &str) -> String {
    let path = sandbox.path(name);
    assert!(Command::new("mkfifo").arg(&path).status().expect("there is a mkfifo").success());
    path
}

#[test]
fn reading_is_interrupted() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("unreadable")).expect("the folder is writable");
    never_ending(&sandbox, "unreadable/config.json");
    let (unreadable, out) = (sandbox.path("unreadable"), sandbox.path("out"));
    let csv = never_ending(&sandbox, "a.csv");
    let keras = never_ending(&sandbox, "a.keras");
    let toml = sandbox.write(
        "model.toml",
        b"input.shape = [4]\ncompile.loss = \"mse\"\ncompile.optimizer = \"sgd\"\n\
          layer = [{ type = \"Dense\", units = 1 }]\n",
    );
    let onnx = sandbox.path("a.onnx");
    let png = sandbox.path("a.png");
    for args in [
        &["train", "lstm", "--data", &csv, "--device", "cpu", "--out", &out][..],
        &["train", "--model", &toml, "--data", &csv, "--device", "cpu", "--out", &out],
        &["summary", &keras],
        &["import", &keras, "--out", &out],
        &["export", &keras, "--to", &onnx],
        &["evaluate", &unreadable, "--device", "cpu"],
        &["evaluate", &keras, "--data", &csv, "--device", "cpu"],
        &["predict", &keras, "--input", &csv, "--output", "y.npy", "--device", "cpu"],
        &["rollout", &unreadable, "--device", "cpu"],
        &["compare", &unreadable, "--out", &png],
    ] {
        let output = interrupted(args, "-INT", AT_WORK);
        assert_eq!(output.status.code(), Some(130), "{args:?}: {}", text(&output.stderr));
        for path in [&out, &onnx, &png] {
            assert!(!Path::new(path).exists(), "{args:?} left {path}");
        }
    }
}

#[test]
fn predictions_that_are_interrupted_leave_no_part_of_a_file() {
    let sandbox = Sandbox::new();
    let run = sandbox.path("run");
    let toml = sandbox.write(
        "model.toml",
        b"input.shape = [\"any\", 4]\ncompile.loss = \"mse\"\ncompile.optimizer = \"sgd\"\n\
          layer = [{ type = \"LSTM\", units = 256 }, { type = \"Dense\", units = 1 }]\n",
    );
    let mut floats = random_arrays();
    let arrays = [("x_train", floats(&[8, 3, 4])), ("y_train", floats(&[8]))];
    let data = sandbox.npz("d.npz", &arrays);
    let train = ["train", "--model", &toml, "--data", &data, "--epochs", "1"];
    let trained = rnn_gpu(&train).args(["--device", "cpu", "--out", &run]).output();
    assert!(trained.expect("it starts").status.success());
    fs::create_dir(sandbox.path("y")).expect("the folder is writable");
    let (x, y) = (sandbox.write("x.npy", &floats(&[4000, 250, 4])), sandbox.path("y/y.npy"));
    let args = ["predict", &run, "--input", &x, "--output", &y, "--device", "cpu"];
    let mut child = start(&args);
    let begun = Instant::now();
    let files = || fs::read_dir(sandbox.path("y")).expect("a folder").count();
    while files() == 0 && begun.elapsed() < SOON {
        thread::sleep(Duration::from_millis(5));
    }
    assert!(child.try_wait().expect("it is ours").is_none(), "it has ended by itself");
    send(&child, "-INT");
    let output = ended(child, &args);
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    assert_eq!(files(), 0);
}

#[test]
fn a_second_signal_does_not_wait_for_a_training() {
    let sandbox = Sandbox::new();
    let run = sandbox.path("run");
    let size = ["--epochs", "1", "--batch-size", "64", "--length", "400"];
    let args = [&["train", "lstm", "--device", "cpu", "--out", &run], &size[..]].concat();
    let mut child = start(&args);
    let mut said = [0; 4096];
    let output = child.stdout.as_mut().expect("a pipe");
    let mut all = String::new();
    while !all.contains("Epoch 1/1") {
        let read = output.read(&mut said).expect("it prints");
        assert!(read > 0, "{all}");
        all += &text(&said[..read]);
    }
    send(&child, "-INT");
    thread::sleep(Duration::from_millis(50));
    // It may have ended already.
    let _ =
        Command::new("kill").args(["-INT", &child.id().to_string()]).stderr(Stdio::null()).status();
    assert_eq!(ended(child, &args).status.code(), Some(130));
}

#[test]
fn lines_that_nobody_reads_end_predictions() {
    let sandbox = Sandbox::new();
    let run = sandbox.path("run");
    let train = ["train", "simple-rnn", "--length", "6", "--limit", "64", "--epochs", "1"];
    let trained = rnn_gpu(&train)
        .args(["--device", "cpu", "--out", &run])
        .env_remove("RNN_GPU_IMDB")
        .env("RNN_GPU_OFFLINE", "1")
        .output();
    assert!(trained.expect("it starts").status.success());
    let mut command = rnn_gpu(&["predict", &run, "--text", "-", "--device", "cpu"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    drop(child.stdout.take());
    let mut input = child.stdin.take().expect("a pipe");
    // It stops to read once it has found that nobody does.
    while input.write_all(b"a fine film\n").is_ok() {}
    let output = child.wait_with_output().expect("it ends");
    let said = text(&output.stderr);
    assert!(said.lines().count() <= 1 && !said.contains("error"), "{said}");
    assert_eq!(output.status.code(), Some(0));
}
