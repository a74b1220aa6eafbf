use super::{BATCH, MANY, SHARED, STEPS, along, normal, uniform};
use crate::{
    AveragePool, AveragePoolBackward, Case, Conv, ConvInput, ConvKernel, GroupedConv,
    GroupedConvInput, GroupedConvKernel, Interpolate, InterpolateBackward, MaskedMean,
    MaskedMeanBackward, MaxPool, MaxPoolBackward, Padding, Pixels, Sample, SeenMask, Windows,
};
use rnn_core::DType;

/// Size, stride and dilation of a window of one pixel.
const ONE: (usize, usize, usize) = (1, 1, 1);

/// A convolution with its gradients. The rows of x are its items, those of the kernel's gradient
/// its filters.
fn conv(
    name: &str,
    extents: [usize; 3],
    shapes: [(usize, usize, usize); 3],
    (items, on_software): (usize, usize),
    (channels, filters): (usize, usize),
    leading: bool,
) -> Vec<Case> {
    let Some(windows) = Windows::over(extents, shapes, Padding::Same, leading) else {
        return vec![];
    };
    let of = |items| Pixels { items, extents, leading };
    let few = of(3);
    let item = along(usize::from(leading));
    let kernel = uniform(&[windows.taps(), channels, filters], -0.3, 0.3);
    let x = |pixels: Pixels| normal(pixels.ty(channels).dims());
    let dy = |pixels: Pixels, filters| normal(pixels.ty(filters).dims());
    let counts = [items, on_software];
    let size = format!("{items} of {extents:?} {channels} to {filters}").replace(", ", "x");
    let op = Conv { windows, bias: true, output: DType::F32 };
    let forward = vec![x(few), kernel.clone(), normal(&[filters])];
    let back = ConvInput { windows, source: extents };
    // Each sum has one term per pixel: rounding grows with the root of their number.
    let of_kernel = vec![x(of(items)), dy(windows.targets(items), 3)];
    vec![
        Case::new(format!("conv {name} {size}"), op, forward).tolerance(5e-6).rows(
            counts,
            &[item, SHARED, SHARED],
            &[item],
        ),
        Case::new(
            format!("conv_input {name} {size}"),
            back,
            vec![dy(windows.targets(3), filters), kernel],
        )
        .tolerance(5e-6)
        .rows(counts, &[item, SHARED], &[item]),
        Case::new(format!("conv_kernel {name} {size}"), ConvKernel { windows }, of_kernel)
            .tolerance(2e-5)
            .rows([filters, filters], &[SHARED, along(4)], &[along(2)]),
    ]
}

/// A convolution in groups with its gradients, as [`conv`] has them.
fn grouped(
    items: usize,
    extents: [usize; 3],
    [groups, channels, filters]: [usize; 3],
) -> Vec<Case> {
    let shapes = [ONE, (3, 1, 1), (3, 1, 1)];
    let Some(windows) = Windows::over(extents, shapes, Padding::Same, false) else {
        return vec![];
    };
    let of = |items| Pixels { items, extents, leading: false };
    let kernel = uniform(&[windows.taps(), channels / groups, filters], -0.3, 0.3);
    let x = |items: usize| normal(of(items).ty(channels).dims());
    let dy = |items: usize| normal(windows.targets(items).ty(filters).dims());
    let size = format!("{items} of {extents:?} {channels} to {filters} in {groups}");
    let size = size.replace(", ", "x");
    let op = GroupedConv { windows, groups, bias: true };
    let forward = vec![x(3), kernel.clone(), normal(&[filters])];
    let back = GroupedConvInput { windows, source: extents, groups };
    let of_kernel = GroupedConvKernel { windows, groups };
    let (item, counts) = (along(0), [items, items]);
    vec![
        Case::new(format!("grouped_conv {size}"), op, forward).tolerance(5e-6).rows(
            counts,
            &[item, SHARED, SHARED],
            &[item],
        ),
        Case::new(format!("grouped_conv_input {size}"), back, vec![dy(3), kernel])
            .tolerance(5e-6)
            .rows(counts, &[item, SHARED], &[item]),
        // Each sum has one term per pixel: rounding grows with the root of their number.
        Case::new(format!("grouped_conv_kernel {size}"), of_kernel, vec![x(items), dy(items)])
            .tolerance(2e-5),
    ]
}

/// Images twice and three times as large, with the gradient.
fn interpolations(items: usize, extents: [usize; 3], channels: usize) -> Vec<Case> {
    let op = Interpolate { factors: [1, 2, 3], leading: false };
    let enlarged = [0, 1, 2].map(|axis| extents[axis] * op.factors[axis]);
    let of = |extents| normal(Pixels { items: 3, extents, leading: false }.ty(channels).dims());
    let (size, item) = (format!("{items} of {extents:?}").replace(", ", "x"), [along(0)]);
    let backward = InterpolateBackward(op.clone());
    vec![
        Case::new(format!("interpolate {size}"), op, vec![of(extents)]).rows(
            [items, items],
            &item,
            &item,
        ),
        Case::new(format!("interpolate_backward {size}"), backward, vec![of(enlarged)]).rows(
            [items, items],
            &item,
            &item,
        ),
    ]
}

