//! The commands that are tried, what they start from, and the files that they are to make.

use crate::common::line::table;
use crate::common::{Sandbox, contents, lay_out, random_arrays, rnn_gpu, success, text};
use crate::fault::{Calls, Fault, Layer, calls};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

/// A command that takes longer hangs: without a fault it takes well below a second.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Scenario {
    pub name: &'static str,
    /// The arguments, with paths in the folder that it runs in.
    args: &'static str,
    /// What a user calls after a failure; if that is nothing, or fails, the command itself is called
    /// again.
    again: &'static str,
    /// The files that are compared bit by bit.
    results: &'static str,
}

/// Commands, their arguments between spaces.
pub const SCENARIOS: [Scenario; 11] = [
    Scenario {
        name: "train",
        args: "train --model=model.toml --data=d.npz --epochs=2 --batch-size=8 \
               --checkpoint-every=1 --out=new --device=cpu",
        again: "train --resume=new --device=cpu",
        results: "new/weights.safetensors new/optimizer.safetensors",
    },
    Scenario {
        name: "stream",
        args: "train --model=model.toml --data=arrays --stream --tensorboard --epochs=2 \
               --batch-size=8 --checkpoint-every=1 --out=new --device=cpu",
        again: "train --resume=new --device=cpu",
        results: "new/weights.safetensors new/optimizer.safetensors",
    },
    Scenario {
        name: "train on a table",
        args: "train --model=row.toml --data=d.csv --target=y --epochs=2 --batch-size=8 \
               --checkpoint-every=1 --out=new --device=cpu",
        again: "train --resume=new --device=cpu",
        results: "new/weights.safetensors new/optimizer.safetensors",
    },
    Scenario {
        name: "train again",
        args: "train --model=model.toml --data=d.npz --epochs=1 --batch-size=8 --checkpoint-every=1 \
               --out=run --overwrite --device=cpu",
        again: "train --resume=run --epochs=1 --device=cpu",
        results: "run/weights.safetensors run/optimizer.safetensors",
    },
    Scenario {
        name: "resume",
        args: "train --resume=run --epochs=4 --checkpoint-every=1 --device=cpu",
        again: "",
        results: "run/weights.safetensors run/optimizer.safetensors",
    },
    Scenario {
        name: "import",
        args: "import m.keras --out=imported",
        again: "",
        results: "imported/weights.safetensors imported/optimizer.safetensors \
                  imported/model.json",
    },
    Scenario {
        name: "import again",
        args: "import m.keras --out=other --overwrite",
        again: "",
        results: "other/weights.safetensors other/optimizer.safetensors other/model.json",
    },
    Scenario {
        name: "export to Keras",
        args: "export run --to=new.keras",
        again: "",
        results: "new.keras",
    },
    Scenario {
        name: "export to ONNX",
        args: "export run --to=new.onnx",
        again: "",
        results: "new.onnx",
    },
    Scenario {
        name: "predict",
        args: "predict run --input=x.npy --output=y.npy --device=cpu",
        again: "",
        results: "y.npy",
    },
    Scenario { name: "evaluate", args: "evaluate run --device=cpu", again: "", results: "stdout" },
];

/// The files that scenarios start from: a model, data, a finished run and a Keras file of it.
fn start() -> &'static BTreeMap<String, Vec<u8>> {
    static START: OnceLock<BTreeMap<String, Vec<u8>>> = OnceLock::new();
    START.get_or_init(|| {
        let sandbox = Sandbox::new();
        let layers = "layer = [{ type = \"LSTM\", units = 5, dropout = 0.2 }, { type = \"Dense\", units = 1 }]";
        let compile = "compile = { loss = \"mse\", optimizer = \"adam\" }";
        let model = format!("input.shape = [3, 4]\n{compile}\n{layers}\n");
        let model = sandbox.write("model.toml", model.as_bytes());
        let row = "layer = [{ type = \"Dense\", units = 1 }]";
        sandbox.write("row.toml", format!("input.shape = [2]\n{compile}\n{row}\n").as_bytes());
        sandbox.write("d.csv", table(&["a", "b", "y"], true).as_bytes());
        let mut floats = random_arrays();
        let arrays = [
            ("x_train", floats(&[16, 3, 4])),
            ("y_train", floats(&[16])),
            ("x_test", floats(&[8, 3, 4])),
            ("y_test", floats(&[8])),
        ];
        let data = sandbox.npz("d.npz", &arrays);
        fs::create_dir(sandbox.path("arrays")).expect("a folder");
        for (name, bytes) in &arrays {
            sandbox.write(&format!("arrays/{name}.npy"), bytes);
        }
        sandbox.write("x.npy", &floats(&[6, 3, 4]));
        let [run, file, other] = ["run", "m.keras", "other"].map(|name| sandbox.path(name));
        let train = ["train", "--model", &model, "--data", &data, "--batch-size", "8", "--device=cpu"];
        success(&[&train[..], &["--epochs", "2", "--out", &run]].concat());
        success(&["export", &run, "--to", &file]);
        // The folder of another model.
        success(&[&train[..], &["--epochs", "1", "--out", &sandbox.path("once")]].concat());
        success(&["export", &sandbox.path("once"), "--to", &file.replace("m.", "other.")]);
        success(&["import", &file.replace("m.", "other."), "--out", &other]);
        contents(&sandbox.path(""))
    })
}

