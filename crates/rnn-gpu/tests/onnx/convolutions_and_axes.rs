//! Convolutions in groups, depthwise, separable and transposed ones; normalizations over any axes.

use serde_json::{Value, json};

/// Adds a stack of each layer by its name, the shape of its input, its class and its arguments.
pub fn add_to(add: &mut impl FnMut(&str, &[usize], &str, Value)) {
    for (axes, input) in [(1, &[9, 2][..]), (2, &[7, 6, 2]), (3, &[5, 6, 4, 2])] {
        let config = json!({"filters": 4, "kernel_size": 2, "groups": 2, "padding": "same"});
        add(&format!("conv{axes}d_groups"), input, &format!("Conv{axes}D"), config);
        for (i, (padding, strides, dilation, added)) in [
            ("valid", 1, 1, Value::Null),
            ("valid", 3, 1, Value::Null),
            ("same", 2, 1, Value::Null),
            ("same", 1, 2, Value::Null),
            ("valid", 1, 2, Value::Null),
            ("same", 3, 1, json!(2)),
            ("valid", 2, 1, json!(1)),
        ]
        .into_iter()
        .enumerate()
        {
            let config = json!({"filters": 3, "kernel_size": 2 + i % 2, "padding": padding,
                "strides": strides, "dilation_rate": dilation, "output_padding": added,
                "activation": "tanh", "use_bias": i > 0});
            let class = format!("Conv{axes}DTranspose");
            add(&format!("conv{axes}d_transpose_{i}"), input, &class, config);
        }
        if axes < 3 {
            let config = json!({"kernel_size": 3, "depth_multiplier": 2, "padding": "same",
                "strides": 2, "activation": "relu"});
            let class = format!("DepthwiseConv{axes}D");
            add(&format!("depthwise_conv{axes}d"), input, &class, config);
            let config = json!({"kernel_size": 2, "dilation_rate": 2, "use_bias": false});
            add(&format!("depthwise_conv{axes}d_dilated"), input, &class, config);
            let config = json!({"filters": 3, "kernel_size": 3, "depth_multiplier": 2,
                "strides": 2, "activation": "tanh"});
            let class = format!("SeparableConv{axes}D");
            add(&format!("separable_conv{axes}d"), input, &class, config);
        }
    }
    let config = json!({"size": [2, 3], "interpolation": "bilinear"});
    add("up_sampling2d_bilinear", &[4, 5, 2], "UpSampling2D", config);
    for (i, axis) in
        [json!(1), json!(-2), json!([1, 2]), json!([1, 3]), json!([-1, -2])].into_iter().enumerate()
    {
        let input = &[4, 5, 3];
        let config = json!({"axis": axis.clone(), "center": i % 2 == 0});
        add(&format!("layer_normalization_{i}"), input, "LayerNormalization", config);
        let config = json!({"axis": axis.clone(), "rms_scaling": true, "scale": i % 2 == 0});
        add(&format!("layer_normalization_scaled_{i}"), input, "LayerNormalization", config);
        add(&format!("softmax_axes_{i}"), input, "Softmax", json!({"axis": axis.clone()}));
        let config = json!({"axis": axis});
        add(&format!("unit_normalization_{i}"), input, "UnitNormalization", config);
    }
    for (i, axis) in [1, 2, -1].into_iter().enumerate() {
        let input = &[4, 6, 2];
        let config = json!({"axis": axis, "scale": i > 0, "center": i < 2});
        add(&format!("batch_normalization_axis_{i}"), input, "BatchNormalization", config);
        let config = json!({"groups": 2, "axis": axis, "scale": i < 2, "center": i > 0});
        add(&format!("group_normalization_{i}"), input, "GroupNormalization", config);
    }
    add("group_normalization_each", &[4, 3], "GroupNormalization", json!({"groups": -1}));
    add("group_normalization_rows", &[6], "GroupNormalization", json!({"groups": 3}));
}
