/// The difference of a tensor from its reference, as [`compare`] measures it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// The largest `|got - want| / max(max |want|, 1e-3)` over the elements.
    pub error: f64,
    /// Row-major index of the element with that error, from 0.
    pub index: usize,
}

/// Compares the elements `got` of a tensor with the elements `want` of its reference, and returns
/// the worst [`Comparison::error`]. The error is relative to the largest element of the reference,
/// because a sum of many terms is only as exact as its largest term.
///
/// # Errors
/// Fails with a sentence for users if the lengths differ, the slices are empty, an element of
/// either slice is not finite, or the error exceeds `tolerance`.
pub fn compare(got: &[f32], want: &[f64], tolerance: f64) -> Result<Comparison, String> {
    if got.len() != want.len() {
        return Err(format!("{} elements, the reference has {}", got.len(), want.len()));
    }
    if got.is_empty() {
        return Err("nothing was compared".into());
    }
    let scale = want.iter().fold(1e-3f64, |a, b| a.max(b.abs()));
    let mut worst = Comparison { error: 0.0, index: 0 };
    for (index, (&got, &want)) in got.iter().zip(want).enumerate() {
        if !got.is_finite() || !want.is_finite() {
            return Err(format!("element {index} is {got}, the reference has {want}"));
        }
        let error = (f64::from(got) - want).abs() / scale;
        if error > worst.error {
            worst = Comparison { error, index };
        }
    }
    if worst.error > tolerance {
        let Comparison { error, index } = worst;
        return Err(format!(
            "element {index} is {}, the reference has {}: error {error:.2e}, tolerance {tolerance:.2e}",
            got[index], want[index]
        ));
    }
    Ok(worst)
}

/// Returns the distance of `got` from `want` in units in the last place of an f32 near `want`. If
/// `|want|` is below 2^-126, where a device may flush to zero, the unit is 2^-126. Returns NaN if
/// either value is NaN.
pub fn units_in_the_last_place(got: f32, want: f64) -> f64 {
    let smallest = f64::from(f32::MIN_POSITIVE);
    let unit = match want.abs() < smallest {
        true => smallest,
        false => (want.abs().log2().floor() - 23.0).exp2(),
    };
    (f64::from(got) - want).abs() / unit
}

#[cfg(test)]
mod tests {
    use super::compare;

    // Each of these must fail: a checker that cannot fail checks nothing.
    #[test]
    fn negative_controls() {
        let want = [1.0, -2.0, 0.5];
        assert!(compare(&[1.0, -2.0, 0.5], &want, 1e-6).is_ok());
        assert!(compare(&[1.0, -2.0, 0.6], &want, 1e-6).is_err(), "one element off");
        assert!(compare(&[1.01, -2.02, 0.505], &want, 1e-3).is_err(), "one per cent off");
        assert!(compare(&[1.0, f32::NAN, 0.5], &want, 1e9).is_err(), "not a number");
        assert!(compare(&[1.0, -2.0, 0.5], &[1.0, f64::NAN, 0.5], 1e9).is_err(), "either side");
        assert!(compare(&[1.0, -2.0], &want, 1e9).is_err(), "truncated");
        assert!(compare(&[], &[], 1e9).is_err(), "empty");
    }
}
