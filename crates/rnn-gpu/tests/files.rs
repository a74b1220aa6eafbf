//! The user's files: none is written twice by one command, over what it reads, or over what is not a
//! file of a run that is to be replaced.

mod common;

use common::{FAILED, Sandbox, assert_names, contents, failure_with, npy_bytes, success};
use rnn_core::HostTensor;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

fn floats(shape: &[usize]) -> HostTensor {
    let count: usize = shape.iter().product();
    let values = (0..count).map(|i| ((i * 7 + 3) % 11) as f32 / 11.0 - 0.5).collect();
    HostTensor::from_f32(shape, values).expect("the shape fits")
}

/// A model of one layer with a sigmoid, and data for it.
fn small(sandbox: &Sandbox) -> [String; 2] {
    let model = "input.shape = [3]\ncompile = { loss = \"binary_crossentropy\", optimizer = \"adam\" }\n\
                 layer = [{ type = \"Dense\", units = 1, activation = \"sigmoid\" }]\n";
    let model = sandbox.write("small.toml", model.as_bytes());
    let labels = (0..20).map(|i| (i % 2) as f32).collect();
    let arrays = [
        ("x_train", npy_bytes(Ok(floats(&[20, 3])))),
        ("y_train", npy_bytes(HostTensor::from_f32([20], labels))),
    ];
    [model, sandbox.npz("d.npz", &arrays)]
}

fn train<'a>([model, data]: &'a [String; 2], out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let args = ["train", "--model", model, "--data", data, "--out", out, "--device", "cpu"];
    [&args[..], &["--epochs", "1"], more].concat()
}

fn fails(args: &[&str]) -> String {
    failure_with(FAILED, args)
}

/// Makes sure that a command fails, without and with `--overwrite`, and leaves a folder as it is.
/// Returns both messages.
fn never_writes(folder: &str, args: &[&str]) -> [String; 2] {
    let before = contents(folder);
    [&[][..], &["--overwrite"]].map(|more| {
        let message = fails(&[args, more].concat());
        assert_eq!(contents(folder), before, "{args:?} {more:?}");
        message
    })
}

/// A run of the small model, and what it was exported to.
struct Trained {
    sandbox: Sandbox,
    of: [String; 2],
    run: String,
    keras: String,
}

static TRAINED: LazyLock<Trained> = LazyLock::new(|| {
    let sandbox = Sandbox::shared("files");
    let (of, run, keras) = (small(&sandbox), sandbox.path("run"), sandbox.path("m.keras"));
    success(&train(&of, &run, &[]));
    success(&["export", &run, "--to", &keras]);
    Trained { sandbox, of, run, keras }
});

impl Trained {
    /// A copy of the run for one test.
    fn copy(&self, name: &str) -> String {
        self.sandbox.copy(&self.run, name)
    }

    /// A folder into which the run's model was imported.
    fn import(&self, name: &str) -> String {
        let out = self.sandbox.path(name);
        success(&["import", &self.keras, "--out", &out]);
        out
    }

    /// A folder with these files, which are the user's.
    fn foreign(&self, name: &str, files: &[&str]) -> String {
        let folder = self.sandbox.path(name);
        fs::create_dir(&folder).expect("a folder");
        for file in files {
            fs::write(Path::new(&folder).join(file), "{\"mine\": true}").expect("a file");
        }
        folder
    }
}

#[test]
fn an_import_never_writes_into_a_run() {
    let run = TRAINED.copy("imported-into");
    never_writes(&run, &["import", &TRAINED.keras, "--out", &run]);
}

#[test]
fn an_import_never_writes_into_a_run_that_is_not_finished() {
    let run = TRAINED.copy("imported-into-unfinished");
    for name in ["config.json", "checkpoints/finished"] {
        fs::remove_file(Path::new(&run).join(name)).expect("it was there");
    }
    never_writes(&run, &["import", &TRAINED.keras, "--out", &run]);
}

#[test]
fn an_import_never_writes_into_a_folder_of_other_files() {
    let foreign = TRAINED.foreign("imported-into-foreign", &["thesis.txt"]);
    never_writes(&foreign, &["import", &TRAINED.keras, "--out", &foreign]);
}

#[test]
fn an_import_replaces_an_import_only_when_told() {
    let imported = TRAINED.import("imported-twice");
    let before = contents(&imported);
    assert!(before.contains_key("model.json") && before.contains_key("weights.safetensors"));
    let import = ["import", &TRAINED.keras, "--out", &imported];
    fails(&import);
    assert_eq!(contents(&imported), before);
    fs::write(Path::new(&imported).join("model.json"), "{}").expect("a file");
    success(&[&import[..], &["--overwrite"]].concat());
    assert_eq!(contents(&imported), before);
}

