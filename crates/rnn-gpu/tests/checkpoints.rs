//! Runs that are killed, interrupted, damaged or out of room, as users meet them: nothing but the
//! work since the last checkpoint is lost, and the weights in the end are those of a run that
//! nothing happened to, byte for byte.
#![cfg(unix)]

mod common;

use common::{Sandbox, random_arrays};
use rnn_core::Rng;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Nine steps an epoch.
const SIZE: [&str; 4] = ["--limit", "72", "--batch-size", "8"];

/// A folder for one run.
struct Run {
    device: String,
    epochs: usize,
    /// Which model on what.
    task: Vec<String>,
    folder: Sandbox,
}

impl Run {
    /// Of simple-rnn on the bundled corpus.
    fn new(device: &str, epochs: usize) -> Self {
        let task = ["simple-rnn", "--length", "6"].map(str::to_owned);
        Self { device: device.into(), epochs, task: task.into(), folder: Sandbox::new() }
    }

    /// Of a model with dropout that stops early, if it ever stops to learn.
    fn of_a_model_of_ones_own(epochs: usize) -> Self {
        let folder = Sandbox::new();
        let model = folder.write(
            "model.toml",
            b"input.shape = [\"any\", 2]\ncompile.loss = \"mse\"\ncompile.optimizer = \"rmsprop\"\n\
              layer = [{ type = \"GRU\", units = 3, recurrent_dropout = 0.2 }, \
              { type = \"Dense\", units = 1 }]\n",
        );
        let fit =
            folder.write("fit.toml", b"validation = 0.1\nearly_stopping = { patience = 100 }\n");
        let mut floats = random_arrays();
        let arrays = [("x_train", floats(&[80, 4, 2])), ("y_train", floats(&[80]))];
        let data = folder.npz("d.npz", &arrays);
        let task = ["--model", &model, "--data", &data, "--fit", &fit].map(str::to_owned);
        Self { device: "cpu".into(), epochs, task: task.into(), folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path("run").into()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rnn-gpu"));
        command.args(["train", "--device", &self.device]).args(args);
        command.env_remove("RNN_GPU_IMDB").env("RNN_GPU_OFFLINE", "1");
        command.env("RNN_GPU_CACHE", self.folder.path("cache"));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn begin(&self, more: &[&str]) -> Command {
        let epochs = self.epochs.to_string();
        let mut command = self.command(&["--epochs", &epochs]);
        command.args(&self.task).args(SIZE).args(more).arg("--out").arg(self.path());
        if !more.contains(&"--checkpoint-every") {
            command.args(["--checkpoint-every", "1"]);
        }
        command
    }

    fn resume(&self, more: &[&str]) -> Command {
        let mut command = self.command(&["--checkpoint-every", "1"]);
        command.args(more).arg("--resume").arg(self.path());
        command
    }

    /// The steps done at each checkpoint, in order.
    fn steps(&self) -> Vec<u64> {
        let entries = fs::read_dir(self.file("checkpoints")).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let step = |name: String| name.strip_prefix("step-")?.split('.').next()?.parse().ok();
        let mut steps: Vec<u64> = names.filter_map(step).collect();
        steps.sort_unstable();
        steps
    }

    fn checkpoint(&self, step: u64) -> PathBuf {
        self.file("checkpoints").join(format!("step-{step:08}.safetensors"))
    }

    /// What the run came to, without times.
    fn outcome(&self) -> (Vec<u8>, Vec<String>, String) {
        let read = |name: &str| fs::read(self.file(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        let history = String::from_utf8(read("history.csv")).expect("text");
        let untimed = |line: &str| line.rsplit_once(',').expect("columns").0.to_owned();
        let report = String::from_utf8(read("report.txt")).expect("text");
        (read("weights.safetensors"), history.lines().map(untimed).collect(), report)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn succeed(mut command: Command) -> String {
    let Output { status, stdout, stderr } = command.output().expect("it starts");
    assert!(status.success(), "{command:?}: {}", text(&stderr));
    text(&stdout) + &text(&stderr)
}

fn fail(mut command: Command) -> String {
    let Output { status, stdout, stderr } = command.output().expect("it starts");
    let message = text(&stderr);
    assert!(!status.success() && !message.contains("panicked"), "{}{message}", text(&stdout));
    message
}

/// Reads a process's lines until one begins like this, or to the end.
fn wait_for(child: &mut Child, beginning: &str) {
    let output = child.stdout.as_mut().expect("a pipe");
    BufReader::new(output).lines().any(|line| line.expect("text").starts_with(beginning));
}

/// Kills runs at random moments, each of which goes on where the last was killed.
fn kill_and_go_on(what: &str, begin: impl Fn() -> Run, kills: usize) {
    let whole = begin();
    let mut child = whole.begin(&[]).spawn().expect("it starts");
    wait_for(&mut child, "Epoch ");
    let started = Instant::now();
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let time = started.elapsed().as_secs_f64();
    let expected = whole.outcome();
    let mut rng = Rng::new(kills as u64, 0);
    let (mut run, mut finished, mut halves, mut losses) = (begin(), 0, 0, vec![]);
    for _ in 0..kills {
        let before = run.steps().last().copied();
        let mut command = if before.is_some() { run.resume(&[]) } else { run.begin(&[]) };
        let mut child = command.spawn().expect("it starts");
        wait_for(&mut child, "Epoch ");
        std::thread::sleep(Duration::from_secs_f64(rng.uniform_in(0.0, 0.4 * time)));
        child.kill().expect("SIGKILL");
        if child.wait().expect("it ends").success() {
            assert_eq!(run.outcome(), expected);
            finished += 1;
            run = begin();
            continue;
        }
        let entries = fs::read_dir(run.file("checkpoints")).into_iter().flatten().flatten();
        let half = entries.filter(|e| e.file_name().to_string_lossy().ends_with(".tmp")).count();
        halves += usize::from(half > 0);
        let after = run.steps().last().copied();
        assert!(after >= before, "from {before:?} back to {after:?}");
        losses.push(after.unwrap_or(0));
    }
    let newest = run.steps().last().copied();
    let told = succeed(if newest.is_some() { run.resume(&[]) } else { run.begin(&[]) });
    if let Some(step) = newest {
        assert!(told.contains(&format!("going on after step {step},")), "{told}");
    }
    assert!(!told.contains("damaged"), "{told}");
    assert_eq!(run.outcome(), expected);
    println!(
        "{what}: {kills} kills, {halves} while a checkpoint was written, {finished} after the \
         end; killed after steps {losses:?}"
    );
}

#[test]
fn killed_runs_end_with_the_same_bytes() {
    let kills = std::env::var("RNN_GPU_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(6);
    kill_and_go_on("simple-rnn", || Run::new("cpu", 9), kills);
}

#[test]
fn killed_runs_of_a_model_of_ones_own_end_with_the_same_bytes() {
    kill_and_go_on("a model of one's own", || Run::of_a_model_of_ones_own(40), 3);
}

#[test]
fn killed_runs_on_an_adapter_end_with_the_same_bytes() {
    if !rnn_testing::adapters().is_empty() {
        kill_and_go_on("simple-rnn on an adapter", || Run::new("gpu", 1), 3);
    }
}

#[test]
fn a_damaged_checkpoint_is_told_and_the_one_before_taken() {
    let whole = Run::new("cpu", 2);
    succeed(whole.begin(&[]));
    let run = Run::new("cpu", 1);
    succeed(run.begin(&[]));
    assert_eq!(run.steps(), [7, 8, 9], "three are kept");
    assert!(run.file("checkpoints/best.safetensors").exists());
    let mut bytes = fs::read(run.checkpoint(9)).expect("the newest");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(run.checkpoint(9), &bytes).expect("a writable file");
    fs::write(run.checkpoint(8), &bytes[..middle]).expect("a writable file");
    let told = succeed(run.resume(&["--epochs", "2"]));
    assert!(told.contains("step-00000009.safetensors is damaged"), "{told}");
    assert!(told.contains("going on after step 7, in epoch 1"), "{told}");
    assert_eq!(run.outcome(), whole.outcome());

    let message = fail(run.resume(&[]));
    assert!(message.contains("is finished") && message.contains("--epochs"), "{message}");
    for step in run.steps() {
        fs::write(run.checkpoint(step), b"").expect("a writable file");
    }
    fs::remove_file(run.file("checkpoints/best.safetensors")).expect("it was there");
    assert!(fail(run.resume(&["--epochs", "3"])).contains("no sound checkpoint"));
    assert!(fail(Run::new("cpu", 1).resume(&[])).contains("there is no folder"));
}

#[test]
fn a_checkpoint_that_cannot_be_read_now_is_left_as_it_is() {
    let whole = Run::new("cpu", 2);
    succeed(whole.begin(&[]));
    let run = Run::new("cpu", 1);
    succeed(run.begin(&[]));
    let (newest, aside) = (run.checkpoint(9), run.file("elsewhere"));
    // A folder opens, but cannot be read.
    fs::rename(&newest, &aside).expect("it is there");
    fs::create_dir(&newest).expect("a folder");
    let message = fail(run.resume(&["--epochs", "2"]));
    assert!(message.contains("step-00000009.safetensors was left as it is"), "{message}");
    assert_eq!(run.steps(), [7, 8, 9]);
    fs::remove_dir(&newest).expect("it is empty");
    fs::rename(&aside, &newest).expect("it is there");
    succeed(run.resume(&["--epochs", "2"]));
    assert_eq!(run.outcome(), whole.outcome());
}

#[test]
fn ctrl_c_saves_and_tells_how_to_go_on() {
    let interrupt = |run: &Run, more: &[&str]| {
        let mut child = run.begin(more).spawn().expect("it starts");
        wait_for(&mut child, "Epoch 2/");
        let pid = child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill").success());
        let Output { status, stderr, .. } = child.wait_with_output().expect("it ends");
        assert_eq!(status.code(), Some(130), "{}", text(&stderr));
        text(&stderr)
    };
    let run = Run::new("cpu", 100_000);
    let message = interrupt(&run, &["--checkpoint-every", "epoch"]);
    let step = *run.steps().last().expect("a checkpoint");
    assert!(message.contains(&format!("interrupted after step {step}")), "{message}");
    assert!(message.contains("--resume") && !message.contains("panicked"), "{message}");

    let again = fail(run.begin(&[]));
    assert!(again.contains("not finished") && again.contains("--overwrite"), "{again}");
    let mut evaluate = Command::new(env!("CARGO_BIN_EXE_rnn-gpu"));
    evaluate.args(["evaluate", "--device", "cpu"]).arg(run.path());
    assert!(fail(evaluate).contains("not finished"));
    let mixed = fail(run.resume(&["--seed", "7"]));
    assert!(mixed.contains("--seed"), "{mixed}");

    let epochs = (step / 9 + 1).to_string();
    succeed(run.resume(&["--epochs", &epochs]));
    let whole = Run::new("cpu", step as usize / 9 + 1);
    succeed(whole.begin(&[]));
    assert_eq!(run.outcome(), whole.outcome());

    let run = Run::new("cpu", 100_000);
    let message = interrupt(&run, &["--checkpoint-every", "never"]);
    assert!(message.contains("nothing was written"), "{message}");
    assert!(!run.path().exists(), "it left something behind");
}

#[test]
fn two_processes_do_not_train_into_one_folder() {
    let run = Run::new("cpu", 100_000);
    let mut child = run.begin(&[]).spawn().expect("it starts");
    wait_for(&mut child, "Epoch 1/");
    for command in [run.begin(&["--overwrite"]), run.resume(&[])] {
        let message = fail(command);
        assert!(message.contains("another process trains into"), "{message}");
    }
    child.kill().expect("SIGKILL");
    child.wait().expect("it ends");
    succeed(Run { epochs: 1, ..run }.begin(&["--overwrite"]));
}

/// The command under a limit on the size of files that is smaller than a checkpoint.
fn cramped(command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; ulimit -f 64; exec \"$0\" \"$@\""]);
    shell.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}

#[test]
fn without_room_the_old_checkpoints_stay() {
    let run = Run::new("cpu", 1);
    succeed(run.begin(&[]));
    let contents = |steps: &[u64]| -> Vec<Vec<u8>> {
        steps.iter().map(|&step| fs::read(run.checkpoint(step)).expect("a checkpoint")).collect()
    };
    let (steps, before) = (run.steps(), contents(&[7, 8, 9]));
    let message = fail(cramped(&run.resume(&["--epochs", "2"])));
    assert!(message.contains("no checkpoint after step 10: cannot write"), "{message}");
    assert!(message.contains("has space left"), "{message}");
    assert_eq!((run.steps(), contents(&[7, 8, 9])), (steps, before));
    let litter = fs::read_dir(run.file("checkpoints")).expect("a folder").flatten();
    assert!(litter.map(|e| e.path()).all(|p| p.extension().is_none_or(|e| e != "tmp")));
    succeed(run.resume(&["--epochs", "2"]));
    let whole = Run::new("cpu", 2);
    succeed(whole.begin(&[]));
    assert_eq!(run.outcome(), whole.outcome());

    let run = Run::new("cpu", 1);
    fail(cramped(&run.begin(&[])));
    assert!(!Path::new(&run.path()).exists(), "it left something behind");
}
