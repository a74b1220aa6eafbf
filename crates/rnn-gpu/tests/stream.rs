//! Arrays that stay in their files: the same bits as in memory, less memory than they have, and one
//! error when a file is cut while it is read.

mod common;

use common::{Sandbox, failure, npy_bytes, rnn_gpu, success, text};
use rnn_core::{HostTensor, Rng};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

const EXAMPLES: usize = 40;
/// Of ten examples, where a fifth of them validates: four steps an epoch.
const FIT: &[u8] = b"epochs = 2\nbatch_size = 8\nvalidation = 0.2\n";

fn model(sandbox: &Sandbox) -> String {
    let layers = "input = { shape = [3, 2] }\ncompile = { loss = \"binary_crossentropy\" }\n\
                  [[layer]]\ntype = \"GRU\"\nunits = 4\n\
                  [[layer]]\ntype = \"Dense\"\nunits = 1\nactivation = \"sigmoid\"\n";
    sandbox.write("model.toml", layers.as_bytes())
}

fn arrays() -> Vec<(&'static str, Vec<u8>)> {
    let mut rng = Rng::new(5, 0);
    let x = (0..EXAMPLES * 6).map(|_| rng.normal() as f32).collect();
    let y = (0..EXAMPLES).map(|_| rng.below(2)).collect();
    let x = npy_bytes(HostTensor::from_f32([EXAMPLES, 3, 2], x));
    let y = npy_bytes(HostTensor::from_u32([EXAMPLES, 1], y));
    vec![("x_train", x.clone()), ("y_train", y.clone()), ("x_test", x), ("y_test", y)]
}

/// The arrays as files of a folder.
fn folder(sandbox: &Sandbox, name: &str) -> String {
    let path = sandbox.path(name);
    fs::create_dir(&path).expect("a folder");
    for (array, bytes) in arrays() {
        fs::write(format!("{path}/{array}.npy"), bytes).expect("room");
    }
    path
}

fn train<'a>(model: &'a str, data: &'a str, fit: &'a str, out: &'a str) -> Vec<&'a str> {
    let args = ["train", "--model", model, "--data", data, "--fit", fit, "--out", out];
    [&args[..], &["--device", "cpu"]].concat()
}

fn weights(run: &str) -> Vec<u8> {
    fs::read(Path::new(run).join("weights.safetensors")).expect("a file")
}

#[test]
fn what_is_streamed_comes_to_the_same_bytes() {
    let sandbox = Sandbox::new();
    let (model, fit) = (model(&sandbox), sandbox.write("fit.toml", FIT));
    let (npz, files) = (sandbox.npz("d.npz", &arrays()), folder(&sandbox, "files"));
    let run = |data: &str, stream: &[&str], out: &str| {
        let out = sandbox.path(out);
        success(&[&train(&model, data, &fit, &out)[..], stream].concat());
        let (y, x) = (sandbox.path("y.npy"), format!("{files}/x_test.npy"));
        let predict = ["predict", &out, "--input", &x, "--output", &y, "--device", "cpu"];
        success(&[&predict[..], stream].concat());
        let evaluate = ["evaluate", &out, "--data", data, "--device", "cpu"];
        let evaluated = success(&[&evaluate[..], stream].concat());
        let judged = evaluated.lines().find(|l| l.contains("loss")).expect("a loss").to_owned();
        (weights(&out), fs::read(y).expect("a file"), judged)
    };
    let in_memory = run(&npz, &[], "memory");
    assert!(run(&npz, &["--stream"], "npz") == in_memory, "from an archive");
    assert!(run(&files, &["--stream"], "folder") == in_memory, "from a folder");

    let compressed = sandbox.path("compressed.npz");
    let mut zip = zip::ZipWriter::new(File::create(&compressed).expect("a file"));
    for (name, bytes) in arrays() {
        let deflated = zip::write::SimpleFileOptions::default();
        zip.start_file(format!("{name}.npy"), deflated).expect("an entry");
        zip.write_all(&bytes).expect("room");
    }
    zip.finish().expect("an archive");
    let refused = sandbox.path("refused");
    let args = train(&model, &compressed, &fit, &refused);
    let message = failure(&[&args[..], &["--stream"]].concat());
    assert!(message.contains("is compressed") && message.contains("numpy.savez"), "{message}");
    success(&args);
}

#[test]
fn labels_that_do_not_fit_are_found_when_they_are_read() {
    let sandbox = Sandbox::new();
    let (model, fit) = (model(&sandbox), sandbox.write("fit.toml", FIT));
    let (data, out) = (folder(&sandbox, "files"), sandbox.path("run"));
    let mut labels = vec![1.0; EXAMPLES];
    labels[17] = 1.5;
    let labels = npy_bytes(HostTensor::from_f32([EXAMPLES], labels));
    fs::write(format!("{data}/y_train.npy"), labels).expect("room");
    let message = failure(&[&train(&model, &data, &fit, &out)[..], &["--stream"]].concat());
    assert!(message.contains("example 17 of array y_train"), "{message}");
    assert!(message.contains("1.5; the loss takes probabilities"), "{message}");
}

