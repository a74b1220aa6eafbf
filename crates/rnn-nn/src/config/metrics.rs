//! The metrics that a Keras file asks for, beside those that are computed here.

use super::Compile;
use crate::layer::{class_and_config, same_name, shown};
use crate::{Loss, MetricSums};
use serde_json::{Map, Value};

/// Returns the metrics that Keras would compute and [`Metrics`](crate::Metrics) does not have, each
/// with the reason. `value` is a `compile_config`, or the `training_config` of an `.h5` file, and
/// `compile` what was read from it. `outputs` are the names of the outputs, and `width` is the
/// extent of the first output's last axis.
///
/// [`Metrics`](crate::Metrics) are those of the first output. With a binary cross-entropy they are
/// accuracy, precision, recall, F1 and the area under the ROC curve, with a categorical one
/// accuracy and the mean over classes of F1. The list is empty if all metrics are computed or
/// `value` names none.
pub fn metrics_not_computed(
    value: &Value,
    compile: &Compile,
    (outputs, width): (&[impl AsRef<str>], usize),
) -> Vec<String> {
    let mut missing = Vec::new();
    for of in each_output(value.get("metrics"), outputs) {
        match of {
            (0, metric) => missing.extend(judge(metric, compile, width)),
            (output, metric) => {
                let name = outputs.get(output).map_or("?", AsRef::as_ref);
                missing.push(format!(
                    "{} of the output {name}: those of the first are",
                    called(metric)
                ));
            }
        }
    }
    for (_, metric) in each_output(value.get("weighted_metrics"), outputs) {
        missing.push(format!("{} with the weights of examples", called(metric)));
    }
    missing
}

/// The metrics with the number of their output: a list for all, a list of lists, or by name.
fn each_output<'a>(
    metrics: Option<&'a Value>,
    outputs: &[impl AsRef<str>],
) -> Vec<(usize, &'a Value)> {
    match metrics {
        None | Some(Value::Null) => vec![],
        // One for each output (keras/src/trainers/compile_utils.py, CompileMetrics).
        Some(Value::Array(list)) if outputs.len() > 1 && list.len() == outputs.len() => list
            .iter()
            .enumerate()
            .flat_map(|(i, of)| flat(of).into_iter().map(move |m| (i, m)))
            .collect(),
        Some(Value::Object(named)) if !named.contains_key("class_name") => {
            let place = |name: &str| outputs.iter().position(|output| output.as_ref() == name);
            let with_place = |(name, of): (&String, &'a Value)| {
                let place = place(name).unwrap_or(outputs.len());
                flat(of).into_iter().map(move |metric| (place, metric)).collect::<Vec<_>>()
            };
            named.iter().flat_map(with_place).collect()
        }
        Some(all) => flat(all).into_iter().map(|metric| (0, metric)).collect(),
    }
}

/// The metrics in a list of lists.
fn flat(value: &Value) -> Vec<&Value> {
    match value {
        Value::Null => vec![],
        Value::Array(list) => list.iter().flat_map(flat).collect(),
        one => vec![one],
    }
}

/// As a message calls it.
fn called(metric: &Value) -> String {
    class_and_config(metric).map_or_else(
        || shown(metric),
        |(class, config)| {
            let function = config.get("fn").and_then(Value::as_str);
            function.or(metric["config"].as_str()).unwrap_or(class).to_owned()
        },
    )
}

/// Keras's names of a metric that is a loss as well.
const LOSSES: [(&str, &[&str]); 5] = [
    ("MeanSquaredError", &["mse"]),
    ("MeanAbsoluteError", &["mae"]),
    ("BinaryCrossentropy", &["bce"]),
    ("CategoricalCrossentropy", &[]),
    ("SparseCategoricalCrossentropy", &[]),
];

/// Why a metric of the first output is not among the figures.
fn judge(metric: &Value, compile: &Compile, width: usize) -> Option<String> {
    let name = called(metric);
    let config = class_and_config(metric).map(|(_, config)| config).unwrap_or_default();
    let is = |names: &[&str]| names.iter().any(|other| same_name(other, &name));
    let loss = compile.losses.first().map(|(loss, _)| *loss);
    let of_loss = LOSSES.iter().find(|(class, more)| is(&[class]) || is(more));
    if let (Some((class, _)), Some(loss)) = (of_loss, loss)
        && loss.name() == *class
        && compile.losses.len() == 1
    {
        return None;
    }
    let logits = loss.is_some_and(|loss: Loss| loss.from_logits());
    let known = |allowed: &[(&str, Value)]| differing(&config, allowed);
    let half = || Value::from(0.5);
    let difference = match compile.metric_sums() {
        MetricSums::Binary if is(&["accuracy", "acc", "BinaryAccuracy"]) => match logits {
            // Keras compares the output of the model, logits here, with the threshold.
            true => Some("of logits: here probabilities are compared with 0.5".into()),
            false => known(&[("threshold", half())]),
        },
        MetricSums::Binary if is(&["Precision", "Recall"]) && !logits => {
            known(&[("thresholds", half())])
        }
        MetricSums::Binary if is(&["AUC"]) => known(&[
            ("num_thresholds", 200.into()),
            ("curve", "ROC".into()),
            ("summation_method", "interpolation".into()),
            ("multi_label", false.into()),
            ("from_logits", logits.into()),
        ]),
        MetricSums::Binary if is(&["F1Score"]) && !logits => {
            let one = width == 1 || config.get("average").is_some_and(|average| average == "micro");
            match config.get("threshold") == Some(&half()) && one {
                true => None,
                false => Some("here it is that of all labels, at the threshold 0.5".into()),
            }
        }
        MetricSums::Categorical
            if is(&["accuracy", "acc", "CategoricalAccuracy", "SparseCategoricalAccuracy"]) =>
        {
            None
        }
        MetricSums::Categorical if is(&["F1Score"]) => {
            let macro_mean = config.get("average").is_some_and(|average| average == "macro");
            match macro_mean && config.get("threshold").is_none_or(Value::is_null) {
                true => None,
                false => Some("here it is the mean over classes, average=\"macro\"".into()),
            }
        }
        MetricSums::Categorical if is(&["Precision", "Recall"]) => {
            Some("here it is the mean over classes, each example taken for one of them".into())
        }
        _ => Some(String::new()),
    };
    difference.map(|why| if why.is_empty() { name } else { format!("{name} ({why})") })
}