#[test]
fn a_training_does_not_replace_an_import_untold() {
    let imported = TRAINED.import("trained-into");
    let before = contents(&imported);
    fails(&train(&TRAINED.of, &imported, &[]));
    assert_eq!(contents(&imported), before);
}

/// Files of the user's in the folder of a run.
const MINE: [&str; 5] = [
    "notes.txt",
    "checkpoints/mine.bin",
    "rollout-3/frame.txt",
    "tensorboard/train/mine",
    "data/x.npy",
];

/// A run with TensorBoard curves and a frame of a rollout, beside which [`MINE`] lie; its data, and
/// the description of another model.
struct Replaced {
    sandbox: Sandbox,
    run: String,
    data: String,
    regression: String,
}

impl Replaced {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let run = sandbox.path("run");
        let [model, data] = small(&sandbox);
        let of = [model, data.clone()];
        success(&train(&of, &run, &["--tensorboard"]));
        for name in MINE {
            let path = Path::new(&run).join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, name).expect("a file");
        }
        fs::write(Path::new(&run).join("rollout-3/frame-01.png"), "a frame").expect("a file");
        assert!(contents(&run).contains_key("histogram.png"));
        let regression = "input.shape = [3]\ncompile = { loss = \"mse\", optimizer = \"adam\" }\n\
                          layer = [{ type = \"Dense\", units = 1 }]\n";
        let regression = sandbox.write("regression.toml", regression.as_bytes());
        Self { sandbox, run, data, regression }
    }
}

#[test]
fn a_training_does_not_replace_a_run_untold() {
    let Replaced { sandbox, run, .. } = Replaced::new();
    let before = contents(&run);
    fails(&train(&small(&sandbox), &run, &[]));
    assert_eq!(contents(&run), before);
}

#[test]
fn a_training_that_fails_before_its_first_step_leaves_the_old_run() {
    let Replaced { sandbox, run, regression, .. } = Replaced::new();
    let before = contents(&run);
    let short = sandbox.npz("short.npz", &[("x_train", npy_bytes(Ok(floats(&[20, 3]))))]);
    fails(&train(&[regression, short], &run, &["--overwrite"]));
    assert_eq!(contents(&run), before);
}

/// A regression has no histogram, and without checkpoints none of the old run may be left.
#[test]
fn a_training_that_replaces_a_run_leaves_the_files_of_a_fresh_one_and_the_users() {
    let Replaced { sandbox, run, data, regression } = Replaced::new();
    let of = [regression, data];
    success(&train(&of, &run, &["--overwrite", "--checkpoint-every", "never"]));
    let after = contents(&run);
    for name in MINE {
        assert_eq!(after.get(name).map(Vec::as_slice), Some(name.as_bytes()), "{name}");
    }
    let fresh = sandbox.path("fresh");
    success(&train(&of, &fresh, &["--checkpoint-every", "never"]));
    let fresh = contents(&fresh);
    let files = |all: &BTreeMap<String, Vec<u8>>| -> Vec<String> {
        all.keys().filter(|name| !MINE.contains(&name.as_str())).cloned().collect()
    };
    assert_eq!(files(&after), files(&fresh));
    assert_eq!(after["weights.safetensors"], fresh["weights.safetensors"]);
}

/// As a model of somebody else's program may lie there.
#[test]
fn a_folder_with_files_named_as_a_runs_is_left_alone() {
    let files = ["config.json", "weights.safetensors", ".lock"];
    let foreign = TRAINED.foreign("named-as-a-run", &files);
    for message in never_writes(&foreign, &train(&TRAINED.of, &foreign, &[])) {
        assert_names(&message, &[".lock", "--out"]);
    }
}

#[cfg(unix)]
#[test]
fn a_folder_behind_a_link_is_left_alone() {
    let foreign = TRAINED.foreign("linked-to", &["config.json", "weights.safetensors", ".lock"]);
    let link = TRAINED.sandbox.path("link");
    std::os::unix::fs::symlink(&foreign, &link).expect("a link");
    never_writes(&foreign, &train(&TRAINED.of, &link, &[]));
}

