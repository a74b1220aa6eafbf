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
use rnn_formats::check_names;
use rnn_run::host::Host;
use rnn_run::run::contents::CURVES_NOTE;
use rnn_run::train::{Attempt, Progress};
use screen::Screen;
use std::ffi::OsStr;
use std::io::{self, IsTerminal};
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
    /// True from the second attempt on.
    begun: bool,
    host: Arc<dyn Host>,
}

impl ShowProgress {
    /// Creates the displays that `options` choose. `host` prints their lines. Nothing is displayed
    /// before a training begins.
    pub fn new(options: WatchOptions, host: Arc<dyn Host>) -> Self {
        Self { options, begun: false, host }
    }
}

impl Progress for ShowProgress {
    fn begin(&mut self, attempt: &Attempt<'_>) -> Result<Box<dyn Callback>> {
        let again = std::mem::replace(&mut self.begun, true);
        Ok(Box::new(Watch::new(attempt, (&self.options, again), self.host.clone())?))
    }
}

/// A callback that shows one attempt at a training on all chosen displays. Dropping it closes the
/// screen, if there is one, and then prints the lines of the complete epochs.
pub struct Watch {
    figures: Shared,
    display: Display,
    board: Option<Board>,
    /// True once it was said that the curves cannot be written.
    told: bool,
    host: Arc<dyn Host>,
}

enum Display {
    Lines(LineDisplay),
    Screen(Option<Screen>),
}

impl Watch {
    /// Begins to display an attempt at a training on the displays that `args` chooses. `again` is
    /// true for a further attempt, which is not refused. TensorBoard
    /// curves of a training that is resumed continue in their folder unless another one is asked
    /// for. A terminal that cannot be drawn on gets lines instead, and on a full disk no curves are
    /// written; the host is told.
    ///
    /// # Errors
    /// Fails if TensorBoard's files cannot be written for another reason, such as a folder that is not
    /// writable.
    pub fn new(
        attempt: &Attempt<'_>,
        (args, again): (&WatchOptions, bool),
        host: Arc<dyn Host>,
    ) -> Result<Self> {
        let &Attempt { config, examples, memory, folder: run, done } = attempt;
        let path = run.path();
        let folder = match &args.tensorboard {
            Some(Some(folder)) => Some(folder.join(path.file_name().unwrap_or(OsStr::new("run")))),
            Some(None) => Some(path.join("tensorboard")),
            None if done.is_some() => run.curves_folder()?,
            None => None,
        };
        let create = |folder: PathBuf| {
            check_names(&folder)?;
            let failed = || format!("cannot write to the folder {}", folder.display());
            ["train", "validation"]
                .iter()
                .try_for_each(|of| run.check_unlinked(&folder.join(of)))?;
            let note = run.curves_note(&folder)?;
            let board = Board::create(&folder, done).with_context(failed)?;
            run.write_text(CURVES_NOTE, &note)?;
            anyhow::Ok(board)
        };
        let board = match folder.map(create).transpose() {
            Err(error) if again || is_out_of_room(&error) => {
                host.warn(format_args!("no curves are written: {error:#}"));
                None
            }
            board => board?,
        };
        let figures = Arc::new(Mutex::new(TrainingFigures::new(config, examples, memory)));
        let display = match args.tui && io::stdout().is_terminal() {
            true => match Screen::start(figures.clone(), host.clone()) {
                Ok(screen) => Display::Screen(Some(screen)),
                Err(error) => {
                    host.warn(format_args!("cannot draw on this terminal: {error}"));
                    Display::Lines(LineDisplay::default())
                }
            },
            false => Display::Lines(LineDisplay::default()),
        };
        Ok(Self { figures, display, board, told: false, host })
    }
}

/// Returns true if there was no room for a file: a full disk, a quota, a limit on the size of files.
fn is_out_of_room(error: &anyhow::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    let full =
        |error: &io::Error| matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge);
    error.chain().filter_map(|cause| cause.downcast_ref()).any(full)
}

impl Callback for Watch {
    fn on_event(&mut self, event: &Event, _: &mut Trainer) -> Result<ControlFlow<()>, TrainError> {
        let mut figures = read(&self.figures);
        let before = figures.latest.count;
        figures.update(event);
        let fresh = figures.latest.count > before;
        // Curves may have room again later, and are no reason to stop.
        if let Some(board) = &mut self.board
            && let Err(error) = board.write(event, &figures, fresh)
            && !std::mem::replace(&mut self.told, true)
        {
            let host = &self.host;
            host.warn(format_args!("cannot write curves: {error}; the training goes on"));
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
