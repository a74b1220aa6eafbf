//! The command as users run it: a short training run, and their mistakes, each of which gets one
//! clear message, an exit code that is not 0, no panic and no half-written file.

mod common;

use common::{Sandbox, failure, npy_bytes, rnn_gpu, success, text};
use rnn_core::HostTensor;
use std::fs;
use std::path::{Path, PathBuf};

const REVIEWS: usize = 256;
const WORDS: usize = 8;

/// Reviews of which every positive one holds word 20, every negative one word 30.
fn reviews(sandbox: &Sandbox) -> String {
    let labels: Vec<u32> = (0..REVIEWS as u32).map(|i| i % 2).collect();
    let review = |&label: &u32| [1, 2, 30 - 10 * label, 4, 5, 6, 7, 8];
    let words: Vec<u32> = labels.iter().flat_map(review).collect();
    let x = npy_bytes(HostTensor::from_u32([REVIEWS, WORDS], words));
    let y = npy_bytes(HostTensor::from_u32([REVIEWS], labels));
    let arrays = [("x_train", &x), ("y_train", &y), ("x_test", &x), ("y_test", &y)];
    sandbox.npz("reviews.npz", &arrays.map(|(name, bytes)| (name, bytes.clone())))
}

/// An object array whose pickle would run a shell command.
fn hostile_npy(command: &str) -> Vec<u8> {
    let mut header = "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".to_owned();
    header += &" ".repeat(128 - 10 - 1 - header.len());
    let mut bytes = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    bytes.extend(header.bytes());
    bytes.extend(b"\ncposix\nsystem\n(S'");
    bytes.extend(command.bytes());
    bytes.extend(b"'\ntR.");
    bytes
}

#[test]
fn bad_data_is_named_and_leaves_nothing_behind() {
    let sandbox = Sandbox::new();
    let out = sandbox.path("run");
    let train = |data: &str| {
        let message = failure(&["train", "lstm", "--device", "cpu", "--data", data, "--out", &out]);
        assert!(!Path::new(&out).exists(), "{message}");
        message
    };
    assert!(train("/nowhere.npz").contains("cannot load /nowhere.npz"));
    let junk = sandbox.write("junk.npz", b"PK\x03\x04 not really");
    assert!(train(&junk).contains("junk.npz is not a sound .npz archive"));
    let whole = fs::read(reviews(&sandbox)).expect("it was just written");
    let truncated = sandbox.write("truncated.npz", &whole[..whole.len() / 2]);
    assert!(train(&truncated).contains("truncated.npz is not a sound .npz archive"));
    let empty = sandbox.npz("empty.npz", &[]);
    assert!(train(&empty).contains("holds no array 'x_train'"));
    let mark = sandbox.path("mark");
    let hostile = sandbox.npz("hostile.npz", &[("x_train", hostile_npy(&format!("touch {mark}")))]);
    let message = train(&hostile);
    assert!(message.contains("x_train") && message.contains("posix"), "{message}");
    assert!(!Path::new(&mark).exists(), "the pickle was executed");
}

#[test]
fn bad_arguments_are_named() {
    let sandbox = Sandbox::new();
    let data = reviews(&sandbox);
    let train = ["train", "lstm", "--device", "cpu", "--data", &data];
    assert!(failure(&[&train[..], &["--batch-size", "0"]].concat()).contains("--batch-size"));
    let message = failure(&["train", "transformer", "--data", &data]);
    assert!(message.contains("transformer") && message.contains("simple-rnn"), "{message}");
    let file = sandbox.write("file", b"");
    let blocked = format!("{file}/run");
    let message = failure(&[&train[..], &["--out", &blocked]].concat());
    assert!(message.contains("--out"), "{message}");
    let message = failure(&["train", "lstm", "--device", "riva 128", "--data", &data]);
    assert!(message.contains("riva 128"), "{message}");
    assert!(failure(&["evaluate", &sandbox.path("none")]).contains("no config.json"));
}

#[test]
fn a_short_run_learns_and_can_be_evaluated() {
    let sandbox = Sandbox::new();
    let (data, out) = (reviews(&sandbox), sandbox.path("run"));
    let size = ["--length", "10", "--batch-size", "16", "--device", "cpu"];
    let args = [&["train", "lstm", "--data", &data, "--out", &out], &size[..]].concat();
    let printed = success(&args);
    assert!(printed.contains("242,561") && printed.contains("device: CPU"), "{printed}");
    let history = fs::read_to_string(PathBuf::from(&out).join("history.csv")).expect("a history");
    let loss = |line: &str| -> f64 {
        line.split(',').nth(1).and_then(|v| v.parse().ok()).unwrap_or_else(|| panic!("{line}"))
    };
    let losses: Vec<f64> = history.lines().skip(1).map(loss).collect();
    assert!(losses.len() == 3 && losses[2] < 0.7 * losses[0], "{history}");
    for file in ["weights.safetensors", "history.json", "curves.png", "histogram.png", "report.txt"]
    {
        let bytes = fs::metadata(PathBuf::from(&out).join(file)).expect("a file").len();
        assert!(bytes > 0, "{file} is empty");
    }
    let evaluated = success(&["evaluate", &out, "--device", "cpu"]);
    let line = evaluated.lines().find(|l| l.starts_with("test loss")).expect("a test loss");
    assert!(printed.contains(line) && line.contains("accuracy 1.0000"), "{evaluated}");
}

