//! A training survives the loss of whoever reads what it prints: of standard output, of standard
//! error and of both, whether the reader is gone, full, slow or a terminal that hangs up.
#![cfg(unix)]

mod common;

use common::{Sandbox, random_arrays, rnn_gpu, text};
use rustix::fs::{OFlags, fcntl_setfl};
use std::fs::{self, File, OpenOptions};
use std::io::{self, PipeReader, PipeWriter, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The time in which a training of these tests ends.
const SOON: Duration = Duration::from_secs(60);

/// The arguments of a training that prints to both streams.
struct Training {
    sandbox: Sandbox,
    args: Vec<String>,
}

impl Training {
    fn new(epochs: usize) -> Self {
        let sandbox = Sandbox::new();
        let toml = sandbox.write(
            "model.toml",
            b"input.shape = [3, 4]\ncompile.loss = \"mse\"\ncompile.optimizer = \"sgd\"\n\
              layer = [{ type = \"LSTM\", units = 8 }, { type = \"Dense\", units = 1 }]\n",
        );
        let mut floats = random_arrays();
        // Of an array that is not used a warning goes to standard error.
        let arrays = [
            ("x_train", floats(&[64, 3, 4])),
            ("y_train", floats(&[64])),
            ("not_of_use", floats(&[1])),
        ];
        let data = sandbox.npz("d.npz", &arrays);
        let epochs = epochs.to_string();
        let args = ["train", "--model", &toml, "--data", &data, "--epochs", &epochs];
        let mut args = args.map(str::to_owned).to_vec();
        args.extend(["--device".into(), "cpu".into(), "--out".into()]);
        Self { sandbox, args }
    }

    /// The command, which writes the run of this name.
    fn command(&self, run: &str) -> Command {
        let args: Vec<&str> = self.args.iter().map(String::as_str).collect();
        let mut command = rnn_gpu(&args);
        command.arg(self.sandbox.path(run)).stdin(Stdio::null());
        command
    }

    /// The command in a shell, after what the script says before `exec "$0" "$@"`.
    fn in_shell(&self, run: &str, script: &str) -> Command {
        let of = self.command(run);
        let mut command = Command::new("sh");
        command.args(["-c", script]).arg(of.get_program()).args(of.get_args());
        command.stdin(Stdio::null());
        command
    }

    fn weights(&self, run: &str) -> Vec<u8> {
        let file = Path::new(&self.sandbox.path(run)).join("weights.safetensors");
        fs::read(&file).unwrap_or_else(|error| panic!("{run}: {error}"))
    }

    /// Makes sure that a training went on to its end.
    fn assert_whole(&self, run: &str, output: &Output) {
        let said = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{run}: {said}");
        assert!(Path::new(&self.sandbox.path(run)).join("checkpoints/finished").exists(), "{run}");
    }
}

fn ended(mut child: Child, what: &str) -> Output {
    let begun = Instant::now();
    while child.try_wait().expect("it is ours").is_none() {
        if begun.elapsed() > SOON {
            child.kill().expect("it is ours");
            panic!("{what} goes on for {SOON:?}");
        }
        thread::sleep(Duration::from_millis(5));
    }
    child.wait_with_output().expect("it has ended")
}

/// What stands at the other end of a stream, and is kept until the command has ended.
enum Reader {
    None,
    /// Takes nothing.
    Idle(PipeReader),
    /// Reads a line, and is gone.
    OneLine(thread::JoinHandle<()>),
}

fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, writer) = io::pipe().expect("a pipe");
    fcntl_setfl(&writer, OFlags::NONBLOCK).expect("a flag");
    while (&writer).write(&[b' '; 4096]).is_ok() {}
    (reader, writer)
}

