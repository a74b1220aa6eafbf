//! What `rnn-gpu bench` writes beside its table: steps beside peers', and how a step grows.

mod common;

use common::{Sandbox, rnn_gpu, success, text};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

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

fn files(folder: &str) -> Vec<PathBuf> {
    fs::read_dir(folder).expect("results").map(|e| e.expect("a file").path()).collect()
}

#[test]
fn steps_are_set_beside_peers_and_what_fails_is_named() {
    const PYTHON: &str = if cfg!(windows) { "python" } else { "python3" };
    if Command::new(PYTHON).arg("--version").output().is_err() {
        return rnn_testing::skip_outside_ci(format!("no {PYTHON}"));
    }
    let sandbox = Sandbox::new();
    sandbox.write("fake_steps.py", PEER.as_bytes());
    sandbox.write("absent_steps.py", b"import no_such_module");
    let (peers, out) = (sandbox.path(""), sandbox.path("out"));
    let bench = |step| {
        let what = ["--quick", "--filter", step, "--device", "cpu"];
        let args = [&["bench", "--peers", &peers, "--out", &out], &what[..]].concat();
        let output = rnn_gpu(&args).env("RNN_GPU_PYTHON", PYTHON).output().expect("it starts");
        let printed = text(&output.stdout);
        assert!(output.status.success(), "{printed}{}", text(&output.stderr));
        printed
    };
    let printed = bench("simple-rnn inference");
    assert!(printed.contains("SKIPPED absent") && printed.contains("no_such_module"), "{printed}");
    assert!(printed.contains("SKIPPED burn"), "{printed}");

    let files = files(&out);
    let file = |ending| files.iter().find(|f| f.extension().is_some_and(|e| e == ending));
    picture(file("png").expect("a picture"));
    let results = json(file("json").expect("figures"));
    let row = &results["steps"][0];
    let ours = row["ours"].as_array().expect("two").iter().filter_map(Value::as_f64);
    let ours: Vec<f64> = ours.collect();
    assert!(ours.len() == 2 && ours.iter().all(|&s| s > 0.0), "{row}");
    assert_eq!(row["peers"][0]["timed"]["seconds"], 10.0);
    let ratio = 10.0 / (ours[0] + ours[1]) * 2.0;
    let table = fs::read_to_string(file("md").expect("a table")).expect("text");
    assert!(printed.contains(&table), "{printed}");
    assert!(table.contains(&format!("| 10000 (plain) | {ratio:.2} |")), "{table}");
    assert!(table.contains("| fake | wild | failed | - |"), "{table}");
    assert!(table.contains("wild is   not for this machine |"), "{table}");

    bench("simple-rnn training");
    let both = json(file("json").expect("figures"));
    assert_eq!((&both["steps"][0]["training"], &both["steps"][1]), (&Value::Bool(true), row));
}

#[test]
fn scaling_is_measured_and_drawn() {
    let sandbox = Sandbox::new();
    let out = sandbox.path("scaling");
    success(&["bench", "--suite", "scaling", "--quick", "--device", "cpu", "--out", &out]);
    let files = files(&out);
    let file = |ending| files.iter().find(|f| f.to_string_lossy().ends_with(ending));
    picture(file("-scaling-time.png").expect("a picture"));
    picture(file("-scaling-memory.png").expect("a picture"));
    let figures = json(file("-scaling.json").expect("figures"));
    let curves = figures["curves"].as_array().expect("curves");
    assert_eq!(curves.len(), 3);
    for curve in curves {
        let points = curve["points"].as_array().expect("points");
        let planned: Vec<u64> = points.iter().filter_map(|p| p["planned_bytes"].as_u64()).collect();
        assert!(planned.len() == 5 && planned.is_sorted(), "{curve}");
        assert!(points.iter().all(|p| p["seconds"].as_f64().is_some_and(|s| s > 0.0)), "{curve}");
    }
}
