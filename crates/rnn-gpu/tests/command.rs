//! The command as users run it: trainings of the tutorial's models, `compare` and `verify`, and users'
//! mistakes, each of which gets one message, an exit code that is not 0, no panic and no half-written
//! file.

mod common;

use common::{
    FAILED, MISUSED, Sandbox, assert_names, failure_with, json_of, npy_bytes, rnn_gpu, success,
    text,
};
use rnn_core::HostTensor;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

const REVIEWS: usize = 256;
const WORDS: usize = 8;

/// Parameters of each model of the tutorial for reviews.
const MODELS: [(&str, u64); 4] =
    [("lstm", 242_561), ("lstm-dropout", 242_561), ("cnn-lstm", 245_665), ("simple-rnn", 180_737)];

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

/// Makes sure that a training on these data fails, names all of `names`, and leaves no folder.
fn refuses_data(sandbox: &Sandbox, data: &str, names: &[&str]) {
    let out = sandbox.path("run");
    let message =
        failure_with(FAILED, &["train", "lstm", "--device", "cpu", "--data", data, "--out", &out]);
    assert_names(&message, names);
    assert!(!Path::new(&out).exists(), "{message}");
}

#[test]
fn a_missing_data_file_is_named() {
    refuses_data(&Sandbox::new(), "/nowhere.npz", &["cannot load /nowhere.npz"]);
}

#[test]
fn data_that_are_no_archive_are_named() {
    let sandbox = Sandbox::new();
    let junk = sandbox.write("junk.npz", b"PK\x03\x04 not really");
    refuses_data(&sandbox, &junk, &["junk.npz is not a sound .npz archive"]);
}

#[test]
fn a_truncated_archive_is_named() {
    let sandbox = Sandbox::new();
    let whole = fs::read(reviews(&sandbox)).expect("it was just written");
    let truncated = sandbox.write("truncated.npz", &whole[..whole.len() / 2]);
    refuses_data(&sandbox, &truncated, &["truncated.npz is not a sound .npz archive"]);
}

#[test]
fn an_array_that_an_archive_lacks_is_named() {
    let sandbox = Sandbox::new();
    let empty = sandbox.npz("empty.npz", &[]);
    refuses_data(&sandbox, &empty, &["holds no array 'x_train'"]);
}

#[test]
fn a_pickle_that_calls_functions_is_named_and_not_executed() {
    let sandbox = Sandbox::new();
    let mark = sandbox.path("mark");
    let hostile = sandbox.npz("hostile.npz", &[("x_train", hostile_npy(&format!("touch {mark}")))]);
    refuses_data(&sandbox, &hostile, &["x_train", "posix"]);
    assert!(!Path::new(&mark).exists(), "the pickle was executed");
}

#[test]
fn a_batch_of_no_examples_is_misuse() {
    let message = failure_with(MISUSED, &["train", "lstm", "--batch-size", "0"]);
    assert_names(&message, &["--batch-size"]);
}

#[test]
fn an_unknown_model_is_misuse_and_the_known_ones_are_listed() {
    let message = failure_with(MISUSED, &["train", "transformer"]);
    assert_names(&message, &["transformer", "simple-rnn"]);
}

#[test]
fn an_output_folder_below_a_file_is_refused() {
    let sandbox = Sandbox::new();
    let blocked = format!("{}/run", sandbox.write("file", b""));
    let data = reviews(&sandbox);
    let train = ["train", "lstm", "--device", "cpu", "--data", &data, "--out", &blocked];
    assert_names(&failure_with(FAILED, &train), &["--out"]);
}

#[test]
fn an_unknown_device_is_named() {
    let sandbox = Sandbox::new();
    let data = reviews(&sandbox);
    let message = failure_with(FAILED, &["train", "lstm", "--device", "riva 128", "--data", &data]);
    assert_names(&message, &["riva 128"]);
}

#[test]
fn a_folder_without_a_run_cannot_be_evaluated() {
    let message = failure_with(FAILED, &["evaluate", &Sandbox::new().path("none")]);
    assert_names(&message, &["no config.json"]);
}

/// Three epochs of the LSTM.
struct Trained {
    sandbox: Sandbox,
    run: String,
    printed: String,
}

static TRAINED: LazyLock<Trained> = LazyLock::new(|| {
    let sandbox = Sandbox::shared("command-lstm");
    let (data, run) = (reviews(&sandbox), sandbox.path("run"));
    let size = ["--length", "10", "--batch-size", "16", "--device", "cpu"];
    let printed =
        success(&[&["train", "lstm", "--data", &data, "--out", &run], &size[..]].concat());
    Trained { sandbox, run, printed }
});

