//! Curves for TensorBoard go on where a run that was killed does: without being asked for again, in
//! the folder where they were, each step once.
#![cfg(unix)]

mod common;

use common::{Sandbox, rnn_gpu, text};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;

/// A number of a message of Protocol Buffers, and what follows it.
fn varint(bytes: &[u8]) -> (u64, &[u8]) {
    let end = bytes.iter().position(|byte| byte & 0x80 == 0).expect("a number");
    let number = bytes[..=end].iter().rev().fold(0, |n, byte| n << 7 | u64::from(byte & 0x7f));
    (number, &bytes[end + 1..])
}

/// The fields of a message by number: those of a length, and others as the number that they hold.
fn fields(mut bytes: &[u8]) -> Vec<(u64, u64, &[u8])> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let (key, rest) = varint(bytes);
        let (number, content, rest) = match key & 7 {
            0 => {
                let (number, rest) = varint(rest);
                (number, &rest[..0], rest)
            }
            1 => (0, &rest[..8], &rest[8..]),
            2 => {
                let (length, rest) = varint(rest);
                (0, &rest[..length as usize], &rest[length as usize..])
            }
            _ => (0, &rest[..4], &rest[4..]),
        };
        all.push((key >> 3, number, content));
        bytes = rest;
    }
    all
}

/// Of each curve in a folder the steps, in the order of the files and of what is in them.
fn curves(folder: &Path) -> BTreeMap<String, Vec<u64>> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    let mut all: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for file in files {
        let bytes = fs::read(&file).expect("it can be read");
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().expect("8 bytes")) as usize;
            let event = fields(&rest[12..12 + length]);
            let step = event.iter().find(|field| field.0 == 2).map_or(0, |field| field.1);
            for (_, _, summary) in event.iter().filter(|field| field.0 == 5) {
                for (_, _, value) in fields(summary) {
                    let tag =
                        fields(value).into_iter().find(|field| field.0 == 1).expect("a tag").2;
                    all.entry(text(tag)).or_default().push(step);
                }
            }
            rest = &rest[16 + length..];
        }
    }
    all
}

#[test]
fn curves_go_on_with_a_run() {
    let sandbox = Sandbox::new();
    let elsewhere = sandbox.path("board");
    for (name, more, place) in [
        ("own", vec!["--tensorboard"], "own/tensorboard".to_owned()),
        ("other", vec!["--tensorboard", &elsewhere], "board/other".to_owned()),
    ] {
        let run = sandbox.path(name);
        let size = ["--length", "6", "--limit", "72", "--batch-size", "8", "--epochs", "40"];
        let mut command = rnn_gpu(&["train", "simple-rnn", "--device", "cpu", "--out", &run]);
        command.args(size).args(&more).env_remove("RNN_GPU_IMDB").env("RNN_GPU_OFFLINE", "1");
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let mut lines = lines.map(|line| line.expect("text"));
        assert!(lines.any(|line| line.starts_with("Epoch 4/")), "it has ended");
        child.kill().expect("it is ours");
        child.wait().expect("it ends");
        let resume = ["train", "--resume", &run, "--device", "cpu"];
        let resumed = rnn_gpu(&resume).output().expect("it starts");
        assert!(resumed.status.success(), "{}", text(&resumed.stderr));
        let folder = sandbox.path(&place);
        let train = curves(&Path::new(&folder).join("train"));
        let validation = curves(&Path::new(&folder).join("validation"));
        let epochs: Vec<u64> = (0..40).collect();
        assert_eq!(train["epoch_loss"], epochs);
        assert_eq!(validation["epoch_loss"], epochs);
        assert_eq!(validation["epoch_accuracy"], epochs);
        let steps = &train["batch_loss"];
        assert!(steps.is_sorted_by(|a, b| a < b) && steps.last() > Some(&350), "{steps:?}");
        assert!(steps.iter().any(|step| (30..330).contains(step)), "{steps:?}");
    }
}

#[test]
fn each_model_of_all_has_curves_of_its_own() {
    let sandbox = Sandbox::new();
    let (out, board) = (sandbox.path("runs"), sandbox.path("board"));
    let size = ["--length", "6", "--limit", "16", "--epochs", "1", "--device", "cpu"];
    let mut command = rnn_gpu(&["train", "all", "--out", &out, "--tensorboard", &board]);
    command.args(size).env_remove("RNN_GPU_IMDB").env("RNN_GPU_OFFLINE", "1");
    let output = command.output().expect("it starts");
    assert!(output.status.success(), "{}", text(&output.stderr));
    for name in ["lstm", "lstm-dropout", "cnn-lstm", "simple-rnn"] {
        let curves = curves(&Path::new(&board).join(name).join("train"));
        assert_eq!(curves["epoch_loss"], [0], "{name}");
    }
}
