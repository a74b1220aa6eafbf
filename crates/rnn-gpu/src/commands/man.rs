//! The command `rnn-gpu man`.

use super::Cli;
use anyhow::{Context, Result};
use clap::{Command, CommandFactory};
use clap_mangen::Man;
use rnn_formats::write_atomically;
use std::fs;
use std::path::{Path, PathBuf};

/// The arguments of `rnn-gpu man`.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  rnn-gpu man ~/.local/share/man/man1 && man rnn-gpu-train")]
pub struct ManArgs {
    /// The folder to write rnn-gpu.1, rnn-gpu-train.1 and so on into; it is made if it is missing
    folder: PathBuf,
}

/// Writes a page for the program and one for each command.
///
/// # Errors
/// Fails if the folder cannot be made, or a page cannot be written.
pub fn run(ManArgs { folder }: &ManArgs) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    write_page(folder, program.clone())?;
    for command in program.get_subcommands() {
        write_page(folder, command.clone())?;
    }
    println!("wrote {}", folder.display());
    Ok(())
}

fn write_page(folder: &Path, command: Command) -> Result<()> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    let path = folder.join(format!("{name}.1"));
    let page = Man::new(command);
    write_atomically(&path, |file| page.render(file))?;
    Ok(())
}
