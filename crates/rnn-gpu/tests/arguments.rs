//! Every argument of every layer, with a value that is not its default, comes to what Keras makes of
//! it, or is refused by its name: none is passed over. `tests/interchange/arguments.py` wrote the
//! cases.

use rnn::nn::{Architecture, Batch, InputSpec, Loss, MetricSums, Model, Optimizer, Trainer};
use rnn_core::HostTensor;
use rnn_cpu::CpuDevice;
use serde_json::Value;

const CASES: &str = include_str!("../../../tests/interchange/files/arguments.json");

/// Arguments that change no number, with the reasons.
const WITHOUT_EFFECT: [(&str, &str); 10] = [
    ("trainable", "of layers without weights; of others the weights after two steps tell"),
    ("name", "it is shown, and names files"),
    ("autocast", "tensors are float32 whatever it says"),
    ("unroll", "a loop and its copies compute the same"),
    ("use_cudnn", "the same equations by another kernel"),
    ("seed", "dropout draws from the seed of the run; see the README"),
    ("lora_alpha", "it scales what lora_rank adds, and that is refused"),
    ("synchronized", "false is refused nowhere, true is; of one replica both are the same"),
    ("renorm_clipping", "it bounds what renorm does, and that is refused"),
    ("renorm_momentum", "the same"),
];

/// Whose effect is random, so that Keras's numbers are not ours: the unit tests of dropout count.
const RANDOM: [&str; 5] = ["dropout", "recurrent_dropout", "rate", "noise_shape", "stddev"];

/// Layers that hold others. What is frozen is frozen here; Keras forgets it for the layers within when
/// it reads a description, so that its weights move (`Layer.trainable_variables`,
/// keras/src/layers/layer.py).
const HOLDING: [&str; 7] = [
    "Bidirectional",
    "ConvLSTM1D",
    "ConvLSTM2D",
    "ConvLSTM3D",
    "MultiHeadAttention",
    "RNN",
    "TimeDistributed",
];

/// A layer that Keras computes in half precision is computed in single precision here.
const HALF: f64 = 5e-3;

fn floats(of: &Value) -> HostTensor {
    let numbers = |name: &str| of[name].as_array().expect("a list").iter();
    let shape: Vec<usize> =
        numbers("shape").map(|n| n.as_u64().expect("an extent") as usize).collect();
    let values = numbers("values").map(|v| v.as_f64().expect("a number") as f32).collect();
    HostTensor::from_f32(shape, values).expect("they fit")
}

fn all(of: &Value) -> Vec<HostTensor> {
    of.as_array().expect("a list").iter().map(floats).collect()
}

fn difference(ours: &[HostTensor], theirs: &[HostTensor]) -> f64 {
    if ours.len() != theirs.len() {
        return f64::INFINITY;
    }
    let each = ours.iter().zip(theirs).map(|(ours, theirs)| {
        if ours.shape() != theirs.shape() {
            return f64::INFINITY;
        }
        let (ours, theirs) = (ours.as_f32().expect("floats"), theirs.as_f32().expect("floats"));
        let scale = theirs.iter().fold(1.0f64, |most, v| most.max(f64::from(v.abs())));
        let worst = ours.iter().zip(theirs).map(|(a, b)| f64::from((a - b).abs()));
        worst.fold(0.0, |most: f64, d| if d > most || d.is_nan() { d } else { most }) / scale
    });
    each.fold(0.0, f64::max)
}

/// What a model comes to: outputs, loss, and the weights after two steps of SGD.
struct Outcome {
    outputs: Vec<HostTensor>,
    loss: f64,
    after: Vec<HostTensor>,
}

fn run(case: &Value, model: Model) -> Outcome {
    let theirs = all(&case["weights"]);
    let mut model = model;
    let names = weights_names(&model);
    assert_eq!(names.len(), theirs.len(), "{names:?} are not as many as {}", case["names"]);
    let given: Vec<(String, HostTensor)> = names.into_iter().zip(theirs).collect();
    model.set_weights(&given).unwrap_or_else(|error| panic!("{error}: {}", case["names"]));
    let x = floats(&case["x"]);
    let tokens = model.inputs().any(|(_, spec, _)| matches!(spec, InputSpec::Tokens(_)));
    let x = match tokens {
        true => {
            let ids = x.as_f32().expect("floats").iter().map(|&v| v as u32).collect();
            HostTensor::from_u32(x.shape().clone(), ids).expect("they fit")
        }
        false => x,
    };
    let labels = all(&case["labels"]);
    let losses = vec![(Loss::MeanSquaredError, 1.0); labels.len()];
    let sgd = Optimizer::sgd().learning_rate(0.5);
    let trainer = || {
        let trainer = Trainer::new(model.clone(), &CpuDevice::new(), sgd, 1);
        trainer.losses(losses.clone()).metric_sums(MetricSums::Regression)
    };
    let batch = Batch { inputs: vec![x.clone()], labels, ..Batch::default() };
    let outputs = trainer().predict_batch(&[x]).expect("it predicts");
    let mut judge = trainer();
    judge.evaluate_batch(&batch).expect("it evaluates");
    let loss = judge.take_metrics().expect("metrics").loss;
    let mut trained = trainer();
    for _ in 0..2 {
        trained.train_batch(&batch).expect("it trains");
    }
    let after = trained.model().expect("weights").weights().expect("weights");
    Outcome { outputs, loss, after: after.into_iter().map(|(_, weight)| weight).collect() }
}

