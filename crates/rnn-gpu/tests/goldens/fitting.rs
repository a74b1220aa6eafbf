//! Losses, metrics, schedules, optimizers, and training steps of whole models.

use crate::TOLERANCE;
use crate::golden::{Golden, expect_close};
use rnn::Activation;
use rnn::nn::{
    self, Batch, Clip, Compile, Constraint, Dense, Dialect, Embedding, Initializer, InputSpec,
    Lstm, Model, Optimizer, Penalty, SimpleRnn, Softmax, Trainer,
};
use rnn_core::HostTensor;
use rnn_graph::{Graph, TensorId, TensorType};
use rnn_ops::{
    self as ops, Activate, Adam, Adamax, Assign, ElementLoss, Fill, Lion, Loss, RmsProp, Sgd,
    StepParams,
};
use serde_json::json;
use std::sync::Arc;

pub fn binary_cross_entropy(golden: &Golden) {
    let (name, of) = match golden.flag("from_logits") {
        true => ("logits", ElementLoss::BinaryCrossEntropy),
        false => ("probabilities", ElementLoss::BinaryCrossEntropyOfProbability),
    };
    let mut graph = Graph::new();
    let predictions = golden.input(&mut graph, name);
    let labels = golden.input(&mut graph, "labels");
    let loss = graph.apply(Loss { of, weighted: false }, &[predictions, labels]).expect("it fits");
    let one = graph.apply(Fill { shape: [1].into(), value: 1.0 }, &[]).expect("it fits");
    let d = rnn_ops::gradients(&mut graph, &[(loss, one)], &[predictions]).expect("gradients");
    let slope = format!("d_{name}");
    let ends = [("loss", loss), (slope.as_str(), d[0].expect("a gradient"))];
    golden.check(graph, &ends, &[], TOLERANCE);
}

pub fn losses(golden: &Golden) {
    let compile = json!({"loss": golden.args["loss"]});
    let compile = Compile::from_json(&compile, &["y"], Dialect::Keras3).expect("a loss");
    let loss = compile.losses[0].0;
    let mut graph = Graph::new();
    let z = golden.input(&mut graph, "z");
    let output = match golden.args["ending"].as_str() {
        Some("softmax") => graph.apply(ops::Softmax, &[z]),
        Some("sigmoid") => graph.apply(Activate(Activation::Sigmoid), &[z]),
        _ => Ok(z),
    };
    let output = output.expect("it fits");
    let labels = golden.input(&mut graph, "labels");
    let weights = golden.input(&mut graph, "weights");
    assert_eq!(graph[labels].ty, loss.labels(&graph[output].ty), "{}", golden.name);
    let one = graph.apply(Fill { shape: [1].into(), value: 1.0 }, &[]).expect("it fits");
    let mut ends = Vec::new();
    for (weights, names) in
        [(None, ["plain_loss", "plain_d_z"]), (Some(weights), ["weighed_loss", "weighed_d_z"])]
    {
        let value = loss.forward(&mut graph, output, labels, weights).expect("it fits").loss;
        let d = rnn_ops::gradients(&mut graph, &[(value, one)], &[z]).expect("gradients");
        ends.extend([(names[0], value), (names[1], d[0].expect("a gradient"))]);
    }
    golden.check(graph, &ends, &[], TOLERANCE);
}

fn optimizer_of(golden: &Golden) -> Optimizer {
    let number = |name: &str| golden.args[name].as_f64().unwrap_or(0.0) as f32;
    let optimizer = match golden.args["optimizer"].as_str() {
        Some("SGD") => Optimizer::new(
            Sgd { momentum: number("momentum"), nesterov: golden.flag("nesterov") },
            0.0,
        ),
        Some("RMSprop") => Optimizer::new(
            RmsProp {
                rho: number("rho"),
                momentum: number("momentum"),
                epsilon: number("epsilon"),
                centered: golden.flag("centered"),
            },
            0.0,
        ),
        Some("Adagrad") => Optimizer::adagrad(),
        Some("Adadelta") => Optimizer::adadelta(),
        Some("Adam") => Optimizer::new(
            Adam { beta_1: number("beta_1"), beta_2: number("beta_2"), epsilon: number("epsilon") },
            0.0,
        ),
        Some("AdamW") => Optimizer::adamw(),
        Some("Adamax") => Optimizer::new(
            Adamax {
                beta_1: number("beta_1"),
                beta_2: number("beta_2"),
                epsilon: number("epsilon"),
            },
            0.0,
        ),
        Some("Nadam") => Optimizer::nadam(),
        Some("Lion") => {
            Optimizer::new(Lion { beta_1: number("beta_1"), beta_2: number("beta_2") }, 0.0)
        }
        other => panic!("{}: optimizer {other:?}", golden.name),
    };
    let clips = [
        ("clipvalue", Clip::Value(number("clipvalue"))),
        ("clipnorm", Clip::Norm(number("clipnorm"))),
        ("global_clipnorm", Clip::GlobalNorm(number("global_clipnorm"))),
    ];
    let given = clips.into_iter().find(|(name, _)| number(name) > 0.0);
    let clip = given.map_or(Clip::Off, |(_, clip)| clip);
    optimizer.learning_rate(golden.number("learning_rate")).clip(clip)
}