/// The first argument that is neither left out, null nor what is computed here.
fn differing(config: &Map<String, Value>, computed: &[(&str, Value)]) -> Option<String> {
    let same = |name: &str, value: &Value| {
        let ours = computed.iter().find(|(argument, _)| *argument == name).map(|(_, ours)| ours);
        value.is_null()
            || matches!(name, "name" | "dtype" | "fn")
            || ours.is_some_and(|ours| match (ours.as_f64(), value.as_f64()) {
                (Some(ours), Some(value)) => ours == value,
                _ => ours == value || *value == Value::Array(vec![ours.clone()]),
            })
    };
    let odd = config.iter().find(|(name, value)| !same(name, value));
    odd.map(|(name, value)| format!("{name} = {}", shown(value)))
}

#[cfg(test)]
mod tests {
    use super::metrics_not_computed;
    use crate::{Compile, Crossentropy, Loss, Optimizer};
    use serde_json::{Value, json};

    fn missing(losses: &[Loss], outputs: &[&str], compile: Value) -> Vec<String> {
        let losses = losses.iter().map(|&loss| (loss, 1.0)).collect();
        metrics_not_computed(
            &compile,
            &Compile { optimizer: Optimizer::adam(), losses },
            (outputs, 1),
        )
    }

    #[test]
    fn metrics_that_are_computed_are_not_named_and_others_are() {
        let metric = |class: &str, config: Value| json!({"class_name": class, "config": config});
        let function = |name: &str| json!({"class_name": "function", "config": name});
        let of = |loss: Loss, metrics: Value| missing(&[loss], &["y"], json!({"metrics": metrics}));
        let binary = Loss::binary_crossentropy();
        let computed = json!([
            "accuracy",
            "acc",
            "binary_accuracy",
            "auc",
            "BinaryCrossentropy",
            function("binary_accuracy"),
            metric("Precision", json!({"name": "p", "thresholds": null, "top_k": null})),
            metric("Recall", json!({"thresholds": [0.5]})),
            metric("AUC", json!({"num_thresholds": 200, "curve": "ROC", "from_logits": false})),
            metric("BinaryAccuracy", json!({"threshold": 0.5})),
            metric("F1Score", json!({"average": null, "threshold": 0.5})),
            metric("MeanMetricWrapper", json!({"name": "acc", "fn": "binary_accuracy"})),
        ]);
        assert_eq!(of(binary, computed), [""; 0]);
        let others = of(
            binary,
            json!([
                "mae",
                metric("AUC", json!({"curve": "PR"})),
                metric("AUC", json!({"num_thresholds": 100})),
                metric("BinaryAccuracy", json!({"threshold": 0.3})),
                metric("Precision", json!({"top_k": 2})),
                metric("F1Score", json!({"threshold": null})),
                function("cosine_similarity"),
                7,
            ]),
        );
        assert_eq!(others.len(), 8, "{others:?}");
        for (got, want) in others.iter().zip([
            "mae",
            "curve = \"PR\"",
            "num_thresholds",
            "threshold = 0.3",
            "top_k",
            "F1Score",
            "cosine_similarity",
            "7",
        ]) {
            assert!(got.contains(want), "{got}, {want}");
        }
        let classes = Loss::sparse_categorical_crossentropy();
        let computed = json!([
            "accuracy",
            "sparse_categorical_accuracy",
            [metric("F1Score", json!({"average": "macro"}))]
        ]);
        assert_eq!(of(classes, computed), [""; 0]);
        assert_eq!(of(classes, json!(["AUC", "Precision", metric("F1Score", json!({}))])).len(), 3);
        assert_eq!(of(Loss::MeanSquaredError, json!(["mse"])), [""; 0]);
        assert_eq!(of(Loss::MeanSquaredError, json!(["mae", "accuracy"])).len(), 2);
        let logits =
            Loss::BinaryCrossentropy(Crossentropy { from_logits: true, label_smoothing: 0.0 });
        assert_eq!(of(logits, json!(["accuracy"])).len(), 1);
    }

    #[test]
    fn metrics_of_other_outputs_and_of_weights_are_named() {
        let losses = [Loss::binary_crossentropy(), Loss::MeanSquaredError];
        let of = |compile: Value| missing(&losses, &["a", "b"], compile);
        assert_eq!(of(json!({"metrics": [["accuracy"], null]})), [""; 0]);
        assert_eq!(of(json!({"metrics": {"a": "accuracy"}})), [""; 0]);
        let named = of(json!({"metrics": {"a": ["accuracy"], "b": ["mae"]}}));
        assert!(named.len() == 1 && named[0].contains("mae of the output b"), "{named:?}");
        assert_eq!(of(json!({"metrics": [["accuracy"], ["mae", "mse"]]})).len(), 2);
        assert_eq!(of(json!({"weighted_metrics": ["accuracy"]})).len(), 1);
        assert_eq!(of(json!({"metrics": null})), [""; 0]);
    }
}