fn weights_names(model: &Model) -> Vec<String> {
    model.weights().expect("weights").into_iter().map(|(name, _)| name).collect()
}

/// Why a case is not what it should be.
fn problem(case: &Value, default: Option<&Value>) -> Option<String> {
    let argument = case["argument"].as_str().unwrap_or_default();
    let free = WITHOUT_EFFECT.iter().any(|(name, _)| *name == argument);
    let read = Architecture::from_json(&case["model"], Some("3.15.1"));
    let model = match read.and_then(|architecture| architecture.model(1)) {
        Ok(model) => model,
        Err(error) if default.is_none() => return Some(format!("refused without cause: {error}")),
        Err(error) => {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            let error = format!("{error}: {}", source.unwrap_or_default());
            // Keras writes both, and the first that is refused is named.
            let named = if argument == "lora_rank" { "lora_" } else { argument };
            return (!error.contains(named)).then(|| format!("not named in: {error}"));
        }
    };
    if argument.ends_with("_initializer") || argument == "unit_forget_bias" {
        // What it draws, not what is made of it; nearly constant, so that chance plays no part.
        let first = model.weights().expect("weights").into_iter().map(|(_, weight)| weight);
        let first: Vec<HostTensor> = first.collect();
        let theirs = all(&case["weights"]);
        let target = argument.trim_end_matches("_initializer");
        let names = weights_names(&model);
        let named = |name: &String| match target {
            "unit_forget_bias" => name.ends_with("/bias"),
            "depthwise" if !name.ends_with("_kernel") => name.ends_with("/kernel"),
            "recurrent" | "depthwise" | "pointwise" => name.ends_with(&format!("/{target}_kernel")),
            target => name.ends_with(&format!("/{target}")),
        };
        let of = |all: &[HostTensor]| -> Vec<HostTensor> {
            let these = names.iter().zip(all).filter(|(name, _)| named(name));
            these.map(|(_, weight)| weight.clone()).collect()
        };
        let (ours, theirs) = (of(&first), of(&theirs));
        assert!(!ours.is_empty(), "{argument} is of none of {names:?}");
        let worst = difference(&ours, &theirs);
        return (worst > 1e-5).then(|| format!("first weights differ by {worst:.1e}"));
    }
    let ours = run(case, model);
    let worst = difference(&ours.outputs, &all(&case["outputs"]));
    let half = argument == "dtype";
    if worst > if half { HALF } else { 1e-5 } {
        return Some(format!("predictions differ by {worst:.1e}"));
    }
    let (loss, wanted) = (ours.loss, case["loss"].as_f64().expect("a loss"));
    if (loss - wanted).abs() > if half { HALF } else { 1e-5 } * wanted.abs().max(1.0) {
        return Some(format!("the loss is {loss}, Keras's {wanted}"));
    }
    let holds = HOLDING.iter().any(|name| case["layer"] == *name);
    if !(case["after"].is_null() || half || holds && argument == "trainable") {
        let worst = difference(&ours.after, &all(&case["after"]));
        if worst > 2e-5 {
            return Some(format!("weights after two steps differ by {worst:.1e}"));
        }
    }
    // A case that shows nothing proves nothing.
    let same = default.is_some_and(|default| {
        ["outputs", "loss", "after"].iter().all(|what| case[*what] == default[*what])
    });
    // Keras's SimpleRNN drops it before it is written.
    let dropped = case["layer"] == "SimpleRNN" && argument == "activity_regularizer";
    let random = RANDOM.contains(&argument) || dropped;
    (same && !free && !random).then(|| "it has no effect in Keras: the case needs another".into())
}

/// The cases with what the file does not repeat: what is as in the case of the layer's defaults,
/// which stands before them.
fn whole(cases: &[Value]) -> Vec<Value> {
    let mut default = Value::Null;
    let mut all = Vec::new();
    for case in cases {
        if case.get("argument").is_some_and(Value::is_null) {
            default = case.clone();
        }
        let mut case = case.clone();
        let (Some(fields), Some(defaults)) = (case.as_object_mut(), default.as_object()) else {
            continue;
        };
        let refused = fields.contains_key("keras");
        for (name, value) in defaults.iter().filter(|(name, _)| !refused || *name == "layer") {
            fields.entry(name.clone()).or_insert_with(|| value.clone());
        }
        all.push(case);
    }
    all
}

#[test]
fn no_argument_is_passed_over() {
    let file: Value = serde_json::from_str(CASES).expect("JSON");
    assert_eq!(file["keras"], "3.15.1");
    let cases = whole(file["cases"].as_array().expect("a list"));
    let (mut problems, mut tried) = (Vec::new(), 0);
    for case in cases.iter().filter(|case| case.get("keras").is_none()) {
        let whole = |other: &&Value| other["layer"] == case["layer"] && other["argument"].is_null();
        let default = cases.iter().find(whole).filter(|_| !case["argument"].is_null());
        tried += 1;
        if let Some(problem) = problem(case, default) {
            problems.push(format!(
                "{}, {} = {}: {problem}",
                case["layer"], case["argument"], case["value"]
            ));
        }
    }
    assert!(tried > 300, "{tried} cases");
    assert!(problems.is_empty(), "{} of {tried}:\n{}", problems.len(), problems.join("\n"));
    println!("{tried} cases are as in Keras, or refused by name");
}
