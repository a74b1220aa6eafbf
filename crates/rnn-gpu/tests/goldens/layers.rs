//! Layers around the recurrent ones, and what masks and kept states do in a model.

use crate::golden::{Golden, expect_close};
use crate::{TOLERANCE, check_layer};
use rnn::nn::{
    AveragePooling1D, Bidirectional, Cell, Conv1D, Dense, ForwardContext, GlobalAveragePooling1D,
    GlobalMaxPooling1D, Gru, InputSpec, Layer, LayerError, LayerNormalization, Lstm, Masking,
    MaxPooling1D, Merge, Model, Optimizer, Permute, Pooling, Recurrent, RepeatVector, SimpleRnn,
    TimeDistributed, Trainer, Value, Weight,
};
use rnn::{Activation, Padding};
use rnn_core::HostTensor;
use rnn_graph::{GraphError, TensorId};

/// A layer whose golden names its weights w0, w1, ..
pub fn check_any(golden: &Golden, layer: &dyn Layer) {
    let names: Vec<String> =
        (0..golden.number("weights") as usize).map(|i| format!("w{i}")).collect();
    check_layer(golden, layer, "x", &names.iter().map(String::as_str).collect::<Vec<_>>());
}

pub fn padding_of(golden: &Golden) -> Padding {
    match golden.args["padding"].as_str() {
        Some("same") => Padding::Same,
        Some("causal") => Padding::Causal,
        _ => Padding::Valid,
    }
}

pub fn conv1d(golden: &Golden) {
    let size = |name| golden.number(name) as usize;
    let mut layer = Conv1D::new(5, size("kernel_size"))
        .strides(size("strides"))
        .dilation_rate(size("dilation_rate"))
        .padding(padding_of(golden))
        .activation(golden.activation("activation"));
    if !golden.flag("use_bias") {
        layer = layer.without_bias();
    }
    check_any(golden, &layer);
}

pub fn pooling(golden: &Golden) {
    let windows = |layer: fn(usize) -> Pooling<1>| {
        let size = |name| golden.number(name) as usize;
        layer(size("pool_size")).strides(size("strides")).padding(padding_of(golden))
    };
    let layer = match golden.args["kind"].as_str() {
        Some("Max") => windows(MaxPooling1D),
        Some("Average") => windows(AveragePooling1D),
        Some("GlobalMax") => GlobalMaxPooling1D(),
        _ => GlobalAveragePooling1D(),
    };
    check_any(golden, &layer);
}

pub fn layer_normalization(golden: &Golden) {
    let layer = LayerNormalization::new().epsilon(golden.number("epsilon") as f32);
    check_any(golden, &layer);
}

pub fn bidirectional(golden: &Golden) {
    fn check<C: Cell>(golden: &Golden, layer: Recurrent<C>) {
        let layer = if golden.flag("return_sequences") { layer.return_sequences() } else { layer };
        let merge = match golden.args["merge_mode"].as_str() {
            Some("sum") => Merge::Sum,
            Some("mul") => Merge::Mul,
            Some("ave") => Merge::Average,
            _ => Merge::Concat,
        };
        check_any(golden, &Bidirectional::new(layer).merge_mode(merge));
    }
    match golden.args["layer"].as_str() {
        Some("lstm") => check(golden, Lstm::new(3)),
        Some("gru") => check(golden, Gru::new(3)),
        _ => check(golden, SimpleRnn::new(3)),
    }
}

pub fn time_distributed(golden: &Golden) {
    check_any(golden, &TimeDistributed(Dense::new(4, Activation::Tanh)));
}

pub fn repeat_vector(golden: &Golden) {
    check_any(golden, &RepeatVector::new(golden.number("n") as usize));
}

pub fn permute(golden: &Golden) {
    let dims = golden.args["dims"].as_array().expect("a list");
    let dims = dims.iter().map(|dim| dim.as_u64().expect("an axis") as usize);
    check_any(golden, &Permute::new(dims.collect::<Vec<usize>>()));
}

/// A layer behind the mask of steps that are zero.
#[derive(Clone, Debug)]
struct Masked<L>(L);

impl<L: Layer + Clone> Layer for Masked<L> {
    fn class(&self) -> &'static str {
        self.0.class()
    }

    fn weights(&self, input: &[usize]) -> Result<Vec<Weight>, LayerError> {
        self.0.weights(input)
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        self.0.output_shape(input)
    }

    fn forward(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        w: &[TensorId],
    ) -> Result<Value, GraphError> {
        let masked = Masking::new(0.0).forward(cx, input, &[])?;
        self.0.forward(cx, masked, w)
    }
}

pub fn masking(golden: &Golden) {
    match golden.name.as_str() {
        "masking lstm" => check_any(golden, &Masked(Lstm::new(4).return_sequences())),
        _ => check_any(golden, &Masked(GlobalAveragePooling1D())),
    }
}

pub fn stateful(golden: &Golden) {
    fn check(golden: &Golden, layer: impl Layer + 'static) {
        let model = Model::sequential(InputSpec::floats([5, 3]), 0).add(layer);
        let mut model = model.expect("the layer fits");
        let names = model.weight_ranges().iter().map(|slot| slot.name.clone());
        let weights: Vec<(String, HostTensor)> =
            names.enumerate().map(|(i, n)| (n, golden.tensor(&format!("w{i}")).clone())).collect();
        model.set_weights(&weights).expect("Keras's shapes are ours");
        let device = golden.device();
        let mut trainer = Trainer::new(model.clone(), device, Optimizer::adam(), 0);
        for call in 0..3 {
            if call == 2 {
                trainer.reset_states().expect("a device at work");
            }
            let output = trainer.predict_batch(&[golden.tensor(&format!("x{call}")).clone()]);
            let place = format!("{} call {call} on {}", golden.name, device.info());
            let want = golden.tensor(&format!("y{call}"));
            expect_close(&place, &output.expect("it runs")[0], want, TOLERANCE);
        }
    }
    match golden.name.as_str() {
        "stateful simple_rnn" => check(golden, SimpleRnn::new(4).stateful()),
        "stateful lstm" => check(golden, Lstm::new(4).stateful()),
        _ => check(golden, Gru::new(4).stateful()),
    }
}
