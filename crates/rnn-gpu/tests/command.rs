//! Users' mistakes: one clear message, an exit code that is not 0, no panic.

use std::process::Command;

/// The message of a call that must fail.
fn failure(args: &[&str]) -> String {
    let output =
        Command::new(env!("CARGO_BIN_EXE_rnn-gpu")).args(args).output().expect("it starts");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && !message.contains("panicked"), "{message}");
    message
}

#[test]
fn mistakes_are_named() {
    let folder = std::env::temp_dir().join(format!("rnn-gpu-command-{}", std::process::id()));
    let out = folder.join("run");
    let out = out.to_str().expect("a UTF-8 path");
    let train =
        |data: &str| failure(&["train", "lstm", "--device", "cpu", "--data", data, "--out", out]);
    assert!(train("/nowhere.npz").contains("cannot load /nowhere.npz"));
    let junk = folder.join("junk.npz");
    std::fs::write(&junk, b"PK\x03\x04 not really").expect("the folder exists");
    assert!(train(junk.to_str().expect("a UTF-8 path")).contains("junk.npz"));
    assert!(
        failure(&["train", "lstm", "--data", "x", "--batch-size", "0"]).contains("--batch-size")
    );
    assert!(failure(&["train", "transformer", "--data", "x"]).contains("simple-rnn"));
    let blocked = junk.join("run");
    let blocked = blocked.to_str().expect("a UTF-8 path");
    let message = failure(&["train", "lstm", "--device", "cpu", "--data", "x", "--out", blocked]);
    assert!(message.contains("--out"), "{message}");
    assert!(failure(&["evaluate", out, "--device", "cpu"]).contains("no weights"));
    std::fs::remove_dir_all(&folder).expect("it is ours");
}
