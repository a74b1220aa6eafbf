use super::{BATCH, DISTINCT, ELEMENTS, MANY, SHARED, STEPS, WIDE, along, normal, uniform};
use crate::optimizer::rules_of_cases;
use crate::{
    Activate, ActivateBackward, Activation, Affine, Assign, Binary, Case, Cast,
    CategoricalCrossEntropy, CategoricalCrossEntropyBackward, Columns, Concat, Dropout, Embedding,
    Fill, GaussianNoise, Hidden, InverseRoot, LOSS_SCALE, LogSoftmax, LogSoftmaxBackward,
    MaskItems, MaskScores, Normalize, NormalizeBackward, OneHot, Pad, Penalty, PenaltyBackward,
    Rectify, RectifyBackward, ReverseLeading, Sample, Scale, Select, Softmax, SoftmaxBackward,
    StepMask, StepParams, TransposeLeading, Unary, Unscale, Update,
};
use rnn_core::DType;
use rnn_graph::Op;

/// Returns a case of [`MANY`] rows of [`WIDE`] columns, so that neither workgroups of one row each
/// nor those of 256 elements each fit one axis of a grid. All inputs and the only output have these
/// rows.
fn wide(name: &str, op: impl Op, inputs: Vec<Sample>) -> Case {
    let axes = vec![along(0); inputs.len()];
    Case::new(format!("{name} {MANY}x{WIDE}"), op, inputs).rows([MANY, MANY], &axes, &[along(0)])
}

fn rows() -> Sample {
    normal(&[DISTINCT, WIDE])
}

fn shares() -> Sample {
    uniform(&[DISTINCT, WIDE], 0.0, 1.0)
}

fn each() -> Sample {
    uniform(&[DISTINCT], 0.5, 2.0)
}

/// Elementwise ops.
fn elementwise() -> Vec<Case> {
    let mut cases = Vec::new();
    for activation in Activation::ALL {
        let name = activation.name();
        let x = uniform(&[DISTINCT, WIDE], -8.0, 8.0);
        cases.push(wide(&format!("activation {name}"), Activate(activation), vec![x]));
        let op = ActivateBackward(activation);
        cases.push(wide(&format!("activation_backward {name}"), op, vec![shares(), rows()]));
    }
    for op in [Binary::Max, Binary::Min, Binary::Equal, Binary::Greater, Binary::GreaterEqual] {
        cases.push(wide(op.name(), op, vec![rows(), rows()]));
    }
    for op in [Unary::Abs, Unary::Sign, Unary::Floor, Unary::Round] {
        cases.push(wide(op.name(), op, vec![rows()]));
    }
    for op in [Unary::Log, Unary::Sqrt] {
        cases.push(wide(op.name(), op, vec![uniform(&[DISTINCT, WIDE], 0.1, 9.0)]));
    }
    cases.push(wide("div", Binary::Div, vec![rows(), uniform(&[DISTINCT, WIDE], 0.5, 2.0)]));
    cases.push(wide("select", Select, vec![rows(), rows(), rows()]));
    for (name, op) in [("add", Binary::Add), ("sub", Binary::Sub), ("mul", Binary::Mul)] {
        cases.push(wide(name, op, vec![rows(), rows()]));
        let repeated = vec![rows(), normal(&[WIDE])];
        let case = Case::new(format!("{name} {MANY}x{WIDE} and {WIDE}"), op, repeated);
        cases.push(case.rows([MANY, MANY], &[along(0), SHARED], &[along(0)]));
    }
    cases.push(wide("scale", Scale(-1.5), vec![rows()]));
    cases.push(wide("cast widened", Cast(DType::F32), vec![rows()]).half(&[0]));
    // Values rounded to half precision have an error of half of 2^-10.
    cases.push(wide("cast narrowed", Cast(DType::F16), vec![rows()]).tolerance(1e-3));
    let positive = uniform(&[DISTINCT, WIDE], 0.1, 9.0);
    cases.push(wide("inverse_root", InverseRoot { epsilon: 1e-3 }, vec![positive]));
    let affine = vec![rows(), normal(&[WIDE]), normal(&[WIDE])];
    cases.push(Case::new(format!("affine {MANY}x{WIDE}"), Affine, affine).rows(
        [MANY, MANY],
        &[along(0), SHARED, SHARED],
        &[along(0)],
    ));
    let back = PenaltyBackward(Penalty { l1: 0.01, l2: 0.02 });
    cases.push(
        Case::new(format!("penalty_backward {MANY}x{WIDE}"), back, vec![rows(), normal(&[1])])
            .rows([MANY, MANY], &[along(0), SHARED], &[along(0)]),
    );
    // Random numbers depend on step, row and index: no two rows are equal.
    let key = Sample::Exactly(vec![4], vec![0xdead_beef, 17, 3, 40]);
    let x = normal(&[STEPS, BATCH, 260]);
    let op = Dropout { rate: 0.4, layer: 2 };
    let inputs = || vec![x.clone(), key.clone()];
    cases.push(Case::new(format!("dropout T {STEPS} B {BATCH} F 260"), op, inputs()));
    let op = GaussianNoise { deviation: 0.5, multiplies: true, layer: 2 };
    cases.push(Case::new(format!("gaussian_noise T {STEPS} B {BATCH} F 260"), op, inputs()));
    cases
}

