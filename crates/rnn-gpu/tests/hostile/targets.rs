//! What users write and what runs leave behind: models, options, reviews, words, the files of a run.

use crate::hostile::{Damage, Target, file, zipped};
use rnn::Activation;
use rnn::datasets::imdb::{LoadOptions, RawReviews};
use rnn::datasets::text::{self, Columns, Vocabulary};
use rnn::device::Opened;
use rnn::model_file::{MODEL, ModelFile};
use rnn::nn::{
    Batch, Dense, Embedding, InputSpec, Loss, Model, ModelError, Optimizer, SimpleRnn, Trainer,
    TrainerState,
};
use rnn_core::HostTensor;
use rnn_cpu::CpuDevice;
use rnn_formats::{keras, npy};
use rnn_report as report;
use rnn_run::config::{Config, Task};
use rnn_run::fit::FitOptions;
use rnn_run::memory;
use rnn_run::run::RunFolder;
use rnn_run::train::{TrainOptions, train};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tempfile::TempDir;
use zip::CompressionMethod;

/// A folder of this process, in memory where there is such a thing.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let make = || tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    FOLDER.get_or_init(|| make().expect("a folder")).path()
}

/// The bytes as a file of this name.
fn path(name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder().join(name);
    fs::write(&path, bytes).expect("room");
    path
}

/// The folder of a finished run, with these files.
fn run() -> &'static Path {
    static RUN: OnceLock<PathBuf> = OnceLock::new();
    RUN.get_or_init(|| {
        let out = folder().join("run");
        let config = json!({
            "experiment": "simple-rnn", "data": "bundled", "length": 4, "batch_size": 8,
            "epochs": 1, "seed": 1, "limit": 16, "device": "CPU",
        });
        let config: Config = serde_json::from_value(config).expect("a config");
        let mut device =
            Opened::new(|| Ok(Box::new(CpuDevice::new()) as Box<_>)).expect("a device");
        let options = TrainOptions::default();
        let trained = train(&config, None, &mut device, &out, (&options, &mut ())).expect("a run");
        report::publish(trained, device.device(), &()).expect("a page");
        out
    })
}

/// The same with one file of its files replaced for as long as `read` reads it.
fn with_file(name: &str, bytes: &[u8], read: impl FnOnce(&Path) -> bool) -> bool {
    let (run, path) = (run(), run().join(name));
    let sound = fs::read(&path).expect("a file of the run");
    fs::write(&path, bytes).expect("room");
    // A panic of the reader is caught outside; the file is put back all the same.
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| read(run)));
    fs::write(&path, sound).expect("room");
    result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Layers and arguments of many kinds.
const LAYERS: &str = r#"
    input = { shape = [8, 8, 2] }
    compile = { loss = "mse", optimizer = { type = "SGD", learning_rate = 0.1, momentum = 0.9 } }
    [[layer]]
    type = "Conv2D"
    filters = 2
    kernel_size = [3, 2]
    strides = 2
    padding = "same"
    [[layer]]
    type = "MaxPooling2D"
    pool_size = 2
    [[layer]]
    type = "BatchNormalization"
    [[layer]]
    type = "Reshape"
    target_shape = [4, -1]
    [[layer]]
    type = "TimeDistributed"
    layer = { type = "Dense", units = 3, activation = "relu" }
    [[layer]]
    type = "GRU"
    units = 2
    return_sequences = true
    kernel_regularizer = { type = "L2", l2 = 0.01 }
    recurrent_initializer = "glorot_uniform"
    [[layer]]
    type = "Flatten"
    [[layer]]
    type = "Dense"
    units = 1
"#;

/// Beyond this a model is described, not made.
const FEW_PARAMETERS: usize = 20_000;
const FEW_BYTES: u64 = 1 << 18;

