use super::recurrent::GATES;
use super::{STEPS, normal, uniform};
use crate::{
    Activate, ActivateBackward, Activation, Case, CategoricalCrossEntropy, ElementLoss, Gru,
    GruBackward, Loss, LossBackward, Lstm, LstmBackward, Sample, ScanInputs, SimpleRnn,
    SimpleRnnBackward, Softmax,
};

/// Pre-activations that saturate, are zero or denormal, and ordinary ones.
const FORWARD: [f32; 11] = [40.0, -40.0, 0.0, 1e-40, -1e-40, 104.0, -104.0, -0.0, 0.7, 1e-6, -88.0];
/// Gate values that result from such pre-activations.
const GATE: [f32; 7] = [1.0, 0.0, 1e-40, 0.5, 1e-18, 1.0 - f32::EPSILON, 0.3];
const STATE: [f32; 7] = [1.0, -1.0, 0.0, 1e-40, -1e-40, 0.4, -1e-18];

fn of<const N: usize>(values: [f32; N], shape: &[usize]) -> Sample {
    let count = shape.iter().product();
    Sample::Floats(shape.to_vec(), values.into_iter().cycle().take(count).collect())
}

/// Cells whose gates are saturated, zero or denormal at most steps. Rounding errors decay with the
/// state, except where a gate of 1 keeps it.
fn cells() -> Vec<Case> {
    let (t, b, h) = (STEPS, 5, 32);
    let inputs = ScanInputs::default();
    let matrix = |rows: usize, columns: usize| uniform(&[rows, columns], -0.17, 0.17);
    let lstm = Lstm { gates: GATES, inputs };
    let lstm_backward = LstmBackward { forward: lstm.clone(), d_hidden: true, d_last: false };
    let gru = |reset_after| Gru {
        activation: Activation::Tanh,
        recurrent_activation: Activation::Sigmoid,
        reset_after,
        bias: false,
        inputs,
    };
    let rnn = SimpleRnn { activation: Activation::Tanh, inputs };
    let rnn_backward = SimpleRnnBackward { forward: rnn.clone(), d_hidden: true, d_last: false };
    let d_hidden = || normal(&[t, b, h]);
    let size = format!("T {t} B {b} H {h} saturated, zero and denormal");
    let mut cases = vec![
        Case::new(
            format!("lstm {size}"),
            lstm,
            vec![of(FORWARD, &[t, b, 4 * h]), matrix(h, 4 * h)],
        ),
        Case::new(
            format!("lstm backward {size}"),
            lstm_backward,
            vec![of(GATE, &[t, b, 4 * h]), matrix(4 * h, h), of(STATE, &[t, b, h]), d_hidden()],
        ),
        Case::new(format!("simple rnn {size}"), rnn, vec![of(FORWARD, &[t, b, h]), matrix(h, h)]),
        Case::new(
            format!("simple rnn backward {size}"),
            rnn_backward,
            vec![matrix(h, h), of(STATE, &[t, b, h]), d_hidden()],
        ),
    ];
    for (kind, reset_after) in [("after", true), ("before", false)] {
        let forward = vec![of(FORWARD, &[t, b, 3 * h]), matrix(h, 3 * h)];
        let backward = vec![matrix(3 * h, h), of(GATE, &[t, b, 5 * h]), d_hidden()];
        let op = gru(reset_after);
        let back = GruBackward(op.clone());
        cases.push(Case::new(format!("gru reset {kind} {size}"), op, forward));
        cases.push(Case::new(format!("gru backward reset {kind} {size}"), back, backward));
    }
    cases.into_iter().map(|case| case.tolerance(1e-5)).collect()
}

/// Activations, losses and softmax of such values.
fn functions() -> Vec<Case> {
    let shape = [11 * 29, 11];
    let x = || of(FORWARD, &shape);
    let labels = uniform(&shape, 0.0, 1.0);
    let mut cases = Vec::new();
    for activation in Activation::ALL {
        let name = activation.name();
        let op = ActivateBackward(activation);
        let values = vec![of(GATE, &shape), of(STATE, &shape)];
        // In f32 e^104 is infinite.
        if activation != Activation::Exponential {
            let name = format!("activation {name} extremes");
            cases.push(Case::new(name, Activate(activation), vec![x()]));
        }
        cases.push(Case::new(format!("activation_backward {name} extremes"), op, values));
    }
    let op = Loss { of: ElementLoss::BinaryCrossEntropy, weighted: false };
    let back = LossBackward(op.clone());
    let count = Sample::Floats(vec![1], vec![shape.iter().product::<usize>() as f32]);
    let inputs = vec![x(), labels.clone()];
    let backward = vec![x(), labels.clone(), count];
    cases.push(Case::new("softmax extremes", Softmax, vec![x()]));
    cases.push(Case::new("categorical extremes", CategoricalCrossEntropy, vec![x(), labels]));
    cases.push(Case::new("binary cross-entropy extremes", op, inputs));
    cases.push(Case::new("binary cross-entropy backward extremes", back, backward));
    cases
}

/// Returns the cases of [`Tier::Full`](crate::Tier::Full) with extreme operands: recurrent cells,
/// activations, softmax and losses.
pub fn cases() -> Vec<Case> {
    [cells(), functions()].concat()
}
