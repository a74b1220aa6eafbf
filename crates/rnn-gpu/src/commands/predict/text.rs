use crate::process::warn_of;
use anyhow::{Result, ensure};
use clap::builder::styling::{AnsiColor, Style};
use rnn::text_classifier::{Contribution, Prediction, TextClassifier};
use rnn::{Device, cut};
use rnn_run::finite::FiniteRows;
use rnn_run::predict::open_classifier;
use std::io::{self, BufRead as _, IsTerminal as _, Write};
use std::path::{Path, PathBuf};

/// Lines of a file or pipe that are outcome together.
const BATCH: usize = 64;
/// Words whose contribution is spelled out.
const LISTED: usize = 12;

/// The arguments of `rnn-gpu predict` for text.
#[derive(clap::Args)]
pub struct TextInput {
    /// The text to classify; with -, every line of standard input that is not blank
    #[arg(long)]
    pub(super) text: Option<String>,
    /// Show how much each word contributed to the log-odds of a positive review: gradient times
    /// input of its embedding
    #[arg(long, requires = "text")]
    explain: bool,
    /// Print an object of JSON for each text
    #[arg(long, requires = "text")]
    json: bool,
    /// The words by rank, as Keras's imdb_word_index.json, for a run that does not hold them
    #[arg(long, value_name = "FILE")]
    word_index: Option<PathBuf>,
}

/// Judges the text, or the lines of standard input.
pub(super) fn predict(run: &Path, input: &TextInput, device: &dyn Device) -> Result<()> {
    let mut classifier = open_classifier(run, input.word_index.as_deref(), device)?;
    let mut rows = FiniteRows::of("outputs");
    let outcome = classify_all(&mut classifier, input, &mut rows);
    warn_of(&[rows]);
    outcome
}

fn classify_all(
    classifier: &mut TextClassifier,
    input: &TextInput,
    rows: &mut FiniteRows,
) -> Result<()> {
    if let Some(text) = input.text.as_ref().filter(|text| *text != "-") {
        ensure!(!text.trim().is_empty(), "--text holds no word");
        classify(classifier, std::slice::from_ref(text), input, rows)?;
        return Ok(());
    }
    // Someone who types waits for each answer.
    let size = if io::stdin().is_terminal() { 1 } else { BATCH };
    let mut texts = Vec::new();
    for line in io::stdin().lock().split(b'\n') {
        let line = String::from_utf8_lossy(&line?).trim().to_owned();
        if line.is_empty() {
            continue;
        }
        texts.push(line);
        if texts.len() == size {
            if !classify(classifier, &texts, input, rows)? {
                return Ok(());
            }
            texts.clear();
        }
    }
    if !texts.is_empty() {
        classify(classifier, &texts, input, rows)?;
    }
    Ok(())
}

/// Prints what the model says of some texts. False, if nobody reads it any more.
fn classify(
    classifier: &mut TextClassifier,
    texts: &[String],
    input: &TextInput,
    rows: &mut FiniteRows,
) -> Result<bool> {
    let predictions = match input.explain {
        true => classifier.explain(texts)?,
        false => classifier.predict(texts)?,
    };
    rows.see_rows(predictions.iter().map(|p| std::slice::from_ref(&p.probability)));
    // Without colours, where it is not a terminal or NO_COLOR is set.
    let mut out = anstream::stdout().lock();
    for prediction in &predictions {
        let text = match input.json {
            true => rnn::plain(&serde_json::to_string(prediction)?).into_owned() + "\n",
            false => for_people(prediction),
        };
        match out.write_all(text.as_bytes()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(false),
            result => result?,
        }
    }
    Ok(true)
}

/// The line of a prediction, and the words that weighed most.
fn for_people(prediction: &Prediction) -> String {
    let Prediction { text, label, probability, words } = prediction;
    let head = format!("{label}  {probability:.3}  ");
    let Some(words) = words else { return format!("{head}{}\n", plain(text)) };
    let weight = |word: &Contribution| word.contribution.unwrap_or(0.0);
    let largest = words.iter().map(|word| weight(word).abs()).fold(0.0, f32::max);
    let mut shown = head;
    let mut at = 0;
    for word in words {
        let style = style(weight(word) / largest.max(f32::MIN_POSITIVE));
        shown += &plain(&text[at..word.start]);
        shown += &format!("{style}{}{style:#}", plain(&text[word.start..word.end]));
        at = word.end;
    }
    shown += &plain(&text[at..]);
    let mut heaviest: Vec<&Contribution> = words.iter().filter(|w| weight(w) != 0.0).collect();
    heaviest.sort_by(|a, b| weight(b).abs().total_cmp(&weight(a).abs()));
    let rest = heaviest.len().saturating_sub(LISTED);
    let mut listed: Vec<String> = heaviest.iter().take(LISTED).map(|word| figure(word)).collect();
    listed.extend((rest > 0).then(|| format!("and {rest} words that weighed less")));
    format!("{shown}\n  {}\n", listed.join(", "))
}

/// The most characters of a word beside its figure.
const WORD: usize = 60;

fn figure(word: &Contribution) -> String {
    let unknown = if word.known { "" } else { " (unknown)" };
    format!("{}{unknown} {:+.3}", cut(&plain(&word.word), WORD), word.contribution.unwrap_or(0.0))
}

/// Green for the positive, red for the negative; bold from half of the largest contribution on.
fn style(share: f32) -> Style {
    let color = if share > 0.0 { AnsiColor::Green } else { AnsiColor::Red };
    match share.abs() {
        s if s >= 0.5 => color.on_default().bold(),
        s if s >= 0.1 => color.on_default(),
        _ => Style::new(),
    }
}

/// A text that cannot steer the terminal.
fn plain(text: &str) -> String {
    rnn::plain(&text.replace(char::is_control, " ")).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_coloured_where_they_stand() {
        let word = |word: &str, start, contribution| Contribution {
            word: word.into(),
            start,
            end: start + word.len(),
            known: word != "zork",
            contribution,
        };
        let prediction = Prediction {
            text: "Old zork, bad\x1b film!".into(),
            label: "negative",
            probability: 0.25,
            words: Some(vec![
                word("old", 0, None),
                word("zork", 4, Some(0.25)),
                word("bad", 10, Some(-2.0)),
                word("film", 15, Some(0.001)),
            ]),
        };
        let shown = for_people(&prediction);
        let (green, bold_red) = (style(0.2), style(-1.0));
        let line = format!(
            "negative  0.250  Old {green}zork{green:#}, {bold_red}bad{bold_red:#}  film!\n"
        );
        assert!(shown.starts_with(&line), "{shown:?}");
        assert!(shown.ends_with("\n  bad -2.000, zork (unknown) +0.250, film +0.001\n"), "{shown}");
    }
}