/// Row-wise ops.
fn row_by_row() -> Vec<Case> {
    let scaled = || vec![rows(), rows(), each()];
    let mask = || Sample::Below(vec![DISTINCT], 2);
    let class = Sample::Below(vec![DISTINCT], WIDE as u32);
    let logits = || uniform(&[DISTINCT, WIDE], -20.0, 20.0);
    let tokens = |distinct: usize| Sample::Below(vec![distinct], 5000);
    let padded: Vec<f32> =
        (0..DISTINCT * WIDE).map(|i| f32::from(u8::from(i % 1000 == 999))).collect();
    let two = [along(0), along(0)];
    let curved = Rectify { slope: 1.7, curved: true, ..Rectify::default() };
    vec![
        wide("softmax", Softmax, vec![uniform(&[DISTINCT, WIDE], -5.0, 5.0)]),
        wide("softmax_backward", SoftmaxBackward, vec![shares(), rows()]),
        wide("log_softmax", LogSoftmax, vec![uniform(&[DISTINCT, WIDE], -5.0, 5.0)]),
        wide("log_softmax_backward", LogSoftmaxBackward, {
            vec![uniform(&[DISTINCT, WIDE], -9.0, -2.0), rows()]
        }),
        wide("rectify", curved, vec![rows()]),
        wide("rectify_backward", RectifyBackward(curved), vec![rows(), rows()]),
        Case::new(format!("normalize {MANY}x{WIDE}"), Normalize { epsilon: 1e-3 }, vec![rows()])
            .rows([MANY, MANY], &two[..1], &two),
        wide("normalize_backward", NormalizeBackward, scaled()),
        wide("categorical", CategoricalCrossEntropy, vec![logits(), shares()]),
        wide(
            "categorical_backward",
            CategoricalCrossEntropyBackward,
            vec![logits(), shares(), each()],
        ),
        wide("one_hot", OneHot { classes: WIDE }, vec![class]),
        wide("mask_items", MaskItems, vec![rows(), mask()]),
        Case::new(
            format!("mask_scores {MANY}x13x19"),
            MaskScores { hidden: Hidden::Replaced(-1e9), causal: true, queries: true, keys: true },
            vec![
                normal(&[7, 13, 19]),
                Sample::Below(vec![13, 7], 2),
                Sample::Below(vec![19, 7], 2),
            ],
        )
        .rows([MANY, MANY], &[along(0), along(1), along(1)], &[along(0)]),
        wide(
            "step_mask floats",
            StepMask { padding: 0.0 },
            vec![Sample::Floats(vec![DISTINCT, WIDE], padded)],
        ),
        Case::new(format!("step_mask {ELEMENTS} tokens"), StepMask { padding: 0.0 }, {
            vec![Sample::Below(vec![DISTINCT], 2)]
        })
        .rows([ELEMENTS, ELEMENTS], &two[..1], &two[..1]),
        Case::new(format!("embedding {MANY} of 5000x{WIDE}"), Embedding, {
            vec![tokens(DISTINCT), normal(&[5000, WIDE])]
        })
        .rows([MANY, MANY], &[along(0), SHARED], &two[..1]),
        Case::new(format!("embedding {} of {MANY}x32", STEPS * BATCH * 8), Embedding, {
            let ids = Sample::Below(vec![STEPS, BATCH * 8], MANY as u32);
            vec![ids, normal(&[MANY, 32])]
        }),
    ]
}

