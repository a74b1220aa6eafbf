//! Optimizers, schedules and losses in Keras's terms: what is written is read as the same, and what is not
//! supported is named.

use rnn_nn::{Clip, Compile, Crossentropy, Dialect, Loss, Optimizer, Reader, Schedule, WarmUp};
use serde_json::{Value, json};

#[test]
fn how_a_model_is_trained_comes_back() {
    let optimizers = [
        Optimizer::sgd().clip(Clip::GlobalNorm(1.5)),
        Optimizer::rmsprop().learning_rate(0.01).clip(Clip::Value(0.5)),
        Optimizer::adagrad(),
        Optimizer::adadelta().learning_rate(1.0),
        Optimizer::adamw(),
        Optimizer::adamax(),
        Optimizer::lion().weight_decay(0.01),
        Optimizer::nadam().schedule(Schedule::CosineDecay {
            initial: 0.1,
            decay_steps: 100.0,
            alpha: 0.1,
            warmup: Some(WarmUp { target: 0.3, steps: 10.0 }),
        }),
        Optimizer::sgd().schedule(Schedule::CosineDecayRestarts {
            initial: 0.1,
            first_decay_steps: 7.0,
            t_mul: 1.5,
            m_mul: 0.9,
            alpha: 0.1,
        }),
        Optimizer::sgd().schedule(Schedule::PolynomialDecay {
            initial: 0.1,
            decay_steps: 100.0,
            end: 0.01,
            power: 2.0,
            cycle: true,
        }),
        Optimizer::sgd().schedule(Schedule::InverseTimeDecay {
            initial: 0.1,
            decay_steps: 100.0,
            decay_rate: 0.5,
            staircase: true,
        }),
    ];
    for optimizer in optimizers {
        let losses = vec![
            (Loss::Tversky { alpha: 0.2, beta: 0.7 }, 1.0),
            (Loss::Huber { delta: 0.5 }, 0.25),
        ];
        let compile = Compile { optimizer, losses };
        let written = compile.to_json(Reader::Keras).expect("it can be written");
        let read = Compile::from_json(&written, &["a", "b"], Dialect::Keras3);
        assert_eq!(read.expect("it can be read"), compile, "{written}");
    }
    let keras2 = json!({
        "optimizer_config": {"class_name": "Adam", "config": {
            "lr": 0.0010000000474974513, "beta_1": 0.9, "beta_2": 0.999, "decay": 0.0,
            "epsilon": null, "amsgrad": false,
        }},
        "loss": "binary_crossentropy", "metrics": ["acc"], "sample_weight_mode": null,
    });
    let read = Compile::from_json(&keras2, &["dense"], Dialect::Keras2).expect("it can be read");
    let losses = vec![(Loss::binary_crossentropy(), 1.0)];
    assert_eq!(read, Compile { optimizer: Optimizer::adam(), losses });
    let refuse = |value: Value| {
        let read = Compile::from_json(&value, &["dense"], Dialect::Keras3);
        read.expect_err("it is not supported").to_string()
    };
    let message = refuse(json!({"optimizer": "ftrl", "loss": "mse"}));
    assert!(message.contains("ftrl") && message.contains("SGD, RMSprop"), "{message}");
    let message = refuse(json!({"optimizer": "adam", "loss": "circle"}));
    assert!(message.contains("circle") && message.contains("Huber"), "{message}");
    let amsgrad = json!({"class_name": "Adam", "config": {"amsgrad": true}});
    let message = refuse(json!({"optimizer": amsgrad, "loss": "mse"}));
    assert!(message.contains("optimizer Adam: amsgrad = true"), "{message}");
    let classes = |class: &str, config: Value| json!({"optimizer": "adam", "loss": {"class_name": class, "config": config}});
    let message = refuse(classes("SparseCategoricalCrossentropy", json!({"ignore_class": 3})));
    assert!(message.contains("ignore_class = 3") && message.contains("from_logits"), "{message}");
    let message = refuse(classes("MeanSquaredError", json!({"reduction": "sum"})));
    assert!(message.contains("reduction = \"sum\""), "{message}");
    let of = Crossentropy { from_logits: true, label_smoothing: 0.1 };
    let config = json!({
        "from_logits": true, "label_smoothing": 0.1, "axis": -1, "reduction": "sum_over_batch_size",
    });
    let read = Compile::from_json(&classes("binary_crossentropy", config), &["a"], Dialect::Keras3);
    let read = read.expect("it can be read");
    assert_eq!(read.losses, [(Loss::BinaryCrossentropy(of), 1.0)]);
    let again = read.to_json(Reader::Keras).expect("it can be written");
    let again = Compile::from_json(&again, &["a"], Dialect::Keras3).expect("it can be read");
    assert_eq!(again, read);
}
