//! Ranks that `mpirun` starts, called as users call them.

mod common;

use common::{Sandbox, random_arrays, rnn_gpu, success, text};
use rnn::nn::History;
use rnn_formats::safetensors;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use sysinfo::{Pid, ProcessesToUpdate, Signal, System};

/// Whether ranks can be started; never false where `CI` is set.
fn mpirun_is_there() -> bool {
    let there = Command::new("mpirun").arg("--version").output().is_ok_and(|o| o.status.success());
    if !there {
        rnn_testing::skip_outside_ci("no mpirun");
    }
    there
}

/// So many ranks, each with one thread. Open MPI and Mesa want to be told more in a container.
fn mpirun(ranks: usize, args: &[&str]) -> Command {
    let mut command = Command::new("mpirun");
    let program = rnn_gpu(&[]).get_program().to_owned();
    command.args(["-n", &ranks.to_string()]).arg(program).args(args);
    let settings = [
        ("OMPI_ALLOW_RUN_AS_ROOT", "1"),
        ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"),
        ("OMPI_MCA_rmaps_base_oversubscribe", "true"),
        ("OMPI_MCA_btl_vader_single_copy_mechanism", "none"),
        ("XDG_RUNTIME_DIR", "/tmp"),
        ("RAYON_NUM_THREADS", "1"),
    ];
    command.envs(settings).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn distributed(ranks: usize, args: &[&str]) -> String {
    let args = [args, &["--distributed"]].concat();
    let output = mpirun(ranks, &args).output().expect("it starts");
    assert!(output.status.success(), "{ranks} ranks, {args:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// What a training leaves for those who go on with it.
fn weights(run: &str) -> [Vec<u8>; 2] {
    let file = |name| fs::read(Path::new(run).join(name)).expect("a finished run");
    ["weights.safetensors", "optimizer.safetensors"].map(file)
}

fn assert_close(run: &str, expected: &str) {
    let load = |run: &str| safetensors::load(&Path::new(run).join("weights.safetensors"));
    let (found, expected_weights) = (load(run).expect("weights").0, load(expected).expect("").0);
    for ((name, found), (_, expected)) in found.iter().zip(&expected_weights) {
        let pairs = found.as_f32().expect("floats").iter().zip(expected.as_f32().expect("floats"));
        let apart = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart < 1e-5, "{run}: {name} is {apart} apart");
    }
    let history = |run: &str| -> History {
        let text = fs::read(Path::new(run).join("history.json")).expect("a history");
        serde_json::from_slice(&text).expect("a history")
    };
    for (found, expected) in history(run).epochs.iter().zip(history(expected).epochs) {
        let of = |e: &rnn::nn::EpochLog| [Some(e.train), e.validation].map(|m| m.expect("both"));
        for (found, expected) in of(found).into_iter().zip(of(&expected)) {
            assert_eq!(found.count, expected.count, "{run}");
            assert!((found.loss - expected.loss).abs() < 1e-5, "{run}");
        }
    }
}

/// Epochs of 41 reviews: of batches of twelve the last has five, and two of four ranks none.
const REVIEWS: [&str; 11] = [
    "train",
    "lstm-dropout",
    "--offline",
    "--device",
    "cpu",
    "--limit",
    "41",
    "--length",
    "9",
    "--epochs",
    "3",
];

#[test]
fn ranks_come_to_what_one_comes_to_and_always_to_the_same_bits() {
    if !mpirun_is_there() {
        return;
    }
    let sandbox = Sandbox::new();
    let one = sandbox.path("one");
    success(&[&REVIEWS[..], &["--batch-size", "12", "--out", &one]].concat());
    for (ranks, batch) in [(1, "12"), (2, "6"), (4, "3")] {
        let runs = ["a", "b"].map(|which| sandbox.path(&format!("{ranks}{which}")));
        for run in &runs {
            distributed(ranks, &[&REVIEWS[..], &["--batch-size", batch, "--out", run]].concat());
        }
        assert_close(&runs[0], &one);
        assert_eq!(weights(&runs[0]), weights(&runs[1]), "{ranks} ranks, twice");
    }
    assert_eq!(weights(&sandbox.path("1a")), weights(&one), "one rank does the same");
}

#[test]
fn ranks_share_moving_averages_and_train_on_adapters() {
    if !mpirun_is_there() {
        return;
    }
    let sandbox = Sandbox::new();
    let films = [
        &["train", "next-frame", "--preset", "quick", "--movies", "24", "--size", "8"][..],
        &["--length", "4", "--epochs", "1", "--batch-size", "2", "--device", "cpu", "--out"],
    ]
    .concat();
    let runs = ["films-a", "films-b"].map(|run| sandbox.path(run));
    for run in &runs {
        distributed(2, &[&films[..], &[run]].concat());
    }
    assert_eq!(weights(&runs[0]), weights(&runs[1]));

    if rnn_testing::adapters().is_empty() {
        return;
    }
    let train = |device: &str, out: &str| {
        let args = ["train", "lstm-dropout", "--offline", "--limit", "21", "--length", "6"];
        let more = ["--epochs", "1", "--batch-size", "4", "--device", device, "--out", out];
        distributed(2, &[&args[..], &more].concat())
    };
    let [cpu, gpu] = ["cpu", "gpu"].map(|device| {
        let run = sandbox.path(device);
        assert!(train(device, &run).contains("2 ranks"), "{device}");
        run
    });
    assert_close(&gpu, &cpu);
}

/// Waits for a checkpoint, then kills one of the ranks, and waits for the end of all.
fn kill(mut launcher: Child, run: &str, which: fn(Vec<Pid>) -> Option<Pid>) -> String {
    checkpoint_of(&mut launcher, run);
    let mut system = System::new();
    system.refresh_processes(ProcessesToUpdate::All, true);
    let ranks = ranks_of(&launcher);
    let victim = which(ranks).and_then(|pid| system.process(pid)).expect("ranks");
    assert_eq!(victim.kill_with(Signal::Kill), Some(true));
    let output = launcher.wait_with_output().expect("it ends");
    assert!(!output.status.success(), "a rank was killed");
    text(&output.stderr)
}

#[test]
fn a_rank_that_is_lost_ends_all_and_the_run_goes_on_to_the_same_bits() {
    if !mpirun_is_there() {
        return;
    }
    let sandbox = Sandbox::new();
    let args = [
        &["train", "lstm-dropout", "--offline", "--device", "cpu", "--limit", "600"][..],
        &["--length", "20", "--epochs", "2", "--batch-size", "3", "--checkpoint-every", "5"],
    ]
    .concat();
    let whole = sandbox.path("whole");
    distributed(2, &[&args[..], &["--out", &whole]].concat());
    let victims: [fn(Vec<Pid>) -> Option<Pid>; 2] =
        [|ranks| ranks.into_iter().min(), |ranks| ranks.into_iter().max()];
    for (number, victim) in victims.into_iter().enumerate() {
        let run = sandbox.path(&format!("killed-{number}"));
        let all = [&args[..], &["--distributed", "--out", &run]].concat();
        let launcher = mpirun(2, &all).spawn().expect("it starts");
        let message = kill(launcher, &run, victim);
        assert_eq!(message.matches("exited on signal 9").count(), 1, "{message}");
        let resumed = distributed(2, &["train", "--resume", &run, "--device", "cpu"]);
        assert!(resumed.contains("going on after step"), "{resumed}");
        assert_eq!(weights(&run), weights(&whole), "rank {number} was lost");
    }
}

#[test]
fn an_error_is_told_once_and_ends_all() {
    if !mpirun_is_there() {
        return;
    }
    let sandbox = Sandbox::new();
    let errors = |mut command: Command| {
        let output = command.output().expect("it starts");
        assert!(!output.status.success());
        let message = text(&output.stderr);
        let mut errors = message.lines().filter(|line| line.starts_with("error: "));
        let first = errors.next().unwrap_or_else(|| panic!("no error: {message}")).to_owned();
        assert_eq!(errors.next(), None, "{message}");
        first
    };
    let missing = ["train", "lstm", "--data", "nowhere.npz", "--distributed", "--device", "cpu"];
    let out = sandbox.path("out");
    let of_all = errors(mpirun(3, &[&missing[..], &["--out", &out]].concat()));
    assert!(of_all.contains("cannot load nowhere.npz"), "{of_all}");

    let args = ["train", "lstm", "--offline", "--limit", "8", "--distributed", "--out", &out];
    let program = rnn_gpu(&[]).get_program().to_str().expect("a path").to_owned();
    let other = [":", "-n", "1", &program, "train", "lstm", "--distributed", "--device", "nothing"];
    let mut command = mpirun(1, &[&args[..], &["--device", "cpu"]].concat());
    command.args(other);
    let of_one = errors(command);
    assert!(of_one.starts_with("error: rank 1: no device \"nothing\""), "{of_one}");
}

/// Waits for the first checkpoint of a run, whose ranks `launcher` has started.
fn checkpoint_of(launcher: &mut Child, run: &str) {
    let checkpoints = Path::new(run).join("checkpoints");
    let begun = Instant::now();
    let taken = || {
        let mut files = fs::read_dir(&checkpoints).into_iter().flatten().flatten();
        files.any(|file| file.path().extension().is_some_and(|end| end == "safetensors"))
    };
    while !taken() {
        assert!(begun.elapsed() < Duration::from_secs(120), "no checkpoint");
        assert!(launcher.try_wait().expect("it runs").is_none(), "it ended before");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The ranks that a launcher has started, in order.
fn ranks_of(launcher: &Child) -> Vec<Pid> {
    let mut system = System::new();
    system.refresh_processes(ProcessesToUpdate::All, true);
    let parent = Some(Pid::from_u32(launcher.id()));
    let ranks = system.processes().values().filter(|p| p.parent() == parent);
    let mut ranks: Vec<Pid> =
        ranks.filter(|p| p.thread_kind().is_none()).map(|p| p.pid()).collect();
    ranks.sort();
    ranks
}

fn send(signal: &str, to: u32) {
    let sent = Command::new("kill").args([signal, &to.to_string()]).status();
    assert!(sent.expect("there is a kill").success());
}

const LONG: [&str; 14] = [
    "train",
    "lstm-dropout",
    "--offline",
    "--device",
    "cpu",
    "--limit",
    "600",
    "--length",
    "20",
    "--epochs",
    "2",
    "--batch-size",
    "3",
    "--checkpoint-every=5",
];

#[test]
fn ranks_that_are_told_to_end_keep_the_training() {
    if !mpirun_is_there() {
        return;
    }
    let sandbox = Sandbox::new();
    let whole = sandbox.path("whole");
    distributed(2, &[&LONG[..], &["--out", &whole]].concat());
    // As launchers do that hand signals on to all ranks.
    for signal in ["-INT", "-TERM"] {
        let run = sandbox.path(signal);
        let args = [&LONG[..], &["--distributed", "--out", &run]].concat();
        let mut launcher = mpirun(2, &args).spawn().expect("it starts");
        checkpoint_of(&mut launcher, &run);
        ranks_of(&launcher).into_iter().for_each(|rank| send(signal, rank.as_u32()));
        interrupted(launcher);
        let resumed = distributed(2, &["train", "--resume", &run, "--device", "cpu"]);
        assert!(resumed.contains("going on after step"), "{resumed}");
        assert_eq!(weights(&run), weights(&whole), "{signal}");
    }
    // Open MPI sends SIGTERM after this time, and kills after as much again.
    for signal in ["-INT", "-TERM"] {
        let run = sandbox.path(&format!("launcher{signal}"));
        let epochs = ["--epochs", "5000", "--distributed", "--out", &run];
        let args: Vec<&str> =
            LONG.iter().copied().filter(|arg| !["--epochs", "2"].contains(arg)).collect();
        let mut command = mpirun(2, &[&args[..], &epochs].concat());
        command.env("OMPI_MCA_odls_base_sigkill_timeout", "10");
        let mut launcher = command.spawn().expect("it starts");
        checkpoint_of(&mut launcher, &run);
        send(signal, launcher.id());
        interrupted(launcher);
    }
}

/// Makes sure that ranks which were told to end did, and said how to go on.
fn interrupted(launcher: Child) {
    let begun = Instant::now();
    let output = launcher.wait_with_output().expect("it ends");
    let said = text(&output.stderr);
    assert!(begun.elapsed() < Duration::from_secs(60), "{said}");
    assert!(!output.status.success() && !said.contains("panicked"), "{said}");
    assert!(said.contains("--resume"), "{said}");
}

#[test]
fn a_rank_that_hangs_ends_all_and_the_run_goes_on_to_the_same_bits() {
    if !mpirun_is_there() {
        return;
    }
    let sandbox = Sandbox::new();
    let whole = sandbox.path("whole");
    distributed(2, &[&LONG[..], &["--out", &whole]].concat());
    for which in [0, 1] {
        let run = sandbox.path(&format!("hangs-{which}"));
        let args = [&LONG[..], &["--distributed", "--out", &run]].concat();
        let mut command = mpirun(2, &args);
        // Longer than ranks wait for one that reads its data on a busy machine.
        command.env("RNN_GPU_RANK_TIMEOUT", "15");
        let mut launcher = command.spawn().expect("it starts");
        checkpoint_of(&mut launcher, &run);
        send("-STOP", ranks_of(&launcher)[which].as_u32());
        let begun = Instant::now();
        let output = launcher.wait_with_output().expect("it ends");
        assert!(begun.elapsed() < Duration::from_secs(90), "rank {which}");
        let said = text(&output.stderr);
        assert!(!output.status.success(), "rank {which}: {said}");
        let told = said.matches("another rank has not come to the same step").count();
        assert_eq!(told, 1, "rank {which}: {said}");
        distributed(2, &["train", "--resume", &run, "--device", "cpu"]);
        assert_eq!(weights(&run), weights(&whole), "rank {which} hung");
    }
}

#[test]
fn mixed_precision_and_streamed_data_are_as_without_ranks() {
    if !mpirun_is_there() {
        return;
    }
    let sandbox = Sandbox::new();
    // Mixed precision: the same bits whenever it is repeated, near those of one rank.
    let one = sandbox.path("mixed");
    let mixed = ["--precision", "mixed"];
    success(&[&REVIEWS[..], &mixed, &["--batch-size", "12", "--out", &one]].concat());
    let runs = ["mixed-a", "mixed-b"].map(|run| sandbox.path(run));
    for run in &runs {
        distributed(2, &[&REVIEWS[..], &mixed, &["--batch-size", "6", "--out", run]].concat());
    }
    assert_eq!(weights(&runs[0]), weights(&runs[1]));
    let load = |run: &str| safetensors::load(&Path::new(run).join("weights.safetensors"));
    let (found, expected) = (load(&runs[0]).expect("weights").0, load(&one).expect("weights").0);
    for ((name, found), (_, expected)) in found.iter().zip(&expected) {
        let pairs = found.as_f32().expect("floats").iter().zip(expected.as_f32().expect("floats"));
        // Half precision rounds sequences to 11 bits.
        let apart = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart < 2e-3, "{name} is {apart} apart");
    }
    // Streamed data: the bits of data in memory.
    let toml = sandbox.write(
        "model.toml",
        b"input.shape = [5, 4]\ncompile.loss = \"mse\"\ncompile.optimizer = \"adam\"\n\
          layer = [{ type = \"LSTM\", units = 8 }, { type = \"Dense\", units = 1 }]\n",
    );
    let mut floats = random_arrays();
    let arrays = [
        ("x_train", floats(&[41, 5, 4])),
        ("y_train", floats(&[41])),
        ("x_val", floats(&[13, 5, 4])),
        ("y_val", floats(&[13])),
    ];
    let data = sandbox.npz("d.npz", &arrays);
    let args = ["train", "--model", &toml, "--data", &data, "--epochs", "3", "--device", "cpu"];
    let one = sandbox.path("one");
    success(&[&args[..], &["--batch-size", "12", "--stream", "--out", &one]].concat());
    let runs = [&["--stream"][..], &[]].map(|how| {
        let run = sandbox.path(if how.is_empty() { "memory" } else { "streamed" });
        distributed(2, &[&args[..], &["--batch-size", "6", "--out", &run], how].concat());
        run
    });
    assert_eq!(weights(&runs[0]), weights(&runs[1]));
    assert_close(&runs[0], &one);
}
