//! Trainings that are killed, interrupted or run twice.

use super::common::{
    Sandbox, assert_names, failure, json_of, random_arrays, rnn_gpu, success, text,
};
use std::fs;
use std::os::windows::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};
use windows_sys::Win32::System::Console::{
    AttachConsole, CTRL_C_EVENT, FreeConsole, GenerateConsoleCtrlEvent, SetConsoleCtrlHandler,
};
use windows_sys::Win32::System::Threading::CREATE_NO_WINDOW;

/// Far beyond what anything here takes.
const SOON: Duration = Duration::from_secs(60);

const EPOCHS: usize = 60;

/// A training that is long enough to be disturbed, with many checkpoints.
pub struct Training {
    pub folder: Sandbox,
    task: Vec<String>,
}

impl Training {
    pub fn new() -> Self {
        let folder = Sandbox::new();
        let model = folder.write(
            "model.toml",
            b"input.shape = [\"any\", 2]\ncompile.loss = \"mse\"\ncompile.optimizer = \"rmsprop\"\n\
              layer = [{ type = \"GRU\", units = 3, recurrent_dropout = 0.2 }, \
              { type = \"Dense\", units = 1 }]\n",
        );
        let mut floats = random_arrays();
        let arrays = [("x_train", floats(&[80, 4, 2])), ("y_train", floats(&[80]))];
        let data = folder.npz("d.npz", &arrays);
        let task = ["--model", &model, "--data", &data, "--batch-size", "8"].map(str::to_owned);
        Self { folder, task: task.into() }
    }

    pub fn run(&self) -> String {
        self.folder.path("run")
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = rnn_gpu(&["train", "--device", "cpu", "--checkpoint-every", "1"]);
        command.args(more).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn begin(&self, more: &[&str]) -> Command {
        let mut command = self.command(more);
        command.args(&self.task).args(["--out", &self.run()]);
        if !more.contains(&"--epochs") {
            command.args(["--epochs", &EPOCHS.to_string()]);
        }
        command
    }

    fn resume(&self, more: &[&str]) -> Command {
        let mut command = self.command(more);
        command.args(["--resume", &self.run()]);
        command
    }

    /// The numbers of steps of the checkpoints.
    fn steps(&self) -> Vec<u64> {
        let folder = Path::new(&self.run()).join("checkpoints");
        let names = fs::read_dir(folder).into_iter().flatten().flatten();
        let names = names.filter_map(|entry| entry.file_name().into_string().ok());
        let step =
            |name: String| name.strip_prefix("step-")?.strip_suffix(".safetensors")?.parse().ok();
        names.filter_map(step).collect()
    }

    /// Starts it, and waits until it has taken a checkpoint after this many steps.
    pub fn started(&self, mut command: Command, steps: u64) -> Child {
        let mut child = command.spawn().expect("it starts");
        let begun = Instant::now();
        while self.steps().iter().all(|&step| step < steps) {
            let ended = child.try_wait().expect("it is ours");
            assert!(ended.is_none() && begun.elapsed() < SOON, "{ended:?}");
            thread::sleep(Duration::from_millis(2));
        }
        child
    }

    pub fn weights(&self) -> Vec<u8> {
        fs::read(self.folder.path("run/weights.safetensors")).expect("a finished run")
    }

    /// Files that a killed process left: temporary ones, and locks.
    fn litter(&self) -> Vec<String> {
        let all = super::common::contents(&self.run());
        let is_litter = |name: &String| name.ends_with(".tmp") || name.ends_with(".lock");
        all.into_keys().filter(is_litter).collect()
    }
}

/// The weights of a training that nothing happened to.
static UNDISTURBED: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let training = Training::new();
    succeed(&mut training.begin(&[]));
    assert_eq!(training.litter(), [""; 0]);
    training.weights()
});

fn succeed(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().expect("it starts");
    let said = text(&stdout) + &text(&stderr);
    assert!(status.success(), "{command:?}: {said}");
    said
}

fn fail(mut command: Command) -> String {
    let Output { status, stdout, stderr } = command.output().expect("it starts");
    let message = text(&stderr);
    assert!(!status.success() && !message.contains("panicked"), "{}{message}", text(&stdout));
    message
}

fn ended(mut child: Child) -> Output {
    let begun = Instant::now();
    while child.try_wait().expect("it is ours").is_none() {
        if begun.elapsed() > SOON {
            child.kill().expect("it is ours");
            panic!("it goes on: {:?}", child.wait_with_output());
        }
        thread::sleep(Duration::from_millis(5));
    }
    child.wait_with_output().expect("it has ended")
}

