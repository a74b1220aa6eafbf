//! Numbers that a layer cannot have are refused by name, wherever they come from: Rust, a file of
//! Keras's, or a model.toml, which is read as one.

use rnn_nn::{
    ActivityRegularization, AdditiveAttention, AlphaDropout, Architecture, Attention,
    AveragePooling1D, BatchNormalization, Bidirectional, Concatenate, Constraint, Conv1D,
    Conv1DTranspose, Conv2D, Conv3D, ConvLstm1D, ConvLstm2D, ConvLstm3D, Cropping1D, Dense,
    DepthwiseConv1D, Dot, Dropout, EinsumDense, Elu, Embedding, GaussianDropout, GaussianNoise,
    GroupNormalization, Gru, Initializer, InputSpec, Layer, LayerNormalization, LeakyRelu, Lstm,
    Masking, MaxPooling1D, MaxPooling2D, Model, MultiHeadAttention, Normalization,
    OutputActivation, PRelu, Penalty, Permute, Relu, RepeatVector, Rescaling, Reshape, Rnn,
    SeparableConv1D, SimpleRnn, Softmax, SpatialDropout1D, StackedRnn, TimeDistributed,
    UnitNormalization, UpSampling1D, ZeroPadding1D,
};
use rnn_ops::{Activation, Padding};
use serde_json::{Map, Value, json};

/// Why a layer is refused behind an input of this shape.
fn refusal(input: InputSpec, layer: Box<dyn Layer>) -> Option<String> {
    let class = layer.class();
    let error = Model::sequential(input, 1).add(layer).err()?;
    let text = error.to_string();
    assert!(text.contains(class), "{class} is not named: {text}");
    Some(text)
}

