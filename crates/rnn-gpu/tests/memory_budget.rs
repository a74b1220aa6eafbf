//! What a file may take of memory: 64 MiB and 16 times its size, over all stages. Commands read small
//! files that describe much under a limit of the system; past it an allocation would abort them.
#![cfg(target_os = "linux")]

mod common;

use common::{Sandbox, npy_bytes, text};
use rnn_core::HostTensor;
use rnn_formats::hdf5::{self, Attribute, Group, Node};
use std::fs;
use std::io::{Read as _, Write as _};
use std::process::Command;
use zip::CompressionMethod;

/// What the command itself takes: its data, the stacks of its threads, the device and a small model.
const COMMAND: u64 = 64 << 20;

/// Runs a command on a file under the limit that its size sets; what it says.
fn within_budget(file: &str, args: &[&str]) -> (Option<i32>, String) {
    let size = fs::metadata(file).expect("it is there").len();
    let limit = (COMMAND + rnn_formats::budget::memory(size)) >> 10;
    let script = format!("ulimit -d {limit}; exec \"$0\" \"$@\"");
    let mut shell = Command::new("sh");
    shell.args(["-c", &script, env!("CARGO_BIN_EXE_rnn-gpu")]).args(args);
    shell.env("RAYON_NUM_THREADS", "2").env("RNN_GPU_OFFLINE", "1").env_remove("RNN_GPU_IMDB");
    let output = shell.output().expect("there is a shell");
    (output.status.code(), text(&output.stderr))
}

/// Makes sure that a file is refused with one error, which says this.
fn refused(file: &str, args: &[&str], part: &str) {
    let (code, said) = within_budget(file, args);
    assert_eq!(code, Some(1), "{args:?}: {said}");
    assert!(said.contains("error: ") && said.contains(part), "{args:?}: {said}");
}

fn archive(sandbox: &Sandbox, name: &str, members: &[(&str, &[u8])]) -> String {
    let path = sandbox.path(name);
    let mut zip = zip::ZipWriter::new(fs::File::create(&path).expect("a file"));
    for (member, bytes) in members {
        let options = zip::write::SimpleFileOptions::default();
        let options = options.compression_method(CompressionMethod::Deflated);
        zip.start_file(*member, options).expect("an entry");
        zip.write_all(bytes).expect("the disk has room");
    }
    zip.finish().expect("an archive");
    path
}

const TOO_MUCH: &str = "more memory than 64 MiB and 16 times its size";

/// A legacy file with one dataset of a megabyte, named as often as these lists say.
fn legacy(layers: usize, weights: usize) -> Vec<u8> {
    let names = |name: &str, count| Attribute::Texts(vec![name.to_owned(); count]);
    let zeros = HostTensor::from_f32([1 << 18], vec![0.0; 1 << 18]).expect("it fits");
    let mut root = Group::default();
    root.attributes.insert("model_config".into(), Attribute::Text("{}".into()));
    let all = root.make_group("model_weights").expect("a group");
    all.attributes.insert("layer_names".into(), names("a", layers));
    let layer = all.make_group("a").expect("a group");
    layer.attributes.insert("weight_names".into(), names("d", weights));
    layer.members.insert("d".into(), Node::Dataset(zeros));
    hdf5::to_bytes(&root).expect("it can be written")
}

#[test]
fn a_dataset_that_is_named_thousands_of_times_is_there_once() {
    let sandbox = Sandbox::new();
    let out = sandbox.path("out");
    for (name, layers, weights) in [("layers.h5", 2000, 1), ("weights.h5", 1, 2000)] {
        let file = sandbox.write(name, &legacy(layers, weights));
        for args in [&["summary", &file][..], &["import", &file, "--out", &out]] {
            refused(&file, args, "names it twice");
        }
    }
}

