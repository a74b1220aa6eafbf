//! What the program says of itself: the help in docs/command.md, completions, manual pages.

mod common;

use common::{failure_with, success};
use expect_test::expect_file;
use std::fmt::Write;

/// The commands, in the order of the help.
fn commands() -> Vec<String> {
    let help = success(&["--help"]);
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = lines.take_while(|line| !line.is_empty());
    // Continued lines of a description stand further in.
    let names = names.filter_map(|line| line.strip_prefix("  ").filter(|l| !l.starts_with(' ')));
    let first = names.filter_map(|line| line.split_whitespace().next()).map(str::to_owned);
    first.filter(|name| name != "help").collect()
}

/// `UPDATE_EXPECT=1` writes the file anew.
#[test]
fn the_page_of_the_command_has_its_help() {
    let mut page = String::from(
        "# The command\n\nThis is what `rnn-gpu help` says, written by \
         `crates/rnn-gpu/tests/manual.rs`.\n",
    );
    let mut add = |title: &str, help: &str| {
        let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
        writeln!(page, "\n## {title}\n\n```text\n{}\n```", lines.join("\n"))
            .expect("a string takes all text");
    };
    add("rnn-gpu", &success(&["help"]));
    for name in commands() {
        add(&name, &success(&["help", &name]));
    }
    expect_file![concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/command.md")].assert_eq(&page);
}

#[test]
fn every_shell_has_completions() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = success(&["completions", shell]);
        assert!(script.contains("rnn-gpu") && script.contains("checkpoint-every"), "{shell}");
    }
    assert!(failure_with(common::MISUSED, &["completions", "tcsh"]).contains("possible values"));
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = tempfile::tempdir().expect("a folder");
    let pages = folder.path().join("man1");
    success(&["man", pages.to_str().expect("UTF-8")]);
    let page = |name: &str| std::fs::read_to_string(pages.join(format!("{name}.1"))).expect(name);
    assert!(page("rnn-gpu").contains("Train and run recurrent networks"));
    for name in commands() {
        assert!(
            page(&format!("rnn-gpu-{name}")).contains(&format!("rnn\\-gpu\\-{name}")),
            "{name}"
        );
    }
    assert_eq!(std::fs::read_dir(&pages).expect("pages").count(), commands().len() + 1);
}
