use rnn_core::HostTensor;

/// B examples that are processed together, in one step: inputs, labels and weights, each with the
/// batch axis first.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// An array `[B, ..]` for each input of the model: token ids, u32, or floats.
    pub inputs: Vec<HostTensor>,
    /// The labels of each output, as its loss takes them ([`Loss::labels`](crate::Loss::labels)):
    /// an array of the output's shape, or classes `[B]` or `[B, T]`, u32. Empty for predictions.
    pub labels: Vec<HostTensor>,
    /// The weights, f32, of examples or of their steps in the loss; empty if all count alike. They
    /// are one array `[B]` for all outputs, or one array for each output: `[B]`, or the extents of
    /// the output without the last axis, where an extent of 1 is broadcast. A further last axis of
    /// extent 1 is allowed.
    pub weights: Vec<HostTensor>,
}

impl Batch {
    /// Returns true if an array of weights of the extents `weights` fits an output of the extents
    /// `output`, both with the batch axis first, as [`Batch::weights`] describes.
    pub fn weights_fit(weights: &[usize], output: &[usize]) -> bool {
        aligned(weights, loss_axes(output)).is_some()
    }
}

/// The axes of what has a loss of its own.
pub(crate) fn loss_axes(output: &[usize]) -> &[usize] {
    &output[..output.len().saturating_sub(1).max(1).min(output.len())]
}

/// The number of examples of a batch.
pub(crate) fn examples(inputs: &[HostTensor]) -> usize {
    inputs.first().and_then(|input| input.shape().dims().first()).copied().unwrap_or(0)
}

/// Extents, as many as `axes`, of an array that may be repeated along those of them that are 1: it
/// may lack all but the first, and have one of 1 too many at the end.
fn aligned(found: &[usize], axes: &[usize]) -> Option<Vec<usize>> {
    let mut found = found.to_vec();
    if found.len() == axes.len() + 1 && found.last() == Some(&1) {
        found.pop();
    }
    if found.len() == 1 {
        found.resize(axes.len(), 1);
    }
    let fits = |(found, wanted): (&usize, &usize)| found == wanted || *found == 1;
    let whole = found.len() == axes.len() && found.first() == axes.first();
    (whole && found.iter().zip(axes).all(fits)).then_some(found)
}

/// The elements of an array of floats, repeated.
pub(crate) fn spread(array: &HostTensor, axes: &[usize]) -> Option<Vec<f32>> {
    let (values, found) = (array.as_f32().ok()?, aligned(array.shape().dims(), axes)?);
    let place = |index: usize| {
        let (mut rest, mut place, mut stride) = (index, 0, 1);
        for (&found, &wanted) in found.iter().zip(axes).rev() {
            place += if found == 1 { 0 } else { rest % wanted * stride };
            (rest, stride) = (rest / wanted, stride * found);
        }
        place
    };
    Some((0..axes.iter().product()).map(|index| values[place(index)]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_repeated_along_the_axes_that_they_lack() {
        let numbers = |shape: &[usize]| {
            let count = shape.iter().product::<usize>() as u16;
            HostTensor::from_f32(shape, (0..count).map(f32::from).collect()).unwrap()
        };
        let spread = |found: &[usize], wanted: &[usize]| spread(&numbers(found), wanted);
        let each = [0.0, 0.0, 0.0, 1.0, 1.0, 1.0];
        for found in [&[2][..], &[2, 1], &[2, 1, 1]] {
            assert_eq!(spread(found, &[2, 3]).unwrap(), each, "{found:?}");
        }
        let steps: Vec<f32> = (0..6).map(|i| i as f32).collect();
        for found in [&[2, 3][..], &[2, 3, 1]] {
            assert_eq!(spread(found, &[2, 3]).unwrap(), steps, "{found:?}");
        }
        assert_eq!(spread(&[2, 1], &[2]).unwrap(), [0.0, 1.0]);
        assert_eq!(spread(&[2, 1, 2], &[2, 2, 2]).unwrap(), [0., 1., 0., 1., 2., 3., 2., 3.]);
        for found in [&[3][..], &[2, 2], &[3, 2], &[1, 3], &[2, 3, 2], &[]] {
            assert!(spread(found, &[2, 3]).is_none(), "{found:?}");
        }
    }
}