/// Returns windows over the steps of `[T, B, 1, 1, C]`.
fn over_steps(steps: usize, size: usize, stride: usize) -> Option<Windows> {
    Windows::over([steps, 1, 1], [(size, stride, 1), ONE, ONE], Padding::Valid, true)
}

/// Pooling over time. Max pooling outputs pixel indices that run through all rows, so the reference
/// computes every row.
fn pools(steps: usize, (size, stride): (usize, usize), [batch, channels]: [usize; 2]) -> Vec<Case> {
    let Some(windows) = over_steps(steps, size, stride) else { return vec![] };
    let source = [steps, 1, 1];
    let x = |batch: usize| uniform(&[steps, batch, 1, 1, channels], 0.0, 1.0);
    let count = windows.axes[0].windows;
    let dy = |batch: usize| normal(&[count, batch, 1, 1, channels]);
    // The first step of each window.
    let first = (0..count * batch * channels).map(|i| {
        let (window, row) = (i / channels / batch, i / channels % batch);
        (window * stride * batch + row) as u32
    });
    let at = Sample::Exactly(vec![count, batch, 1, 1, channels], first.collect());
    let text = format!("T {steps} B {batch} C {channels} windows of {size}");
    let rows = [batch, batch];
    let row = [along(1)];
    let back = AveragePoolBackward { windows, source };
    let few = batch.min(3);
    // Means have one term per step of a window: rounding grows with the root of their number, and
    // in sums of positive terms with the sum.
    let tolerance = if size > 1000 { 1e-4 } else { 2e-6 };
    let mean = Case::new(format!("average_pool {text}"), AveragePool(windows), vec![x(few)]);
    vec![
        Case::new(format!("max_pool {text}"), MaxPool(windows), vec![x(batch)]),
        Case::new(
            format!("max_pool_backward {text}"),
            MaxPoolBackward { windows, source },
            vec![dy(batch), at],
        ),
        mean.tolerance(tolerance).rows(rows, &row, &row),
        Case::new(format!("average_pool_backward {text}"), back, vec![dy(few)])
            .rows(rows, &row, &row),
    ]
}

/// Masks and means over more than 65,535 steps.
fn masks() -> Vec<Case> {
    let (steps, batch, channels) = (MANY, 3, 5);
    let mask_from = |first: usize| -> Sample {
        let mask =
            (0..steps * batch).map(|i| u32::from(i >= first && (i / batch) % 5 != i % batch));
        Sample::Exactly(vec![steps, batch], mask.collect())
    };
    let counts = Sample::Floats(vec![batch], (0..batch).map(|b| (b * 30_000) as f32).collect());
    let x = uniform(&[steps, batch, channels], 0.0, 1.0);
    let size = format!("T {steps} B {batch}");
    let backward = vec![mask_from(0), counts, normal(&[batch, channels])];
    vec![
        // Sums of 70,001 positive terms.
        Case::new(format!("masked_mean {size}"), MaskedMean, vec![x, mask_from(0)]).tolerance(1e-4),
        Case::new(format!("masked_mean_backward {size}"), MaskedMeanBackward, backward),
        Case::new(format!("seen_mask {size} late"), SeenMask, vec![mask_from(65_540 * batch)]),
        Case::new(
            format!("seen_mask T 500 B {MANY}"),
            SeenMask,
            vec![Sample::Below(vec![500, 5], 2)],
        )
        .rows([MANY, MANY], &[along(1)], &[along(1)]),
    ]
}

/// Returns cases, at the sizes of real training runs, of [`Conv`], max and average pooling,
/// [`MaskedMean`] and the gradients of all these, and of [`SeenMask`]. Their tier is not set here:
/// [`super::cases`] makes it [`Tier::Full`](crate::Tier::Full).
pub fn cases() -> Vec<Case> {
    let three = (3, 1, 1);
    let plane = [ONE, three, three];
    [
        conv("1d", [STEPS, 1, 1], [three, ONE, ONE], (BATCH, BATCH), (32, 32), true),
        conv("2d", [1, 40, 40], plane, (45, 45), (9, 16), false),
        // Pixels for more than 65,535 workgroups of 64 rows.
        conv("2d", [1, 160, 160], plane, (165, 165), (2, 3), false),
        conv("3d", [16, 16, 16], [three; 3], (17, 17), (5, 8), false),
        // Elements for more than 65,535 workgroups of 256 threads.
        grouped(33, [1, 160, 160], [20, 20, 20]),
        grouped(45, [1, 40, 40], [8, 32, 16]),
        interpolations(101, [1, 80, 80], 7),
        pools(STEPS + 1, (2, 1), [BATCH, 260]),
        pools(140_001, (2, 2), [3, 5]),
        pools(MANY, (MANY, 1), [3, 5]),
        pools(MANY, (MANY - 3, 1), [3, 5]),
        masks(),
    ]
    .concat()
}
