//! The keys of a terminal that may hang up.

use ratatui::crossterm::event::{self, Event};
use std::fs::File;
use std::io::{self, IsTerminal};
use std::time::Duration;

/// The terminal from which keys are read. crossterm reads one that has hung up forever, at full
/// speed, so that this looks first.
pub struct Keys {
    /// The controlling terminal, if standard input is another thing.
    #[cfg_attr(not(unix), expect(dead_code, reason = "consoles do not hang up"))]
    terminal: Option<File>,
}

impl Keys {
    /// Opens what crossterm reads keys from.
    ///
    /// # Errors
    /// Fails if the process has no terminal.
    pub fn open() -> io::Result<Self> {
        let other = cfg!(unix) && !io::stdin().is_terminal();
        Ok(Self { terminal: other.then(|| File::open("/dev/tty")).transpose()? })
    }

    /// Waits for an event for a time; `None` if there was none.
    ///
    /// # Errors
    /// Fails if the terminal has hung up or cannot be read.
    #[cfg(unix)]
    pub fn next(&self, time: Duration) -> io::Result<Option<Event>> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        use std::os::fd::AsFd;
        let stdin = io::stdin();
        let terminal = self.terminal.as_ref().map_or(stdin.as_fd(), File::as_fd);
        let mut polled = [PollFd::new(&terminal, PollFlags::IN)];
        let time = Timespec::try_from(time).ok();
        match poll(&mut polled, time.as_ref()) {
            // Such as by a change of the window's size.
            Err(rustix::io::Errno::INTR) => return Ok(None),
            polled => polled?,
        };
        let [polled] = polled;
        if polled.revents().intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match polled.revents().contains(PollFlags::IN) && event::poll(Duration::ZERO)? {
            true => event::read().map(Some),
            false => Ok(None),
        }
    }

    /// Waits for an event for a time; `None` if there was none.
    ///
    /// # Errors
    /// Fails if the console cannot be read.
    #[cfg(not(unix))]
    pub fn next(&self, time: Duration) -> io::Result<Option<Event>> {
        event::poll(time)?.then(event::read).transpose()
    }
}
