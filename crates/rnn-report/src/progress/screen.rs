mod keys;

use super::draw::{Clock, draw};
use super::{Shared, read};
use keys::Keys;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{Event, KeyCode, KeyEventKind, KeyModifiers};
use rnn_run::host::{Guard, Host};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The interval at which the screen is drawn and keys are read.
const FRAME: Duration = Duration::from_millis(100);

/// The time that the end of a screen takes at most: a terminal that has stopped takes longer, and
/// then nobody sees it.
const PATIENCE: Duration = Duration::from_secs(2);

/// True, while the terminal shows the screen.
static SHOWN: AtomicBool = AtomicBool::new(false);

/// A display on the whole terminal. It is drawn by a thread of its own, so that a long step delays
/// neither keys nor resizing. Dropping it restores the terminal.
pub struct Screen {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    _restored: Guard,
}

impl Screen {
    /// Takes over the terminal and begins to draw `figures`. The keys q, Esc and Ctrl-C call
    /// [`Host::request_stop`] of `host`.
    ///
    /// # Errors
    /// Fails if the terminal cannot be switched to drawing.
    pub fn start(figures: Shared, host: Arc<dyn Host>) -> io::Result<Self> {
        let _restored = host.at_end(Box::new(restore));
        SHOWN.store(true, Ordering::Relaxed);
        let terminal = ratatui::try_init().inspect_err(|_| restore())?;
        let over = Arc::new(AtomicBool::new(false));
        let thread = {
            let over = over.clone();
            let draw = move || show(terminal, &figures, &over, &*host);
            thread::Builder::new().name("screen".into()).spawn(draw).inspect_err(|_| restore())?
        };
        Ok(Self { over, thread: Some(thread), _restored })
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let Some(thread) = self.thread.take() else { return };
        let asked = Instant::now();
        while !thread.is_finished() && asked.elapsed() < PATIENCE {
            thread::sleep(FRAME / 10);
        }
    }
}

/// Gives the terminal back, if it was taken.
fn restore() {
    if SHOWN.swap(false, Ordering::Relaxed) {
        // `ratatui::restore` panics where standard error cannot be written either.
        let _ = ratatui::try_restore();
    }
}

/// Draws until it is over, and gives the terminal back. What cannot be drawn must not end a training:
/// the figures are in the run's files.
fn show(mut terminal: DefaultTerminal, figures: &Shared, over: &AtomicBool, host: &dyn Host) {
    let drawn = draw_until(&mut terminal, figures, over, host);
    restore();
    if drawn.is_err() || terminal.show_cursor().is_err() {
        // When it is dropped it panics where neither stream can be written.
        std::mem::forget(terminal);
    }
}

fn draw_until(
    terminal: &mut DefaultTerminal,
    figures: &Shared,
    over: &AtomicBool,
    host: &dyn Host,
) -> io::Result<()> {
    let keys = Keys::open()?;
    while !over.load(Ordering::Relaxed) {
        let figures = read(figures).clone();
        let (elapsed, left, rate) = (figures.elapsed(), figures.left(), figures.rate());
        let clock = Clock { elapsed, left, rate };
        let ending = host.stop_requested();
        terminal.draw(|frame| draw(frame, &figures, clock, ending))?;
        let Some(Event::Key(key)) = keys.next(FRAME)? else { continue };
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            _ if key.kind == KeyEventKind::Release => {}
            // The terminal sends no signal while it hands over every key.
            KeyCode::Char('c') if control => host.request_stop(),
            KeyCode::Char('q') | KeyCode::Esc if ending => {}
            KeyCode::Char('q') | KeyCode::Esc => host.request_stop(),
            _ => {}
        }
    }
    Ok(())
}
