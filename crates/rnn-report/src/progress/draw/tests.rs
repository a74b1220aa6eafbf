use super::{Clock, draw};
use crate::progress::TrainingFigures;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use rnn::nn::{EpochLog, Event, Metrics, Precision};
use rnn_run::config::{BuiltinTask, Config, Task};
use rnn_run::experiment::{Experiment, Preset};
use rnn_run::memory::Footprint;
use rnn_run::source::DatasetSource;
use std::time::Duration;

/// In the second of three epochs, whose loss falls by steps.
fn figures() -> TrainingFigures {
    let config = Config {
        task: Task::Builtin(BuiltinTask {
            experiment: Experiment::Lstm,
            preset: Preset::default(),
            data: DatasetSource::Bundled,
            length: 8,
            word_index: None,
        }),
        batch_size: 10,
        ranks: 1,
        epochs: 3,
        seed: 1,
        precision: Precision::F32,
        limit: None,
        device: "CPU, 2 threads".into(),
        fingerprint: None,
    };
    let memory = Footprint { batch: 10, blocks: vec![3 << 20], ..Footprint::default() };
    let mut figures = TrainingFigures::new(&config, [100, 20], &memory);
    let metrics = |loss, count| Metrics { loss, accuracy: 1.0 - loss, count, ..Metrics::default() };
    figures.update(&Event::Epoch(1));
    for step in 1..=10 {
        figures.update(&Event::Step(step, metrics(0.8 - 0.02 * step as f64, 10 * step)));
    }
    let (train, validation) = (metrics(0.6, 100), Some(metrics(0.5, 20)));
    figures.update(&Event::EpochEnd(EpochLog { epoch: 1, train, validation, seconds: 4.0 }));
    figures.update(&Event::Epoch(2));
    for step in 1..=5 {
        figures.update(&Event::Step(step, metrics(0.4, 10 * step)));
    }
    figures
}

fn screen(width: u16, height: u16, ending: bool) -> String {
    let clock =
        Clock { elapsed: Duration::from_secs(90), left: Duration::from_secs(60), rate: 25.0 };
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, &figures(), clock, ending)).unwrap();
    let lines = terminal.backend().to_string();
    lines.lines().map(|line| line.trim_matches('"').trim_end().to_owned() + "\n").collect()
}

#[test]
fn a_training_is_drawn_with_its_curves_and_pace() {
    expect_test::expect_file!["wide.txt"].assert_eq(&screen(80, 18, false));
}

#[test]
fn a_narrow_screen_has_its_charts_one_above_the_other() {
    let screen = screen(50, 24, true);
    let row = |text: &str| screen.lines().position(|line| line.contains(text));
    assert!(row("Loss") < row("Accuracy"), "{screen}");
    assert!(screen.contains("stopping after this step"), "{screen}");
    assert!(screen.contains("25.0 samples/s, 2m gone, 60s left\n"), "{screen}");
}

#[test]
fn no_size_is_too_small() {
    for (width, height) in [(1, 1), (3, 2), (20, 5), (300, 3), (2, 60)] {
        screen(width, height, false);
    }
}

#[test]
fn points_are_what_the_steps_between_them_came_to() {
    let figures = figures();
    let losses: Vec<f64> = figures.training.iter().map(|p| p.loss).collect();
    // Means of 0.78, 0.76, .. over ever more steps are those of 0.78, 0.74, ..
    assert!((losses[0] - 0.78).abs() < 1e-9 && (losses[1] - 0.74).abs() < 1e-9, "{losses:?}");
    assert!((losses[14] - 0.4).abs() < 1e-9 && losses.len() == 15, "{losses:?}");
    assert!((figures.training[14].at - 1.5).abs() < 1e-9);
}
