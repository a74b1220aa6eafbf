//! The user's files: none is written twice by one command, over what it reads, or over what is not a
//! file of a run that is to be replaced.

mod common;

use common::{Sandbox, case, failure, npy_bytes, success};
use rnn_core::HostTensor;
use rnn_cpu::CpuDevice;
use rnn_formats::npy;
use rnn_gpu::model_file;
use rnn_gpu::nn::{Architecture, Model, Optimizer, Trainer};
use rnn_gpu::run::RunFolder;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

fn floats(shape: &[usize]) -> HostTensor {
    let count: usize = shape.iter().product();
    let values = (0..count).map(|i| ((i * 7 + 3) % 11) as f32 / 11.0 - 0.5).collect();
    HostTensor::from_f32(shape, values).expect("the shape fits")
}

/// All files of a folder, by their paths, and what they hold.
fn contents(folder: &str) -> BTreeMap<String, Vec<u8>> {
    fn add(root: &Path, folder: &Path, all: &mut BTreeMap<String, Vec<u8>>) {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            match path.is_dir() {
                true => add(root, &path, all),
                false => {
                    let name = path.strip_prefix(root).expect("it is in there");
                    all.insert(name.to_str().expect("UTF-8").into(), fs::read(&path).expect("it"));
                }
            }
        }
    }
    let mut all = BTreeMap::new();
    add(Path::new(folder), Path::new(folder), &mut all);
    all
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

#[test]
fn an_import_never_writes_into_a_run() {
    let sandbox = Sandbox::new();
    let (of, run, keras) = (small(&sandbox), sandbox.path("run"), sandbox.path("m.keras"));
    success(&train(&of, &run, &[]));
    success(&["export", &run, "--to", &keras]);
    let before = contents(&run);
    failure(&["import", &keras, "--out", &run]);
    failure(&["import", &keras, "--out", &run, "--overwrite"]);
    // A run that is not finished is one, too.
    fs::remove_file(Path::new(&run).join("config.json")).expect("it was there");
    fs::remove_file(Path::new(&run).join("checkpoints/finished")).expect("it was there");
    failure(&["import", &keras, "--out", &run, "--overwrite"]);
    let mut kept = contents(&run);
    for name in ["config.json", "checkpoints/finished"] {
        kept.insert(name.into(), before[name].clone());
    }
    assert_eq!(kept, before);
    let other = sandbox.path("other");
    success(&["import", &keras, "--out", &other]);
    let before = contents(&other);
    assert!(before.contains_key("model.json") && before.contains_key("weights.safetensors"));
    failure(&["import", &keras, "--out", &other]);
    success(&["import", &keras, "--out", &other, "--overwrite"]);
    assert_eq!(contents(&other), before);
    // Nor does a training, without a word.
    failure(&train(&of, &other, &[]));
    assert_eq!(contents(&other), before);
    let foreign = sandbox.path("foreign");
    fs::create_dir(&foreign).expect("a folder");
    fs::write(Path::new(&foreign).join("thesis.txt"), "years").expect("a file");
    for more in [&[][..], &["--overwrite"]] {
        failure(&[&["import", &keras, "--out", &foreign], more].concat());
    }
    assert_eq!(contents(&foreign).len(), 1);
}

#[test]
fn a_training_replaces_a_run_only_when_told_and_nothing_else() {
    let sandbox = Sandbox::new();
    let (of, run) = (small(&sandbox), sandbox.path("run"));
    success(&train(&of, &run, &["--tensorboard"]));
    let mine = [
        "notes.txt",
        "checkpoints/mine.bin",
        "rollout-3/frame.txt",
        "tensorboard/train/mine",
        "data/x.npy",
    ];
    for name in mine {
        let path = Path::new(&run).join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, name).expect("a file");
    }
    fs::write(Path::new(&run).join("rollout-3/frame-01.png"), "a frame").expect("a file");
    let before = contents(&run);
    assert!(before.contains_key("histogram.png"), "{:?}", before.keys());
    failure(&train(&of, &run, &[]));
    assert_eq!(contents(&run), before);
    // What fails before it trains leaves the old run.
    let regression = "input.shape = [3]\ncompile = { loss = \"mse\", optimizer = \"adam\" }\n\
                      layer = [{ type = \"Dense\", units = 1 }]\n";
    let regression = sandbox.write("regression.toml", regression.as_bytes());
    let short = sandbox.npz("short.npz", &[("x_train", npy_bytes(Ok(floats(&[20, 3]))))]);
    failure(&train(&[regression.clone(), short], &run, &["--overwrite"]));
    assert_eq!(contents(&run), before);
    let of = [regression, of[1].clone()];
    success(&train(&of, &run, &["--overwrite", "--checkpoint-every", "never"]));
    let after = contents(&run);
    for name in mine {
        assert_eq!(after.get(name).map(Vec::as_slice), Some(name.as_bytes()), "{name}");
    }
    // A regression has no histogram, and without checkpoints none of the old run is left.
    let fresh = sandbox.path("fresh");
    success(&train(&of, &fresh, &["--checkpoint-every", "never"]));
    let files = |all: &BTreeMap<String, Vec<u8>>| -> Vec<String> {
        all.keys().filter(|name| !mine.contains(&name.as_str())).cloned().collect()
    };
    assert_eq!(files(&after), files(&contents(&fresh)));
    assert_eq!(after["weights.safetensors"], contents(&fresh)["weights.safetensors"]);
}

