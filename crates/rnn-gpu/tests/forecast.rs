//! Forecasts of time series, from a table to a table.

mod common;

use common::{Sandbox, failure, success};
use rnn_core::Rng;
use std::f64::consts::TAU;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

/// Days of the series, which has a season of a week, a trend and noise.
const DAYS: usize = 400;

/// The date of a day, of which the first is 2023-01-01.
fn date(day: usize) -> String {
    let (mut year, mut rest) = (2023, day);
    let months = |year: usize| {
        [31, if year == 2024 { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    };
    loop {
        for (month, days) in (1..).zip(months(year)) {
            if rest < days {
                return format!("{year}-{month:02}-{:02}", rest + 1);
            }
            rest -= days;
        }
        year += 1;
    }
}

/// Rows of two stations, the second of them 100 higher, in an order that is not that of time.
fn table(days: usize) -> String {
    let mut rng = Rng::new(5, 0);
    let mut rows: Vec<String> = Vec::new();
    for day in 0..days {
        for (station, level) in [("a", 50.0), ("b", 150.0)] {
            let season = 10.0 * (TAU * day as f64 / 7.0).sin();
            let value = level + 0.1 * day as f64 + season + rng.uniform_in(-1.0, 1.0);
            rows.push(format!("{station},{},{value:.4},{}", date(day), day % 7));
        }
    }
    let middle = rows.len() / 2;
    rows.rotate_left(middle);
    let mut text = String::from("station,date,load,day\n");
    text.push_str(&rows.join("\n"));
    text.push('\n');
    text
}

fn train<'a>(data: &'a str, out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let args = ["train", "forecast", "--data", data, "--out", out, "--device", "cpu"];
    let columns = ["--target", "load", "--time", "date", "--group", "station", "--horizon", "7"];
    [&args[..], &columns, more].concat()
}

struct Trained {
    sandbox: Sandbox,
    csv: String,
    run: String,
    printed: String,
}

static TRAINED: LazyLock<Trained> = LazyLock::new(|| {
    let sandbox = Sandbox::shared("forecast");
    let (csv, run) = (sandbox.write("d.csv", table(DAYS).as_bytes()), sandbox.path("run"));
    let more = ["--epochs", "12", "--features", "day", "--calendar", "weekday"];
    let printed = success(&train(&csv, &run, &more));
    Trained { sandbox, csv, run, printed }
});

#[test]
fn a_forecast_beats_the_naive_guesses_and_says_so() {
    let printed = &TRAINED.printed;
    assert!(printed.contains("a season is 7 rows"), "{printed}");
    assert!(printed.contains("the model is better than the"), "{printed}");
    for name in ["forecast.png", "curves.png", "report.html"] {
        assert!(Path::new(&TRAINED.run).join(name).is_file(), "{name}");
    }
    let page = fs::read_to_string(Path::new(&TRAINED.run).join("report.html")).expect("a page");
    assert!(page.contains("MASE") && page.contains("better than the"));
}

/// Hours of a season of a day with noise, or years of a season of 11 with noise.
fn one_series(rows: usize, season: usize, date: impl Fn(usize) -> String) -> String {
    let mut rng = Rng::new(7, 0);
    let mut text = String::from("date,load\n");
    for row in 0..rows {
        let value = 20.0 + 8.0 * (TAU * row as f64 / season as f64).sin();
        text += &format!("{},{:.3}\n", date(row), value + rng.uniform_in(-2.0, 2.0));
    }
    text
}

#[test]
fn a_season_is_the_usual_one_of_the_step_or_found() {
    let sandbox = Sandbox::new();
    let hours = one_series(24 * 40, 24, |row| format!("{}T{:02}:00", date(row / 24), row % 24));
    let years = one_series(300, 11, |row| (1700 + row).to_string());
    for (name, table, season) in [
        ("hours", hours, "a season is 24 rows, the usual one of steps of 1 hour"),
        ("years", years, "a season is 11 rows, found in the training part"),
    ] {
        let csv = sandbox.write(&format!("{name}.csv"), table.as_bytes());
        let out = sandbox.path(name);
        let args = ["train", "forecast", "--data", &csv, "--out", &out, "--device", "cpu"];
        let columns = ["--target", "load", "--time", "date", "--horizon", "6"];
        let printed = success(&[&args[..], &columns].concat());
        assert!(printed.contains(season), "{printed}");
        assert!(printed.contains("the model is better than the"), "{printed}");
    }
}

#[test]
fn a_prediction_goes_on_after_the_last_row() {
    let output = TRAINED.sandbox.path("forecast.csv");
    let args = ["predict", &TRAINED.run, "--data", &TRAINED.csv, "--output", &output];
    success(&[&args[..], &["--device", "cpu"]].concat());
    let text = fs::read_to_string(&output).expect("a table");
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(rows[0], ["station", "date", "load_0.1", "load", "load_0.9"]);
    assert_eq!(rows.len(), 1 + 2 * 7);
    for (row, (station, level)) in [(1, ("a", 50.0)), (8, ("b", 150.0))] {
        for (step, row) in rows[row..row + 7].iter().enumerate() {
            let day = DAYS + step;
            assert_eq!((row[0], row[1]), (station, &*date(day)));
            let values: Vec<f64> =
                row[2..].iter().map(|cell| cell.parse().expect("a number")).collect();
            let wanted = level + 0.1 * day as f64 + 10.0 * (TAU * day as f64 / 7.0).sin();
            assert!((values[1] - wanted).abs() < 3.0, "{row:?}, not {wanted}");
            assert!(values.is_sorted(), "{row:?}");
        }
    }
}

#[test]
fn a_run_is_evaluated_on_its_own_rows_and_on_others() {
    let own = success(&["evaluate", &TRAINED.run, "--device", "cpu"]);
    let last = |text: &str| text.lines().find(|line| line.starts_with("model ")).map(str::to_owned);
    assert_eq!(last(&own), last(&TRAINED.printed));
    assert!(last(&own).is_some());
    let other = TRAINED.sandbox.write("other.csv", table(60).as_bytes());
    let other = success(&["evaluate", &TRAINED.run, "--data", &other, "--device", "cpu"]);
    // Of 60 rows 24 are the first window and 7 the last horizon, in each of two series.
    assert!(other.contains("load, 60 forecasts of 7 rows"), "{other}");
}

#[test]
fn a_resumed_training_is_the_same_to_the_last_bit() {
    let sandbox = Sandbox::new();
    let [whole, parts] = ["whole", "parts"].map(|name| sandbox.path(name));
    let csv = sandbox.write("d.csv", table(120).as_bytes());
    success(&train(&csv, &whole, &["--epochs", "2"]));
    success(&train(&csv, &parts, &["--epochs", "1"]));
    success(&["train", "--resume", &parts, "--epochs", "2", "--device", "cpu"]);
    let weights =
        |run: &str| fs::read(Path::new(run).join("weights.safetensors")).expect("weights");
    assert!(weights(&whole) == weights(&parts));
}

#[test]
fn a_model_of_the_user_s_is_the_body() {
    let sandbox = Sandbox::new();
    let csv = sandbox.write("d.csv", table(120).as_bytes());
    let body = |layer: &str| format!("input.shape = [24, 1]\nlayer = [{layer}]\n");
    let model = sandbox.write("gru.toml", body("{ type = \"GRU\", units = 4 }").as_bytes());
    let run = sandbox.path("run");
    let printed = success(&train(&csv, &run, &["--epochs", "1", "--model", &model]));
    assert!(printed.contains("gru"), "{printed}");
    let layer = "{ type = \"GRU\", units = 4, return_sequences = true }";
    let model = sandbox.write("all.toml", body(layer).as_bytes());
    let message = failure(&train(&csv, &sandbox.path("no"), &["--model", &model]));
    assert!(message.contains("returns no sequences"), "{message}");
}

#[test]
fn what_is_wrong_with_a_table_is_one_clear_error() {
    let sandbox = Sandbox::new();
    let text = table(120);
    let out = sandbox.path("run");
    let refused = |text: &str, more: &[&str]| {
        let csv = sandbox.write("d.csv", text.as_bytes());
        let message = failure(&train(&csv, &out, more));
        assert!(!Path::new(&out).exists(), "{message}");
        message
    };
    let without = |part: &str| -> String {
        text.lines().filter(|line| !line.contains(part)).map(|line| format!("{line}\n")).collect()
    };
    let message = refused(&without("2023-02-03"), &[]);
    assert!(message.contains("gap between 2023-02-02 and 2023-02-04"), "{message}");
    let message = refused(&text.replace("2023-02-03", "yesterday"), &[]);
    assert!(message.contains("yesterday") && message.contains("no date"), "{message}");
    let message = refused(&text.replace("load", "power"), &[]);
    assert!(message.contains("no column load; it has station, date, power, day"), "{message}");
    let message = refused(&text, &["--window", "110"]);
    assert!(message.contains("training part"), "{message}");
    let message = refused(&text, &["--quantiles", "0.1,0.9"]);
    assert!(message.contains("0.5"), "{message}");
    let filled = sandbox.write("gap.csv", without("2023-02-03").as_bytes());
    let more = ["--epochs", "1", "--gaps", "fill", "--missing", "linear"];
    success(&train(&filled, &sandbox.path("filled"), &more));
}
