use super::{BATCH, DISTINCT, ELEMENTS, MANY, SHARED, STEPS, WIDE, along, normal, uniform};
use crate::{
    BatchNormalize, BatchNormalizeBackward, Case, ClipByNorm, Ctc, CtcBackward, ElementLoss,
    EmbeddingBackward, HingeLabels, LogOdds, Loss, LossBackward, MaskedWeights, MetricSums,
    Penalty, Reduce, RowLoss, RowLosses, RowLossesBackward, Sample, Slice, SortTokens, Spread,
    SumRows, UpdateMetricSums,
};
use rnn_graph::Op;
use std::sync::Arc;

/// Sums over rows, with independent columns.
fn over_rows() -> Vec<Case> {
    let x = || normal(&[MANY, 3]);
    let count = [WIDE, WIDE];
    let one = along(0);
    let columns = along(1);
    let size = format!("{MANY}x{WIDE}");
    let back = vec![x(), x(), uniform(&[3], 0.5, 2.0)];
    // Sums of 70,001 terms: rounding grows with the root of their number.
    vec![
        Case::new(format!("sum_rows {size}"), SumRows, vec![x()]).tolerance(1e-5).rows(
            count,
            &[columns],
            &[one],
        ),
        Case::new("sum_rows 4200001x4", SumRows, vec![normal(&[4_200_001, 4])]).tolerance(1e-5),
        Case::new(format!("batch_normalize {size}"), BatchNormalize { epsilon: 1e-3 }, vec![x()])
            .tolerance(1e-5)
            .rows(count, &[columns], &[columns, one, one, one]),
        Case::new(format!("batch_normalize_backward {size}"), BatchNormalizeBackward, back)
            .tolerance(1e-5)
            .rows(count, &[columns, columns, one], &[columns]),
    ]
}

/// Slices and reductions along an axis between others, with independent outer rows.
fn along_axes() -> Vec<Case> {
    let count = [MANY, MANY];
    let slice = Slice { start: 60, step: -4, count: 15 };
    let x = || normal(&[DISTINCT, 64, 5]);
    let rows = [along(0)];
    let case = |name: String, op: Arc<dyn Op>, x| {
        let mut case = Case::new(name, slice, vec![x]).rows(count, &rows, &rows);
        case.op = op;
        case
    };
    let part = normal(&[DISTINCT, 15, 5]);
    vec![
        case(format!("slice {MANY}x64x5"), Arc::new(slice), x()),
        case(format!("spread {MANY}x64x5"), Arc::new(Spread { slice, extent: 64 }), part),
        case(format!("reduce_sum {MANY}x64x5"), Arc::new(Reduce::Sum), x()),
        case(format!("reduce_max {MANY}x64x5"), Arc::new(Reduce::Max), x()),
    ]
}

/// Sums over all elements.
fn over_all() -> Vec<Case> {
    let mut cases = vec![
        Case::new(format!("clip_by_norm {ELEMENTS} to 2"), ClipByNorm { norm: 2.0 }, vec![])
            .updates(vec![normal(&[ELEMENTS])]),
        // Sums of 16,800,001 positive terms.
        Case::new(format!("penalty {ELEMENTS}"), Penalty { l1: 0.01, l2: 0.02 }, {
            vec![normal(&[ELEMENTS])]
        })
        .tolerance(2e-5),
    ];
    let kinds = [
        ("binary cross-entropy", ElementLoss::BinaryCrossEntropy, WIDE, false),
        ("binary cross-entropy", ElementLoss::BinaryCrossEntropy, 1, true),
        ("squared error", ElementLoss::SquaredError, 3, true),
        ("absolute error", ElementLoss::AbsoluteError, 3, true),
        ("huber", ElementLoss::Huber { delta: 1.5 }, 3, true),
        ("pinball", ElementLoss::Pinball { quantile: 0.9 }, 3, true),
    ];
    for (name, of, width, weighted) in kinds {
        let op = Loss { of, weighted };
        let shape = [MANY, width];
        let mut forward = vec![uniform(&shape, -30.0, 30.0), uniform(&shape, 0.0, 1.0)];
        // The gradient of a mean, times the number of its terms, is as large as one of them.
        let d_loss = Sample::Floats(vec![1], vec![(MANY * width) as f32]);
        let mut backward = [&forward[..], &[d_loss]].concat();
        for inputs in [&mut forward, &mut backward] {
            inputs.extend(weighted.then(|| uniform(&[MANY], 0.0, 2.0)));
        }
        let size = format!("{MANY}x{width}{}", if weighted { " weighted" } else { "" });
        let back = LossBackward(op.clone());
        cases.push(Case::new(format!("{name} {size}"), op, forward).tolerance(1e-5));
        cases.push(Case::new(format!("{name} backward {size}"), back, backward));
    }
    cases
}