#[test]
fn a_folder_that_is_no_run_is_left_alone() {
    let sandbox = Sandbox::new();
    let of = small(&sandbox);
    let foreign = sandbox.path("foreign");
    fs::create_dir(&foreign).expect("a folder");
    // As a model of somebody else's program may lie there.
    for name in ["config.json", "weights.safetensors", ".lock"] {
        fs::write(Path::new(&foreign).join(name), "{\"mine\": true}").expect("a file");
    }
    let before = contents(&foreign);
    for more in [&[][..], &["--overwrite"]] {
        let message = failure(&train(&of, &foreign, more));
        assert!(message.contains(".lock") && message.contains("--out"), "{message}");
        assert_eq!(contents(&foreign), before);
    }
    let file = sandbox.write("file", b"mine");
    failure(&train(&of, &file, &["--overwrite"]));
    assert_eq!(fs::read(&file).expect("it is there"), b"mine");
    // An empty folder may be given, and is still there when the training fails.
    let empty = sandbox.path("empty");
    fs::create_dir(&empty).expect("a folder");
    failure(&train(&[of[0].clone(), sandbox.path("none.npz")], &empty, &[]));
    assert!(Path::new(&empty).is_dir());
    #[cfg(unix)]
    {
        let link = sandbox.path("link");
        std::os::unix::fs::symlink(&foreign, &link).expect("a link");
        failure(&train(&of, &link, &["--overwrite"]));
        assert_eq!(contents(&foreign), before);
    }
    success(&train(&of, &empty, &[]));
    // What stands in the way of a run's file is named, before anything is removed.
    fs::remove_file(Path::new(&empty).join("report.html")).expect("it was there");
    fs::create_dir(Path::new(&empty).join("report.html")).expect("a folder");
    let before = contents(&empty);
    let message = failure(&train(&of, &empty, &["--overwrite"]));
    assert!(message.contains("report.html"), "{message}");
    assert_eq!(contents(&empty), before);
}

#[test]
fn nothing_is_written_over_what_is_read_or_over_a_run() {
    let sandbox = Sandbox::new();
    let (of, run, keras) = (small(&sandbox), sandbox.path("run"), sandbox.path("m.keras"));
    success(&train(&of, &run, &[]));
    success(&["export", &run, "--to", &keras]);
    let x = sandbox.write("x.npy", &npy_bytes(Ok(floats(&[4, 3]))));
    let arrays = sandbox.path("arrays");
    fs::create_dir(&arrays).expect("a folder");
    fs::copy(&x, Path::new(&arrays).join("x.npy")).expect("a copy");
    let inside = format!("{arrays}/x.npy");
    let mut same = vec![x.clone(), format!("{}/./x.npy", sandbox.path("run/.."))];
    #[cfg(unix)]
    {
        same.extend([sandbox.path("hard.npy"), sandbox.path("soft.npy")]);
        fs::hard_link(&x, &same[2]).expect("a link");
        std::os::unix::fs::symlink(&x, &same[3]).expect("a link");
    }
    let before = [contents(&run), contents(&arrays)];
    let kept = [fs::read(&x).expect("x"), fs::read(&keras).expect("a model")];
    for output in &same {
        failure(&["predict", &run, "--input", &x, "--output", output, "--device", "cpu"]);
    }
    failure(&["predict", &run, "--input", &arrays, "--output", &inside, "--device", "cpu"]);
    failure(&["export", &keras, "--to", &keras]);
    failure(&["export", &run, "--to", &format!("{run}/weights.safetensors")]);
    failure(&["export", &keras, "--to", &format!("{run}/weights.safetensors")]);
    for picture in ["curves.png", "report.png"] {
        failure(&["compare", &run, "--out", &format!("{run}/{picture}")]);
    }
    failure(&["new", &of[0]]);
    assert_eq!([contents(&run), contents(&arrays)], before);
    assert_eq!([fs::read(&x).expect("x"), fs::read(&keras).expect("a model")], kept);
    let y = sandbox.path("y.npy");
    for _ in 0..2 {
        success(&["predict", &run, "--input", &x, "--output", &y, "--device", "cpu"]);
    }
}