#[test]
fn layers_made_in_rust_are_refused() {
    let sequence = || InputSpec::floats([6, 4]);
    let dense = || Dense::new(2, Activation::Linear);
    let huge = usize::MAX;
    let cases: Vec<(InputSpec, Box<dyn Layer>, &str)> = vec![
        (sequence(), Box::new(Lstm::new(0)), "units = 0"),
        (sequence(), Box::new(Gru::new(0)), "units = 0"),
        (sequence(), Box::new(SimpleRnn::new(0)), "units = 0"),
        (sequence(), Box::new(Lstm::new(huge)), "units = "),
        (sequence(), Box::new(Bidirectional::new(Lstm::new(0))), "units = 0"),
        (sequence(), Box::new(TimeDistributed(Dense::new(0, Activation::Tanh))), "units = 0"),
        (sequence(), Box::new(Dense::new(0, Activation::Tanh)), "units = 0"),
        (sequence(), Box::new(Conv1D::new(0, 2)), "filters = 0"),
        (sequence(), Box::new(Conv1D::new(2, 0)), "kernel_size = [0]"),
        (sequence(), Box::new(Conv1D::new(2, 2).strides(0)), "strides = [0]"),
        (sequence(), Box::new(Conv1D::new(2, 2).dilation_rate(0)), "dilation_rate = [0]"),
        (InputSpec::floats([6, 6, 2]), Box::new(Conv2D::new(2, [2, 0])), "kernel_size = [2,0]"),
        (
            InputSpec::floats([6, 6, 2]),
            Box::new(Conv2D::new(2, 2).padding(Padding::Causal)),
            "padding = \"causal\"",
        ),
        (
            InputSpec::floats([6, 6, 2]),
            Box::new(ConvLstm1D::new(2, 2).padding(Padding::Causal)),
            "padding = \"causal\"",
        ),
        (
            InputSpec::floats([6, 2]),
            Box::new(MaxPooling1D(2).padding(Padding::Causal)),
            "padding = \"causal\"",
        ),
        (InputSpec::floats([4, 4, 4, 2]), Box::new(Conv3D::new(0, 2)), "filters = 0"),
        (sequence(), Box::new(Conv1D::new(4, 2).groups(0)), "groups = 0"),
        (sequence(), Box::new(Conv1D::new(4, 2).groups(3)), "groups = 3"),
        (InputSpec::floats([6, 3]), Box::new(Conv1D::new(4, 2).groups(2)), "[6, 3]"),
        (sequence(), Box::new(DepthwiseConv1D::new(0)), "kernel_size = [0]"),
        (sequence(), Box::new(DepthwiseConv1D::new(2).depth_multiplier(0)), "depth_multiplier = 0"),
        (
            sequence(),
            Box::new(DepthwiseConv1D::new(2).padding(Padding::Causal)),
            "padding = \"causal\"",
        ),
        (sequence(), Box::new(SeparableConv1D::new(0, 2)), "filters = 0"),
        (
            sequence(),
            Box::new(SeparableConv1D::new(2, 2).depth_multiplier(huge)),
            "depth_multiplier = ",
        ),
        (sequence(), Box::new(Conv1DTranspose::new(0, 2)), "filters = 0"),
        (
            sequence(),
            Box::new(Conv1DTranspose::new(2, 2).strides(2).output_padding(2)),
            "output_padding = [2]",
        ),
        (
            sequence(),
            Box::new(Conv1DTranspose::new(2, 2).strides(2).dilation_rate(2)),
            "dilation_rate = [2]",
        ),
        (
            sequence(),
            Box::new(
                Conv1DTranspose::new(2, 2).strides(2).output_padding(0).padding(Padding::Same),
            ),
            "output padding",
        ),
        (InputSpec::floats([3, 6, 2]), Box::new(ConvLstm1D::new(0, 2)), "filters = 0"),
        (InputSpec::floats([3, 6, 6, 2]), Box::new(ConvLstm2D::new(2, 0)), "kernel_size = [0,0]"),
        (InputSpec::floats([3, 4, 4, 4, 2]), Box::new(ConvLstm3D::new(0, 1)), "filters = 0"),
        (sequence(), Box::new(AveragePooling1D(0)), "pool_size = [0]"),
        (InputSpec::floats([6, 6, 2]), Box::new(MaxPooling2D([2, 0])), "pool_size = [2,0]"),
        (sequence(), Box::new(AveragePooling1D(2).strides(0)), "strides = [0]"),
        (sequence(), Box::new(UpSampling1D(0)), "size = [0]"),
        (InputSpec::floats([4]), Box::new(RepeatVector::new(0)), "n = 0"),
        (sequence(), Box::new(RepeatVector::new(2)), "a vector [F]"),
        (sequence(), Box::new(Reshape::new([-2, 2])), "target_shape = [-2,2]"),
        (sequence(), Box::new(Reshape::new([0])), "target_shape = [0]"),
        (sequence(), Box::new(Permute::new([0, 1])), "dims = [0,1]"),
        (sequence(), Box::new(Permute::new([1, 3])), "dims = [1,3]"),
        (sequence(), Box::new(Permute::new([1, 1])), "dims = [1,1]"),
        (sequence(), Box::new(Permute::new([])), "dims = []"),
        (sequence(), Box::new(Permute::new([1])), "as many axes"),
        (sequence(), Box::new(Relu::new().max_value(-1.0)), "max_value = -1"),
        (sequence(), Box::new(Relu::new().negative_slope(-0.5)), "negative_slope = -0.5"),
        (sequence(), Box::new(Relu::new().threshold(f32::NAN)), "threshold = \"NaN\""),
        (sequence(), Box::new(LeakyRelu::new().negative_slope(-1.0)), "negative_slope = -1"),
        (sequence(), Box::new(Elu::new().alpha(f32::INFINITY)), "alpha = \"inf\""),
        (sequence(), Box::new(PRelu::new().shared_axes([0])), "shared_axes = [0]"),
        (sequence(), Box::new(PRelu::new().shared_axes([3])), "the axes that it shares"),
        (sequence(), Box::new(Softmax::axis(2)), "another axis"),
        (sequence(), Box::new(Softmax::axes([0, -2])), "another axis"),
        (sequence(), Box::new(LayerNormalization::new().axes([0])), "axis = 0"),
        (sequence(), Box::new(LayerNormalization::new().axes([])), "axis = []"),
        (sequence(), Box::new(LayerNormalization::new().axes([1, -2])), "its axes"),
        (sequence(), Box::new(LayerNormalization::new().axes([3])), "its axes"),
        (sequence(), Box::new(UnitNormalization::new().axes([-100])), "its axes"),
        (sequence(), Box::new(BatchNormalization::new().axis(0)), "axis = 0"),
        (sequence(), Box::new(GroupNormalization::new(0)), "groups = 0"),
        (sequence(), Box::new(GroupNormalization::new(3)), "its groups divide"),
        (sequence(), Box::new(GroupNormalization::default().epsilon(-1.0)), "epsilon = -1"),
        (sequence(), Box::new(Dense::new(3, OutputActivation::Glu)), "an even number of features"),
        (InputSpec::tokens([5]), Box::new(Embedding::new(0, 2)), "input_dim = 0"),
        (InputSpec::tokens([5]), Box::new(Embedding::new(2, 0)), "output_dim = 0"),
        (InputSpec::floats([5]), Box::new(Embedding::new(2, 2)), "an input of tokens"),
        (sequence(), Box::new(Dropout::new(1.5)), "rate = 1.5"),
        (sequence(), Box::new(Dropout::new(-0.1)), "rate = -0.1"),
        (sequence(), Box::new(Dropout::new(f32::NAN)), "rate = \"NaN\""),
        (sequence(), Box::new(SpatialDropout1D::new(1.5)), "rate = 1.5"),
        (sequence(), Box::new(AlphaDropout::new(1.1)), "rate = 1.1"),
        (sequence(), Box::new(GaussianDropout::new(-0.1)), "rate = -0.1"),
        (sequence(), Box::new(GaussianNoise::new(f32::INFINITY)), "stddev = \"inf\""),
        (sequence(), Box::new(Dropout::new(0.5).noise_shape([Some(0)])), "noise_shape = [0]"),
        (
            sequence(),
            Box::new(ActivityRegularization::new(Penalty { l1: -0.1, l2: 0.0 })),
            "l1 = -0.1",
        ),
        (sequence(), Box::new(Cropping1D(huge)), "cropping = ["),
        (sequence(), Box::new(Cropping1D(3)), "longer than what it crops"),
        (sequence(), Box::new(ZeroPadding1D(huge)), "padding = ["),
        (sequence(), Box::new(Rescaling::new(f32::NAN, 0.0)), "scale = \"NaN\""),
        (sequence(), Box::new(Rescaling::new([1.0, 2.0], 0.0)), "its scale and offset"),
        (sequence(), Box::new(Normalization::given(0.0, -1.0)), "variance = -1"),
        (sequence(), Box::new(Normalization::given(0.0, [1.0; 4])), "variance = [1.0,1.0,1.0,1.0]"),
        (
            sequence(),
            Box::new(Normalization::given([0.0; 3], [1.0; 3])),
            "inputs that have its axes",
        ),
        (sequence(), Box::new(Normalization::new().axes([0])), "axis = [0]"),
        (sequence(), Box::new(Normalization::new().axes([3])), "inputs that have its axes"),
        (sequence(), Box::new(Dot::new([0, 1])), "axes = [0,1]"),
        (sequence(), Box::new(Dot::new([1, 1])), "two inputs"),
        (sequence(), Box::new(Attention::new().dropout(1.0)), "dropout = 1"),
        (sequence(), Box::new(AdditiveAttention()), "a query [Q, D], a value [K, V]"),
        (
            sequence(),
            Box::new(EinsumDense::new("abc,cd->ad", [Some(2)])),
            "its equation and its output_shape",
        ),
        (
            sequence(),
            Box::new(EinsumDense::new("abc,cd->abd", [None, None])),
            "its equation and its output_shape",
        ),
        (sequence(), Box::new(EinsumDense::new("abc,cd->abd", [None, Some(0)])), "output_shape"),
        (sequence(), Box::new(MultiHeadAttention::new(0, 2)), "num_heads = 0"),
        (sequence(), Box::new(MultiHeadAttention::new(2, 2).output_shape([])), "output_shape = []"),
        (sequence(), Box::new(MultiHeadAttention::new(2, 2)), "a query [Q, F], a value [K, G]"),
        (sequence(), Box::new(Rnn::new(Lstm::new(0))), "units = 0"),
        (sequence(), Box::new(StackedRnn::new([])), "cells = []"),
        (sequence(), Box::new(StackedRnn::new([Gru::new(0).into()])), "units = 0"),
        (sequence(), Box::new(Lstm::new(2).dropout(f32::INFINITY)), "dropout = \"inf\""),
        (sequence(), Box::new(Gru::new(2).recurrent_dropout(-1.0)), "recurrent_dropout = -1"),
        (sequence(), Box::new(Masking::new(f32::NAN)), "mask_value = \"NaN\""),
        (sequence(), Box::new(LayerNormalization::new().epsilon(-1.0)), "epsilon = -1"),
        (sequence(), Box::new(BatchNormalization::new().epsilon(f32::NAN)), "epsilon = \"NaN\""),
        (sequence(), Box::new(BatchNormalization::new().momentum(1.5)), "momentum = 1.5"),
        (sequence(), Box::new(Concatenate::axis(5)), "Concatenate takes"),
        (
            sequence(),
            Box::new(dense().kernel_initializer(Initializer::Constant(f64::NAN))),
            "kernel_initializer",
        ),
        (
            sequence(),
            Box::new(dense().bias_initializer(Initializer::Normal(0.0, -1.0))),
            "bias_initializer",
        ),
        (
            sequence(),
            Box::new(dense().kernel_regularizer(Penalty { l1: 0.0, l2: -0.1 })),
            "kernel_regularizer",
        ),
        (
            sequence(),
            Box::new(dense().activity_regularizer(Penalty { l1: f32::NAN, l2: 0.0 })),
            "activity_regularizer",
        ),
        (
            sequence(),
            Box::new(dense().kernel_constraint(Constraint::max_norm(-1.0))),
            "kernel_constraint",
        ),
    ];
    for (input, layer, part) in cases {
        let shown = format!("{layer:?}");
        let text = refusal(input, layer).unwrap_or_else(|| panic!("{shown} is taken"));
        assert!(text.contains(part), "{part} is not in: {text}");
    }
    assert_eq!(refusal(InputSpec::floats([6, 4]), Box::new(Lstm::new(2).dropout(0.0))), None);
    assert_eq!(refusal(InputSpec::floats([6, 4]), Box::new(Reshape::new([-1, 2]))), None);
}