/// Metric sums of many rows, one time step per row. A logit lies in the middle of a bucket of
/// probabilities, so that rounding moves none to another bucket.
/// Losses of rows, and of sequences.
fn row_losses() -> Vec<Case> {
    let (of, shape) = (RowLoss::CrossEntropy, [MANY, 5]);
    let both = vec![uniform(&shape, 0.02, 0.98), uniform(&shape, 0.0, 1.0)];
    let back = [&both[..], &[uniform(&[MANY], 0.5, 2.0)]].concat();
    let size = format!("{MANY}x5");
    let (rows, steps, classes) = (660, 100, 20);
    let label = |at: usize| if at % steps < 30 { 1 + (at * at % 19) as u32 } else { 0 };
    let labels = Sample::Exactly(vec![rows, steps], (0..rows * steps).map(label).collect());
    let spoken = vec![uniform(&[rows, steps, classes], -8.0, 0.0), labels];
    let back_spoken = [&spoken[..], &[uniform(&[rows], 0.5, 2.0)]].concat();
    let sequences = format!("{rows}x{steps}x{classes}");
    vec![
        Case::new(format!("log_odds {size}"), LogOdds, vec![uniform(&shape, 0.0, 1.0)]),
        Case::new(format!("hinge_labels {size}"), HingeLabels, vec![uniform(&shape, -1.0, 1.0)]),
        Case::new(format!("row_loss {size}"), RowLosses(of), both),
        Case::new(format!("row_loss_backward {size}"), RowLossesBackward(of), back).tolerance(1e-5),
        Case::new(format!("ctc {sequences}"), Ctc, spoken),
        // e to the power of a difference of sums over all steps, each of some hundreds.
        Case::new(format!("ctc_backward {sequences}"), CtcBackward, back_spoken).tolerance(5e-4),
    ]
}

fn metric_sums() -> Vec<Case> {
    let case = |name: &str, of: MetricSums, [examples, steps, width]: [usize; 3]| {
        let logit = |i: usize| {
            let p = ((i * 83 % 199) as f32 + 0.5) / 199.0;
            (p / (1.0 - p)).ln() + 1e-4
        };
        let shape = vec![examples * steps, width];
        let logits = (0..examples * steps * width).map(logit).collect();
        let labels = Sample::Uniform(shape.clone(), 0.0, 1.0);
        let mut inputs = vec![Sample::Floats(shape, logits), labels, normal(&[1])];
        inputs.extend((steps > 1).then(|| Sample::Below(vec![steps, examples], 2)));
        let name = format!("metric_sums {name} {examples}x{steps}x{width}");
        Case::new(name, UpdateMetricSums { of, examples }, inputs).updates(vec![uniform(
            &[of.len(width)],
            0.0,
            9.0,
        )])
    };
    vec![
        case("binary", MetricSums::Binary, [MANY, 1, 1]),
        case("binary", MetricSums::Binary, [BATCH, STEPS, 3]),
        case("categorical", MetricSums::Categorical, [MANY, 1, 7]),
        case("categorical", MetricSums::Categorical, [BATCH, STEPS, 7]),
        case("regression", MetricSums::Regression, [MANY, 1, 7]),
    ]
}

/// Loss weights of masked sequences.
fn masked_weights() -> Vec<Case> {
    let mask = |steps: usize, batch: usize| Sample::Below(vec![steps, batch], 2);
    let case = |steps: usize, batch: usize, weighted: bool| {
        let mut inputs = vec![mask(steps, batch)];
        inputs.extend(weighted.then(|| uniform(&[steps * batch], 0.0, 2.0)));
        let op = MaskedWeights { weighted, given: false };
        let weights = if weighted { " weighted" } else { "" };
        Case::new(format!("masked_weights {steps}x{batch}{weights}"), op, inputs)
    };
    // The last case has elements for more than 65,535 workgroups.
    vec![case(STEPS, BATCH, true), case(MANY, 3, false), case(STEPS, 33_601, false)]
}

/// Positions sorted by token, and the gradient of an embedding table where most positions hold one
/// token, as padding does.
fn tokens() -> Vec<Case> {
    let sort = |positions: usize, vocabulary: usize| {
        let tokens = Sample::Below(vec![positions], vocabulary as u32);
        let name = format!("sort_tokens {positions} of {vocabulary}");
        Case::new(name, SortTokens { vocabulary }, vec![tokens])
    };
    let gradient = |positions: usize, vocabulary: usize| {
        let token = |i: usize| if i.is_multiple_of(3) { i * 31 % vocabulary } else { 2 };
        let tokens: Vec<u32> = (0..positions).map(|i| token(i) as u32).collect();
        let mut order: Vec<u32> = (0..positions as u32).collect();
        order.sort_by_key(|&position| tokens[position as usize]);
        let mut starts = vec![0; vocabulary + 1];
        tokens.iter().for_each(|&token| starts[token as usize + 1] += 1);
        for token in 0..vocabulary {
            starts[token + 1] += starts[token];
        }
        let inputs = vec![
            Sample::Exactly(vec![positions], tokens),
            normal(&[positions, 3]),
            Sample::Exactly(vec![positions], order),
            Sample::Exactly(vec![vocabulary + 1], starts),
        ];
        let name = format!("embedding_backward {positions} of {vocabulary}x32");
        let axes = [SHARED, along(1), SHARED, SHARED];
        // The sum of the padding token has tens of thousands of terms.
        Case::new(name, EmbeddingBackward { vocabulary }, inputs).tolerance(1e-5).rows(
            [32, 32],
            &axes,
            &[along(1)],
        )
    };
    vec![
        sort(MANY, 5000),
        sort(MANY, MANY),
        sort(1_000_003, 5000),
        gradient(MANY, 5000),
        gradient(MANY, MANY),
        gradient(1_000_003, 5000),
    ]
}

/// Returns the cases of [`Tier::Full`](crate::Tier::Full) of sums: over rows and columns, of
/// losses, weights and metrics.
pub fn cases() -> Vec<Case> {
    [tokens(), over_rows(), along_axes(), over_all(), row_losses(), metric_sums(), masked_weights()]
        .concat()
}