/// Ops that move elements and compute nothing.
fn layout() -> Vec<Case> {
    let side = [DISTINCT, WIDE - 57];
    let one = [along(0)];
    let flat: usize = 3000;
    vec![
        Case::new(format!("transpose 2x{MANY}x130"), TransposeLeading, {
            vec![normal(&[2, DISTINCT, 130])]
        })
        .rows([MANY, MANY], &[along(1)], &one),
        Case::new(format!("transpose {MANY}x250"), TransposeLeading, {
            vec![normal(&[DISTINCT, 250])]
        })
        .rows([MANY, MANY], &one, &[along(1)]),
        Case::new(format!("reverse 5x{MANY}x50"), ReverseLeading, {
            vec![normal(&[5, DISTINCT, 50])]
        })
        .rows([MANY, MANY], &[along(1)], &[along(1)]),
        Case::new(format!("reverse {MANY}x3x85"), ReverseLeading, vec![normal(&[MANY, 3, 85])]),
        wide("columns", Columns { start: 100, width: WIDE }, vec![normal(&[DISTINCT, WIDE + 150])]),
        wide("concat", Concat, vec![normal(&side), normal(&[DISTINCT, 57])]),
        Case::new(format!("assign {ELEMENTS}"), Assign, vec![normal(&[DISTINCT])])
            .updates(vec![normal(&[DISTINCT])])
            .rows([ELEMENTS, ELEMENTS], &one, &[])
            .update_rows(&one),
        Case::new(
            format!("pad {flat} at the end of {ELEMENTS}"),
            Pad { offset: ELEMENTS - flat, full: [ELEMENTS].into() },
            vec![normal(&[flat])],
        ),
        Case::new(
            format!("fill {ELEMENTS}"),
            Fill { shape: [ELEMENTS].into(), value: 2.5 },
            vec![],
        ),
    ]
}

/// One step of optimizers over more parameters than 65,535 workgroups have threads.
fn optimizers() -> Vec<Case> {
    let step = uniform(&[StepParams::LEN], 0.001, 0.1);
    let parameters = || normal(&[DISTINCT]);
    let counts = [ELEMENTS, ELEMENTS];
    let mut cases: Vec<Case> = rules_of_cases()
        .into_iter()
        .map(|(name, rule)| {
            // Squared first moments stay below second moments, as they do when they come from
            // gradients.
            let ranges = [(0.3, 1.0), (0.0, 0.5)].into_iter().cycle().take(rule.slots().len());
            let slots = ranges.map(|(low, high)| uniform(&[DISTINCT], low, high));
            let updates: Vec<Sample> = std::iter::once(parameters()).chain(slots).collect();
            let axes = vec![along(0); updates.len()];
            let op = Update { rule, clip: 2.0 };
            Case::new(format!("{name} {ELEMENTS}"), op, vec![parameters(), step.clone()])
                .updates(updates)
                // 1 - beta_2 has a relative rounding error of 3e-5, and so has its moment's change.
                .tolerance(1e-5)
                .rows(counts, &[along(0), SHARED], &[])
                .update_rows(&axes)
        })
        .collect();
    let state = Sample::Floats(vec![LOSS_SCALE], vec![1024.0, 5.0]);
    let left_in = Sample::Floats(vec![StepParams::LEN], vec![0.1, 0.2, 0.3, 0.4, 0.5, 1.0]);
    cases.push(
        Case::new(format!("unscale {ELEMENTS}"), Unscale, vec![left_in])
            .updates(vec![parameters(), state])
            .rows(counts, &[SHARED], &[SHARED])
            .update_rows(&[along(0), SHARED]),
    );
    cases
}

/// Returns the cases of [`Tier::Full`](crate::Tier::Full) of ops on elements and rows, from
/// [`Activate`] to [`Update`].
pub fn cases() -> Vec<Case> {
    [row_by_row(), elementwise(), layout(), optimizers()].concat()
}