/// A functional model of these layers.
fn functional(layers: Value, inputs: Value, outputs: Value) -> Model {
    let config =
        json!({"name": "m", "layers": layers, "input_layers": inputs, "output_layers": outputs});
    let model = json!({"class_name": "Functional", "config": config});
    Architecture::from_json(&model, None).expect("it is described").model(1).expect("it fits")
}

fn tensor(layer: &str, call: usize, output: usize) -> Value {
    json!({"class_name": "__keras_tensor__", "config": {"keras_history": [layer, call, output]}})
}

/// Names that are no names of files, or one where letters are not told from capitals.
fn several_outputs() -> Model {
    let layer = |class: &str, name: &str, config: Value, calls: &[Value]| {
        let nodes: Vec<Value> =
            calls.iter().map(|of| json!({"args": [of], "kwargs": {}})).collect();
        json!({"class_name": class, "name": name, "config": config, "inbound_nodes": nodes})
    };
    let states = json!({"units": 4, "return_sequences": true, "return_state": true});
    let layers = json!([
        {"class_name": "InputLayer", "name": "a", "config": {"batch_shape": [null, 6, 5]}, "inbound_nodes": []},
        layer("LSTM", "dec", states, &[tensor("a", 0, 0)]),
        layer("Dense", "enc/out", json!({"units": 3}), &[tensor("dec", 0, 1), tensor("dec", 0, 2)]),
        layer("Dense", "größe", json!({"units": 2}), &[tensor("dec", 0, 1)]),
        layer("Dense", "enc_out", json!({"units": 2}), &[tensor("dec", 0, 2)]),
        layer("Dense", "DEC", json!({"units": 2}), &[tensor("dec", 0, 2)]),
    ]);
    let outputs = json!([
        ["dec", 0, 0],
        ["dec", 0, 1],
        ["dec", 0, 2],
        ["enc/out", 0, 0],
        ["enc/out", 1, 0],
        ["größe", 0, 0],
        ["enc_out", 0, 0],
        ["DEC", 0, 0],
        ["dec", 0, 1],
        ["a", 0, 0],
    ]);
    functional(layers, json!([["a", 0, 0]]), outputs)
}

#[test]
fn each_output_has_a_name_and_a_file_of_its_own() {
    let sandbox = Sandbox::new();
    let model = several_outputs();
    let names =
        ["dec", "dec_1", "dec_2", "enc/out", "enc/out_1", "größe", "enc_out", "DEC", "dec_3", "a"];
    assert_eq!(model.output_names(), names);
    let files = [
        "dec",
        "dec_1",
        "dec_2",
        "enc_out",
        "enc_out_1",
        "größe",
        "enc_out_2",
        "DEC_4",
        "dec_3",
        "a",
    ];
    let x = floats(&[3, 6, 5]);
    let device = CpuDevice::new();
    let mut trainer = Trainer::new(model.clone(), &device, Optimizer::adam(), 0);
    let want = trainer.predict_batch(std::slice::from_ref(&x)).expect("it predicts");
    assert_eq!(want.len(), names.len());
    assert_eq!(want[9], x, "the input is an output as it is");
    assert_eq!(want[8], want[1]);
    let last = want[0].as_f32().expect("floats").chunks(6 * 4).flat_map(|s| s[5 * 4..].to_vec());
    assert_eq!(last.collect::<Vec<_>>(), want[1].as_f32().expect("floats"));
    let run = RunFolder::create(Path::new(&sandbox.path("run"))).expect("a folder");
    model_file::save(&run, &model.architecture(), None, (&model, None)).expect("it is written");
    let run = sandbox.path("run");
    let input = sandbox.write("x.npy", &npy_bytes(Ok(x)));
    let folder = sandbox.path("out");
    fs::create_dir(&folder).expect("a folder");
    let [keras, h5, onnx, again] = ["m.keras", "m.h5", "m.onnx", "again"].map(|n| sandbox.path(n));
    for to in [&keras, &h5, &onnx] {
        success(&["export", &run, "--to", to]);
    }
    success(&["import", &keras, "--out", &again]);
    for (model, device, tolerance) in [
        (&run, "cpu", 0.0),
        (&keras, "cpu", 0.0),
        (&h5, "cpu", 0.0),
        (&again, "cpu", 0.0),
        (&run, "gpu", 1e-5),
    ] {
        let y = format!("{folder}/y.npy");
        success(&["predict", model, "--input", &input, "--output", &y, "--device", device]);
        for (file, want) in files.iter().zip(&want) {
            let got = npy::read(Path::new(&format!("{folder}/y-{file}.npy"))).expect("a file");
            let got = got.to_f32().expect("floats");
            assert_eq!(got.shape(), want.shape(), "{file}");
            let pairs = got.as_f32().expect("floats").iter().zip(want.as_f32().expect("floats"));
            let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst <= tolerance, "{file} of {model} on {device} differs by {worst}");
        }
        assert_eq!(contents(&folder).len(), files.len(), "{:?}", contents(&folder).keys());
        fs::remove_dir_all(&folder).expect("it was there");
        fs::create_dir(&folder).expect("a folder");
    }
}

