//! The pages that runs and comparisons leave: sound HTML, complete in themselves, with the figures
//! of the other files, and nothing in them but text that came from a user's file.

use rnn::datasets::movies::MovieOptions;
use rnn::device::{self, Opened};
use rnn::nn::Precision;
use rnn_report as report;
use rnn_report::compare::compare;
use rnn_run::config::{BuiltinTask, Config, Task};
use rnn_run::experiment::{Experiment, Preset};
use rnn_run::run::RunFolder;
use rnn_run::source::DatasetSource;
use rnn_run::train::{TrainOptions, train};
use scraper::{ElementRef, Html, Selector};
use std::fs;
use std::path::{Path, PathBuf};

const HOSTILE: &str = "<script>alert(1)<b>&\"'";

fn task(experiment: Experiment, data: DatasetSource, length: usize) -> Task {
    let preset = Preset::default();
    Task::Builtin(BuiltinTask { experiment, preset, data, length, word_index: None })
}

fn config(experiment: Experiment, data: DatasetSource, length: usize) -> Config {
    Config {
        task: task(experiment, data, length),
        ranks: 1,
        batch_size: 8,
        epochs: 1,
        seed: 1,
        precision: Precision::F32,
        limit: Some(16),
        device: "CPU".into(),
        fingerprint: None,
    }
}

fn cpu() -> anyhow::Result<Opened> {
    Ok(Opened::new(|| Ok(device::open("cpu")?.0))?)
}

fn elements<'a>(page: &'a Html, selector: &str) -> Vec<ElementRef<'a>> {
    let selector = Selector::parse(selector).expect("a selector");
    page.select(&selector).collect()
}

/// The page, which must be sound, hold no script and refer to nothing outside itself.
fn page(path: &Path) -> Html {
    let text = fs::read_to_string(path).expect("a page");
    let page = Html::parse_document(&text);
    assert!(page.errors.is_empty(), "{:?}", page.errors);
    assert!(!text.contains("http:") && !text.contains("https:"), "it names an address");
    assert!(!text.contains("url(") && !text.contains("@import"), "its style refers to a file");
    assert!(elements(&page, "script, link, iframe, object, embed").is_empty());
    for element in elements(&page, "[src], [srcset], [href]") {
        let value = element.value();
        let refers = ["src", "srcset", "href"].into_iter().find_map(|name| value.attr(name));
        assert!(refers.is_some_and(|to| to.starts_with("data:image/")), "{}", element.html());
    }
    for element in elements(&page, "img") {
        assert!(element.value().attr("alt").is_some_and(|text| !text.is_empty()));
    }
    for element in elements(&page, "svg") {
        assert!(element.value().attr("aria-label").is_some_and(|text| !text.is_empty()));
    }
    for figure in elements(&page, "figure") {
        let caption = Selector::parse("figcaption").expect("a selector");
        assert_eq!(figure.select(&caption).count(), 1, "{}", figure.html());
    }
    assert_eq!(elements(&page, "h1").len(), 1);
    page
}

fn text(page: &Html, selector: &str) -> Vec<String> {
    elements(page, selector).iter().map(|e| e.text().collect()).collect()
}

#[test]
fn a_run_leaves_a_page_and_so_does_a_comparison() -> anyhow::Result<()> {
    let parent = tempfile::tempdir()?;
    let mut cpu = cpu()?;
    let config = config(Experiment::Lstm, DatasetSource::Bundled, 16);
    let runs = ["lstm", HOSTILE].map(|name| parent.path().join(name));
    for run in &runs {
        let options = TrainOptions::default();
        let trained = train(&config, None, &mut cpu, run, (&options, &mut ()))?;
        report::publish(trained, cpu.device(), &())?;
    }
    let (folder, config) = RunFolder::open(&runs[0])?;
    let written = page(&folder.file("report.html"));
    let tiles = text(&written, ".tiles dd");
    let results = folder.results()?;
    let metrics = results.metrics;
    for figure in
        [metrics.accuracy, metrics.loss, metrics.precision, metrics.recall, metrics.f1, metrics.auc]
    {
        let wanted = format!("{figure:.4}");
        assert!(tiles.contains(&wanted) || figure < 0.01, "{wanted} is not in {tiles:?}");
    }
    assert!(tiles.contains(&"242,561".to_owned()), "{tiles:?}");
    let headings = text(&written, "h2").join(", ");
    let wanted = "Training, Test, Model, Time of a training step, Memory of a training step, \
                  Configuration";
    assert_eq!(headings, wanted);
    let counts: usize =
        text(&written, ".confusion strong").iter().filter_map(|text| number(text)).sum();
    assert_eq!(counts, metrics.count);

    // Whoever names the data and the device writes text, not markup.
    let data = DatasetSource::Imdb(PathBuf::from(HOSTILE));
    let task = task(Experiment::Lstm, data, 16);
    let hostile = Config { task, device: HOSTILE.into(), ..config };
    report::write(&folder, &hostile, &folder.result()?)?;
    let written = page(&folder.file("report.html"));
    let facts = text(&written, ".facts dd");
    assert_eq!(facts.iter().filter(|fact| *fact == HOSTILE).count(), 2, "{facts:?}");

    let picture = parent.path().join("both.png");
    compare(&runs, &picture)?;
    let written = page(&picture.with_extension("html"));
    let names = text(&written, "tbody th").join("\n");
    assert!(names.contains(HOSTILE), "{names}");
    Ok(())
}

fn number(text: &str) -> Option<usize> {
    text.replace(',', "").parse().ok()
}

#[test]
fn a_next_frame_run_shows_its_film() -> anyhow::Result<()> {
    let parent = tempfile::tempdir()?;
    let mut cpu = cpu()?;
    let movies = MovieOptions { count: 6, frames: 4, size: 8, ..MovieOptions::default() };
    let config = config(Experiment::NextFrame, DatasetSource::Movies(movies), 4);
    let options = TrainOptions::default();
    let trained = train(&config, None, &mut cpu, parent.path(), (&options, &mut ()))?;
    report::publish(trained, cpu.device(), &())?;
    let written = page(&parent.path().join("report.html"));
    let headings = text(&written, "h2").join(", ");
    assert!(headings.starts_with("Training, Rollout of video 5, Model"), "{headings}");
    let image = &elements(&written, "figure.film img")[0];
    assert!(image.value().attr("src").is_some_and(|src| src.starts_with("data:image/gif;base64")));
    // Loss, three errors of the film, memory.
    assert_eq!(elements(&written, "figure svg").len(), 5);
    Ok(())
}
