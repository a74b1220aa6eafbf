//! ConvLSTM step by step: ONNX has no operator for it.
//!
//! z(t) = conv(x(t), W) + b + conv(h(t-1), U), of gates i, f, c, o;
//! c(t) = f c(t-1) + i act(z_c), h(t) = o act(c(t)).

use super::{OnnxContext, OnnxScan, OnnxWindows, ScanOptions};
use crate::error::ExportError;
use rnn_formats::onnx::Attribute::Int;
use rnn_formats::onnx::ValueName;
use rnn_ops::{LstmGates, Padding};

/// Twelve nodes a step: beyond this no runtime loads the graph in a reasonable time.
pub(super) const MAX_STEPS: usize = 1000;

/// Adds the steps of a ConvLSTM whose windows over the input are these.
pub(crate) fn scan(
    cx: &mut OnnxContext<'_>,
    windows: &OnnxWindows,
    gates: LstmGates,
    options: ScanOptions,
) -> Result<OnnxScan, ExportError> {
    let axes = windows.size.len();
    let steps = cx.input()?.dims.first().copied().unwrap_or(0);
    if !(1..=MAX_STEPS).contains(&steps) {
        return Err(cx.refuse(format!("{steps} steps, of which 1 to {MAX_STEPS} are unrolled")));
    }
    let output = cx.output().get(usize::from(options.return_sequences)..).unwrap_or_default();
    let [extents @ .., filters] = output else { return Err(cx.refuse("a state of no axes")) };
    let (extents, filters) = (extents.to_vec(), *filters);
    let projected =
        project(cx, windows, options.use_bias, &[&[4 * filters], &extents[..]].concat())?;
    let mut order: Vec<usize> = (0..steps).collect();
    if options.go_backwards {
        order.reverse();
    }
    let initial = cx.inputs.get(1..3).map(<[_]>::to_vec).unwrap_or_default();
    let mut initial = initial.iter().map(|state| cx.channels_first(&state.value, axes));
    let mut state = initial.next().zip(initial.next());
    let same = OnnxWindows {
        size: windows.size.clone(),
        strides: vec![1; axes],
        dilations: vec![1; axes],
        padding: Padding::Same,
    };
    let same = same.conv_attributes(&extents);
    let recurrent = cx.conv_kernel("recurrent_kernel", axes)?;
    let recurrent = cx.graph.tensor("recurrent_kernel", &recurrent);
    let channels = cx.graph.ints("axes", &[1]);
    let mut hidden = Vec::new();
    for step in order {
        let mut z = cx.node("Squeeze", &[&projected[step], &channels], &[]);
        if let Some((h, _)) = &state {
            let seen = cx.node("Conv", &[h, &recurrent], &same);
            z = cx.node("Add", &[&z, &seen], &[]);
        }
        let parts = cx.graph.node_with_outputs("Split", &[&z], 4, &[("axis", Int(1))]);
        let [i, f, o] =
            [0, 1, 3].map(|gate| cx.elementwise(gates.recurrent_activation, &parts[gate]));
        let candidate = cx.elementwise(gates.activation, &parts[2]);
        let mut c = cx.node("Mul", &[&i, &candidate], &[]);
        if let Some((_, before)) = &state {
            let kept = cx.node("Mul", &[&f, before], &[]);
            c = cx.node("Add", &[&kept, &c], &[]);
        }
        let shown = cx.elementwise(gates.activation, &c);
        let h = cx.node("Mul", &[&o, &shown], &[]);
        hidden.push(h.clone());
        state = Some((h, c));
    }
    let (h, c) = state.ok_or_else(|| cx.refuse("no steps"))?;
    let states = vec![cx.channels_last(&h, axes), cx.channels_last(&c, axes)];
    let sequence = options.return_sequences.then(|| {
        let mut steps = Vec::new();
        for h in &hidden {
            let h = cx.channels_last(h, axes);
            steps.push(cx.node("Unsqueeze", &[&h, &channels], &[]));
        }
        let steps: Vec<&ValueName> = steps.iter().collect();
        cx.node("Concat", &steps, &[("axis", Int(1))])
    });
    Ok(OnnxScan { sequence, states })
}

/// conv(x, W) + b of each step, `[B, 1, 4 F, ..]`, all in one convolution.
fn project(
    cx: &mut OnnxContext<'_>,
    windows: &OnnxWindows,
    use_bias: bool,
    gates: &[usize],
) -> Result<Vec<ValueName>, ExportError> {
    let input = cx.input()?;
    let [steps, frame @ ..] = &*input.dims else { return Err(cx.refuse("an input of no axes")) };
    let x = cx.reshape(&input.value, frame);
    let x = cx.channels_first(&x, windows.size.len());
    let extents = frame.split_last().map_or(&[][..], |(_, extents)| extents);
    let kernel = cx.conv_kernel("kernel", windows.size.len())?;
    let z = cx.conv(x, (kernel, 1), windows, extents, use_bias)?;
    let z = cx.reshape(&z, &[&[*steps], gates].concat());
    Ok(cx.graph.node_with_outputs("Split", &[&z], *steps, &[("axis", Int(1))]))
}
