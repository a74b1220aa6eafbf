//! Layers over sequences and over windows.

use super::{Maker, STATEFUL, Tensor};
use serde_json::{Value, json};
use std::slice::from_ref;

impl Maker {
    /// A recurrent layer's class and arguments.
    pub(super) fn cell(&mut self, units: usize) -> (&'static str, Value) {
        let class = self.pick(&["SimpleRNN", "LSTM", "GRU"]);
        let activation = self.pick(&["tanh", "sigmoid", "relu", "linear", "hard_sigmoid"]);
        let mut config = json!({
            "units": units,
            "activation": activation,
            "use_bias": self.flag(),
            "return_sequences": self.flag(),
            "go_backwards": self.flag(),
            "dropout": 0.2,
        });
        if class != "SimpleRNN" {
            // Gates beyond [0, 1] let states grow that nothing bounds, until rounding is all there is.
            let bounded = !["relu", "linear"].contains(&activation);
            let gate = self.pick(&["sigmoid", "hard_sigmoid", "tanh"]);
            config["recurrent_activation"] = json!(if bounded { gate } else { "sigmoid" });
        }
        if class == "GRU" {
            config["reset_after"] = json!(self.flag());
        }
        (class, config)
    }

    pub(super) fn recurrent(&mut self, x: &Tensor) {
        let units = 2 + self.below(3);
        let (class, mut config) = self.cell(units);
        let sequences = config["return_sequences"] == json!(true);
        let shape = |width| if sequences { vec![x.shape[0], width] } else { vec![width] };
        if self.below(3) == 0 {
            config["go_backwards"] = json!(false);
            let merge = self.pick(&["concat", "sum", "mul", "ave"]);
            let width = if merge == "concat" { 2 * units } else { units };
            let layer = json!({"class_name": class, "config": config});
            let config = json!({"layer": layer, "merge_mode": merge});
            self.skips("Bidirectional", x);
            let masked = x.masked && sequences;
            return self.behind("Bidirectional", config, x, shape(width), masked);
        }
        let count = if class == "LSTM" { 2 } else { 1 };
        let state = vec![units];
        let fits = |t: &&Tensor| t.shape == state && !t.masked;
        let begin: Option<Vec<Tensor>> =
            self.tensors.iter().find(fits).cloned().map(|state| vec![state; count]);
        let begin = begin.filter(|_| self.flag()).unwrap_or_default();
        let states = self.flag();
        config["return_state"] = json!(states);
        if self.rarely() && begin.is_empty() {
            config["stateful"] = json!(true);
        }
        self.skips(class, x);
        if config["stateful"] == json!(true) {
            let name = format!("{}_{}", class.to_lowercase(), self.layers.len());
            self.refused.push((name, STATEFUL));
        }
        let more = if states { count } else { 0 };
        let outputs = [vec![shape(units)], vec![state; more]].concat();
        self.push(class, config, from_ref(x), &begin, outputs, x.masked && sequences);
    }

    pub(super) fn conv_lstm(&mut self, x: &Tensor) {
        let axes = x.shape.len() - 2;
        let class = ["ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"][axes - 1];
        let filters = 1 + self.below(2);
        let (sequences, states) = (self.flag(), self.flag());
        let config = json!({
            "filters": filters,
            "kernel_size": 1 + self.below(2),
            "padding": "same",
            "return_sequences": sequences,
            "return_state": states,
            "go_backwards": self.flag(),
            "use_bias": self.flag(),
            "activation": self.pick(&["tanh", "relu", "sigmoid"]),
        });
        let state = [&x.shape[1..=axes], &[filters]].concat();
        let first = if sequences { [&x.shape[..1], &state].concat() } else { state.clone() };
        let outputs = [vec![first], vec![state; if states { 2 } else { 0 }]].concat();
        self.skips(class, x);
        self.push(class, config, from_ref(x), &[], outputs, x.masked && sequences);
    }

    /// Convolutions, pooling and the like over all axes but the last.
    pub(super) fn windows(&mut self, x: &Tensor) {
        let (class, config, shape) = self.windowed(&x.shape);
        if class == "GlobalAveragePooling1D" {
            self.skips(&class, x);
        }
        self.behind(&class, config, x, shape, false);
    }

    fn windowed(&mut self, shape: &[usize]) -> (String, Value, Vec<usize>) {
        let (channels, extents) = shape.split_last().expect("channels");
        let axes = extents.len();
        let class = |name: &str| format!("{name}{axes}D");
        let shortest = extents.iter().copied().min().unwrap_or(1);
        let size = 1 + self.below(shortest.min(3));
        let padding = self.pick(&["valid", "same"]);
        let strides = 1 + self.below(2);
        let windows = |n: usize, reach: usize, padding: &str| match padding {
            "valid" => (n - reach) / strides + 1,
            _ => n.div_ceil(strides),
        };
        let results = |reach, padding: &str, last: usize| -> Vec<usize> {
            extents.iter().map(|&n| windows(n, reach, padding)).chain([last]).collect()
        };
        match self.below(5) {
            0 => {
                let kind = self.pick(&["GlobalMaxPooling", "GlobalAveragePooling"]);
                (class(kind), json!({}), vec![*channels])
            }
            1 => {
                let kind = self.pick(&["MaxPooling", "AveragePooling"]);
                let config = json!({"pool_size": size, "strides": strides, "padding": padding});
                (class(kind), config, results(size, padding, *channels))
            }
            2 => {
                let larger = extents.iter().map(|n| 2 * n).chain([*channels]).collect();
                (class("UpSampling"), json!({"size": 2}), larger)
            }
            _ => {
                let filters = 1 + self.below(3);
                // Keras takes one of the two.
                let dilation =
                    if strides == 1 && size * 2 - 1 <= shortest { 1 + self.below(2) } else { 1 };
                let padding = if axes == 1 && self.rarely() { "causal" } else { padding };
                let config = json!({
                    "filters": filters,
                    "kernel_size": size,
                    "strides": strides,
                    "padding": padding,
                    "dilation_rate": dilation,
                    "use_bias": self.flag(),
                    "activation": self.activation(),
                });
                (class("Conv"), config, results((size - 1) * dilation + 1, padding, filters))
            }
        }
    }

    pub(super) fn distributed(&mut self, x: &Tensor) {
        let (steps, step) = (x.shape[0], &x.shape[1..]);
        let (class, config, shape) = match self.below(3) {
            0 if step.len() > 1 => self.windowed(step),
            1 => ("Flatten".to_owned(), json!({}), vec![step.iter().product()]),
            2 if step.len() == 2 => {
                let (class, config) = self.cell(3);
                let sequences = config["return_sequences"] == json!(true);
                (class.to_owned(), config, if sequences { vec![step[0], 3] } else { vec![3] })
            }
            _ => {
                let config = json!({"units": 2, "activation": self.activation()});
                ("Dense".to_owned(), config, [&step[..step.len() - 1], &[2]].concat())
            }
        };
        let layer = json!({"class_name": class, "config": config});
        let shape = [&[steps], &shape[..]].concat();
        let config = json!({"layer": layer});
        self.behind("TimeDistributed", config, x, shape, x.masked);
    }
}
