//! onnxruntime predicts what the exported models predict here.

mod attention;
mod convolutions_and_axes;
mod functional;
mod models_of_steps;
mod operations;
#[path = "../../../../tests/interchange/python.rs"]
mod python;
mod random;
mod refused;

use rnn::Activation;
use rnn::nn::{Architecture, InputSpec, Model, Optimizer, Trainer};
use rnn_core::{HostTensor, Rng};
use rnn_cpu::CpuDevice;
use rnn_formats::npy;
use serde_json::{Value, json};
use std::path::Path;

const BATCH: usize = 3;
const VOCABULARY: u32 = 7;

/// A stack of layers given by class and arguments.
fn stack(input: &[usize], layers: &[(&str, Value)]) -> Model {
    let shape: Vec<Value> =
        [Value::Null].into_iter().chain(input.iter().map(|&n| json!(n))).collect();
    let input = json!({"class_name": "InputLayer", "config": {"batch_shape": shape, "name": "x"}});
    let layers =
        layers.iter().map(|(class, config)| json!({"class_name": class, "config": config}));
    let layers: Vec<Value> = [input].into_iter().chain(layers).collect();
    let model = json!({"class_name": "Sequential", "config": {"layers": layers}});
    Architecture::from_json(&model, None).unwrap().model(1).unwrap()
}

