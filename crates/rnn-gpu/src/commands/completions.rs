//! The command `rnn-gpu completions`.

use super::Cli;
use anyhow::Result;
use clap::CommandFactory;
use clap_complete::{Shell, generate};

/// The arguments of `rnn-gpu completions`.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  rnn-gpu completions bash > \
    ~/.local/share/bash-completion/completions/rnn-gpu\n  rnn-gpu completions zsh > \
    ~/.zfunc/_rnn-gpu\n  rnn-gpu completions fish > ~/.config/fish/completions/rnn-gpu.fish")]
pub struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Prints the script of a shell.
///
/// # Errors
/// Never fails.
pub fn run(CompletionsArgs { shell }: &CompletionsArgs) -> Result<()> {
    let mut script = Vec::new();
    generate(*shell, &mut Cli::command(), "rnn-gpu", &mut script);
    print!("{}", String::from_utf8_lossy(&script));
    Ok(())
}