#[test]
fn a_file_in_the_place_of_the_folder_is_left_alone() {
    let file = TRAINED.sandbox.write("file", b"mine");
    fails(&train(&TRAINED.of, &file, &["--overwrite"]));
    assert_eq!(fs::read(&file).expect("it is there"), b"mine");
}

#[test]
fn an_empty_folder_stays_when_the_training_fails_and_is_taken_when_it_does_not() {
    let Trained { sandbox, of, .. } = &*TRAINED;
    let empty = TRAINED.foreign("empty", &[]);
    fails(&train(&[of[0].clone(), sandbox.path("none.npz")], &empty, &[]));
    assert!(Path::new(&empty).is_dir());
    success(&train(of, &empty, &[]));
}

#[test]
fn what_stands_in_the_way_of_a_runs_file_is_named_before_anything_is_removed() {
    let run = TRAINED.copy("occupied");
    fs::remove_file(Path::new(&run).join("report.html")).expect("it was there");
    fs::create_dir(Path::new(&run).join("report.html")).expect("a folder");
    let before = contents(&run);
    assert_names(&fails(&train(&TRAINED.of, &run, &["--overwrite"])), &["report.html"]);
    assert_eq!(contents(&run), before);
}

fn predict<'a>(run: &'a str, x: &'a str, y: &'a str) -> [&'a str; 8] {
    ["predict", run, "--input", x, "--output", y, "--device", "cpu"]
}

/// Inputs for the small model in a file of their own.
fn inputs(sandbox: &Sandbox) -> String {
    sandbox.write("x.npy", &npy_bytes(Ok(floats(&[4, 3]))))
}

#[test]
fn a_prediction_is_not_written_over_its_input_whatever_the_path() {
    let sandbox = Sandbox::new();
    let x = inputs(&sandbox);
    fs::create_dir(sandbox.path("folder")).expect("a folder");
    let mut same = vec![x.clone(), sandbox.path("folder/.././x.npy")];
    #[cfg(unix)]
    {
        same.extend([sandbox.path("hard.npy"), sandbox.path("soft.npy")]);
        fs::hard_link(&x, &same[2]).expect("a link");
        std::os::unix::fs::symlink(&x, &same[3]).expect("a link");
    }
    let before = fs::read(&x).expect("x");
    for output in &same {
        fails(&predict(&TRAINED.run, &x, output));
        assert_eq!(fs::read(&x).expect("x"), before, "{output}");
    }
}

#[test]
fn a_prediction_is_not_written_into_the_folder_of_its_inputs() {
    let sandbox = Sandbox::new();
    let arrays = sandbox.path("arrays");
    fs::create_dir(&arrays).expect("a folder");
    fs::copy(inputs(&sandbox), Path::new(&arrays).join("x.npy")).expect("a copy");
    let before = contents(&arrays);
    fails(&predict(&TRAINED.run, &arrays, &format!("{arrays}/x.npy")));
    assert_eq!(contents(&arrays), before);
}

#[test]
fn a_prediction_replaces_an_earlier_one() {
    let sandbox = Sandbox::new();
    let (x, y) = (inputs(&sandbox), sandbox.path("y.npy"));
    for _ in 0..2 {
        success(&predict(&TRAINED.run, &x, &y));
    }
}

#[test]
fn an_export_is_not_written_over_its_model() {
    let before = fs::read(&TRAINED.keras).expect("a model");
    fails(&["export", &TRAINED.keras, "--to", &TRAINED.keras]);
    assert_eq!(fs::read(&TRAINED.keras).expect("a model"), before);
}

#[test]
fn an_export_is_not_written_over_the_weights_of_a_run() {
    let run = TRAINED.copy("exported-into");
    let before = contents(&run);
    let weights = format!("{run}/weights.safetensors");
    for model in [&run, &TRAINED.keras] {
        fails(&["export", model, "--to", &weights]);
        assert_eq!(contents(&run), before);
    }
}

#[test]
fn a_comparison_is_not_drawn_over_files_of_a_run() {
    let run = TRAINED.copy("compared");
    let before = contents(&run);
    for picture in ["curves.png", "report.png"] {
        fails(&["compare", &run, "--out", &format!("{run}/{picture}")]);
        assert_eq!(contents(&run), before);
    }
}

#[test]
fn a_new_description_does_not_replace_a_file() {
    let sandbox = Sandbox::new();
    let [model, _] = small(&sandbox);
    let before = fs::read(&model).expect("a description");
    fails(&["new", &model]);
    assert_eq!(fs::read(&model).expect("a description"), before);
}