fn stacks() -> Vec<(String, Model)> {
    let mut all = Vec::new();
    let mut add = |name: &str, input: &[usize], class: &str, config: Value| {
        all.push((name.to_owned(), stack(input, &[(class, config)])));
    };
    convolutions_and_axes::add_to(&mut add);
    let elementwise = Activation::ALL.map(Activation::name);
    for activation in elementwise.into_iter().chain(["softmax", "log_softmax", "glu"]) {
        let config = json!({"units": 4, "activation": activation});
        add(&format!("dense_{activation}"), &[5], "Dense", config);
    }
    add("dense_of_steps", &[3, 5], "Dense", json!({"units": 4, "use_bias": false}));
    for (name, class, config) in [
        ("simple_rnn", "SimpleRNN", json!({"units": 4})),
        (
            "simple_rnn_relu",
            "SimpleRNN",
            json!({"units": 4, "activation": "relu", "use_bias": false}),
        ),
        ("lstm", "LSTM", json!({"units": 4})),
        ("lstm_sequences", "LSTM", json!({"units": 4, "return_sequences": true})),
        ("lstm_backwards", "LSTM", json!({"units": 4, "go_backwards": true})),
        (
            "lstm_2018",
            "LSTM",
            json!({"units": 4, "recurrent_activation": "hard_sigmoid_2018", "activation": "linear",
                "return_sequences": true, "go_backwards": true}),
        ),
        ("lstm_plain", "LSTM", json!({"units": 4, "use_bias": false, "activation": "relu"})),
        (
            "lstm_softsign",
            "LSTM",
            json!({"units": 4, "activation": "leaky_relu", "recurrent_activation": "softsign"}),
        ),
        ("simple_rnn_gelu", "SimpleRNN", json!({"units": 4, "activation": "gelu"})),
        (
            "lstm_gelu",
            "LSTM",
            json!({"units": 4, "activation": "gelu", "recurrent_activation": "silu",
                "return_sequences": true, "go_backwards": true}),
        ),
        ("lstm_selu", "LSTM", json!({"units": 4, "activation": "selu", "use_bias": false})),
        ("gru_mish", "GRU", json!({"units": 4, "activation": "mish"})),
        (
            "gru_reset_before_silu",
            "GRU",
            json!({"units": 4, "reset_after": false, "activation": "silu"}),
        ),
        ("simple_rnn_celu", "SimpleRNN", json!({"units": 4, "activation": "celu"})),
        (
            "gru_softplus",
            "GRU",
            json!({"units": 4, "activation": "elu", "recurrent_activation": "hard_sigmoid"}),
        ),
        ("gru", "GRU", json!({"units": 4})),
        (
            "gru_reset_before",
            "GRU",
            json!({"units": 4, "reset_after": false, "recurrent_activation": "hard_sigmoid",
                "return_sequences": true}),
        ),
        ("gru_plain", "GRU", json!({"units": 4, "use_bias": false})),
    ] {
        add(name, &[6, 3], class, config);
    }
    for (merge, sequences) in [("concat", true), ("sum", false), ("mul", true), ("ave", true)] {
        for class in ["LSTM", "GRU", "SimpleRNN"] {
            let layer = json!({"class_name": class,
                "config": {"units": 3, "return_sequences": sequences}});
            let config = json!({"layer": layer, "merge_mode": merge});
            add(&format!("bidirectional_{class}_{merge}"), &[5, 2], "Bidirectional", config);
        }
    }
    for (axes, input) in [(1, &[9, 2][..]), (2, &[7, 6, 2]), (3, &[5, 6, 4, 2])] {
        let windows = [
            ("valid", 1, 1, "relu"),
            ("same", 1, 1, "linear"),
            ("same", 2, 1, "tanh"),
            ("same", 1, 2, "softmax"),
            ("valid", 2, 1, "linear"),
        ];
        for (i, (padding, strides, dilation, activation)) in windows.into_iter().enumerate() {
            let config = json!({"filters": 3, "kernel_size": 3, "padding": padding,
                "strides": strides, "dilation_rate": dilation, "activation": activation});
            // A dilated window of three pixels reaches over five.
            add(&format!("conv{axes}d_{i}"), input, &format!("Conv{axes}D"), config);
        }
        for kind in ["Max", "Average"] {
            let class = |prefix: &str| format!("{prefix}{kind}Pooling{axes}D");
            add(&format!("{}_global", class("")), input, &class("Global"), json!({}));
            let (name, config) = (format!("{}_keepdims", class("")), json!({"keepdims": true}));
            add(&name, input, &class("Global"), config);
            for (padding, strides) in
                [("valid", Value::Null), ("same", json!(2)), ("same", json!(1))]
            {
                let name = format!("{}_{padding}_{strides}", class(""));
                let config = json!({"pool_size": 3, "strides": strides, "padding": padding});
                add(&name, input, &class(""), config);
            }
        }
        add(
            &format!("up_sampling{axes}d"),
            input,
            &format!("UpSampling{axes}D"),
            json!({"size": 2}),
        );
        let ends: Value = json!([[1, 0], [0, 2], [1, 1]].iter().take(axes).collect::<Vec<_>>());
        let ends = if axes == 1 { ends[0].clone() } else { ends };
        let config = json!({"cropping": ends.clone()});
        add(&format!("cropping{axes}d"), input, &format!("Cropping{axes}D"), config);
        let config = json!({"padding": ends});
        add(&format!("zero_padding{axes}d"), input, &format!("ZeroPadding{axes}D"), config);
        let class = format!("SpatialDropout{axes}D");
        add(&format!("spatial_dropout{axes}d"), input, &class, json!({"rate": 0.5}));
        let film = [&[3], input].concat();
        let config = json!({"filters": 2, "kernel_size": 2, "padding": "same"});
        add(&format!("conv_lstm{axes}d"), &film, &format!("ConvLSTM{axes}D"), config);
        let config = json!({"filters": 2, "kernel_size": 3, "strides": 2, "return_sequences": true,
            "go_backwards": true, "use_bias": false, "recurrent_activation": "hard_sigmoid"});
        add(&format!("conv_lstm{axes}d_back"), &film, &format!("ConvLSTM{axes}D"), config);
        let config = json!({"filters": 2, "kernel_size": 2, "padding": "same",
            "activation": "gelu", "recurrent_activation": "silu"});
        add(&format!("conv_lstm{axes}d_gelu"), &film, &format!("ConvLSTM{axes}D"), config);
    }
    let config = json!({"filters": 3, "kernel_size": 3, "padding": "causal", "dilation_rate": 2});
    add("conv1d_causal", &[9, 2], "Conv1D", config);
    add("batch_normalization", &[4, 3], "BatchNormalization", json!({"epsilon": 0.01}));
    add(
        "batch_normalization_plain",
        &[3],
        "BatchNormalization",
        json!({"scale": false, "center": false}),
    );
    add("layer_normalization", &[4, 3], "LayerNormalization", json!({"epsilon": 0.01}));
    add(
        "layer_normalization_plain",
        &[3],
        "LayerNormalization",
        json!({"scale": false, "center": false}),
    );
    add("flatten", &[4, 3], "Flatten", json!({}));
    add("repeat_vector", &[3], "RepeatVector", json!({"n": 4}));
    add("permute", &[4, 3], "Permute", json!({"dims": [2, 1]}));
    add("permute_picture", &[4, 5, 3], "Permute", json!({"dims": [3, 1, 2]}));
    add("reshape", &[4, 3], "Reshape", json!({"target_shape": [2, -1]}));
    add("softmax", &[4, 3], "Softmax", json!({}));
    add("softmax_rows", &[4, 3, 2], "Softmax", json!({"axis": 1}));
    add("softmax_columns", &[4, 3, 2], "Softmax", json!({"axis": -2}));
    for (i, config) in [
        json!({}),
        json!({"max_value": 0.5}),
        json!({"negative_slope": 0.3}),
        json!({"max_value": 0.5, "negative_slope": 0.3, "threshold": 0.25}),
    ]
    .into_iter()
    .enumerate()
    {
        add(&format!("relu_{i}"), &[4, 3], "ReLU", config);
    }
    add("leaky_relu", &[4, 3], "LeakyReLU", json!({"negative_slope": 0.2}));
    add("elu", &[4, 3], "ELU", json!({"alpha": 1.5}));
    add("prelu", &[4, 3], "PReLU", json!({}));
    add("prelu_channels", &[4, 5, 3], "PReLU", json!({"shared_axes": [1, 2]}));
    add("activation", &[4, 3], "Activation", json!({"activation": "tanh"}));
    add("dropout", &[4, 3], "Dropout", json!({"rate": 0.5}));
    add("alpha_dropout", &[4, 3], "AlphaDropout", json!({"rate": 0.5}));
    add("gaussian_dropout", &[4, 3], "GaussianDropout", json!({"rate": 0.5}));
    add("gaussian_noise", &[4, 3], "GaussianNoise", json!({"stddev": 0.5}));
    add("identity", &[4, 3], "Identity", json!({}));
    add("rescaling", &[4, 3], "Rescaling", json!({"scale": 0.5, "offset": [0.5, 1.0, 2.0]}));
    add("normalization", &[4, 3], "Normalization", json!({}));
    add("normalization_steps", &[4, 3], "Normalization", json!({"axis": [1], "invert": true}));
    let given = json!({"mean": [0.5, 1.0, 2.0], "variance": [0.25, 2.0, 1.0]});
    add("normalization_given", &[4, 3], "Normalization", given);
    let cell = json!({"class_name": "GRUCell", "config": {"units": 4}});
    add("rnn", &[6, 3], "RNN", json!({"cell": cell, "return_sequences": true}));
    let other = json!({"class_name": "LSTMCell", "config": {"units": 3}});
    let cells = json!({"class_name": "StackedRNNCells", "config": {"cells": [other, cell, other]}});
    let config = json!({"cell": cells, "go_backwards": true, "return_state": true});
    add("stacked_cells", &[6, 3], "RNN", config);
    add("activity_regularization", &[4, 3], "ActivityRegularization", json!({"l1": 0.5}));
    let layer = json!({"class_name": "Conv1D", "config": {"filters": 2, "kernel_size": 2}});
    add("time_distributed", &[4, 5, 3], "TimeDistributed", json!({"layer": layer}));
    let layer = json!({"class_name": "Flatten", "config": {}});
    add("time_distributed_flatten", &[4, 5, 3], "TimeDistributed", json!({"layer": layer}));
    let layer = json!({"class_name": "RepeatVector", "config": {"n": 2}});
    add("time_distributed_repeat_vector", &[4, 3], "TimeDistributed", json!({"layer": layer}));
    let equation = json!({"equation": "...x,xy->...y", "output_shape": 4, "bias_axes": "y"});
    add("einsum_dense", &[4, 3], "EinsumDense", equation);
    let equation =
        json!({"equation": "abc,cde->adbe", "output_shape": [2, null, 3], "bias_axes": "d"});
    add("einsum_dense_heads", &[4, 3], "EinsumDense", equation);
    let layer = json!({"class_name": "Permute", "config": {"dims": [2, 1]}});
    add("time_distributed_permute", &[4, 5, 3], "TimeDistributed", json!({"layer": layer}));
    all.extend(models_of_steps::stacks());
    let text = [
        ("Embedding", json!({"input_dim": VOCABULARY, "output_dim": 3})),
        ("Conv1D", json!({"filters": 4, "kernel_size": 3, "activation": "relu"})),
        ("MaxPooling1D", json!({"pool_size": 2})),
        ("LSTM", json!({"units": 4})),
        ("Dense", json!({"units": 1, "activation": "sigmoid"})),
    ];
    all.push(("text".into(), stack(&[12], &text)));
    all
}