#[test]
fn a_killed_training_goes_on_to_the_same_bits() {
    let training = Training::new();
    let mut killed = 0;
    for steps in [10, 31, 50] {
        let command = match steps {
            10 => training.begin(&[]),
            _ => training.resume(&[]),
        };
        let mut child = training.started(command, steps);
        child.kill().expect("it is ours");
        killed += usize::from(!child.wait().expect("it is ours").success());
    }
    assert_eq!(killed, 3, "it ended too early to be killed");
    let said = succeed(&mut training.resume(&[]));
    assert!(said.contains("going on after step"), "{said}");
    assert_eq!(training.weights(), *UNDISTURBED);
    assert_eq!(training.litter(), [""; 0]);
}

#[test]
fn a_run_has_one_writer_at_a_time() {
    let training = Training::new();
    let run = training.run();
    succeed(&mut training.begin(&["--epochs", "1"]));
    let keras = training.folder.path("m.keras");
    success(&["export", &run, "--to", &keras]);
    // A finished run that goes on.
    let endless = ["--epochs", "1000000"];
    let mut child = training.started(training.resume(&endless), 12);
    let evaluate = ["evaluate", &run, "--device", "cpu"];
    let mut judged = rnn_gpu(&evaluate);
    judged.stdin(Stdio::null());
    for command in [training.resume(&endless), training.begin(&["--overwrite"]), judged] {
        assert_names(&fail(command), &["another process trains into", &run]);
    }
    let message = failure(&["import", &keras, "--out", &run, "--overwrite"]);
    assert_names(&message, &["holds a run that was trained", &run]);
    // One that only reads is not kept from it.
    success(&["checkpoints", &run]);
    child.kill().expect("it is ours");
    child.wait().expect("it is ours");
    // The lock has gone with its holder.
    success(&evaluate);
    // What it was writing when it was killed goes with the next training.
    succeed(&mut training.begin(&["--overwrite", "--epochs", "1"]));
    assert_eq!(training.litter(), [""; 0]);
}

/// Presses Ctrl-C in the console of another process, whose number the variable has. It is a process of
/// its own, as it leaves its console. (Ctrl-Break kills under Wine.)
#[test]
#[ignore = "the tests of Ctrl-C start it"]
#[allow(unsafe_code, reason = "the system's functions")]
fn presses_ctrl_c() {
    let process = std::env::var(PRESS_IN).expect("a variable").parse().expect("a number");
    // SAFETY: none takes a pointer to anything.
    let pressed = unsafe {
        FreeConsole();
        AttachConsole(process) != 0
            && SetConsoleCtrlHandler(None, 1) != 0
            && GenerateConsoleCtrlEvent(CTRL_C_EVENT, 0) != 0
    };
    assert!(pressed, "{}", std::io::Error::last_os_error());
}

const PRESS_IN: &str = "RNN_GPU_PRESS_CTRL_C_IN";

fn press_ctrl_c(child: &Child) {
    let mut command = Command::new(std::env::current_exe().expect("a path"));
    command.args(["--exact", "processes::presses_ctrl_c", "--ignored"]);
    succeed(command.env(PRESS_IN, child.id().to_string()));
}

#[test]
fn a_training_that_is_interrupted_keeps_a_checkpoint() {
    let training = Training::new();
    let mut command = training.begin(&[]);
    // A console of its own, so that the keys reach no other process.
    command.creation_flags(CREATE_NO_WINDOW);
    let child = training.started(command, 10);
    press_ctrl_c(&child);
    let output = ended(child);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert_names(&said, &["interrupted", "train --resume", &training.run()]);
    assert_eq!(training.litter(), [""; 0]);
    succeed(&mut training.resume(&[]));
    assert_eq!(training.weights(), *UNDISTURBED);
}

#[test]
fn long_work_is_interrupted_at_once() {
    let sandbox = Sandbox::new();
    let json = sandbox.path("v.json");
    let mut command = rnn_gpu(&["verify", "--device", "cpu", "--json", &json]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.creation_flags(CREATE_NO_WINDOW).spawn().expect("it starts");
    thread::sleep(Duration::from_secs(1));
    press_ctrl_c(&child);
    let output = ended(child);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.ends_with("interrupted\n"), "{said}");
    assert!(!Path::new(&json).exists());
}

/// As an editor or a viewer holds it, which lets nobody replace or remove it.
#[test]
fn a_training_goes_on_where_its_old_checkpoints_are_held_open() {
    let training = Training::new();
    let child = training.started(training.begin(&["--keep", "1"]), 4);
    let folder = training.folder.path("run/checkpoints");
    let held = loop {
        let step = training.steps().into_iter().max().unwrap_or_default();
        let path = Path::new(&folder).join(format!("step-{step:08}.safetensors"));
        // It may be removed just now.
        if let Ok(file) = super::files::hold(&path) {
            break file;
        }
    };
    let output = ended(child);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(training.weights(), *UNDISTURBED);
    drop(held);
    assert_eq!(json_of(&training.run(), "config.json")["epochs"], EPOCHS);
}
