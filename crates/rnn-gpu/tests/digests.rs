//! Files that were damaged since they were written are refused by all that read them.

mod common;

use common::line::{arrays, bytes, dense, rows, train};
use common::{Sandbox, assert_names, failure, npy_bytes, success};
use rnn_core::HostTensor;
use rnn_formats::safetensors;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Turns a bit of a file's byte `from_end` bytes before its end.
fn damage(folder: &str, name: &str, from_end: usize) {
    let mut all = bytes(folder, name);
    let at = all.len() - from_end;
    all[at] ^= 1;
    fs::write(Path::new(folder).join(name), all).expect("room");
}

#[test]
fn damaged_weights_are_used_by_no_command() {
    let sandbox = Sandbox::new();
    let (data, run) = (sandbox.npz("d.npz", &arrays()), sandbox.path("run"));
    success(&train(&dense(&sandbox, 1), &data, &run, &[]));
    let x = sandbox.write("x.npy", &rows(|of| of.to_vec()));
    let [y, file, out] = ["y.npy", "m.keras", "out"].map(|name| sandbox.path(name));
    let commands = [
        vec!["evaluate", &run, "--device", "cpu"],
        vec!["evaluate", &run, "--data", &data, "--device", "cpu"],
        vec!["predict", &run, "--input", &x, "--output", &y, "--device", "cpu"],
        vec!["export", &run, "--to", &file],
        train(&run, &data, &out, &[]),
    ];
    let whole = bytes(&run, "weights.safetensors");
    for from_end in [1, 7, 12] {
        damage(&run, "weights.safetensors", from_end);
        for args in &commands {
            assert_names(&failure(args), &["weights.safetensors is damaged"]);
        }
        fs::write(Path::new(&run).join("weights.safetensors"), &whole).expect("room");
    }
    // The state of the optimizer, which a training would go on with.
    damage(&run, "optimizer.safetensors", 1);
    assert_names(&failure(&commands[4]), &["optimizer.safetensors is damaged"]);
    success(&commands[0]);
}

/// As versions before there was a digest have written them.
#[test]
fn weights_without_a_digest_are_read() {
    let sandbox = Sandbox::new();
    let (data, run) = (sandbox.npz("d.npz", &arrays()), sandbox.path("run"));
    success(&train(&dense(&sandbox, 1), &data, &run, &[]));
    let text = String::from_utf8_lossy(&bytes(&run, "weights.safetensors")).into_owned();
    let digest = text.split("\"sha256\":\"").nth(1).and_then(|rest| rest.split('"').next());
    let digest = digest.expect("it has one").to_owned();
    let all = bytes(&run, "weights.safetensors");
    let at = all.windows(9).position(|part| part == b"\"sha256\":").expect("it has one");
    let mut old = all.clone();
    old[at..at + 8].copy_from_slice(b"\"others\"");
    fs::write(Path::new(&run).join("weights.safetensors"), old).expect("room");
    assert_eq!(digest.len(), 64);
    let (_, metadata) =
        safetensors::load(&Path::new(&run).join("weights.safetensors")).expect("it is sound");
    let rest = BTreeMap::from([("others".to_owned(), digest)]);
    assert!(rest.iter().all(|(key, value)| metadata.get(key) == Some(value)));
    success(&["evaluate", &run, "--device", "cpu"]);
}

#[test]
fn a_damaged_array_in_an_archive_is_refused_when_it_is_streamed() {
    /// More than are read with the header.
    const ROWS: usize = 100_000;
    let sandbox = Sandbox::new();
    let (model, run) = (dense(&sandbox, 1), sandbox.path("run"));
    let array = |width: usize| {
        let values = (0..ROWS * width).map(|i| (i % 7) as f32).collect();
        npy_bytes(HostTensor::from_f32([ROWS, width], values))
    };
    let data = sandbox.npz("d.npz", &[("x_train", array(2)), ("y_train", array(1))]);
    let whole = fs::read(&data).expect("a file");
    for (at, name) in [(whole.len() / 3, "x_train"), (whole.len() - 1000, "y_train")] {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        fs::write(&data, damaged).expect("room");
        for more in [&["--stream"][..], &[]] {
            assert_names(&failure(&train(&model, &data, &run, more)), &["d.npz", name, "checksum"]);
        }
    }
    fs::write(&data, whole).expect("room");
    success(&train(&model, &data, &run, &["--stream", "--batch-size", "1000"]));
}