fn floats(dims: &[usize], rng: &mut Rng, range: [f64; 2]) -> HostTensor {
    let values = (0..dims.iter().product()).map(|_| rng.uniform_in(range[0], range[1]) as f32);
    HostTensor::from_f32(dims, values.collect()).unwrap()
}

fn write_case(folder: &Path, name: &str, mut model: Model, rng: &mut Rng) {
    let weights = model.weights().unwrap().into_iter().map(|(name, weight)| {
        let range = if name.ends_with("variance") { [0.5, 2.0] } else { [-0.8, 0.8] };
        let weight = floats(weight.shape().dims(), rng, range);
        (name, weight)
    });
    let weights: Vec<(String, HostTensor)> = weights.collect();
    model.set_weights(&weights).unwrap();
    let file = |end: &str| folder.join(format!("{name}.{end}"));
    std::fs::write(file("onnx"), model.to_onnx().unwrap()).unwrap();
    let mut inputs = Vec::new();
    for (input, spec, _) in model.inputs() {
        let tensor = match spec {
            InputSpec::Tokens(dims) => {
                let shape = [&[BATCH], &dims[..]].concat();
                let count = shape.iter().product::<usize>();
                let tokens = (0..count).map(|_| rng.below(VOCABULARY)).collect();
                HostTensor::from_u32(shape, tokens).unwrap()
            }
            InputSpec::Floats(dims) => floats(&[&[BATCH], &dims[..]].concat(), rng, [-1.0, 1.0]),
        };
        npy::write(&file(&format!("in.{input}.npy")), &tensor).unwrap();
        inputs.push(tensor);
    }
    let mut trainer = Trainer::new(model, &CpuDevice::new(), Optimizer::adam(), 1);
    for (i, output) in trainer.predict_batch(&inputs).unwrap().iter().enumerate() {
        npy::write(&file(&format!("out.{i}.npy")), output).unwrap();
    }
}