/// A stream with a reader that is lost in this way.
fn stream(way: &str) -> (Stdio, Reader) {
    match way {
        "gone" => {
            let (_, writer) = io::pipe().expect("a pipe");
            (writer.into(), Reader::None)
        }
        "one line" => {
            let (mut reader, writer) = io::pipe().expect("a pipe");
            let read = move || {
                let mut byte = [0];
                while reader.read(&mut byte).is_ok_and(|read| read > 0) && byte != [b'\n'] {}
            };
            (writer.into(), Reader::OneLine(thread::spawn(read)))
        }
        "idle" => {
            let (reader, writer) = full_pipe();
            fcntl_setfl(&writer, OFlags::empty()).expect("a flag");
            (writer.into(), Reader::Idle(reader))
        }
        "idle, not waited for" => {
            let (reader, writer) = full_pipe();
            (writer.into(), Reader::Idle(reader))
        }
        "full disk" => {
            let full = OpenOptions::new().write(true).open("/dev/full");
            (full.expect("it is there").into(), Reader::None)
        }
        "not to be written" => (File::open("/dev/null").expect("it is there").into(), Reader::None),
        _ => (Stdio::piped(), Reader::None),
    }
}

const WAYS: [&str; 6] =
    ["gone", "one line", "idle", "idle, not waited for", "full disk", "not to be written"];

#[test]
fn a_training_goes_on_without_its_readers() {
    if !Path::new("/dev/full").exists() {
        return rnn_testing::skip("no /dev/full");
    }
    let training = Training::new(3);
    assert!(training.command("whole").output().expect("it starts").status.success());
    let mut cases = vec![];
    for way in WAYS {
        cases.extend([(way, "read"), ("read", way), (way, way)]);
    }
    cases.extend([("gone", "full disk"), ("full disk", "idle")]);
    for (out, err) in cases {
        let run = format!("output {out}; errors {err}");
        let ((stdout, out_reader), (stderr, err_reader)) = (stream(out), stream(err));
        let mut command = training.command(&run);
        let child = command.stdout(stdout).stderr(stderr).spawn().expect("it starts");
        // It holds the writing ends, by which a reader would know that it has ended.
        drop(command);
        let output = ended(child, &run);
        training.assert_whole(&run, &output);
        assert_eq!(training.weights(&run), training.weights("whole"), "{run}");
        let said = text(&output.stdout) + &text(&output.stderr);
        let lost = said.matches("cannot write to standard ").count();
        let read_by_one = (out == "read") != (err == "read");
        // The standard library takes a stream that is not to be written for none.
        let expected = usize::from(read_by_one && ![out, err].contains(&"not to be written"));
        match [out, err].contains(&"one line") {
            // All may have been printed before it was gone.
            true => assert!(lost <= 1, "{run}: {said}"),
            false => assert_eq!(lost, expected, "{run}: {said}"),
        }
        for reader in [out_reader, err_reader] {
            match reader {
                Reader::OneLine(thread) => thread.join().expect("it reads"),
                Reader::Idle(pipe) => drop(pipe),
                Reader::None => {}
            }
        }
    }
}

#[test]
fn a_training_goes_on_with_streams_that_are_closed() {
    let training = Training::new(2);
    for (run, script) in [
        ("output", "exec \"$0\" \"$@\" >&-"),
        ("errors", "exec \"$0\" \"$@\" 2>&-"),
        ("both", "exec \"$0\" \"$@\" >&- 2>&-"),
        ("all", "exec \"$0\" \"$@\" <&- >&- 2>&-"),
        ("one for both", "exec \"$0\" \"$@\" 2>&1 >/dev/full"),
    ] {
        let output = training.in_shell(run, script).output().expect("there is a shell");
        training.assert_whole(run, &output);
    }
}