#[test]
fn without_data_and_offline_it_trains_on_the_bundled_corpus() {
    let sandbox = Sandbox::new();
    let out = sandbox.path("run");
    let args = ["train", "lstm", "--limit", "64", "--epochs", "1", "--device", "cpu"];
    let more = ["--preset", "2018", "--length", "16", "--out", &out];
    let output = rnn_gpu(&[&args[..], &more].concat())
        .env_remove("RNN_GPU_IMDB")
        .env("RNN_GPU_OFFLINE", "1")
        .env("RNN_GPU_CACHE", sandbox.path("cache"))
        .output()
        .expect("it starts");
    let printed = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(printed.contains("data: the bundled corpus of synthetic reviews"), "{printed}");
    let report = fs::read_to_string(PathBuf::from(&out).join("report.txt")).expect("a report");
    let config = fs::read_to_string(PathBuf::from(&out).join("config.json")).expect("a config");
    assert!(config.contains("keras2018"), "{config}");
    assert!(report.starts_with("lstm on the bundled synthetic corpus"), "{report}");
    assert!(!Path::new(&sandbox.path("cache")).exists(), "offline, it made a cache");
}

#[test]
fn all_models_train_and_are_compared() {
    let sandbox = Sandbox::new();
    let (data, out) = (reviews(&sandbox), sandbox.path("runs"));
    let size = ["--length", "8", "--limit", "48", "--epochs", "2", "--device", "cpu"];
    let printed = success(&[&["train", "all", "--data", &data, "--out", &out], &size[..]].concat());
    for line in ["cnn-lstm          245665", "lstm-dropout      242561", "simple-rnn        180737"]
    {
        assert!(printed.contains(line), "{printed}");
    }
    let folder = |name: &str| format!("{out}/{name}");
    let picture = sandbox.path("two.png");
    let runs = [&folder("lstm")[..], &folder("cnn-lstm")[..]];
    let table = success(&[&["compare"], &runs[..], &["--out", &picture]].concat());
    assert!(table.starts_with("IMDB reviews\nmodel") && !table.contains("simple-rnn"), "{table}");
    assert!(fs::metadata(&picture).expect("a picture").len() > 0);
    fs::remove_file(format!("{}/results.json", folder("lstm"))).expect("it was there");
    assert!(failure(&["compare", &folder("lstm")]).contains("results.json"));
}

#[test]
fn presets_are_those_of_next_frame_alone() {
    let sandbox = Sandbox::new();
    let reviews = reviews(&sandbox);
    let train = ["train", "lstm", "--device", "cpu", "--data", &reviews, "--preset", "quick"];
    assert!(failure(&train).contains("next-frame alone"));
}

#[test]
fn a_run_that_predicts_no_frames_is_not_rolled_out() {
    let sandbox = Sandbox::new();
    let (reviews, lstm) = (reviews(&sandbox), sandbox.path("lstm"));
    let train = ["train", "lstm", "--device", "cpu", "--data", &reviews, "--out", &lstm];
    success(&[&train[..], &["--length", "8", "--limit", "16", "--epochs", "1"]].concat());
    let message = failure(&["rollout", &lstm, "--device", "cpu"]);
    assert!(message.contains("a run of lstm"), "{message}");
    assert!(!Path::new(&lstm).join("rollout-0").exists());
}

#[test]
fn verify_writes_its_report() {
    let sandbox = Sandbox::new();
    let file = sandbox.path("report.json");
    let table = success(&["verify", "--smoke", "--device", "cpu", "--json", &file]);
    assert!(table.contains("kernels: CPU") && table.contains(" 0 failed"), "{table}");
    assert!(table.contains("skip  control"), "{table}");
    let written = fs::read_to_string(&file).expect("a report");
    let printed = success(&["verify", "--smoke", "--device", "cpu", "--json"]);
    for json in [written, printed] {
        let report: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        let checks = report["checks"].as_array().expect("checks");
        let lstm = |c: &&serde_json::Value| c["section"] == "kernel" && c["op"] == "lstm";
        let lstm = checks.iter().find(lstm).expect("an LSTM");
        assert!(lstm["outcome"] == "passed" && lstm["error"].is_number(), "{lstm}");
    }
}

#[test]
fn the_full_tier_names_sizes_and_what_is_wanted_of_it() {
    let printed = success(&[
        "verify",
        "--full",
        "--device",
        "cpu",
        "--filter",
        "masked_mean T 70001",
        "--json",
    ]);
    let report: serde_json::Value = serde_json::from_str(&printed).expect("JSON alone");
    let checks = report["checks"].as_array().expect("checks");
    let kernel = checks.iter().find(|check| check["section"] == "kernel").expect("a kernel");
    assert_eq!(kernel["sizes"], "f32[70001x3x5] u32[70001x3]");
    let message = failure(&["verify", "--full", "--device", "cpu", "--filter", "no such op"]);
    assert!(message.contains("has \"no such op\" in its name"), "{message}");
    assert!(message.contains("no op or case"), "{message}");
    let message = failure(&["verify", "--full", "--smoke"]);
    assert!(message.contains("cannot be used with"), "{message}");
}

#[cfg(not(feature = "mpi"))]
#[test]
fn ranks_need_a_build_with_mpi() {
    for args in [["train", "lstm", "--distributed"], ["bench", "--suite", "ranks"]] {
        let message = failure(&args);
        assert!(message.contains("cargo build --release --features mpi"), "{message}");
    }
}
