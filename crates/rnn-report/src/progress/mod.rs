//! Displays of the progress of a training: lines of text, a live screen, curves for TensorBoard.

mod board;
mod draw;
mod figures;
mod lines;
mod screen;

pub use board::Board;
pub use draw::{Clock, draw};
pub use figures::{Point, TrainingFigures, Watched};

use anyhow::{Context, Result};
use lines::LineDisplay;
use rnn::nn::{Callback, Event, TrainError, Trainer};
use rnn_run::host::Host;
use rnn_run::run::contents::CURVES_NOTE;
use rnn_run::train::{Attempt, Progress};
use screen::Screen;
use std::ffi::OsStr;
use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The choice of displays of a training. [`Default`] displays lines of text alone.
#[derive(Clone, Debug, Default)]
pub struct WatchOptions {
    /// True for a live screen on the whole terminal, if standard output is a terminal; false for
    /// lines of text.
    pub tui: bool,
    /// The folder of TensorBoard curves. `Some(None)` stands for the folder `tensorboard` of the
    /// run, and `Some(Some(folder))` for a subfolder of `folder` with the name of the run. `None`
    /// writes curves only if a resumed training already has some.
    pub tensorboard: Option<Option<PathBuf>>,
}

type Shared = Arc<Mutex<TrainingFigures>>;

/// The figures, also if somebody panicked over them.
fn read(figures: &Shared) -> MutexGuard<'_, TrainingFigures> {
    figures.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The displays of a training, as [`WatchOptions`] choose them.
pub struct ShowProgress {
    options: WatchOptions,
    host: Arc<dyn Host>,
}

impl ShowProgress {
    /// Creates the displays that `options` choose. `host` prints their lines. Nothing is displayed
    /// before a training begins.
    pub fn new(options: WatchOptions, host: Arc<dyn Host>) -> Self {
        Self { options, host }
    }
}

impl Progress for ShowProgress {
    fn begin(&mut self, attempt: &Attempt<'_>) -> Result<Box<dyn Callback>> {
        Ok(Box::new(Watch::new(attempt, &self.options, self.host.clone())?))
    }
}

/// A callback that shows one attempt at a training on all chosen displays. Dropping it closes the
/// screen, if there is one, and then prints the lines of the complete epochs.
pub struct Watch {
    figures: Shared,
    display: Display,
    board: Option<Board>,
    host: Arc<dyn Host>,
}

enum Display {
    Lines(LineDisplay),
    Screen(Option<Screen>),
}

impl Watch {
    /// Begins to display an attempt at a training on the displays that `args` choose. Where
    /// TensorBoard curves are written is noted in the folder of the run.
    ///
    /// # Errors
    /// Fails if the terminal cannot be drawn on, or the files of TensorBoard cannot be read or
    /// written.
    pub fn new(attempt: &Attempt<'_>, args: &WatchOptions, host: Arc<dyn Host>) -> Result<Self> {
        let &Attempt { config, examples, memory, folder: run, done } = attempt;
        let path = run.path();
        let folder = match &args.tensorboard {
            Some(Some(folder)) => Some(folder.join(path.file_name().unwrap_or(OsStr::new("run")))),
            Some(None) => Some(path.join("tensorboard")),
            None if done.is_some() => run.curves_folder()?,
            None => None,
        };
        let create = |folder: PathBuf| {
            let failed = || format!("cannot write to the folder {}", folder.display());
            ["train", "validation"]
                .iter()
                .try_for_each(|of| run.check_unlinked(&folder.join(of)))?;
            let note = run.curves_note(&folder)?;
            let board = Board::create(&folder, done).with_context(failed)?;
            run.write_text(CURVES_NOTE, &note)?;
            anyhow::Ok(board)
        };
        let board = folder.map(create).transpose()?;
        let figures = Arc::new(Mutex::new(TrainingFigures::new(config, examples, memory)));
        let display = match args.tui && std::io::stdout().is_terminal() {
            true => {
                let screen = Screen::start(figures.clone(), host.clone());
                Display::Screen(Some(screen.context("cannot draw on this terminal")?))
            }
            false => Display::Lines(LineDisplay::default()),
        };
        Ok(Self { figures, display, board, host })
    }
}

impl Callback for Watch {
    fn on_event(&mut self, event: &Event, _: &mut Trainer) -> Result<ControlFlow<()>, TrainError> {
        let mut figures = read(&self.figures);
        let before = figures.latest.count;
        figures.update(event);
        let fresh = figures.latest.count > before;
        if let Some(board) = &mut self.board {
            let failed = |error| TrainError::Callback(format!("cannot write curves: {error}"));
            board.write(event, &figures, fresh).map_err(failed)?;
        }
        if let Display::Lines(lines) = &mut self.display {
            lines.show(event, &figures, &*self.host);
        }
        Ok(ControlFlow::Continue(()))
    }
}

impl Drop for Watch {
    /// The lines that a screen has hidden follow it.
    fn drop(&mut self) {
        if let Display::Screen(screen) = &mut self.display {
            drop(screen.take());
            let figures = read(&self.figures);
            for log in &figures.logs {
                let summary = figures.summary(log);
                let epochs = figures.epochs;
                self.host.tell(format_args!("Epoch {}/{epochs}\n{summary}", log.epoch));
            }
        }
    }
}
