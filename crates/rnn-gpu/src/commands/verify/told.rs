use crate::interrupt;
use indicatif::{ProgressBar, ProgressStyle};
use rnn_verify::{Event, Outcome};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// The interval of lines of progress, if standard error is no terminal.
const EVERY: Duration = Duration::from_secs(10);

/// A display of the progress of a verification on standard error. On a terminal it has a line that
/// changes; elsewhere it prints a line every ten seconds at most. It also prints the checks that
/// failed, or all checks.
pub struct Told {
    verbose: bool,
    bar: Option<ProgressBar>,
    last: Instant,
}

impl Told {
    /// Creates the display. If `verbose` is true, it prints every check, else only those that fail.
    pub fn new(verbose: bool) -> Self {
        let bar = std::io::stderr().is_terminal().then(bar);
        Self { verbose, bar, last: Instant::now() }
    }

    /// Displays an event of the verification. The begin of a check moves the progress line. The end
    /// of a check is printed if the check failed or the display is verbose, unless the process was
    /// requested to end.
    pub fn show(&mut self, event: &Event<'_>) {
        match event {
            Event::Begins { done, total, what } => match &self.bar {
                Some(bar) => {
                    bar.set_length(*total as u64);
                    bar.set_position(*done as u64);
                    bar.set_message((*what).to_owned());
                }
                None if self.last.elapsed() > EVERY => {
                    eprintln!("{done} of {total} done; now {what}");
                    self.last = Instant::now();
                }
                None => {}
            },
            Event::Ends(check) => {
                // What Ctrl-C broke off has not failed.
                let failed = matches!(check.outcome, Outcome::Failed { .. });
                if (self.verbose || failed) && interrupt::requested().is_none() {
                    match &self.bar {
                        Some(bar) => bar.suspend(|| eprintln!("{check}")),
                        None => eprintln!("{check}"),
                    }
                }
            }
        }
    }

    /// Removes the progress line from the terminal.
    pub fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{pos}/{len} {elapsed} {wide_msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