#[test]
fn onnxruntime_predicts_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let mut rng = Rng::new(5, 0);
    let models = [stacks(), functional::models().unwrap()].concat();
    let count = models.len();
    for (name, model) in models {
        write_case(folder.path(), &name, model, &mut rng);
    }
    let test = "onnxruntime_predicts_the_same";
    if let Some(said) = python::run(test, "check_onnx.py", &[folder.path()]) {
        assert!(said.contains(&format!("{count} of {count} models agree to 1e-05")), "{said}");
        println!("{said}");
    }
}

/// What is exported of as many models as `RNN_GPU_ONNX_MODELS` says predicts the same; what is not
/// exported is refused for the reason that its layers give.
#[test]
fn random_models_predict_the_same() {
    let asked = std::env::var("RNN_GPU_ONNX_MODELS").ok().and_then(|count| count.parse().ok());
    let folder = tempfile::tempdir().unwrap();
    let (mut rng, mut exported) = (Rng::new(7, 0), 0);
    let seeds = asked.unwrap_or(60);
    for seed in 0..seeds {
        let random::Random { description, refused } = random::model(seed);
        let architecture = Architecture::from_json(&description, None);
        let model = architecture.and_then(|architecture| architecture.model(seed));
        let model = model.unwrap_or_else(|error| panic!("seed {seed}: {error}: {description}"));
        match (model.to_onnx(), refused) {
            (Ok(_), refused) if refused.is_empty() => {
                write_case(folder.path(), &format!("random_{seed}"), model, &mut rng);
                exported += 1;
            }
            (Err(error), refused) if !refused.is_empty() => {
                let error = error.to_string();
                let named = |(layer, what): &(String, &str)| {
                    error.starts_with(&format!("layer {layer} (")) && error.contains(what)
                };
                assert!(refused.iter().any(named), "seed {seed}: {error} is none of {refused:?}");
            }
            (exported, refused) => panic!(
                "seed {seed}: {:?} instead of {refused:?}: {description}",
                exported.map(|bytes| bytes.len())
            ),
        }
    }
    assert!(2 * exported > seeds, "{exported} of {seeds} models can be exported");
    let test = "random_models_predict_the_same";
    if let Some(said) = python::run(test, "check_onnx.py", &[folder.path()]) {
        assert!(
            said.contains(&format!("{exported} of {exported} models agree to 1e-05")),
            "{said}"
        );
        println!("{exported} of {seeds} random models agree to 1e-5, the others are refused");
    }
}