/// Waits until a training is at work.
fn at_work(training: &Training, run: &str) {
    let (begun, folder) = (Instant::now(), training.sandbox.path(run));
    while !Path::new(&folder).join("checkpoints").exists() {
        assert!(begun.elapsed() < SOON, "{run} does not begin");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_signal_that_was_ignored_stays_ignored() {
    if !cfg!(target_os = "linux") {
        return rnn_testing::skip("what is ignored is known on Linux alone");
    }
    let training = Training::new(300);
    let kill = |pid: u32, signal: &str| {
        let sent = Command::new("kill").args([signal, &pid.to_string()]).status();
        assert!(sent.expect("there is a kill").success(), "it has ended by itself");
    };
    for (run, script, signal) in [
        ("nohup", "exec nohup \"$0\" \"$@\"", "-HUP"),
        ("hangup", "trap '' HUP; exec \"$0\" \"$@\"", "-HUP"),
        ("terminate", "trap '' TERM; exec \"$0\" \"$@\"", "-TERM"),
        ("interrupt", "trap '' INT; exec \"$0\" \"$@\"", "-INT"),
    ] {
        let mut command = training.in_shell(run, script);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("there is a shell");
        at_work(&training, run);
        kill(child.id(), signal);
        training.assert_whole(run, &ended(child, run));
    }
    // One that was not ignored ends it, and it can be resumed.
    let mut command = training.in_shell("heard", "exec \"$0\" \"$@\"");
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a shell");
    at_work(&training, "heard");
    kill(child.id(), "-TERM");
    assert_eq!(ended(child, "heard").status.code(), Some(143));
}

#[test]
fn a_training_outlives_its_terminal() {
    if Command::new("script").arg("--version").output().is_err() {
        return rnn_testing::skip_outside_ci("no script (Debian: bsdutils)");
    }
    let training = Training::new(300);
    for (run, more) in [("lines", ""), ("screen", " --tui")] {
        let of = training.command(run);
        let quoted = |word: &std::ffi::OsStr| format!("'{}'", word.to_str().expect("UTF-8"));
        let words: Vec<String> =
            std::iter::once(of.get_program()).chain(of.get_args()).map(quoted).collect();
        let line = format!("trap '' HUP; exec {}{more}", words.join(" "));
        let mut terminal = Command::new("script");
        terminal.args(["-qfec", &line, "/dev/null"]).env("TERM", "xterm").stdin(Stdio::piped());
        let mut terminal =
            terminal.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        at_work(&training, run);
        terminal.kill().expect("it is ours");
        terminal.wait().expect("it has ended");
        let (begun, folder) = (Instant::now(), training.sandbox.path(run));
        while !Path::new(&folder).join("checkpoints/finished").exists() {
            assert!(begun.elapsed() < SOON, "{run}: it has not come to its end");
            thread::sleep(Duration::from_millis(20));
        }
        // The lock is the last that it gives back.
        while Path::new(&folder).join(".lock").exists() {
            assert!(begun.elapsed() < SOON, "{run}: it goes on");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn a_full_disk_under_log_and_curves_ends_no_training() {
    let training = Training::new(200);
    let small = training.sandbox.path("small");
    fs::create_dir(&small).expect("a folder");
    let mount = format!("mount -t tmpfs -o size=16k none '{small}'");
    let allowed = Command::new("unshare").args(["-Urm", "sh", "-c", &mount]).output();
    if !allowed.is_ok_and(|output| output.status.success()) {
        return rnn_testing::skip("no disk of a test's own can be mounted");
    }
    let full = format!("head -c 100000 /dev/zero > '{small}/all' 2>/dev/null");
    for (run, script, said) in [
        ("log", format!("exec \"$0\" \"$@\" > '{small}/log'"), "cannot write to standard output"),
        ("curves", format!("exec \"$0\" \"$@\" --tensorboard '{small}'"), "cannot write curves"),
        (
            "full at once",
            format!("{full}; exec \"$0\" \"$@\" --tensorboard '{small}'"),
            "no curves are written",
        ),
    ] {
        let script = format!("{mount} && {script}");
        let inner = training.in_shell(run, &script);
        let mut command = Command::new("unshare");
        command.args(["-Urm"]).arg(inner.get_program()).args(inner.get_args());
        let output = command.stdin(Stdio::null()).output().expect("it starts");
        training.assert_whole(run, &output);
        let errors = text(&output.stderr);
        assert_eq!(errors.matches(said).count(), 1, "{run}: {errors}");
    }
}