/// Two weights in one arena, the second behind the gap that alignment leaves.
const SECOND: usize = 64;
const ARENA: usize = 128;

fn arena(golden: &Golden, names: [&str; 2]) -> HostTensor {
    let mut values = vec![0.0; ARENA];
    for (name, from) in names.into_iter().zip([0, SECOND]) {
        let part = golden.tensor(name).as_f32().expect("floats");
        values[from..from + part.len()].copy_from_slice(part);
    }
    HostTensor::from_f32([ARENA], values).expect("the arena")
}

pub fn optimizers(golden: &Golden) {
    let optimizer = optimizer_of(golden);
    let ty = || TensorType::f32([ARENA]);
    let mut graph = Graph::new();
    let given = graph.input("gradients", ty());
    let numbers = graph.input("numbers", TensorType::f32([StepParams::LEN]));
    // Clipping works in place, on the arena that a training step fills.
    let gradients = graph.resident("gradients", ty());
    graph.push_node(Arc::new(Assign), &[given], &[gradients]).expect("it fits");
    let each = [(0, vec![3, 4]), (SECOND, vec![5])]
        .map(|(from, shape)| graph.view(gradients, from, shape).expect("a part"));
    let slots = (0..optimizer.slots()).map(|i| format!("slot_{i}"));
    let arenas: Vec<TensorId> = ["weights".to_owned()]
        .into_iter()
        .chain(slots.clone())
        .map(|n| graph.resident(&n, ty()))
        .collect();
    optimizer.update(&mut graph, gradients, &each, numbers, &arenas).expect("it fits");
    let graph = Arc::new(graph);
    let device = golden.device();
    let mut session = device.session();
    let program = session.compile(graph.clone()).expect("it compiles");
    session.write("weights", &arena(golden, ["w", "v"])).expect("weights");
    let first = vec![optimizer.initial_slot_value(); ARENA];
    let first = HostTensor::from_f32([ARENA], first).expect("an arena");
    for slot in slots.clone() {
        session.write(&slot, &first).expect("a slot");
    }
    for step in 0..5 {
        let numbers = optimizer.step_params(step + 1, 1.0).to_array().to_vec();
        let numbers = HostTensor::from_f32([StepParams::LEN], numbers).expect("numbers");
        let [w, v] = ["gw", "gv"].map(|name| format!("{name}{step}"));
        let gradients = arena(golden, [&w, &v]);
        session.run(program, &[&gradients, &numbers]).expect("a step");
        let [w, v] = ["w", "v"].map(|name| format!("{name}{}", step + 1));
        let place = format!("{} step {step} on {}", golden.name, device.info());
        let got = session.read("weights").expect("weights");
        expect_close(&place, &got, &arena(golden, [&w, &v]), TOLERANCE);
    }
}

/// The regularizers and constraints of the golden that has them.
fn hold(layer: Lstm) -> Lstm {
    layer
        .kernel_regularizer(Penalty { l1: 0.0, l2: 0.02 })
        .recurrent_regularizer(Penalty { l1: 0.01, l2: 0.0 })
        .bias_regularizer(Penalty { l1: 0.01, l2: 0.02 })
        .activity_regularizer(Penalty { l1: 0.0, l2: 0.05 })
        .kernel_constraint(Constraint::max_norm(0.8))
        .recurrent_constraint(Constraint::min_max_norm(0.6, 0.9, 0.7))
        .bias_constraint(Constraint::NonNegative)
}

