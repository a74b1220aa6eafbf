use super::{ELEMENTS, MANY, SHARED, WIDE, along, normal, uniform};
use crate::{
    BatchNormalize, BatchNormalizeBackward, Case, ClipByNorm, ElementLoss, EmbeddingBackward, Loss,
    LossBackward, Penalty, Sample, SortTokens, SumRows, Tally,
};

/// Sums over the rows; columns do not depend on each other.
fn over_rows() -> Vec<Case> {
    let x = || normal(&[MANY, 3]);
    let count = [WIDE, WIDE];
    let one = along(0);
    let columns = along(1);
    let size = format!("{MANY}x{WIDE}");
    let back = vec![x(), x(), uniform(&[3], 0.5, 2.0)];
    // Of 70,001 terms: rounding grows with the root of their number.
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

/// Sums over everything.
fn over_all() -> Vec<Case> {
    let mut cases = vec![
        Case::new(format!("clip_by_norm {ELEMENTS} to 2"), ClipByNorm { norm: 2.0 }, vec![])
            .updates(vec![normal(&[ELEMENTS])]),
        // Of 16,800,001 positive terms.
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
    ];
    for (name, of, width, weighted) in kinds {
        let op = Loss { of, weighted };
        let shape = [MANY, width];
        let mut forward = vec![uniform(&shape, -30.0, 30.0), uniform(&shape, 0.0, 1.0)];
        // A gradient of the mean times the number of its terms is of the size of one of them.
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

/// What is counted of many examples. A logit lies in the middle of a bucket of probabilities, so
/// that rounding moves none to another.
fn tallies() -> Vec<Case> {
    let case = |name: &str, op: Tally, width: usize| {
        let logit = |i: usize| {
            let p = ((i * 83 % 199) as f32 + 0.5) / 199.0;
            (p / (1.0 - p)).ln() + 1e-4
        };
        let shape = vec![MANY, width];
        let logits = (0..MANY * width).map(logit).collect();
        let labels = Sample::Uniform(shape.clone(), 0.0, 1.0);
        let inputs = vec![Sample::Floats(shape, logits), labels, normal(&[1])];
        Case::new(format!("tally {name} {MANY}x{width}"), op, inputs).updates(vec![uniform(
            &[op.len(width)],
            0.0,
            9.0,
        )])
    };
    vec![
        case("binary", Tally::Binary, 1),
        case("binary", Tally::Binary, 5),
        case("categorical", Tally::Categorical, 7),
        case("regression", Tally::Regression, 7),
    ]
}

/// Positions sorted by token, and the gradient of a table, of which most positions hold one token,
/// as padding does.
fn tokens() -> Vec<Case> {
    let sort = |positions: usize, vocabulary: usize| {
        let tokens = Sample::Below(vec![positions], vocabulary as u32);
        let name = format!("sort_tokens {positions} of {vocabulary}");
        Case::new(name, SortTokens { vocabulary }, vec![tokens])
    };
    let gradient = |positions: usize, vocabulary: usize| {
        let token = |i: usize| if i % 3 == 0 { i * 31 % vocabulary } else { 2 };
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
        // The padding's sum has tens of thousands of terms.
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

pub fn cases() -> Vec<Case> {
    [tokens(), over_rows(), over_all(), tallies()].concat()
}
