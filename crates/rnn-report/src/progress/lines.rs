use super::TrainingFigures;
use indicatif::{HumanDuration, ProgressBar, ProgressStyle};
use rnn::nn::Event;
use rnn_run::host::Host;
use std::io::IsTerminal;
use std::time::Duration;

/// The time for which steps are watched before the time left is printed without a bar.
const FIRST_ESTIMATE: Duration = Duration::from_secs(15);

/// A display of a training in lines of text. If standard error is a terminal, each epoch has a
/// progress bar there; otherwise a line gives the first estimate of the time left.
#[derive(Default)]
pub struct LineDisplay {
    told: bool,
    bar: Option<ProgressBar>,
}

impl LineDisplay {
    /// Displays an event of the training. `figures` must already contain the event. Lines are
    /// printed through `host`; the bar is on standard error.
    pub fn show(&mut self, event: &Event, figures: &TrainingFigures, host: &dyn Host) {
        match event {
            Event::Epoch(epoch) => {
                host.tell(format_args!("Epoch {epoch}/{}", figures.epochs));
                self.bar = std::io::stderr().is_terminal().then(|| bar(figures.examples[0]));
            }
            Event::Step(..) => self.step(figures, host),
            Event::Validation(_) => {}
            Event::EpochEnd(log) => {
                if let Some(bar) = self.bar.take() {
                    bar.finish_and_clear();
                }
                host.tell(format_args!("{}", figures.summary(log)));
            }
        }
    }

    fn step(&mut self, figures: &TrainingFigures, host: &dyn Host) {
        let left = HumanDuration(figures.left());
        match &self.bar {
            Some(bar) => {
                bar.set_position(figures.done() as u64);
                let means = figures.describe("", &figures.latest);
                bar.set_message(format!("{left} left in all, {means}"));
            }
            None if !self.told && figures.elapsed() > FIRST_ESTIMATE => {
                host.tell(format_args!("about {left:#} left"));
                self.told = true;
            }
            None => {}
        }
    }
}

fn bar(examples: usize) -> ProgressBar {
    let bar = ProgressBar::new(examples as u64);
    let template = "{wide_bar} {pos}/{len} {per_sec}, {msg}";
    bar.set_style(
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    bar
}
