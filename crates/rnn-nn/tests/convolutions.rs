//! Convolutions and enlargements by small examples worked out by hand, and what they refuse.

use rnn_core::HostTensor;
use rnn_graph::{Device, Graph, TensorType};
use rnn_nn::{
    Conv1DTranspose, Conv2D, Conv2DTranspose, DepthwiseConv1D, DepthwiseConv2D, ForwardContext,
    Layer, MaskFlow, SeparableConv2D, UpSampling2D,
};
use rnn_ops::Padding;
use std::sync::Arc;

/// What a layer makes of one example, with these weights.
fn output(layer: &dyn Layer, example: &[usize], x: &[f32], weights: &[&[f32]]) -> Vec<f32> {
    let shape = [&example[..1], &[1], &example[1..]].concat();
    let mut graph = Graph::new();
    let mut operands = vec![(shape, x)];
    let slots = layer.weights(example).expect("the layer fits");
    assert_eq!(slots.len(), weights.len(), "{layer:?}");
    operands.extend(slots.iter().zip(weights).map(|(slot, &w)| (slot.shape.clone(), w)));
    let inputs = operands.iter().map(|(shape, _)| TensorType::f32(shape.clone()));
    let ids: Vec<_> = inputs.map(|ty| graph.input("operand", ty)).collect();
    let mut cx = ForwardContext::new(&mut graph, None);
    let y = layer.forward(&mut cx, ids[0].into(), &ids[1..]).expect("the layer fits");
    graph.output(y.tensor);
    let mut session = rnn_cpu::CpuDevice::new().session();
    let program = session.compile(Arc::new(graph)).expect("it compiles");
    let tensor = |(shape, values): (Vec<usize>, &[f32])| {
        HostTensor::from_f32(shape, values.to_vec()).expect("they fit")
    };
    let operands: Vec<HostTensor> = operands.into_iter().map(tensor).collect();
    session.run(program, &operands.iter().collect::<Vec<_>>()).expect("it runs");
    let outputs = session.fetch(program).expect("outputs");
    outputs[0].as_f32().expect("floats").to_vec()
}

/// Dilated ones are not in the files of Keras, as TensorFlow has none on a CPU.
#[test]
fn a_transposed_convolution_adds_each_pixel_where_its_window_looks() {
    let plain = || Conv1DTranspose::new(1, 2).without_bias();
    let of = |layer: &dyn Layer| output(layer, &[3, 1], &[1.0, 10.0, 100.0], &[&[2.0, 3.0]]);
    assert_eq!(of(&plain()), [2.0, 23.0, 230.0, 300.0]);
    assert_eq!(of(&plain().strides(2)), [2.0, 3.0, 20.0, 30.0, 200.0, 300.0]);
    assert_eq!(of(&plain().dilation_rate(2)), [2.0, 20.0, 203.0, 30.0, 300.0]);
    // Reaches over three pixels, of which one before and one behind are cut off.
    assert_eq!(of(&plain().dilation_rate(2).padding(Padding::Same)), [20.0, 203.0, 30.0]);
    let padded = plain().strides(3).output_padding(2);
    assert_eq!(of(&padded), [2.0, 3.0, 0.0, 20.0, 30.0, 0.0, 200.0, 300.0, 0.0, 0.0]);
}

#[test]
fn each_channel_is_convolved_by_itself() {
    // Two channels, two outputs for each: a window of one step has a factor for each output.
    let layer = DepthwiseConv1D::new(1).depth_multiplier(2);
    let (x, kernel, bias) = ([1.0, 2.0, 3.0, 4.0], [1.0, 10.0, 5.0, 7.0], [0.0, 0.5, 0.0, 0.0]);
    let y = output(&layer, &[2, 2], &x, &[&kernel, &bias]);
    assert_eq!(y, [1.0, 10.5, 10.0, 14.0, 3.0, 30.5, 20.0, 28.0]);
}

#[test]
fn filters_see_the_channels_of_their_group() {
    let layer = Conv2D::new(2, 1).groups(2).without_bias();
    // Filter 0 sees channels 0 and 1, filter 1 channels 2 and 3.
    let y = output(&layer, &[1, 1, 4], &[1.0, 2.0, 3.0, 4.0], &[&[1.0, 5.0, 10.0, 7.0]]);
    assert_eq!(y, [1.0 + 20.0, 15.0 + 28.0]);
}

#[test]
fn pixels_between_lie_on_lines() {
    let y = output(&UpSampling2D([1, 2]).bilinear(), &[1, 2, 1], &[0.0, 4.0], &[]);
    assert_eq!(y, [0.0, 1.0, 3.0, 4.0]);
    let y = output(&UpSampling2D([3, 1]).bilinear(), &[2, 1, 1], &[0.0, 3.0], &[]);
    assert_eq!(y, [0.0, 0.0, 1.0, 2.0, 3.0, 3.0]);
}

#[test]
fn shapes_are_those_of_keras() {
    let shape = |layer: &dyn Layer, input: &[usize]| layer.output_shape(input).expect("it fits");
    assert_eq!(shape(&DepthwiseConv2D::new(3).depth_multiplier(3), &[6, 5, 2]), [4, 3, 6]);
    let strided = SeparableConv2D::new(4, 3).strides(2).padding(Padding::Same);
    assert_eq!(shape(&strided, &[6, 5, 2]), [3, 3, 4]);
    let transposed = Conv2DTranspose::new(4, 3).strides([2, 3]);
    assert_eq!(shape(&transposed, &[4, 5, 2]), [9, 15, 4]);
    assert_eq!(shape(&transposed.clone().padding(Padding::Same), &[4, 5, 2]), [8, 15, 4]);
    assert_eq!(shape(&transposed.output_padding([1, 0]), &[4, 5, 2]), [10, 15, 4]);
    assert_eq!(shape(&UpSampling2D(2).bilinear(), &[3, 4, 2]), [6, 8, 2]);
}

#[test]
fn a_mask_ends_here() {
    let layers: [&dyn Layer; 3] = [
        &Conv1DTranspose::new(1, 1),
        &DepthwiseConv1D::new(1),
        &rnn_nn::SeparableConv1D::new(1, 1),
    ];
    for layer in layers {
        assert_eq!(layer.mask_flow(), MaskFlow::Ends, "{layer:?}");
    }
}

#[test]
fn inputs_that_do_not_fit_are_refused() {
    DepthwiseConv1D::new(3).output_shape(&[2, 4]).expect_err("fewer steps than taps");
    DepthwiseConv2D::new(1).output_shape(&[2, 4]).expect_err("a sequence");
    Conv1DTranspose::new(1, 1).output_shape(&[2, 2, 4]).expect_err("a picture");
    Conv1DTranspose::new(1, 1).output_shape(&[]).expect_err("nothing");
    let error = Conv2D::new(4, 1).groups(2).output_shape(&[2, 2, 3]).expect_err("odd channels");
    assert!(error.to_string().contains("its groups divide"), "{error}");
}
