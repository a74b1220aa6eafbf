//! What `rnn-gpu bench` writes beside its table: steps beside peers', and how a step grows.

mod common;

use common::{Sandbox, rnn_gpu, success, text};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

const PYTHON: &str = if cfg!(windows) { "python" } else { "python3" };

/// A peer of which one variant works.
const PEER: &str = r#"
import json, sys
a = sys.argv
if "--list-variants" in a:
    print(json.dumps({"simple-rnn": {"training": [], "inference": ["plain", "wild"]}}))
elif "wild" in a:
    sys.exit("Traceback\nwild is | not for this machine\n")
else:
    assert a[a.index("--length") + 1] == "100" and "--inference" in a, a
    print("noise")
    print(json.dumps({"peer": "Fake 1.0", "device": "CPU, 1 thread", "seconds": 10.0,
                      "warm_up_seconds": 1.0, "variant": "plain"}))
"#;

fn picture(path: &Path) {
    let picture = image::open(path).expect("a picture");
    assert_eq!((picture.width(), picture.height()), (2400, 960));
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON")
}

/// The results of `bench --peers` for the inference of one model, and what it printed.
struct Compared {
    sandbox: Sandbox,
    out: String,
    printed: String,
}

static COMPARED: LazyLock<Compared> = LazyLock::new(|| {
    let sandbox = Sandbox::shared("bench-peers");
    fs::create_dir(sandbox.path("peers")).expect("a folder");
    sandbox.write("peers/fake_steps.py", PEER.as_bytes());
    sandbox.write("peers/absent_steps.py", b"import no_such_module");
    let out = sandbox.path("out");
    let printed = bench(&sandbox, &out, "simple-rnn inference");
    Compared { sandbox, out, printed }
});

/// `None` without Python: the running test is then skipped.
fn compared() -> Option<&'static Compared> {
    if Command::new(PYTHON).arg("--version").output().is_err() {
        rnn_testing::skip_outside_ci(format!("no {PYTHON}"));
        return None;
    }
    Some(&COMPARED)
}

fn bench(sandbox: &Sandbox, out: &str, step: &str) -> String {
    let peers = sandbox.path("peers");
    let what = ["--quick", "--filter", step, "--device", "cpu"];
    let args = [&["bench", "--peers", &peers, "--out", out], &what[..]].concat();
    let output = rnn_gpu(&args).env("RNN_GPU_PYTHON", PYTHON).output().expect("it starts");
    let printed = text(&output.stdout);
    assert!(output.status.success(), "{printed}{}", text(&output.stderr));
    printed
}

/// The first file with this ending.
fn file(folder: &str, ending: &str) -> PathBuf {
    let all = fs::read_dir(folder).expect("results").map(|e| e.expect("a file").path());
    let mut ending_so = all.filter(|path| path.to_string_lossy().ends_with(ending));
    ending_so.next().unwrap_or_else(|| panic!("{folder} has no {ending}"))
}

/// The rows of a table in Markdown, as cells.
fn rows(table: &str) -> Vec<Vec<&str>> {
    let rows = table.lines().filter_map(|line| line.strip_prefix('|')?.strip_suffix('|'));
    rows.map(|row| row.split('|').map(str::trim).collect()).collect()
}

#[test]
fn the_files_of_a_comparison_hold_what_was_printed_and_measured() {
    let Some(Compared { out, printed, .. }) = compared() else { return };
    picture(&file(out, ".png"));
    let table = fs::read_to_string(file(out, ".md")).expect("a table");
    assert!(printed.contains(&table), "{printed}");
    let results = json(&file(out, ".json"));
    let ours = results["steps"][0]["ours"].as_array().expect("two times");
    assert!(ours.len() == 2 && ours.iter().all(|s| s.as_f64() > Some(0.0)), "{results}");
}

#[test]
fn a_step_is_set_beside_that_of_a_peer() {
    let Some(Compared { out, .. }) = compared() else { return };
    let row = &json(&file(out, ".json"))["steps"][0];
    assert_eq!(row["peers"][0]["timed"]["seconds"], 10.0);
    let ours = |i: usize| row["ours"][i].as_f64().expect("a time");
    let ratio = format!("{:.2}", 10.0 / (ours(0) + ours(1)) * 2.0);
    let table = fs::read_to_string(file(out, ".md")).expect("a table");
    let beside = |row: &Vec<&str>| row.windows(2).any(|w| w == ["10000 (plain)", &ratio]);
    assert!(rows(&table).iter().any(beside), "{table}");
}

#[test]
fn a_variant_that_fails_is_in_the_table_with_its_error() {
    let Some(Compared { out, .. }) = compared() else { return };
    let table = fs::read_to_string(file(out, ".md")).expect("a table");
    let failed = |row: &Vec<&str>| row.windows(4).any(|w| w == ["fake", "wild", "failed", "-"]);
    assert!(rows(&table).iter().any(failed), "{table}");
    // A bar would divide the cell.
    assert!(table.contains("wild is   not for this machine |"), "{table}");
}

#[test]
fn a_peer_that_is_absent_is_named_with_the_reason() {
    let Some(Compared { printed, .. }) = compared() else { return };
    let reason = printed.lines().find(|line| line.starts_with("SKIPPED absent"));
    assert!(reason.is_some() && printed.contains("no_such_module"), "{printed}");
    assert!(printed.lines().any(|line| line.starts_with("SKIPPED burn")), "{printed}");
}

#[test]
fn a_later_comparison_of_the_day_keeps_the_other_steps() {
    let Some(Compared { sandbox, out, .. }) = compared() else { return };
    let row = &json(&file(out, ".json"))["steps"][0];
    let out = sandbox.copy(out, "later");
    bench(sandbox, &out, "simple-rnn training");
    let both = json(&file(&out, ".json"));
    assert_eq!((&both["steps"][0]["training"], &both["steps"][1]), (&Value::Bool(true), row));
}

/// The folder of the results of `bench --suite scaling`.
static SCALING: LazyLock<String> = LazyLock::new(|| {
    let out = Sandbox::shared("bench-scaling").path("out");
    success(&["bench", "--suite", "scaling", "--quick", "--device", "cpu", "--out", &out]);
    out
});

#[test]
fn scaling_is_drawn_as_time_and_as_memory() {
    picture(&file(&SCALING, "-scaling-time.png"));
    picture(&file(&SCALING, "-scaling-memory.png"));
}

#[test]
fn scaling_measures_times_and_growing_memory_of_each_layer() {
    let figures = json(&file(&SCALING, "-scaling.json"));
    let curves = figures["curves"].as_array().expect("curves");
    assert_eq!(curves.len(), 3);
    for curve in curves {
        let points = curve["points"].as_array().expect("points");
        let planned: Vec<u64> = points.iter().filter_map(|p| p["planned_bytes"].as_u64()).collect();
        assert!(planned.len() == 5 && planned.is_sorted(), "{curve}");
        assert!(points.iter().all(|p| p["seconds"].as_f64().is_some_and(|s| s > 0.0)), "{curve}");
    }
}
