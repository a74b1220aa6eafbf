//! Reviews as text, from the file to the words that decided.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

fn run(args: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_rnn-gpu"))
        .args(args)
        .args(["--device", "cpu"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads");
    child.wait_with_output().expect("it ends")
}

fn success(args: &[&str], input: &str) -> String {
    let Output { status, stdout, stderr } = run(args, input);
    assert!(status.success(), "{args:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).expect("text")
}

fn failure(args: &[&str]) -> String {
    let output = run(args, "");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && !message.contains("panicked"), "{args:?}: {message}");
    message
}

fn path(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).to_str().expect("a UTF-8 path").to_owned()
}

/// Reviews of which one word decides.
fn reviews(folder: &TempDir) -> String {
    let review = |i: usize| match i % 2 {
        0 => format!("\"The film, number {i}, is WONDERFUL.\",positive\n"),
        _ => format!("\"The film, number {i}, is dreadful!\",negative\n"),
    };
    let file = path(folder, "reviews.csv");
    let all: String = (0..240).map(review).collect();
    fs::write(&file, format!("review,sentiment\n{all}")).expect("the folder is writable");
    file
}

#[test]
fn a_model_of_reviews_judges_text_and_says_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, out) = (reviews(&folder), path(&folder, "run"));
    let size = ["--length", "8", "--batch-size", "16", "--epochs", "12"];
    let train = [&["train", "lstm", "--data", &data, "--out", &out], &size[..]].concat();
    let printed = success(&train, "");
    assert!(printed.contains("lstm on reviews in reviews.csv"), "{printed}");
    assert!(printed.contains("134 reviews to train on, 58 to validate, 48 to test"), "{printed}");
    assert!(printed.contains("accuracy 1.0000"), "{printed}");
    let words = fs::read_to_string(Path::new(&out).join("vocabulary.json")).expect("the words");
    assert!(words.contains("\"wonderful\"") && words.contains("\"filters\""), "{words}");

    let evaluated = success(&["evaluate", &out], "");
    let line = evaluated.lines().find(|l| l.starts_with("test loss")).expect("a test loss");
    assert!(printed.contains(line), "{evaluated}");

    let predict = ["predict", &out, "--text"];
    let one = success(&[&predict[..], &["a wonderful film"]].concat(), "");
    assert!(one.starts_with("positive  ") && one.ends_with("  a wonderful film\n"), "{one}");
    let lines = "It is wonderful\n\nA \u{1b}[31m film, dreadful\r\n";
    let piped = success(&[&predict[..], &["-", "--explain"]].concat(), lines);
    assert!(!piped.contains('\u{1b}'), "{piped}");
    let (first, second) = piped.split_once("negative").expect("the second is negative");
    assert!(first.contains("\n  wonderful +") && second.contains("\n  dreadful -"), "{piped}");

    let json = success(&[&predict[..], &["Not dreadful?", "--json", "--explain"]].concat(), "");
    let found: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let last = &found["words"][1];
    assert_eq!((&last["word"], &last["start"]), (&"dreadful".into(), &4.into()), "{json}");
    assert!(last["contribution"].as_f64() < Some(0.0) && last["known"] == true, "{json}");
    assert_eq!(found["words"][0]["known"], false, "{json}");

    assert!(failure(&[&predict[..], &[" "]].concat()).contains("holds no word"));
    let index = ["x", "--word-index", "words.json"];
    assert!(failure(&[&predict[..], &index].concat()).contains("leave --word-index out"));
    fs::remove_file(Path::new(&out).join("vocabulary.json")).expect("it was there");
    let message = failure(&[&predict[..], &["x"]].concat());
    assert!(message.contains("--word-index imdb_word_index.json"), "{message}");
    let index = path(&folder, "words.json");
    fs::write(&index, r#"{"the": 1, "film": 2, "is": 3, "number": 4}"#).expect("it is writable");
    success(&[&predict[..], &["the film", "--word-index", &index]].concat(), "");
}

#[test]
fn mistakes_in_text_are_named_and_leave_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, out) = (reviews(&folder), path(&folder, "run"));
    let train = |more: &[&str]| {
        let message = failure(&[&["train", "lstm", "--out", &out], more].concat());
        assert!(!Path::new(&out).exists(), "{message}");
        message
    };
    let message = train(&["--data", &data, "--text-column", "body"]);
    assert!(message.contains("no column \"body\", but review, sentiment"), "{message}");
    let message = train(&["--data", &data, "--label-column", "review"]);
    assert!(message.contains("line 2") && message.contains("none of 0, 1"), "{message}");
    let message = train(&["--data", folder.path().to_str().expect("UTF-8")]);
    assert!(message.contains("train/pos"), "{message}");
    let message = train(&["--data", &data, "--word-index", &data]);
    assert!(message.contains("not a word index"), "{message}");
    let message = train(&["--data", "reviews.npz", "--label-column", "stars"]);
    assert!(message.contains("are for .csv"), "{message}");
    let message = failure(&["train", "next-frame", "--word-index", &data]);
    assert!(message.contains("moving squares needs none"), "{message}");
}