/// A file of zeros, of which the disk holds nothing, as an array of floats.
fn sparse(path: &str, shape: &[usize]) {
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape:?}}}");
    let header = header.replace('[', "(").replace(']', ")");
    let mut file = File::create(path).expect("a file");
    file.write_all(b"\x93NUMPY\x01\x00").expect("room");
    file.write_all(&(header.len() as u16).to_le_bytes()).expect("room");
    file.write_all(header.as_bytes()).expect("room");
    let elements: usize = shape.iter().product();
    file.set_len(10 + header.len() as u64 + 4 * elements as u64).expect("a sparse file");
}

#[cfg(unix)]
#[test]
fn what_is_large_is_streamed_unasked() {
    // A quarter of a terabyte, of which the run sees four examples.
    const ROWS: usize = 1 << 16;
    let sandbox = Sandbox::new();
    let layers = "input = { shape = [1024, 1024] }\ncompile = { loss = \"mse\" }\n\
                  [[layer]]\ntype = \"GlobalAveragePooling1D\"\n\
                  [[layer]]\ntype = \"Dense\"\nunits = 1\n";
    let model = sandbox.write("model.toml", layers.as_bytes());
    let fit = sandbox.write("fit.toml", b"epochs = 1\nbatch_size = 2\nvalidation = 0.0\n");
    let (data, out) = (sandbox.path("data"), sandbox.path("run"));
    fs::create_dir(&data).expect("a folder");
    sparse(&format!("{data}/x_train.npy"), &[ROWS, 1024, 1024]);
    sparse(&format!("{data}/y_train.npy"), &[ROWS, 1]);
    let output = rnn_gpu(&train(&model, &data, &fit, &out)).args(["--limit", "4"]).output();
    let output = output.expect("it starts");
    let message = text(&output.stderr);
    assert!(output.status.success(), "{message}");
    let told = format!("array x_train of {data} is streamed: in memory it would take 1.00 TiB");
    assert!(message.contains(&told) && !message.contains("y_train"), "{message}");
}

#[cfg(unix)]
#[test]
fn more_data_than_a_process_may_have_is_trained_on() {
    // 512 MiB of floats, for a process of 400 MiB.
    const LIMIT_KIB: usize = 400 << 10;
    const ROWS: usize = 1 << 17;
    let sandbox = Sandbox::new();
    let layers = "input = { shape = [256, 4] }\ncompile = { loss = \"mse\" }\n\
                  [[layer]]\ntype = \"GlobalAveragePooling1D\"\n\
                  [[layer]]\ntype = \"Dense\"\nunits = 1\n";
    let model = sandbox.write("model.toml", layers.as_bytes());
    let fit = sandbox.write("fit.toml", b"epochs = 1\nbatch_size = 1024\nvalidation = 0.0\n");
    let (data, out) = (sandbox.path("data"), sandbox.path("run"));
    fs::create_dir(&data).expect("a folder");
    sparse(&format!("{data}/x_train.npy"), &[ROWS, 256, 4]);
    sparse(&format!("{data}/y_train.npy"), &[ROWS, 1]);
    let bounded = |more: &[&str]| {
        let script = format!("ulimit -v {LIMIT_KIB}; exec \"$0\" \"$@\"");
        let mut shell = Command::new("sh");
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_rnn-gpu")]);
        shell.args(train(&model, &data, &fit, &out)).args(more);
        // Each thread would reserve addresses for a heap of its own.
        shell.envs([("MALLOC_ARENA_MAX", "1"), ("RAYON_NUM_THREADS", "2")]);
        shell.output().expect("it starts")
    };
    let output = bounded(&["--stream"]);
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    assert!(text(&output.stdout).contains("131072 examples to train on"));
    assert!(!bounded(&[]).status.success(), "in memory it fits, and so the limit proves nothing");
}

#[test]
fn a_file_that_is_cut_while_it_is_read_ends_the_run_at_a_checkpoint() {
    let sandbox = Sandbox::new();
    let (model, fit) = (model(&sandbox), sandbox.write("fit.toml", FIT));
    let (data, out) = (folder(&sandbox, "files"), sandbox.path("run"));
    let x = format!("{data}/x_train.npy");
    let whole = fs::read(&x).expect("an array");
    let mut command = rnn_gpu(&train(&model, &data, &fit, &out));
    command.args(["--stream", "--epochs", "1000000", "--checkpoint-every", "1"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let lines = BufReader::new(child.stdout.as_mut().expect("a pipe")).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.starts_with("Epoch 2/")));
    File::options().write(true).open(&x).and_then(|file| file.set_len(500)).expect("it is cut");
    let output = child.wait_with_output().expect("it ends");
    let message = text(&output.stderr);
    assert!(!output.status.success() && !message.contains("panicked"), "{message}");
    assert!(message.contains("of array x_train of") && message.contains("cut while in use"));
    let kept = message.split("the checkpoint after step ").nth(1).expect("a checkpoint");
    let step: usize = kept.split(' ').next().and_then(|n| n.parse().ok()).expect("a number");
    assert!(message.contains(&format!("rnn-gpu train --resume {out}")), "{message}");

    fs::write(&x, whole).expect("room");
    let epochs = (step / 4 + 1).to_string();
    success(&["train", "--resume", &out, "--epochs", &epochs, "--device", "cpu"]);
    let straight = sandbox.path("straight");
    success(&[&train(&model, &data, &fit, &straight)[..], &["--epochs", &epochs]].concat());
    assert!(weights(&out) == weights(&straight), "it went on to something else");
}