/// A run of a command without faults.
pub struct Whole {
    results: BTreeMap<String, Vec<u8>>,
    pub calls: Calls,
}

impl Scenario {
    fn prepare(&self) -> Sandbox {
        let sandbox = Sandbox::in_memory();
        lay_out(start(), &sandbox.path(""));
        sandbox
    }

    fn results(&self, sandbox: &Sandbox) -> BTreeMap<String, Vec<u8>> {
        let read = |name: &str| Some((name.to_owned(), fs::read(sandbox.path(name)).ok()?));
        self.results.split(' ').filter_map(read).collect()
    }

    /// Runs it without a fault.
    pub fn whole(&self, layer: &Layer) -> Whole {
        let sandbox = self.prepare();
        let counts = sandbox.path("calls");
        let mut command = layer.command(&arguments(self.args), None, counts.as_ref());
        let (status, said) = run(&mut command, &sandbox);
        assert!(status.is_some_and(|s| s.success()), "{}: {said}", self.name);
        let results = self.results(&sandbox);
        assert_eq!(
            results.len(),
            self.results.split(' ').count(),
            "{}: {:?}",
            self.name,
            results.keys()
        );
        let calls = calls(&fs::read_to_string(counts).expect("the layer counts"));
        Whole { results, calls }
    }

    /// Runs it with a fault and, if it fails, once more without; says what was lost.
    pub fn with(&self, fault: &Fault, whole: &Whole, layer: &Layer) -> Result<(), String> {
        let sandbox = self.prepare();
        let mut command =
            layer.command(&arguments(self.args), Some(fault), sandbox.path("calls").as_ref());
        let (status, said) = run(&mut command, &sandbox);
        let status = status.ok_or_else(|| format!("it hangs: {said}"))?;
        if !status.success() {
            is_told(status, &said)?;
            self.recover(&sandbox).map_err(|error| format!("{error}\nbefore that: {said}"))?;
        }
        if self.results(&sandbox) != whole.results {
            return Err(format!("other results after {status}: {said}"));
        }
        let left = contents(&sandbox.path("")).into_keys().find(|name| name.ends_with(".tmp"));
        match left {
            Some(name) if !status.success() => Err(format!("{name} is left after {said}")),
            _ => Ok(()),
        }
    }

    fn recover(&self, sandbox: &Sandbox) -> Result<(), String> {
        let mut heard = String::new();
        for args in [self.again, self.args].into_iter().filter(|args| !args.is_empty()) {
            let (status, said) = run(&mut rnn_gpu(&arguments(args)), sandbox);
            if status.is_some_and(|status| status.success()) {
                return Ok(());
            }
            heard += &format!("{args}: {said}\n");
        }
        Err(format!("it cannot go on: {heard}"))
    }
}

fn arguments(of: &str) -> Vec<&str> {
    of.split(' ').collect()
}

/// With what the standard library and glibc end a program that gets no memory.
const OUT_OF_MEMORY: [&str; 3] = [
    "memory allocation of",
    "failed to allocate an alternative stack",
    "failed to register TLS destructor: out of memory",
];

/// Whether a failure was told, in words.
fn is_told(status: ExitStatus, said: &str) -> Result<(), String> {
    let told = said.contains("error: ") && status.code() == Some(1) && !said.contains("panicked");
    match told || OUT_OF_MEMORY.iter().any(|end| said.contains(end)) {
        true => Ok(()),
        false => Err(format!("{status} with {said:?}")),
    }
}

/// Runs a command in the sandbox, whose file `stdout` has what it prints, and returns its status, or none
/// if it hangs, and what it wrote to standard error.
fn run(command: &mut Command, sandbox: &Sandbox) -> (Option<ExitStatus>, String) {
    let file = |name: &str| File::create(sandbox.path(name)).expect("a file");
    let quiet = command.stdin(Stdio::null()).stdout(file("stdout")).stderr(file("stderr"));
    let mut child = quiet.current_dir(sandbox.path("")).spawn().expect("it starts");
    let begin = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("it is a child") {
            break Some(status);
        }
        if begin.elapsed() > PATIENCE {
            child.kill().and_then(|()| child.wait()).expect("it is a child");
            break None;
        }
        thread::sleep(Duration::from_millis(2));
    };
    (status, text(&fs::read(sandbox.path("stderr")).expect("a file")))
}
