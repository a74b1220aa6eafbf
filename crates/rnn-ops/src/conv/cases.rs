use super::{
    Conv, ConvInput, ConvKernel, GroupedConv, GroupedConvInput, GroupedConvKernel, Pixels, Windows,
};
use crate::{Case, Padding, Sample};
use rnn_core::DType;

/// Returns examples of windows of every kind: sizes, strides, dilations, paddings, and a leading
/// time axis. Each has a name and the pixels over which its windows slide.
pub fn geometries() -> Vec<(&'static str, Windows, Pixels)> {
    let one = (1, 1, 1);
    let plain = (3, 1, 1);
    [
        ("3x3 same", [1, 7, 6], [one, plain, plain], Padding::Same, false),
        ("3x3 valid", [1, 7, 6], [one, plain, plain], Padding::Valid, false),
        ("3x2 stride 2", [1, 7, 6], [one, (3, 2, 1), (2, 2, 1)], Padding::Same, false),
        ("3x3 dilation 2", [1, 9, 8], [one, (3, 1, 2), (3, 1, 2)], Padding::Same, false),
        ("3x3x3 same", [4, 5, 3], [plain, plain, plain], Padding::Same, true),
        ("2x3x1 stride", [5, 6, 4], [(2, 2, 1), (3, 2, 1), one], Padding::Valid, true),
        ("5 causal", [11, 1, 1], [(5, 1, 2), one, one], Padding::Causal, true),
        ("2x2x2 inner", [3, 4, 5], [(2, 1, 1), (2, 1, 1), (2, 1, 1)], Padding::Same, false),
    ]
    .into_iter()
    .filter_map(|(name, extents, shapes, padding, leading)| {
        // Causal padding concerns the time axis; the other axes have one tap, which it does not
        // affect.
        let windows = Windows::over(extents, shapes, padding, leading)?;
        Some((name, windows, Pixels { items: 2, extents, leading }))
    })
    .collect()
}

fn sample(pixels: &Pixels, channels: usize) -> Sample {
    Sample::Normal(pixels.ty(channels).dims().to_vec())
}

/// Returns the test cases of [`Conv`], [`ConvInput`] and [`ConvKernel`], for
/// [`suite`](crate::suite).
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let sizes = [(17, 70), (5, 1), (3, 5), (4, 3)];
    let sized = geometries().into_iter().enumerate().map(|(i, of)| (i, of, sizes[i % 4]));
    // Channel counts that vectors divide, with all windows but one kind that has its own kernels.
    let whole = geometries().into_iter().enumerate().skip(2).map(|(i, of)| (i + 1, of, (8, 24)));
    for (i, (name, windows, source), (channels, filters)) in sized.chain(whole) {
        let name = format!("{name} {channels} to {filters}");
        let bias = i % 2 == 0;
        let kernel = Sample::Normal(vec![windows.taps(), channels, filters]);
        let (x, dy) = (sample(&source, channels), sample(&windows.targets(source.items), filters));
        let mut operands = vec![x.clone(), kernel.clone()];
        operands.extend(bias.then(|| Sample::Normal(vec![filters])));
        let sources: Vec<usize> = (0..operands.len()).collect();
        let conv = Conv { windows, bias, output: DType::F32 };
        cases.push(Case::new(format!("conv {name}"), conv, operands.clone()).gradient(&sources));
        let half = Conv { windows, bias, output: DType::F16 };
        // An operand rounded to half precision has an error of half of 2^-10.
        let half = Case::new(format!("conv {name} to half"), half, operands).tolerance(1e-3);
        let op = ConvInput { windows, source: source.extents };
        let input = Case::new(format!("conv_input {name}"), op, vec![dy.clone(), kernel]);
        let op = ConvKernel { windows };
        let of_kernel = Case::new(format!("conv_kernel {name}"), op, vec![x, dy]);
        if i % 4 < 2 {
            cases.push(half);
            cases.push(input.clone().half(&[0]).named(" half"));
            cases.push(of_kernel.clone().half(&[1]).named(" half"));
            cases.push(of_kernel.clone().half(&[0, 1]).named(" halves"));
        }
        cases.extend([input.gradient(&[0, 1]), of_kernel]);
    }
    // Sums over 1,300 pixels, in parts.
    let plain = [(1, 1, 1), (3, 1, 1), (3, 1, 1)];
    let split = Windows::over([1, 26, 25], plain, Padding::Same, false);
    cases.extend(split.map(|windows| {
        let source = Pixels { items: 2, extents: [1, 26, 25], leading: false };
        let inputs = vec![sample(&source, 4), sample(&source, 9)];
        Case::new("conv_kernel split", ConvKernel { windows }, inputs)
    }));
    cases.extend(grouped());
    cases
}

/// Cases of convolutions in groups: depthwise with one and several filters for each channel, and
/// groups of several channels; the windows of the last give the sum over windows several parts.
fn grouped() -> Vec<Case> {
    let mut cases = Vec::new();
    let sizes = [(5, 5, 5), (3, 3, 12), (2, 6, 4), (3, 12, 9)];
    let over = [(1, 1, 1), (3, 1, 1), (2, 2, 1)];
    let extents = [1, 26, 25];
    let split = Windows::over(extents, over, Padding::Same, false)
        .map(|windows| ("split", windows, Pixels { items: 2, extents, leading: false }));
    for (i, (name, windows, source)) in geometries().into_iter().chain(split).enumerate() {
        let (groups, channels, filters) = sizes[i % sizes.len()];
        let name = format!("{name} {channels} to {filters} in {groups}");
        let bias = i % 2 == 0;
        let kernel = Sample::Normal(vec![windows.taps(), channels / groups, filters]);
        let (x, dy) = (sample(&source, channels), sample(&windows.targets(source.items), filters));
        let mut operands = vec![x.clone(), kernel.clone()];
        operands.extend(bias.then(|| Sample::Normal(vec![filters])));
        let sources: Vec<usize> = (0..operands.len()).collect();
        let conv = GroupedConv { windows, groups, bias };
        cases.push(Case::new(format!("grouped_conv {name}"), conv, operands).gradient(&sources));
        let input = GroupedConvInput { windows, source: source.extents, groups };
        cases.push(Case::new(
            format!("grouped_conv_input {name}"),
            input,
            vec![dy.clone(), kernel],
        ));
        let kernel = GroupedConvKernel { windows, groups };
        cases.push(Case::new(format!("grouped_conv_kernel {name}"), kernel, vec![x, dy]));
    }
    cases
}