/// Ten steps of a small model from Keras's weights on Keras's batches: every loss within 1e-4.
pub fn ten_training_losses(golden: &Golden) {
    let size = |name| golden.number(name) as usize;
    let model = Model::sequential(InputSpec::tokens([12]), 0)
        .add(Embedding::new(size("vocabulary"), size("dim")))
        .expect("it fits");
    let lstm = golden.args["layer"] == "lstm";
    let held = golden.name.ends_with("lstm_regularized");
    let model = if lstm {
        let gate = golden.activation("recurrent_activation");
        let layer = Lstm::new(size("units")).recurrent_activation(gate);
        model.add(if held { hold(layer) } else { layer })
    } else {
        model.add(SimpleRnn::new(size("units")))
    };
    let mut dense = Dense::new(1, Activation::Sigmoid);
    if held {
        dense = dense.kernel_constraint(Constraint::unit_norm());
    }
    let mut model = model.and_then(|m| m.add(dense)).expect("the layers fit");
    let names = ["embedding", "kernel", "recurrent_kernel", "bias", "dense_kernel", "dense_bias"];
    let slots: Vec<String> = model.weight_ranges().iter().map(|s| s.name.clone()).collect();
    let weights: Vec<(String, HostTensor)> =
        slots.iter().cloned().zip(names.map(|n| golden.tensor(n).clone())).collect();
    let device = golden.device();
    model.set_weights(&weights).expect("Keras's shapes are ours");
    let mut trainer = Trainer::new(model.clone(), device, Optimizer::adam(), 0);
    let want = golden.tensor("losses").as_f32().expect("floats");
    for (step, &want) in want.iter().enumerate() {
        let inputs = vec![golden.tensor(&format!("x{step}")).clone()];
        let labels = vec![golden.tensor(&format!("y{step}")).clone()];
        trainer.train_batch(&Batch { inputs, labels, weights: vec![] }).expect("a step");
        let loss = trainer.take_metrics().expect("metrics").loss;
        let error = (loss / f64::from(want) - 1.0).abs();
        let place = format!("{} step {step} on {}", golden.name, device.info());
        assert!(error < 1e-4, "{place}: {loss}, Keras has {want}");
    }
    let trained = trainer.model().expect("weights").weights().expect("tensors");
    for ((_, got), name) in trained.iter().zip(names) {
        let place = format!("{} final {name} on {}", golden.name, device.info());
        // Ten Adam steps of 1e-3 amplify rounding where a gradient is next to nothing.
        expect_close(&place, got, golden.tensor(&format!("final_{name}")), 1e-3);
    }
}

pub fn schedules(golden: &Golden) {
    let optimizer = json!({"class_name": "SGD", "config": {"learning_rate": golden.args["rate"]}});
    let optimizer = Optimizer::from_json(&optimizer, Dialect::Keras3).expect("a schedule");
    // SGD takes the rate as it is.
    let rate = |step: u64| optimizer.step_params(step + 1, 1.0).learning_rate;
    let rates: Vec<f32> = (0..40).map(rate).collect();
    let rates = HostTensor::from_f32([40], rates).expect("40 rates");
    expect_close(&golden.name, &rates, golden.tensor("rates"), TOLERANCE);
}

/// Of a model that passes the golden's logits on to its last activation.
pub fn metrics(golden: &Golden) {
    let width = golden.number("classes") as usize;
    let model = Model::sequential(InputSpec::floats([width]), 0);
    let pass = |activation| Dense::new(width, activation).kernel_initializer(Initializer::Identity);
    let (model, loss) = if width == 1 {
        (model.add(pass(Activation::Sigmoid)), nn::Loss::binary_crossentropy())
    } else {
        let model = model.add(pass(Activation::Linear)).and_then(|m| m.add(Softmax::new()));
        (model, nn::Loss::categorical_crossentropy())
    };
    let model = model.expect("the layers fit");
    let part = |name: &str, batch: usize| {
        let all = golden.tensor(name).as_f32().expect("floats");
        let half = all.len() / 2;
        let values = all[batch * half..(batch + 1) * half].to_vec();
        HostTensor::from_f32([half / width, width], values).expect("a batch")
    };
    let device = golden.device();
    let mut trainer = Trainer::new(model.clone(), device, Optimizer::adam(), 0).loss(loss);
    for batch in 0..2 {
        let (inputs, labels) = (vec![part("logits", batch)], vec![part("labels", batch)]);
        trainer.evaluate_batch(&Batch { inputs, labels, weights: vec![] }).expect("a step");
    }
    let got = trainer.take_metrics().expect("metrics");
    assert_eq!(got.count, 80);
    for (name, got) in [
        ("accuracy", got.accuracy),
        ("precision", got.precision),
        ("recall", got.recall),
        ("f1", got.f1),
        ("auc", got.auc),
    ] {
        if golden.has(name) {
            let place = format!("{} {name} on {}", golden.name, device.info());
            let got = HostTensor::from_f32([1], vec![got as f32]).expect("a number");
            expect_close(&place, &got, golden.tensor(name), TOLERANCE);
        }
    }
}
