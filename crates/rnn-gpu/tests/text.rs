//! Reviews as text, from the file to the words that decided.

mod common;

use common::{FAILED, Sandbox, assert_names, failure_with, json_of, rnn_gpu, success, text};
use serde_json::{Value, json};
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::LazyLock;

/// Reviews of which one word decides.
fn reviews(sandbox: &Sandbox) -> String {
    let review = |i: usize| match i % 2 {
        0 => format!("\"The film, number {i}, is WONDERFUL.\",positive\n"),
        _ => format!("\"The film, number {i}, is dreadful!\",negative\n"),
    };
    let all: String = (0..240).map(review).collect();
    sandbox.write("reviews.csv", format!("review,sentiment\n{all}").as_bytes())
}

/// Twelve epochs of the LSTM on [`reviews`].
struct Trained {
    sandbox: Sandbox,
    run: String,
    printed: String,
}

static TRAINED: LazyLock<Trained> = LazyLock::new(|| {
    let sandbox = Sandbox::shared("text");
    let (data, run) = (reviews(&sandbox), sandbox.path("run"));
    let size = ["--length", "8", "--batch-size", "16", "--epochs", "12", "--device", "cpu"];
    let printed =
        success(&[&["train", "lstm", "--data", &data, "--out", &run], &size[..]].concat());
    Trained { sandbox, run, printed }
});

fn prediction<'a>(run: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["predict", run, "--device", "cpu", "--text"], more].concat()
}

/// What is printed for a text, without and with options.
fn predicted(more: &[&str]) -> String {
    success(&prediction(&TRAINED.run, more))
}

fn without_vocabulary(name: &str) -> String {
    let run = TRAINED.sandbox.copy(&TRAINED.run, name);
    fs::remove_file(Path::new(&run).join("vocabulary.json")).expect("it was there");
    run
}

#[test]
fn a_model_learns_which_word_decides() {
    let Trained { run, printed, .. } = &*TRAINED;
    assert_eq!(json_of(run, "report.json")["examples"], json!([134, 58, 48]));
    assert_eq!(json_of(run, "results.json")["accuracy"], json!(1.0));
    assert_names(printed, &["lstm on reviews in reviews.csv", "accuracy 1.0000"]);
    assert_names(printed, &["134 reviews to train on, 58 to validate, 48 to test"]);
}

#[test]
fn a_run_keeps_the_words_and_the_rules_by_which_they_are_found() {
    let words = json_of(&TRAINED.run, "vocabulary.json").to_string();
    assert_names(&words, &["\"wonderful\"", "\"filters\""]);
}

#[test]
fn evaluation_repeats_the_results_of_the_training() {
    let run = TRAINED.sandbox.copy(&TRAINED.run, "evaluated");
    let evaluated = success(&["evaluate", &run, "--device", "cpu"]);
    let line = evaluated.lines().find(|l| l.starts_with("test loss")).expect("a test loss");
    assert_names(&TRAINED.printed, &[line]);
}

#[test]
fn a_text_is_printed_behind_its_class() {
    let one = predicted(&["a wonderful film"]);
    assert!(one.starts_with("positive  ") && one.ends_with("  a wonderful film\n"), "{one}");
}

#[test]
fn lines_of_standard_input_are_explained_and_lose_control_characters() {
    let lines = "It is wonderful\n\nA \u{1b}[31m film, dreadful\r\n";
    let mut child = rnn_gpu(&prediction(&TRAINED.run, &["-", "--explain"]))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    child.stdin.take().expect("a pipe").write_all(lines.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let piped = text(&output.stdout);
    assert!(!piped.contains('\u{1b}'), "{piped}");
    let (first, second) = piped.split_once("negative").expect("the second is negative");
    assert!(first.contains("\n  wonderful +") && second.contains("\n  dreadful -"), "{piped}");
}

#[test]
fn words_and_their_contributions_are_written_as_json() {
    let json = predicted(&["Not dreadful?", "--json", "--explain"]);
    let found: Value = serde_json::from_str(&json).expect("JSON");
    let last = &found["words"][1];
    assert_eq!((&last["word"], &last["start"]), (&"dreadful".into(), &4.into()), "{json}");
    assert!(last["contribution"].as_f64() < Some(0.0) && last["known"] == true, "{json}");
    assert_eq!(found["words"][0]["known"], false, "{json}");
}

#[test]
fn a_text_without_a_word_is_refused() {
    let message = failure_with(FAILED, &prediction(&TRAINED.run, &[" "]));
    assert_names(&message, &["holds no word"]);
}

#[test]
fn a_word_index_is_refused_where_the_run_has_a_vocabulary() {
    let args = prediction(&TRAINED.run, &["x", "--word-index", "words.json"]);
    assert_names(&failure_with(FAILED, &args), &["leave --word-index out"]);
}

#[test]
fn without_a_vocabulary_a_word_index_is_asked_for() {
    let run = without_vocabulary("index-asked-for");
    let message = failure_with(FAILED, &prediction(&run, &["x"]));
    assert_names(&message, &["--word-index imdb_word_index.json"]);
}

#[test]
fn without_a_vocabulary_a_word_index_is_taken() {
    let run = without_vocabulary("index-given");
    let index = br#"{"the": 1, "film": 2, "is": 3, "number": 4}"#;
    let index = TRAINED.sandbox.write("words.json", index);
    success(&prediction(&run, &["the film", "--word-index", &index]));
}

/// Makes sure that a training with these options fails, names all of `names`, and leaves no folder.
fn refuses(sandbox: &Sandbox, more: &[&str], names: &[&str]) {
    let out = sandbox.path("refused");
    let args = ["train", "lstm", "--device", "cpu", "--out", &out];
    let message = failure_with(FAILED, &[&args[..], more].concat());
    assert_names(&message, names);
    assert!(!Path::new(&out).exists(), "{message}");
}

#[test]
fn a_column_that_a_table_lacks_is_named_beside_those_that_it_has() {
    let sandbox = Sandbox::new();
    let options = ["--data", &reviews(&sandbox), "--text-column", "body"];
    refuses(&sandbox, &options, &["no column \"body\", but review, sentiment"]);
}

#[test]
fn a_label_that_is_none_is_named_with_its_line() {
    let sandbox = Sandbox::new();
    let options = ["--data", &reviews(&sandbox), "--label-column", "review"];
    refuses(&sandbox, &options, &["line 2", "none of 0, 1"]);
}

#[test]
fn the_folders_that_a_folder_of_reviews_lacks_are_named() {
    let sandbox = Sandbox::new();
    refuses(&sandbox, &["--data", &sandbox.path("")], &["train/pos"]);
}

#[test]
fn a_file_that_is_no_word_index_is_refused() {
    let sandbox = Sandbox::new();
    let data = reviews(&sandbox);
    refuses(&sandbox, &["--data", &data, "--word-index", &data], &["not a word index"]);
}

#[test]
fn columns_are_refused_for_arrays() {
    let options = ["--data", "reviews.npz", "--label-column", "stars"];
    refuses(&Sandbox::new(), &options, &["are for .csv"]);
}

#[test]
fn a_word_index_is_refused_for_videos() {
    let sandbox = Sandbox::new();
    let train = ["train", "next-frame", "--word-index", &reviews(&sandbox), "--device", "cpu"];
    assert_names(&failure_with(FAILED, &train), &["moving squares needs none"]);
}
