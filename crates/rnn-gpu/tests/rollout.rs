//! A run of the next-frame model, trained once, and what is made of it.

mod common;

use common::{Sandbox, contents, failure, json_of, success};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

/// Six films of four frames of 8 x 8 pixels.
const FILMS: [&str; 8] = ["--movies", "6", "--size", "8", "--length", "4", "--batch-size", "2"];

struct Trained {
    run: String,
    printed: String,
}

static TRAINED: LazyLock<Trained> = LazyLock::new(|| {
    let run = Sandbox::shared("rollout").path("films");
    let train = ["train", "next-frame", "--epochs", "1", "--device", "cpu", "--out", &run];
    let printed = success(&[&train[..], &FILMS].concat());
    Trained { run, printed }
});

/// Rolls a copy of the run out, and returns the copy and what was printed.
fn rolled_out(sandbox: &Sandbox, more: &[&str]) -> (String, String) {
    let run = sandbox.copy(&TRAINED.run, "films");
    // The training rolled the film out, too.
    fs::remove_dir_all(Path::new(&run).join("rollout-5")).expect("a rollout");
    let printed = success(&[&["rollout", &run, "--device", "cpu"], more].concat());
    (run, printed)
}

fn is_filled(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|metadata| metadata.len() > 0)
}

#[test]
fn the_run_tells_its_size_its_films_and_the_memory_of_a_step() {
    let Trained { run, printed } = &*TRAINED;
    assert_eq!(json_of(run, "results.json")["parameters"], json!(407_001));
    let report = json_of(run, "report.json");
    assert_eq!(report["examples"], json!([4, 1, 1]), "to train on, to validate, to test");
    assert_eq!(report["memory"]["batch"], json!(2));
    assert!(printed.contains("407,001") && printed.contains("memory: a step of 2"), "{printed}");
}

#[test]
fn its_evaluation_prints_the_loss_that_its_training_printed() {
    let Trained { run, printed } = &*TRAINED;
    let run = &Sandbox::shared("rollout-evaluated").copy(run, "films");
    let evaluated = success(&["evaluate", run, "--device", "cpu"]);
    let line = evaluated.lines().find(|line| line.starts_with("test loss")).expect("a test loss");
    assert!(printed.lines().any(|printed| printed == line), "{evaluated}\n{printed}");
}

#[test]
fn a_rollout_writes_each_frame_the_pictures_and_the_errors() {
    let sandbox = Sandbox::new();
    let (run, printed) = rolled_out(&sandbox, &["--frames", "3"]);
    let folder = Path::new(&run).join("rollout-5");
    for frame in 1..=5 {
        let file = format!("frame-{frame:02}.png");
        assert!(is_filled(&folder.join(&file)), "{file}");
    }
    for file in ["frames.png", "film.gif", "errors.png"] {
        assert!(is_filled(&folder.join(file)), "{file}");
    }
    let table = fs::read_to_string(folder.join("errors.csv")).expect("a table");
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(rows[0], ["frame", "bce", "mse", "ssim"]);
    let frames: Vec<&str> = rows[1..].iter().map(|row| row[0]).collect();
    assert_eq!(frames, ["3", "4", "5"], "two are seen, three predicted");
    let errors = rows[1..].iter().flat_map(|row| &row[1..]);
    let is_finite = |error: &&str| error.parse::<f64>().is_ok_and(f64::is_finite);
    assert!(errors.into_iter().all(is_finite), "{table}");
    assert!(printed.starts_with("device: CPU"), "{printed}");
    assert!(printed.contains("video 5, 2 frames seen"), "{printed}");
}

#[test]
fn a_rollout_that_its_film_does_not_allow_is_refused_by_its_option() {
    let sandbox = Sandbox::new();
    let run = sandbox.copy(&TRAINED.run, "films");
    for (option, value, reason) in [
        ("--track", "9", "longer than the video: it has 4 frames"),
        ("--track", "0", "one frame at least"),
        ("--frames", "0", "one frame at least"),
    ] {
        let message = failure(&["rollout", &run, "--device", "cpu", option, value]);
        assert!(message.contains(&format!("{option} {value}")), "{message}");
        assert!(message.contains(reason), "{message}");
    }
    let message = failure(&["rollout", &run, "--device", "cpu", "--which", "6"]);
    assert!(message.contains("there is no video 6"), "{message}");
    assert!(contents(&run) == contents(&TRAINED.run), "a refusal changed the run");
}

#[test]
fn films_that_cannot_be_made_are_refused_by_their_option() {
    let sandbox = Sandbox::new();
    let out = sandbox.path("films");
    for (option, value, reason) in
        [("--size", "9", "an even number of pixels"), ("--data", "x.npz", "makes its own videos")]
    {
        let args = ["train", "next-frame", "--device", "cpu", "--out", &out, option, value];
        let message = failure(&args);
        assert!(message.contains(option) && message.contains(reason), "{message}");
        assert!(!Path::new(&out).exists(), "{message}");
    }
}

#[test]
fn a_batch_beyond_the_memory_is_refused_with_one_that_fits() {
    let sandbox = Sandbox::new();
    let out = sandbox.path("films");
    let train = ["train", "next-frame", "--device", "cpu", "--out", &out];
    let more = ["--movies", "6", "--batch-size", "1000000"];
    let message = failure(&[&train[..], &more].concat());
    let (_, after) = message.split_once("--batch-size ").unwrap_or_else(|| panic!("{message}"));
    let (size, rest) = after.split_once(' ').unwrap_or_else(|| panic!("{message}"));
    assert!(size.parse::<usize>().is_ok_and(|size| size < 1_000_000), "{message}");
    assert!(rest.starts_with("fits"), "{message}");
    assert!(!Path::new(&out).exists(), "{message}");
}
