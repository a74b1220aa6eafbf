//! Disks that are full and files that may not grow: the newest checkpoint that fits is kept, whatever
//! does not fit is an error, and what killed writers left is removed.
#![cfg(unix)]

mod common;

use common::{Sandbox, random_arrays, rnn_gpu, text};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// The arguments of a training whose checkpoints are of some 150 KB.
fn training(sandbox: &Sandbox, run: &str) -> Vec<String> {
    let toml = sandbox.write(
        "model.toml",
        b"input.shape = [3, 4]\ncompile.loss = \"mse\"\ncompile.optimizer = \"sgd\"\n\
          layer = [{ type = \"LSTM\", units = 96 }, { type = \"Dense\", units = 1 }]\n",
    );
    let mut floats = random_arrays();
    let arrays = [("x_train", floats(&[64, 3, 4])), ("y_train", floats(&[64]))];
    let data = sandbox.npz("d.npz", &arrays);
    let args = ["train", "--model", &toml, "--data", &data, "--epochs", "6", "--device", "cpu"];
    [&args[..], &["--checkpoint-every", "1", "--out", run]]
        .concat()
        .into_iter()
        .map(str::to_owned)
        .collect()
}

fn sh(script: &str, args: &[String]) -> Output {
    let program = env!("CARGO_BIN_EXE_rnn-gpu");
    let mut shell = Command::new("sh");
    shell.args(["-c", script, program]).args(args).output().expect("there is a shell")
}

#[test]
fn the_newest_checkpoint_that_fits_is_kept() {
    let sandbox = Sandbox::new();
    let disk = sandbox.path("disk");
    fs::create_dir(&disk).expect("a folder");
    let mount = format!("mount -t tmpfs -o size=500k none '{disk}'");
    let allowed = Command::new("unshare").args(["-Urm", "sh", "-c", &mount]).output();
    if !allowed.is_ok_and(|output| output.status.success()) {
        return rnn_testing::skip("no disk of a test's own can be mounted");
    }
    let args = training(&sandbox, &format!("{disk}/run"));
    let whole = rnn_gpu(&[]).args(&args[..args.len() - 1]).arg(sandbox.path("whole")).output();
    assert!(whole.expect("it starts").status.success());
    // While it is killed at work, an old checkpoint and best are on the disk, and no room for a third.
    let script = format!(
        "{mount} || exit 9
         head -c 100000 /dev/zero > '{disk}/other'
         \"$0\" \"$@\"; echo \"ended with $?\"; ls '{disk}/run/checkpoints'
         rm '{disk}/other'; mount -o remount,size=10m '{disk}'
         test -e '{disk}/run/checkpoints/finished' || \"$0\" train --resume '{disk}/run' --device cpu
         cp -r '{disk}/run' '{}'",
        sandbox.path("run")
    );
    let inner = ["-Urm", "sh", "-c", &script, env!("CARGO_BIN_EXE_rnn-gpu")];
    let output = Command::new("unshare").args(inner).args(&args).output().expect("it starts");
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success(), "{said}");
    // Two steps are an epoch.
    assert!(said.contains("step-00000012.safetensors"), "{said}");
    assert!(!said.contains("no checkpoint after step"), "{said}");
    let weights = |run: &str| {
        fs::read(Path::new(&sandbox.path(run)).join("weights.safetensors")).expect("a run")
    };
    assert_eq!(weights("run"), weights("whole"));
}

#[test]
fn a_limit_on_the_size_of_files_is_an_error_and_no_death() {
    let sandbox = Sandbox::new();
    let run = sandbox.path("run");
    let args = training(&sandbox, &run);
    let limited = "ulimit -f 64; exec \"$0\" \"$@\"";
    let output = sh(limited, &args);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("no checkpoint after step 1: cannot write"), "{said}");
    assert!(said.contains("error: cannot write") && said.contains("too large"), "{said}");
    assert!(sh("exec \"$0\" \"$@\"", &args).status.success());
    let file = sandbox.path("m.keras");
    let output = sh(limited, &["export", &run, "--to", &file].map(str::to_owned));
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot write") && !Path::new(&file).exists(), "{said}");
    // A log that may not grow.
    let log = sandbox.write("log", &[b' '; 1 << 20]);
    let out = sandbox.path("logged");
    let args = training(&sandbox, &out);
    let output = sh(&format!("ulimit -f 2048; exec \"$0\" \"$@\" >> '{log}'"), &args);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!(said.matches("cannot write to standard output").count(), 1, "{said}");
}

#[test]
fn what_killed_writers_left_is_removed() {
    let sandbox = Sandbox::new();
    let run = sandbox.path("run");
    let args = training(&sandbox, &run);
    let left = |folder: &str| {
        let name = Path::new(folder).join(".rnn-dead.tmp");
        fs::create_dir_all(folder).expect("a folder");
        fs::write(&name, "half").expect("the folder is writable");
        name
    };
    let checkpoints = format!("{run}/checkpoints");
    let planted = [left(&run), left(&checkpoints)];
    assert!(sh("exec \"$0\" \"$@\"", &args).status.success());
    for file in planted {
        assert!(!file.exists(), "{} is left", file.display());
    }
    // Where results are written, files of that name go, and others stay.
    let folder = sandbox.path("results");
    let (planted, other) = (left(&folder), Path::new(&folder).join(".rnn-mine.txt"));
    fs::write(&other, "mine").expect("the folder is writable");
    let keras = format!("{folder}/m.keras");
    let output = sh("exec \"$0\" \"$@\"", &["export", &run, "--to", &keras].map(str::to_owned));
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(!planted.exists() && other.exists());
}