/// The line with the results on the test data.
fn test_line(printed: &str) -> &str {
    let line = printed.lines().find(|line| line.starts_with("test loss"));
    line.unwrap_or_else(|| panic!("{printed}"))
}

#[test]
fn a_training_reduces_the_loss() {
    let history =
        fs::read_to_string(Path::new(&TRAINED.run).join("history.csv")).expect("a history");
    let loss = |line: &str| -> f64 {
        line.split(',').nth(1).and_then(|v| v.parse().ok()).unwrap_or_else(|| panic!("{line}"))
    };
    let losses: Vec<f64> = history.lines().skip(1).map(loss).collect();
    assert!(losses.len() == 3 && losses[2] < 0.7 * losses[0], "{history}");
}

#[test]
fn a_run_has_its_files() {
    for file in ["weights.safetensors", "history.json", "curves.png", "histogram.png", "report.txt"]
    {
        let bytes = fs::metadata(Path::new(&TRAINED.run).join(file)).expect("a file").len();
        assert!(bytes > 0, "{file} is empty");
    }
}

#[test]
fn a_training_prints_its_device_and_parameters() {
    assert_names(&TRAINED.printed, &["242,561", "device: CPU"]);
    assert_eq!(json_of(&TRAINED.run, "results.json")["parameters"], json!(242_561));
}

#[test]
fn evaluation_repeats_the_results_of_the_training() {
    let run = TRAINED.sandbox.copy(&TRAINED.run, "evaluated");
    let before = json_of(&run, "results.json");
    let evaluated = success(&["evaluate", &run, "--device", "cpu"]);
    assert_eq!(test_line(&evaluated), test_line(&TRAINED.printed));
    assert_names(test_line(&evaluated), &["accuracy 1.0000"]);
    assert_eq!(json_of(&run, "results.json"), before);
    assert_eq!(before["accuracy"], json!(1.0));
}

#[test]
fn a_run_that_predicts_no_frames_is_not_rolled_out() {
    let run = TRAINED.sandbox.copy(&TRAINED.run, "rolled-out");
    let message = failure_with(FAILED, &["rollout", &run, "--device", "cpu"]);
    assert_names(&message, &["a run of lstm"]);
    assert!(!Path::new(&run).join("rollout-0").exists());
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
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_names(&text(&output.stdout), &["data: the bundled corpus of synthetic reviews"]);
    let config = json_of(&out, "config.json");
    assert_eq!((&config["data"], &config["preset"]), (&json!("bundled"), &json!("keras2018")));
    let report = fs::read_to_string(Path::new(&out).join("report.txt")).expect("a report");
    assert!(report.starts_with("lstm on the bundled synthetic corpus"), "{report}");
    assert!(!Path::new(&sandbox.path("cache")).exists(), "offline, it made a cache");
}

/// The folder of a short run of each of [`MODELS`], and what their training printed.
struct AllTrained {
    sandbox: Sandbox,
    out: String,
    printed: String,
}

static ALL_TRAINED: LazyLock<AllTrained> = LazyLock::new(|| {
    let sandbox = Sandbox::shared("command-all");
    let (data, out) = (reviews(&sandbox), sandbox.path("runs"));
    let size = ["--length", "8", "--limit", "48", "--epochs", "2", "--device", "cpu"];
    let printed = success(&[&["train", "all", "--data", &data, "--out", &out], &size[..]].concat());
    AllTrained { sandbox, out, printed }
});

/// The first two columns of each line.
fn columns(table: &str) -> Vec<[&str; 2]> {
    let words = |line| str::split_whitespace(line).collect::<Vec<_>>();
    table.lines().map(words).filter_map(|words| Some([*words.first()?, *words.get(1)?])).collect()
}

#[test]
fn train_all_trains_every_model_and_prints_a_table_of_them() {
    let AllTrained { out, printed, .. } = &*ALL_TRAINED;
    let table = columns(printed);
    for (model, parameters) in MODELS {
        let results = json_of(&format!("{out}/{model}"), "results.json");
        assert_eq!(results["parameters"], json!(parameters), "{model}");
        assert!(table.contains(&[model, &parameters.to_string()]), "{model}: {printed}");
    }
}

