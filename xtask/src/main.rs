//! Project tasks: `cargo xtask ci`, `cargo xtask tidy`, `cargo xtask verify`.

mod tidy;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use std::process::Command;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Project tasks")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Everything that a change must pass, in the order of how soon it fails.
    Ci,
    /// The project's own rules: dependency table, file lengths, forbidden words.
    Tidy,
    /// Check every op on every device against the references.
    Verify {
        /// Passed on to `rnn-gpu verify`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
}

fn main() -> Result<()> {
    match Cli::parse().task {
        Task::Ci => ci(),
        Task::Tidy => tidy::run(),
        Task::Verify { args } => {
            let mut words = vec!["run", "--release", "--package", "rnn-gpu", "--", "verify"];
            words.extend(args.iter().map(String::as_str));
            cargo(&words)
        }
    }
}

fn ci() -> Result<()> {
    cargo(&["fmt", "--all", "--check"])?;
    tidy::run()?;
    cargo(&["clippy", "--release", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
    cargo(&["test", "--release", "--workspace"])
}

/// Runs cargo in the workspace, saying so.
fn cargo(words: &[&str]) -> Result<()> {
    println!("$ cargo {}", words.join(" "));
    let status = Command::new(env!("CARGO")).args(words).status().context("cannot start cargo")?;
    if !status.success() {
        bail!("`cargo {}` failed", words.join(" "));
    }
    Ok(())
}