/// Each class with an input that it takes, and the arguments that must be given.
fn classes() -> Vec<(&'static str, Vec<usize>, Value)> {
    let lstm = json!({"class_name": "LSTM", "config": {"units": 2}});
    let dense = json!({"class_name": "Dense", "config": {"units": 2}});
    let conv = json!({"filters": 2, "kernel_size": 2});
    let mut all = vec![
        ("Dense", vec![4], json!({"units": 2})),
        ("Embedding", vec![4], json!({"input_dim": 5, "output_dim": 2})),
        ("SimpleRNN", vec![6, 4], json!({"units": 2})),
        ("LSTM", vec![6, 4], json!({"units": 2})),
        ("GRU", vec![6, 4], json!({"units": 2})),
        ("Bidirectional", vec![6, 4], json!({"layer": lstm})),
        ("TimeDistributed", vec![6, 4], json!({"layer": dense})),
        ("Conv1D", vec![6, 2], conv.clone()),
        ("Conv2D", vec![6, 6, 2], conv.clone()),
        ("Conv3D", vec![6, 6, 6, 2], conv.clone()),
        ("DepthwiseConv1D", vec![6, 2], json!({"kernel_size": 2})),
        ("DepthwiseConv2D", vec![6, 6, 2], json!({"kernel_size": 2})),
        ("SeparableConv1D", vec![6, 2], conv.clone()),
        ("SeparableConv2D", vec![6, 6, 2], conv.clone()),
        ("Conv1DTranspose", vec![6, 2], conv.clone()),
        ("Conv2DTranspose", vec![6, 6, 2], conv.clone()),
        ("Conv3DTranspose", vec![6, 6, 6, 2], conv.clone()),
        ("ConvLSTM1D", vec![3, 6, 2], conv.clone()),
        ("ConvLSTM2D", vec![3, 6, 6, 2], conv.clone()),
        ("ConvLSTM3D", vec![3, 6, 6, 6, 2], conv),
        ("Dropout", vec![4], json!({"rate": 0.5})),
        ("SpatialDropout1D", vec![6, 4], json!({"rate": 0.5})),
        ("SpatialDropout2D", vec![6, 6, 2], json!({"rate": 0.5})),
        ("SpatialDropout3D", vec![6, 6, 6, 2], json!({"rate": 0.5})),
        ("AlphaDropout", vec![4], json!({"rate": 0.5})),
        ("GaussianDropout", vec![4], json!({"rate": 0.5})),
        ("GaussianNoise", vec![4], json!({"stddev": 0.5})),
        ("ActivityRegularization", vec![4], json!({})),
        ("Cropping1D", vec![6, 2], json!({})),
        ("RNN", vec![6, 4], json!({"cell": {"class_name": "GRUCell", "config": {"units": 2}}})),
        ("ZeroPadding1D", vec![6, 2], json!({})),
        ("Masking", vec![6, 4], json!({})),
        ("LayerNormalization", vec![6, 4], json!({})),
        ("BatchNormalization", vec![6, 4], json!({})),
        ("GroupNormalization", vec![6, 4], json!({"groups": 2})),
        ("UnitNormalization", vec![6, 4], json!({"axis": [1, 2]})),
        ("Permute", vec![6, 4], json!({"dims": [2, 1]})),
        ("ReLU", vec![6, 4], json!({"max_value": 2.0})),
        ("LeakyReLU", vec![6, 4], json!({})),
        ("ELU", vec![6, 4], json!({})),
        ("PReLU", vec![6, 4], json!({"shared_axes": [1]})),
        ("Softmax", vec![6, 4], json!({"axis": 1})),
        ("RepeatVector", vec![4], json!({"n": 3})),
        ("Reshape", vec![6, 4], json!({"target_shape": [4, 6]})),
    ];
    for (one, two, three) in [
        ("MaxPooling1D", "MaxPooling2D", "MaxPooling3D"),
        ("AveragePooling1D", "AveragePooling2D", "AveragePooling3D"),
        ("UpSampling1D", "UpSampling2D", "UpSampling3D"),
    ] {
        all.push((one, vec![6, 2], json!({})));
        all.push((two, vec![6, 6, 2], json!({})));
        all.push((three, vec![6, 6, 6, 2], json!({})));
    }
    all
}

