//! Each output of a model has a name and a file of its own, in all forms that a model has.

mod common;

use common::{Sandbox, case, contents, npy_bytes, success};
use rnn::model_file;
use rnn::nn::{Architecture, Loss, Model, Optimizer, Trainer};
use rnn_core::HostTensor;
use rnn_cpu::CpuDevice;
use rnn_formats::npy;
use rnn_run::run::RunFolder;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

fn floats(shape: &[usize]) -> HostTensor {
    let count: usize = shape.iter().product();
    let values = (0..count).map(|i| ((i * 7 + 3) % 11) as f32 / 11.0 - 0.5).collect();
    HostTensor::from_f32(shape, values).expect("the shape fits")
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
    model_file::save(run.path(), model.architecture(), None, (&model, None))
        .expect("it is written");
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
    let set = rnn::nn::Dataset::new([b.clone(), tokens.clone()], []).expect("examples");
    for device in rnn::device::open_all().expect("devices") {
        let mut trainer = Trainer::new(model.clone(), &*device, Optimizer::adam(), 0);
        let got = trainer.predict(&set, 2).expect("it predicts");
        assert_eq!((&got[0], &got[3]), (&b, &b), "{}", device.info());
        let whole: Vec<f32> =
            tokens.as_u32().expect("tokens").iter().map(|&token| token as f32).collect();
        assert_eq!(got[4].as_f32().expect("floats"), whole);
        assert_eq!((&got[1], &got[5]), (&got[2], &got[6]));
        assert_ne!(got[1].as_f32().expect("floats"), [0.0; 4]);
    }
    assert!(model.to_onnx().is_ok());
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
        0.796_495_3,
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

/// Keras calls an output of a model within the model after that model.
#[test]
fn losses_find_the_outputs_of_models_within_the_model() {
    let dense = |name: &str| json!({"class_name": "Dense", "name": name, "config": {"units": 2, "name": name}, "inbound_nodes": [{"args": [tensor("x", 0, 0)], "kwargs": {}}]});
    let mut inner = dense("inner");
    inner["class_name"] = "Sequential".into();
    let input = json!({"class_name": "InputLayer", "config": {"batch_shape": [null, 4]}});
    let layers = [input, json!({"class_name": "Dense", "config": {"units": 3, "name": "hidden"}})];
    inner["config"] = json!({"name": "inner", "layers": layers});
    let input = json!({"class_name": "InputLayer", "name": "x", "config": {"batch_shape": [null, 4]}, "inbound_nodes": []});
    let config = json!({"name": "m", "layers": [input, inner, dense("top")], "input_layers": [["x", 0, 0]],
        "output_layers": [["top", 0, 0], ["inner", 0, 0]]});
    let compile = json!({"optimizer": "sgd", "loss": {"inner": "mae", "top": "mse"}, "loss_weights": {"inner": 0.25, "top": 2.0}});
    let model = json!({"class_name": "Functional", "config": config, "compile_config": compile});
    let sandbox = Sandbox::new();
    let path = sandbox.write("m.json", model.to_string().as_bytes());
    let file = model_file::ModelFile::open(Path::new(&path)).expect("a model");
    let losses = file.compile.expect("how it was trained").losses;
    assert_eq!(losses, [(Loss::MeanSquaredError, 2.0), (Loss::MeanAbsoluteError, 0.25)]);
}