#[test]
fn compare_prints_and_draws_the_runs_that_are_named() {
    let AllTrained { sandbox, out, .. } = &*ALL_TRAINED;
    let picture = sandbox.path("two.png");
    let runs = [&format!("{out}/lstm")[..], &format!("{out}/cnn-lstm")];
    let printed = success(&[&["compare"], &runs[..], &["--out", &picture]].concat());
    let table = columns(&printed);
    assert_eq!((table[0], table[1][0]), (["IMDB", "reviews"], "model"), "{printed}");
    let rows: Vec<&str> = table[2..].iter().map(|row| row[0]).collect();
    assert!(rows.contains(&"lstm") && rows.contains(&"cnn-lstm"), "{printed}");
    assert!(!printed.contains("simple-rnn"), "{printed}");
    assert!(fs::metadata(&picture).expect("a picture").len() > 0);
}

#[test]
fn compare_names_the_file_that_a_run_lacks() {
    let AllTrained { sandbox, out, .. } = &*ALL_TRAINED;
    let run = sandbox.copy(&format!("{out}/lstm"), "without-results");
    fs::remove_file(format!("{run}/results.json")).expect("it was there");
    assert_names(&failure_with(FAILED, &["compare", &run]), &["results.json"]);
}

#[test]
fn presets_are_those_of_next_frame_alone() {
    let sandbox = Sandbox::new();
    let reviews = reviews(&sandbox);
    let train = ["train", "lstm", "--device", "cpu", "--data", &reviews, "--preset", "quick"];
    assert_names(&failure_with(FAILED, &train), &["next-frame alone"]);
}

/// Makes sure that a report of `verify` has passed checks of the LSTM with their errors, and no
/// failure.
fn assert_verified(json: &str) {
    let report: Value = serde_json::from_str(json).expect("JSON alone");
    let checks = report["checks"].as_array().expect("checks");
    let lstm = |c: &&Value| c["section"] == "kernel" && c["op"] == "lstm";
    let lstm = checks.iter().find(lstm).expect("an LSTM");
    assert!(lstm["outcome"] == "passed" && lstm["error"].is_number(), "{lstm}");
    let failed: Vec<&Value> = checks.iter().filter(|c| c["outcome"] == "failed").collect();
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn verify_prints_a_table_and_writes_a_report() {
    let sandbox = Sandbox::new();
    let file = sandbox.path("report.json");
    let table = success(&["verify", "--smoke", "--device", "cpu", "--json", &file]);
    assert_names(&table, &["kernels: CPU", " 0 failed", "skip  control"]);
    assert_verified(&fs::read_to_string(&file).expect("a report"));
}

#[test]
fn verify_prints_its_report_where_no_file_is_named() {
    assert_verified(&success(&["verify", "--smoke", "--device", "cpu", "--json"]));
}

#[test]
fn the_full_tier_names_the_sizes_of_its_cases() {
    let filter = ["--filter", "masked_mean T 70001", "--json"];
    let printed = success(&[&["verify", "--full", "--device", "cpu"], &filter[..]].concat());
    let report: Value = serde_json::from_str(&printed).expect("JSON alone");
    let checks = report["checks"].as_array().expect("checks");
    let kernel = checks.iter().find(|check| check["section"] == "kernel").expect("a kernel");
    assert_eq!(kernel["sizes"], "f32[70001x3x5] u32[70001x3]");
}

#[test]
fn a_filter_that_nothing_matches_fails() {
    let verify = ["verify", "--full", "--device", "cpu", "--filter", "no such op"];
    assert_names(&failure_with(FAILED, &verify), &["no op or case", "\"no such op\""]);
}

#[test]
fn two_tiers_at_once_are_misuse() {
    let message = failure_with(MISUSED, &["verify", "--full", "--smoke"]);
    assert_names(&message, &["--full", "--smoke"]);
}

#[test]
fn kernels_are_compiled_and_not_run() {
    let message = failure_with(FAILED, &["verify", "--compile-only", "--device", "cpu"]);
    assert!(message.contains("compiles no kernels"), "{message}");
    if rnn_testing::adapters().is_empty() {
        return;
    }
    let compiled = |filter| {
        success(&["verify", "--compile-only", "--smoke", "--device", "gpu:0", "--filter", filter])
    };
    let table = compiled("softmax");
    assert!(table.contains("compilations: ") && table.contains(" 0 failed"), "{table}");
    assert!(!table.contains("kernels: "), "{table}");
    let steps = compiled("experiment");
    assert!(steps.contains("next-frame") && !steps.contains("softmax"), "{steps}");
}

#[cfg(not(feature = "mpi"))]
#[test]
fn ranks_need_a_build_with_mpi() {
    for args in [["train", "lstm", "--distributed"], ["bench", "--suite", "ranks"]] {
        assert_names(&failure_with(FAILED, &args), &["cargo build --release --features mpi"]);
    }
}