#[test]
fn an_input_that_is_an_output_and_an_output_that_is_listed_twice_are_put_out() {
    let input = |name: &str, shape: Value| json!({"class_name": "InputLayer", "name": name, "config": {"batch_shape": shape}, "inbound_nodes": []});
    let node = |of: Value| json!([{"args": [of], "kwargs": {}}]);
    let layers = json!([
        input("b", json!([null, 4])),
        input("t", json!([null, 3])),
        {"class_name": "Dense", "name": "d", "config": {"units": 2}, "inbound_nodes": node(tensor("b", 0, 0))},
        {"class_name": "Embedding", "name": "e", "config": {"input_dim": 9, "output_dim": 2},
            "inbound_nodes": node(tensor("t", 0, 0))},
    ]);
    let outputs = json!([
        ["b", 0, 0],
        ["d", 0, 0],
        ["d", 0, 0],
        ["b", 0, 0],
        ["t", 0, 0],
        ["e", 0, 0],
        ["e", 0, 0],
    ]);
    let model = functional(layers, json!([["b", 0, 0], ["t", 0, 0]]), outputs);
    assert_eq!(model.output_names(), ["b", "d", "d_1", "b_1", "t", "e", "e_1"]);
    let tokens = HostTensor::from_u32([2, 3], vec![1, 8, 0, 3, 3, 2]).expect("tokens");
    let b = floats(&[2, 4]);
    let set = rnn_gpu::nn::Dataset::new([b.clone(), tokens.clone()], []).expect("examples");
    for device in rnn_gpu::device::open_all().expect("devices") {
        let mut trainer = Trainer::new(model.clone(), &*device, Optimizer::adam(), 0);
        let got = trainer.predict(&set, 2).expect("it predicts");
        assert_eq!((&got[0], &got[3]), (&b, &b), "{}", device.info());
        let whole: Vec<f32> =
            tokens.as_u32().expect("tokens").iter().map(|&token| token as f32).collect();
        assert_eq!(got[4].as_f32().expect("floats"), whole);
        assert_eq!((&got[1], &got[5]), (&got[2], &got[6]));
        assert_ne!(got[1].as_f32().expect("floats"), [0.0; 4]);
    }
    assert!(rnn_gpu::onnx::export(&model).is_ok());
}

/// What Keras 3.15.1 computes for the decoder of `../shared/cases`.
#[test]
fn the_states_of_a_decoder_are_those_of_keras() {
    let Some(model) = case("decoder.keras") else { return };
    let Some(input) = case("decoder.npz") else { return };
    let sandbox = Sandbox::new();
    let y = sandbox.path("y.npy");
    success(&["predict", &model, "--input", &input, "--output", &y, "--device", "cpu"]);
    let h = [
        -0.050_498_1,
        0.020_921_1,
        -0.124_115_83,
        0.015_905_37,
        -0.205_098_23,
        0.431_200_5,
        -0.147_407_98,
        0.010_727_78,
    ];
    let c = [
        -0.087_295_66,
        0.032_261_58,
        -0.246_985_29,
        0.024_607_18,
        -0.270_681_26,
        0.796_495_32,
        -0.891_644,
        0.053_017_74,
    ];
    for (file, want) in [("y-dec.npy", h), ("y-dec_1.npy", c)] {
        let got =
            npy::read(Path::new(&sandbox.path(file))).expect("a file").to_f32().expect("floats");
        assert_eq!(got.shape().dims(), [2, 4]);
        for (got, want) in got.as_f32().expect("floats").iter().zip(want) {
            assert!((got - want).abs() < 1e-6, "{file}: {got}, Keras has {want}");
        }
    }
    let probabilities = npy::read(Path::new(&sandbox.path("y-y.npy"))).expect("a file");
    assert_eq!(probabilities.to_f32().expect("floats").shape().dims(), [2, 6, 3]);
    assert_eq!(contents(&sandbox.path("")).len(), 3);
}
