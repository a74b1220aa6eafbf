//! Activations of layers, and layers that are activations alone.

use crate::golden::Golden;
use crate::layers::check_any;
use rnn::Padding;
use rnn::nn::{
    ConvLstm1D, Dense, Elu, Gru, LeakyRelu, Lstm, OutputActivation, PRelu, Relu, SimpleRnn, Softmax,
};

pub fn activations(golden: &Golden) {
    let Some(cell) = golden.args["cell"].as_str() else {
        let activation = match golden.args["activation"].as_str() {
            Some("log_softmax") => OutputActivation::LogSoftmax,
            Some("glu") => OutputActivation::Glu,
            _ => golden.activation("activation").into(),
        };
        return check_any(golden, &Dense::new(6, activation));
    };
    let activation = golden.activation("activation");
    let recurrent = || golden.activation("recurrent_activation");
    match cell {
        "simple_rnn" => {
            check_any(golden, &SimpleRnn::new(4).activation(activation).return_sequences());
        }
        "lstm" => {
            let layer = Lstm::new(4).recurrent_activation(recurrent());
            check_any(golden, &layer.activation(activation).return_sequences());
        }
        "conv_lstm1d" => {
            let layer = ConvLstm1D::new(2, 3).padding(Padding::Same);
            let layer = layer.recurrent_activation(recurrent());
            check_any(golden, &layer.activation(activation).return_sequences());
        }
        _ => {
            let layer = Gru::new(4).recurrent_activation(recurrent());
            let layer = if cell == "gru" { layer } else { layer.reset_before() };
            check_any(golden, &layer.activation(activation).return_sequences());
        }
    }
}

pub fn layers(golden: &Golden) {
    let number = |name: &str| golden.args[name].as_f64().map(|number| number as f32);
    match golden.args["kind"].as_str() {
        Some("ReLU") => {
            let mut layer = Relu::new();
            if let Some(max_value) = number("max_value") {
                layer = layer.max_value(max_value);
            }
            let slope = number("negative_slope").unwrap_or(0.0);
            let threshold = number("threshold").unwrap_or(0.0);
            check_any(golden, &layer.negative_slope(slope).threshold(threshold));
        }
        Some("LeakyReLU") => {
            let slope = number("negative_slope").unwrap_or(0.3);
            check_any(golden, &LeakyRelu::new().negative_slope(slope));
        }
        Some("ELU") => check_any(golden, &Elu::new().alpha(number("alpha").unwrap_or(1.0))),
        Some("PReLU") => {
            let axes = golden.args["shared_axes"].as_array();
            let axes = axes.map(|axes| axes.iter().filter_map(|axis| axis.as_u64()));
            let layer = match axes {
                Some(axes) => {
                    PRelu::new().shared_axes(axes.map(|axis| axis as usize).collect::<Vec<_>>())
                }
                None => PRelu::new(),
            };
            check_any(golden, &layer);
        }
        _ => {
            // Keras counts the batch.
            let axis = golden.number("axis") as isize;
            check_any(golden, &Softmax::axis(if axis < 0 { axis } else { axis - 1 }));
        }
    }
}