#[test]
fn what_is_packed_twice_is_refused() {
    let packed = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/memory_budget/twice_packed.keras");
    refused(packed, &["summary", packed], "to too much for");
    let sandbox = Sandbox::new();
    // Not to be packed: the file may take more, and its weights unpack in the second step alone.
    let noise: Vec<u8> =
        (0..4_000_000u64).map(|n| (n.wrapping_mul(0x9e37_79b9) >> 13) as u8).collect();
    let mut zip = zip::ZipArchive::new(fs::File::open(packed).expect("it is there")).expect("zip");
    let mut weights = vec![];
    let mut member = zip.by_name("model.weights.h5").expect("a member");
    member.read_to_end(&mut weights).expect("it is sound");
    let members: [(&str, &[u8]); 4] = [
        ("config.json", b"{}"),
        ("metadata.json", b"{}"),
        ("model.weights.h5", &weights),
        ("noise", &noise),
    ];
    let twice = archive(&sandbox, "twice.keras", &members);
    refused(&twice, &["summary", &twice], "it the file would unpack to too much for its size");
    let zeros = vec![0; 100 << 20];
    let members: [(&str, &[u8]); 3] =
        [("config.json", b"{}"), ("metadata.json", b"{}"), ("model.weights.h5", &zeros)];
    let once = archive(&sandbox, "once.keras", &members);
    refused(&once, &["summary", &once], "unpacks to too much for the size");
    let list = format!("[{}0]", "0,".repeat(2_000_000));
    let members: [(&str, &[u8]); 4] = [
        ("config.json", list.as_bytes()),
        ("metadata.json", b"{}"),
        ("model.weights.h5", b""),
        ("noise", &noise),
    ];
    let values = archive(&sandbox, "values.keras", &members);
    refused(&values, &["summary", &values], TOO_MUCH);
}

#[test]
fn attributes_of_millions_of_texts_are_refused() {
    // h5py writes it with libver="latest" from np.array([b"a"] * 4_000_000).
    let packed = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/memory_budget/narrow_texts.zip");
    let mut zip = zip::ZipArchive::new(fs::File::open(packed).expect("it is there")).expect("zip");
    let mut bytes = vec![];
    zip.by_index(0).expect("a member").read_to_end(&mut bytes).expect("it is sound");
    let sandbox = Sandbox::new();
    let file = sandbox.write("narrow_texts.h5", &bytes);
    refused(&file, &["summary", &file], "would unpack to too much for its size");
}

#[test]
fn names_that_are_too_long_for_their_copies_are_refused() {
    let sandbox = Sandbox::new();
    let name = "a".repeat(4_000_000);
    let model =
        format!("{MODEL_HEAD}layer = [{{ type = \"Dense\", units = 1, name = \"{name}\" }}]");
    let file = sandbox.write("long.toml", model.as_bytes());
    refused(&file, &["summary", &file], "1048576 are the most");
    // Within each other: the names of outer models stand before those of inner layers.
    let inner: Vec<String> = (0..5000)
        .map(|n| format!("{{\"class_name\": \"Flatten\", \"config\": {{\"name\": \"f{n}\"}}}}"))
        .collect();
    let nested = |name: &str, layers: &str| {
        format!(
            "{{\"class_name\": \"Sequential\", \"config\": {{\"name\": \"{name}\", \"layers\": [{layers}]}}}}"
        )
    };
    let input = "{\"class_name\": \"InputLayer\", \"config\": {\"batch_shape\": [null, 4]}}";
    let inside = nested(&"b".repeat(500_000), &format!("{input}, {}", inner.join(", ")));
    let file = sandbox.write("nested.json", nested("m", &format!("{input}, {inside}")).as_bytes());
    refused(&file, &["summary", &file], "1048576 are the most");
}

#[test]
fn descriptions_of_many_values_are_refused() {
    let sandbox = Sandbox::new();
    let list = "0,".repeat(2_000_000);
    for (name, contents) in [
        ("a.json", format!("[{list}0]")),
        ("b.json", format!("[{}0]", "{},".repeat(2_000_000))),
        ("c.json", format!("[{}0]", "{\"\":[]},".repeat(1_000_000))),
        ("a.toml", format!("a = [{list}0]")),
        ("b.toml", "[[layer]]\n".repeat(500_000)),
        ("c.toml", (0..500_000).map(|n| format!("a.b{n}=0\n")).collect()),
    ] {
        let file = sandbox.write(name, contents.as_bytes());
        refused(&file, &["summary", &file], TOO_MUCH);
    }
    // A model of many layers is none of these.
    let layers: String = (0..5000)
        .map(|n| format!("[[layer]]\ntype = \"Flatten\"\nname = \"a_flat_layer_{n}\"\n"))
        .collect();
    let file = sandbox.write("many.toml", format!("input.shape = [4]\n{layers}").as_bytes());
    let (code, said) = within_budget(&file, &["summary", &file]);
    assert_eq!(code, Some(0), "{said}");
}