/// What becomes of a class with these arguments.
fn read(class: &str, input: &[usize], config: &Map<String, Value>) -> Result<(), String> {
    let shape: Vec<Value> =
        [Value::Null].into_iter().chain(input.iter().map(|&n| json!(n))).collect();
    let first = json!({"class_name": "InputLayer", "config": {"batch_shape": shape, "name": "x"}});
    let layer = json!({"class_name": class, "config": config});
    let model = json!({"class_name": "Sequential", "config": {"layers": [first, layer]}});
    let model = Architecture::from_json(&model, None).and_then(|read| read.model(1));
    model.map(drop).map_err(|error| {
        let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
        error.to_string() + &source.unwrap_or_default()
    })
}

/// Every numeric argument of every layer, at numbers that none has.
#[test]
fn files_are_refused_by_the_name_of_the_argument() {
    let mut tried = 0;
    for (class, input, required) in classes() {
        let required = required.as_object().expect("an object").clone();
        assert_eq!(read(class, &input, &required), Ok(()), "{class}");
        // What the layer says of itself has all of its arguments.
        let shape: Vec<Value> =
            [Value::Null].into_iter().chain(input.iter().map(|&n| json!(n))).collect();
        let first = json!({"class_name": "InputLayer", "config": {"batch_shape": shape}});
        let layer = json!({"class_name": class, "config": required});
        let model = json!({"class_name": "Sequential", "config": {"layers": [first, layer]}});
        let whole = Architecture::from_json(&model, None).expect("it was read before");
        let whole = whole.to_json(rnn_nn::Reader::Ours).expect("it can be written");
        let whole = whole["config"]["layers"][1]["config"].as_object().expect("an object").clone();
        for (name, value) in &whole {
            let list = value.as_array().is_some_and(|all| all.iter().all(Value::is_number));
            let offset = ["axis", "mask_value", "alpha"].contains(&name.as_str());
            if !(value.is_number() || list) || offset {
                continue;
            }
            for odd in [json!(-1), json!(-3.5), json!(1e300), json!("many"), json!([]), json!({})] {
                // One extent may be open.
                if name == "target_shape" && odd == json!(-1) {
                    continue;
                }
                // A group for each channel.
                if class == "GroupNormalization" && name == "groups" && odd == json!(-1) {
                    continue;
                }
                let config = [(name.clone(), odd.clone())];
                let config = whole.clone().into_iter().chain(config).collect();
                let refused = read(class, &input, &config);
                let said = refused.expect_err(&format!("{class}, {name} = {odd} is taken"));
                assert!(said.contains(name) && said.contains(class), "{name} = {odd}: {said}");
                tried += 1;
            }
            let zero = [(name.clone(), json!(0))];
            let zero = whole.clone().into_iter().chain(zero).collect();
            let may_be_zero = [
                "rate",
                "dropout",
                "recurrent_dropout",
                "epsilon",
                "momentum",
                "stddev",
                "l1",
                "l2",
                "cropping",
                "padding",
                "max_value",
                "negative_slope",
                "threshold",
            ];
            let taken = read(class, &input, &zero);
            assert_eq!(taken.is_ok(), may_be_zero.contains(&name.as_str()), "{class}, {name} = 0");
        }
    }
    assert!(tried > 200, "{tried} numbers");
}