/// A model is made and fed with zeros, if it is small.
fn model(path: &Path) -> bool {
    let Ok(file) = ModelFile::open(path) else { return false };
    let architecture = file.architecture.clone().with_open_extents(4);
    let small = architecture.count_params().is_ok_and(|count| count < FEW_PARAMETERS);
    if !small {
        return false;
    }
    let Ok(model) = architecture.model(1) else { return false };
    let device = CpuDevice::new();
    let plain = || vec![(Loss::MeanSquaredError, 1.0); model.outputs().len()];
    let losses = file.compile.map_or_else(plain, |compile| compile.losses);
    let mut trainer = Trainer::new(model, &device, Optimizer::sgd(), 1).losses(losses);
    let Ok(needs) = memory::check(&mut trainer, (2, false), &device) else { return false };
    if needs.total() > FEW_BYTES {
        return false;
    }
    let zeros = architecture.inputs().iter().map(|input| {
        let extents = input.batch_shape.iter().skip(1).flatten().copied();
        let shape: Vec<usize> = std::iter::once(2).chain(extents).collect();
        HostTensor::zeros(
            shape,
            if input.tokens { rnn_core::DType::U32 } else { rnn_core::DType::F32 },
        )
    });
    trainer.predict_batch(&zeros.collect::<Vec<_>>()).is_ok()
}

fn fit_options(path: &Path) -> bool {
    let described = self::path("example.toml", MODEL.as_bytes());
    let Ok(file) = ModelFile::open(&described) else { return false };
    let Ok(options) = FitOptions::read(path) else { return false };
    options.compile(&file).is_ok()
}

fn reviews(path: &Path) -> bool {
    text::read(path, &Columns::default(), None, 1).is_ok()
}

fn words(path: &Path) -> bool {
    let words = Vocabulary::read_word_index(path);
    words.is_ok_and(|words| words.limited(5000).encode("The film, isn't it?").0.len() > 1)
}

fn imdb(path: &Path) -> bool {
    let raw = RawReviews::read(path);
    raw.is_ok_and(|raw| raw.load(&LoadOptions::default()).0.labels.len() > 1)
}

/// Of a run with this configuration, all that costs less than its model.
fn config(run: &Path) -> bool {
    let Ok((_, config)) = RunFolder::open(run) else { return false };
    if let Task::Custom(own) = &config.task {
        let samples: Vec<&[usize]> = own.samples.iter().map(Vec::as_slice).collect();
        let closed = own.model.architecture.clone().with_shapes(&samples);
        if closed.and_then(|closed| closed.count_params()).is_err() {
            return false;
        }
    }
    config.settings().is_ok() && !config.title().is_empty() && config.compile().losses.len() < 99
}

fn page(run: &Path) -> bool {
    let opened = RunFolder::open(run);
    let written =
        opened.and_then(|(folder, config)| report::write(&folder, &config, &folder.result()?));
    written.is_ok()
}

fn vocabulary(run: &Path) -> bool {
    let opened = RunFolder::open(run);
    let words = opened.and_then(|(folder, _)| folder.vocabulary());
    words.is_ok_and(|words| words.is_some_and(|words| !words.encode("the film").0.is_empty()))
}

fn small_trainer() -> Trainer {
    let model = || -> Result<Model, ModelError> {
        Model::sequential(InputSpec::tokens([3]), 1)
            .add(Embedding::new(5, 2))?
            .add(SimpleRnn::new(2))?
            .add(Dense::new(1, Activation::Sigmoid))
    };
    Trainer::new(model().expect("the layers fit"), &CpuDevice::new(), Optimizer::adam(), 1)
}

fn small_batch() -> Batch {
    Batch {
        inputs: vec![HostTensor::from_u32([2, 3], vec![1; 6]).expect("two rows")],
        labels: vec![HostTensor::from_f32([2, 1], vec![1.0; 2]).expect("two labels")],
        weights: vec![],
    }
}

/// A training goes on from a state, of which only the numbers are damaged.
fn state(bytes: &[u8]) -> bool {
    let Ok(state) = serde_json::from_slice::<TrainerState>(bytes) else { return false };
    let mut trainer = small_trainer();
    trainer.train_batch(&small_batch()).expect("a step");
    let tensors = trainer.state().expect("a state").tensors;
    trainer.restore(TrainerState { tensors, ..state }).is_ok()
        && trainer.train_batch(&small_batch()).is_ok()
}