const MODEL_HEAD: &str = "input.shape = [4]\ncompile.loss = \"mse\"\ncompile.optimizer = \"sgd\"\n";
const LAYER: &str = "layer = [{ type = \"Dense\", units = 1 }]\n";

fn model(sandbox: &Sandbox) -> String {
    sandbox.write("model.toml", [MODEL_HEAD, LAYER].concat().as_bytes())
}

fn npy(descr: &str, fortran: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let mut text =
        format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}");
    while (10 + text.len() + 1) % 64 > 0 {
        text.push(' ');
    }
    text.push('\n');
    let length = (text.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], text.as_bytes(), data].concat()
}

#[test]
fn arrays_that_unpack_to_the_memory_are_refused() {
    let sandbox = Sandbox::new();
    let (model, out) = (model(&sandbox), sandbox.path("out"));
    let labels = npy_bytes(HostTensor::from_f32([8], vec![0.0; 8]));
    for (descr, width, fortran, shape) in [
        ("|u1", 1, "False", "(50000000, 4)"),
        ("|u1", 1, "True", "(50000000, 4)"),
        ("<i2", 2, "False", "(20000000, 4)"),
        ("<f4", 4, "False", "(20000000, 4)"),
        ("<f8", 8, "True", "(10000000, 4)"),
    ] {
        let rows: usize = shape[1..shape.len() - 4].parse().expect("a number");
        let x = npy(descr, fortran, shape, &vec![0; width * rows * 4]);
        let file = archive(&sandbox, "d.npz", &[("x_train.npy", &x), ("y_train.npy", &labels)]);
        let args = ["train", "--model", &model, "--data", &file, "--device", "cpu", "--out", &out];
        refused(&file, &args, TOO_MUCH);
    }
    // Lists: each byte of a pickle may be one.
    let lists = npy("|O", "False", "(1,)", &[b"\x80\x02", &vec![b']'; 60_000_000][..]].concat());
    let names = ["x_train.npy", "y_train.npy", "x_test.npy", "y_test.npy"];
    let file = archive(&sandbox, "imdb.npz", &names.map(|name| (name, &lists[..])));
    refused(&file, &["train", "lstm", "--data", &file, "--device", "cpu", "--out", &out], TOO_MUCH);
}

#[test]
fn lines_of_delimiters_are_refused() {
    let sandbox = Sandbox::new();
    let (model, out) = (model(&sandbox), sandbox.path("out"));
    let commas = ",".repeat(20_000_000);
    let narrow = "1,2\n".repeat(1000);
    for (name, contents) in
        [("head.csv", format!("{commas}\n1\n")), ("row.csv", format!("{narrow}{commas}\n"))]
    {
        let file = sandbox.write(name, contents.as_bytes());
        let own = ["train", "--model", &model, "--data", &file, "--target", "1"];
        let own = [&own[..], &["--device", "cpu", "--out", &out]].concat();
        refused(&file, &own, "more than 65536 columns");
        let reviews = ["train", "lstm", "--data", &file, "--device", "cpu", "--out", &out];
        let part = if name == "head.csv" { "more than 262144 columns" } else { "column" };
        refused(&file, &reviews, part);
    }
    // As many columns as there may be.
    let names: Vec<String> = (0..60_000).map(|n| format!("c{n}")).collect();
    let row = vec!["1"; 60_000].join(",");
    let file = sandbox.write("wide.csv", format!("{}\n{row}\n{row}\n", names.join(",")).as_bytes());
    let own = ["train", "--model", &model, "--data", &file, "--target", "c1", "--device", "cpu"];
    refused(&file, &[&own[..], &["--out", &out]].concat(), "shape");
}
