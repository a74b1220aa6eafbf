//! How far a training run is, for people: lines, a live screen, curves for TensorBoard.

mod board;
mod draw;
mod figures;
mod lines;
mod screen;

pub use board::Board;
pub use draw::{Clock, draw};
pub use figures::{Figures, Point, Watched};
pub use screen::restore;

use crate::nn::{Callback, Event, TrainError, Trainer};
use crate::train::INTERRUPTED;
use anyhow::{Context, Result};
use lines::Lines;
use screen::Screen;
use std::ffi::OsStr;
use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How a training is watched.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct WatchArgs {
    /// Show live curves on the whole terminal; lines where standard output is none
    #[arg(long)]
    pub tui: bool,
    /// Write curves for TensorBoard into a folder of DIR that is named as the run's [default: the
    /// folder tensorboard of the run]
    #[arg(long, value_name = "DIR", num_args = 0..=1)]
    pub tensorboard: Option<Option<PathBuf>>,
}

type Shared = Arc<Mutex<Figures>>;

/// The figures, also if somebody panicked over them.
fn read(figures: &Shared) -> MutexGuard<'_, Figures> {
    figures.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Follows a training, and ends it after Ctrl-C.
pub struct Watch {
    figures: Shared,
    display: Display,
    board: Option<Board>,
}

enum Display {
    Lines(Lines),
    Screen(Option<Screen>),
}

impl Watch {
    /// Begins; `run` is the folder of the run.
    ///
    /// # Errors
    /// If the terminal cannot be drawn on, or TensorBoard's files not be written.
    pub fn new(figures: Figures, args: &WatchArgs, run: &Path) -> Result<Self> {
        let folder = args.tensorboard.clone();
        let folder = folder.map(|given| match given {
            Some(folder) => folder.join(run.file_name().unwrap_or(OsStr::new("run"))),
            None => run.join("tensorboard"),
        });
        let create = |folder: PathBuf| {
            let failed = || format!("cannot write to the folder {}", folder.display());
            Board::create(&folder).with_context(failed)
        };
        let board = folder.map(create).transpose()?;
        let figures = Arc::new(Mutex::new(figures));
        let display = match args.tui && std::io::stdout().is_terminal() {
            true => {
                let screen = Screen::start(figures.clone());
                Display::Screen(Some(screen.context("cannot draw on this terminal")?))
            }
            false => Display::Lines(Lines::default()),
        };
        Ok(Self { figures, display, board })
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
            lines.show(event, &figures);
        }
        Ok(match INTERRUPTED.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        })
    }
}

impl Drop for Watch {
    /// The lines that a screen has hidden follow it.
    fn drop(&mut self) {
        if let Display::Screen(screen) = &mut self.display {
            drop(screen.take());
            let figures = read(&self.figures);
            for log in &figures.logs {
                println!("Epoch {}/{}\n{}", log.epoch, figures.epochs, figures.summary(log));
            }
        }
    }
}