fn state_seed() -> Vec<u8> {
    let mut trainer = small_trainer();
    trainer.train_batch(&small_batch()).expect("a step");
    serde_json::to_vec(&trainer.state().expect("a state")).expect("JSON")
}

/// `imdb.npz` of two reviews each, as lists that Python pickled.
fn imdb_seed() -> Vec<u8> {
    let pickle: &[u8] = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85\
        C\x01b\x87R(K\x01K\x02\x85cnumpy\ndtype\nX\x02\x00\x00\x00O8K\x00K\x01\x87R(K\x03X\x01\x00\x00\
        \x00|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?tb\x89](](K\x01K\x0ee](K\x02K\x16K+eetb.";
    let header = "{'descr': '|O', 'fortran_order': False, 'shape': (2,), }\n";
    let mut lists = b"\x93NUMPY\x01\x00".to_vec();
    lists.extend((header.len() as u16).to_le_bytes());
    lists.extend([header.as_bytes(), pickle].concat());
    let mut labels = Vec::new();
    let tensor = HostTensor::from_u32([2], vec![0, 1]).expect("two");
    npy::to_writer(&mut labels, &tensor).expect("room");
    let names = ["x_train.npy", "y_train.npy", "x_test.npy", "y_test.npy"];
    let members = names.map(|name| (name, if name.starts_with('x') { &lists } else { &labels }));
    zipped(CompressionMethod::Deflated, &members)
}

/// A stack and a graph as Keras 3 writes them, and a graph as Keras 2 did.
fn onnx_seeds() -> Vec<Vec<u8>> {
    ["frames", "pictures_any", "keras_words"].map(|name| file(&format!("onnx/{name}.onnx"))).into()
}

fn model_json_seeds() -> Vec<Vec<u8>> {
    let stack = keras::parse(file("keras3.keras"), "keras3.keras").expect("a sound file").config;
    let tensor = |layer: &str| {
        json!({"class_name": "__keras_tensor__", "config": {"shape": [null, 3], "dtype": "float32",
               "keras_history": [layer, 0, 0]}})
    };
    let dense = |name: &str, input: &str| {
        json!({"class_name": "Dense", "name": name, "config": {"name": name, "units": 2},
               "inbound_nodes": [{"args": [tensor(input)], "kwargs": {}}]})
    };
    let graph = json!({"class_name": "Functional", "config": {"layers": [
        {"class_name": "InputLayer", "name": "in", "inbound_nodes": [],
         "config": {"name": "in", "batch_shape": [null, 3], "dtype": "float32"}},
        dense("a", "in"), dense("b", "in"),
        {"class_name": "Add", "name": "sum", "config": {"name": "sum"},
         "inbound_nodes": [{"args": [[tensor("a"), tensor("b")]], "kwargs": {}}]},
    ], "input_layers": [["in", 0, 0]], "output_layers": [["sum", 0, 0]]}});
    let before = json!({"class_name": "Model", "keras_version": "2.2.4", "config": {"layers": [
        {"class_name": "InputLayer", "name": "in", "inbound_nodes": [],
         "config": {"batch_input_shape": [null, null, 2], "dtype": "float32"}},
        {"class_name": "LSTM", "name": "lstm", "inbound_nodes": [[["in", 0, 0, {}]]],
         "config": {"units": 2, "recurrent_activation": "hard_sigmoid", "return_state": true,
                    "kernel_initializer": {"class_name": "VarianceScaling", "config": {
                        "scale": 1.0, "mode": "fan_avg", "distribution": "uniform"}}}},
    ], "input_layers": [["in", 0, 0]], "output_layers": [["lstm", 0, 0], ["lstm", 0, 1]]}});
    let stack = stack.expect("a configuration");
    [stack, graph, before].map(|config: Value| config.to_string().into_bytes()).to_vec()
}

/// `config.json` of a run of a model of the user's, and of one of the tutorial's.
fn config_seeds() -> Vec<Vec<u8>> {
    let described = path("layers.toml", LAYERS.as_bytes());
    let file = ModelFile::open(&described).expect("a model");
    let compiled = rnn::model_file::Compiled {
        architecture: file.architecture,
        compile: file.compile.expect("a loss"),
    };
    let own = json!({
        "name": "model", "arrays": "d.npz", "validation": 0.1, "samples": [[8, 8, 2]],
        "model": compiled, "batch_size": 32, "epochs": 3, "seed": 1, "limit": null, "device": "CPU",
        "early_stopping": null,
    });
    let films = json!({
        "experiment": "next-frame", "preset": "quick", "length": 12, "batch_size": 1, "epochs": 3,
        "data": {"movies": {"count": 6, "frames": 12, "size": 20, "squares": [1, 3], "seed": 1}},
        "seed": 1, "limit": 5, "device": "CPU",
    });
    let text = |value: Value| value.to_string().into_bytes();
    vec![fs::read(run().join("config.json")).expect("a file"), text(own), text(films)]
}

/// All of them.
pub fn all() -> Vec<Target> {
    let of_run = |name: &str| vec![fs::read(run().join(name)).expect("a file of the run")];
    let csv =
        "text,label\n\"A fine, \"\"odd\"\" film\",pos\nBad film,neg\nGood,1\nLong and bad,0\n";
    let tsv = csv.replace(", \"\"odd\"\"", "").replace(',', "\t");
    let lines = "{\"review\": \"A fine film\", \"sentiment\": \"positive\"}\n\
                 {\"review\": \"B\\u00e4d <br />\", \"sentiment\": 0}\n";
    let few = Vocabulary::new(Default::default(), ["the", "film"].map(String::from).into());
    let index = r#"{"the": 1, "film": 3, "isn't": 2, "fawn\u00e9": 4}"#;
    let text = |text: &str| vec![text.as_bytes().to_vec()];
    let example = MODEL.replace("5000", "50").replace("64", "4");
    let models = [&example, LAYERS].map(|text| text.as_bytes().to_vec()).to_vec();
    let fit = "epochs = 3\nbatch_size = 8\nvalidation = 0.2\nseed = 7\nlearning_rate = 0.01\n\
               loss = { type = \"Huber\", delta = 0.5 }\noptimizer = \"rmsprop\"\n\
               [early_stopping]\nmonitor = \"accuracy\"\npatience = 2\nmin_delta = 0.1\n";
    let target = |name, seeds, run, expansion| {
        Target::new(name, seeds, run, expansion).damaged(Damage::Words)
    };
    vec![
        target("model.toml", models, |b| model(&path("m.toml", &b)), 512),
        target("model.onnx", onnx_seeds(), |b| model(&path("m.onnx", &b)), 512),
        target("model.json", model_json_seeds(), |b| model(&path("m.json", &b)), 512),
        target("fit.toml", text(fit), |b| fit_options(&path("f.toml", &b)), 64),
        target("csv", text(csv), |b| reviews(&path("r.csv", &b)), 64),
        target("tsv", text(&tsv), |b| reviews(&path("r.tsv", &b)), 64),
        target("jsonl", text(lines), |b| reviews(&path("r.jsonl", &b)), 64),
        target("word-index", text(index), |b| words(&path("w.json", &b)), 64),
        Target::new("imdb", vec![imdb_seed()], |b| imdb(&path("i.npz", &b)), 16 * 1032)
            .damaged(Damage::Members),
        target("config", config_seeds(), |b| with_file("config.json", &b, config), 64),
        target("history", of_run("history.json"), |b| with_file("history.json", &b, page), 64),
        target("results", of_run("results.json"), |b| with_file("results.json", &b, page), 64),
        target("report", of_run("report.json"), |b| with_file("report.json", &b, page), 64),
        target(
            "vocabulary",
            vec![serde_json::to_vec(&few).expect("JSON")],
            |b| with_file("vocabulary.json", &b, vocabulary),
            64,
        ),
        target("state", vec![state_seed()], |b| state(&b), 64),
    ]
}
