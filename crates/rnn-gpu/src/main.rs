//! The `rnn-gpu` command.

use anyhow::Result;
use clap::Parser;
use rnn::device::DeviceChoiceError;
use rnn_gpu::commands::Cli;
use rnn_gpu::interrupt::{self, Cause};
use rnn_gpu::{console, hints, probe};
use std::env;
use std::process::ExitCode;

/// One message on failure, whatever RUST_BACKTRACE says: users' mistakes need no stack.
fn main() -> ExitCode {
    without_compositor();
    let code = ended();
    console::finish();
    code
}

/// Runs the command, prints its error and returns with what the process ends.
fn ended() -> ExitCode {
    match run() {
        Ok(()) if interrupt::requested().is_none() => ExitCode::SUCCESS,
        Ok(()) => interrupt::exit_code().into(),
        Err(error) => {
            // Nobody reads why output that nobody reads ended.
            if interrupt::requested() != Some(Cause::ClosedPipe) {
                console::err(format_args!("error: {}\n", hints::explained(&error)));
            }
            interrupt::exit_code().into()
        }
    }
}

/// Mesa's layer above all Vulkan drivers looks for a Wayland compositor, and Wayland's library prints
/// an error where `XDG_RUNTIME_DIR` is not set, as on servers and in containers. No window is opened
/// here: the compositor is then said to be at a path that is no socket.
#[allow(unsafe_code, reason = "the layer can be told by the environment alone")]
fn without_compositor() {
    let is_set = |name| env::var_os(name).is_some();
    if cfg!(target_os = "linux") && !is_set("XDG_RUNTIME_DIR") && !is_set("WAYLAND_DISPLAY") {
        // SAFETY: this is the first that the program does; there is no other thread.
        unsafe { env::set_var("WAYLAND_DISPLAY", "/dev/null") };
    }
}

fn run() -> Result<()> {
    let command = Cli::parse().command;
    if command.outlives_readers() {
        console::outlive_readers();
    }
    // Data is read by them, too, before a device is opened.
    rnn::device::start_threads().map_err(DeviceChoiceError::Threads)?;
    rnn::device::probe_by(probe::drivers);
    interrupt::listen(command.judges())?;
    command.run()
}
