//! How near two results must be.

use super::case::{Again, Results};
use rnn::HostTensor;

/// The largest difference from Keras, relative to the largest value of a tensor; of a weight it is
/// relative to how far training moved that weight's tensor, so that no small learning rate hides a
/// wrong gradient.
const TOLERANCE: f64 = 1e-5;
/// Rounding of a weight itself, in each of three steps and on both sides.
const ROUNDING: f64 = 6.0 * f32::EPSILON as f64;
/// What is nothing beside values of order 1.
const NOTHING: f64 = 1e-7;

/// A difference and how large it may be.
struct Difference {
    what: String,
    found: f64,
    allowed: f64,
}

fn values(tensor: &HostTensor) -> Vec<f64> {
    tensor.as_f32().unwrap_or_default().iter().map(|&value| f64::from(value)).collect()
}

fn largest(values: impl Iterator<Item = f64>) -> f64 {
    values.map(f64::abs).fold(0.0, f64::max)
}

/// The largest difference, infinite where one is a number and the other is not.
fn apart(a: &[f64], b: &[f64]) -> f64 {
    if a.len() != b.len() {
        return f64::INFINITY;
    }
    let one = |(a, b): (&f64, &f64)| match (a.is_nan(), b.is_nan()) {
        (true, true) => 0.0,
        (false, false) if a == b => 0.0,
        (false, false) => (a - b).abs(),
        _ => f64::INFINITY,
    };
    a.iter().zip(b).map(one).fold(0.0, f64::max)
}

/// All numbers of both, by name, with what is allowed between them.
fn differences(got: &Results, want: &Results, before: &[(String, HostTensor)]) -> Vec<Difference> {
    let mut all = Vec::new();
    let mut add = |what: String, got: &[f64], want: &[f64], allowed: f64| {
        all.push(Difference { what, found: apart(got, want), allowed });
    };
    let outputs = got.predictions.iter().zip(&want.predictions).enumerate();
    for (index, (got, want)) in outputs {
        let want = values(want);
        let allowed = TOLERANCE * largest(want.iter().copied()) + NOTHING;
        add(format!("output {index}"), &values(got), &want, allowed);
    }
    let of = |value: f64| TOLERANCE * value.abs() + NOTHING;
    add("loss of all examples".into(), &[got.loss], &[want.loss], of(want.loss));
    if let Some(accuracy) = want.accuracy {
        add("accuracy".into(), &[got.accuracy.unwrap_or(f64::NAN)], &[accuracy], 1e-6);
    }
    for (index, (got, want)) in got.losses.iter().zip(&want.losses).enumerate() {
        add(format!("loss of step {}", index + 1), &[*got], &[*want], of(*want));
    }
    for (((name, got), (_, want)), (_, before)) in got.weights.iter().zip(&want.weights).zip(before)
    {
        let (want, before) = (values(want), values(before));
        let moved = largest(want.iter().zip(&before).map(|(after, before)| after - before));
        let held = largest(want.iter().copied());
        add(format!("weight {name}"), &values(got), &want, TOLERANCE * moved + ROUNDING * held);
    }
    all
}

fn counts(results: &Results) -> [usize; 3] {
    [results.predictions.len(), results.losses.len(), results.weights.len()]
}

/// What is further apart than rounding makes it, worst first; nothing, where all is well. If Keras
/// has computed the results `again`, they may be twice as far from those in double precision as the
/// furthest of Keras's own in single precision: then the case is one that rounding decides.
pub fn compare(
    got: &Results,
    want: &Results,
    again: Option<&Again>,
    before: &[(String, HostTensor)],
) -> Vec<String> {
    if counts(got) != counts(want) {
        return vec![format!("there are {:?} results, Keras has {:?}", counts(got), counts(want))];
    }
    let mut all = differences(got, again.map_or(want, |again| &again.exact), before);
    let singles = again.iter().flat_map(|Again { exact, single }| {
        single.iter().map(|single| differences(single, exact, before))
    });
    for of_keras in singles {
        for (difference, of_keras) in all.iter_mut().zip(of_keras) {
            difference.allowed = difference.allowed.max(2.0 * of_keras.found);
        }
    }
    all.retain(|difference| difference.found > difference.allowed || difference.found.is_nan());
    all.sort_by(|a, b| (b.found / b.allowed).total_cmp(&(a.found / a.allowed)));
    let said = |d: Difference| {
        format!("{} is {:.1e} from Keras's, {:.1e} is allowed", d.what, d.found, d.allowed)
    };
    all.into_iter().map(said).collect()
}
