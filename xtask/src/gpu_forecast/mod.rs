//! Forecasts of the time of steps on cards that are not there, from counted launches, instructions
//! and bytes: `docs/gpu-performance.md`.

mod document;
mod inputs;
mod measured;
mod model;
mod work;

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use self::document::Inputs;
use crate::chroot::output;
use crate::gpu_compilers::{self, table::Table};

const RESULTS: &str = "bench/results";
const LAUNCHES: &str = "bench/results/launches.json";
const CARDS: &str = "bench/cards.toml";
const DOCUMENT: &str = "docs/gpu-performance.md";

/// Arguments of `cargo xtask gpu-forecast`.
#[derive(clap::Args)]
pub struct Args {
    /// Take the committed launches; for new figures of compilers, cards or measurements
    #[arg(long)]
    keep_launches: bool,
}

/// Records the launches of all steps, for which no GPU is needed, and writes the document.
///
/// # Errors
/// Fails if the launches cannot be recorded, a file cannot be read or written, or the table of
/// compilers lacks a kernel.
pub fn run(root: &Path, cargo: &Path, args: &Args) -> Result<i32> {
    if !args.keep_launches {
        let mut command = Command::new(cargo);
        command.args(["run", "--quiet", "--release", "-p", "rnn-bench", "--example", "launches"]);
        let launches =
            output(command.current_dir(root)).context("the launches are not recorded")?;
        fs::write(root.join(LAUNCHES), launches)?;
        println!("gpu-forecast: wrote {LAUNCHES}");
    }
    fs::write(root.join(DOCUMENT), document(root)?)?;
    println!("gpu-forecast: wrote {DOCUMENT}");
    Ok(0)
}

/// Returns the document that the committed files make.
fn document(root: &Path) -> Result<String> {
    let read = |path| fs::read_to_string(root.join(path)).with_context(|| format!("no {path}"));
    document::write(&Inputs {
        steps: inputs::steps(&read(LAUNCHES)?)?,
        cards: inputs::cards(&read(CARDS)?)?,
        table: Table::parse(&read(gpu_compilers::JSON)?)?,
        reports: measured::reports(&root.join(RESULTS))?,
    })
}

#[cfg(test)]
mod tests {
    use super::{DOCUMENT, document};
    use std::fs;
    use std::path::Path;

    #[test]
    fn the_document_is_what_the_committed_figures_make() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let made = document(&root).expect("the inputs are whole");
        let committed = fs::read_to_string(root.join(DOCUMENT)).expect("it is committed");
        assert!(made == committed, "{DOCUMENT} is out of date: run `cargo xtask gpu-forecast`");
    }
}
