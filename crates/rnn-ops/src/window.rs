//! Windows that slide over one axis, called a sequence of steps here.

use crate::common::ensure;
use rnn_graph::OpError;

/// Padding at the ends of a sequence, with Keras's names. The default is `Valid`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Padding {
    /// No padding: all windows lie within the sequence.
    #[default]
    Valid,
    /// As much padding as gives ceil(steps / stride) windows, half of it on each side. If it is an
    /// odd number of steps, the extra step is at the end.
    Same,
    /// All padding at the beginning: window t sees no step after step `t stride`.
    Causal,
}

/// The windows over one axis. Tap `j < size` of window `t` sees step
/// `t stride + j dilation - before`; a step outside the sequence is padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// Number of taps.
    pub size: usize,
    /// Steps from one window to the next.
    pub stride: usize,
    /// Steps from one tap to the next.
    pub dilation: usize,
    /// Steps of padding before the sequence.
    pub before: usize,
    /// Number of windows.
    pub windows: usize,
}

impl Window {
    /// Returns the windows over a sequence of `steps` steps, placed as in Keras and TensorFlow. The
    /// tuple holds the size of a window in taps, and the stride and the dilation in steps. `None`
    /// if `steps` or a number of the tuple is 0, or if a window without padding is longer than the
    /// sequence.
    pub fn over(
        steps: usize,
        (size, stride, dilation): (usize, usize, usize),
        padding: Padding,
    ) -> Option<Self> {
        if size == 0 || stride == 0 || dilation == 0 || steps == 0 {
            return None;
        }
        let reach = (size - 1) * dilation + 1;
        let (before, padded) = match padding {
            Padding::Valid => (0, steps),
            Padding::Causal => (reach - 1, steps + reach - 1),
            Padding::Same => {
                let windows = steps.div_ceil(stride);
                let total = ((windows - 1) * stride + reach).saturating_sub(steps);
                (total / 2, steps + total)
            }
        };
        let windows = (padded + 1).checked_sub(reach)?.div_ceil(stride);
        (windows > 0).then_some(Self { size, stride, dilation, before, windows })
    }

    /// Returns the step that tap `j` of window `t` sees in a sequence of `steps` steps; `None` if
    /// the tap sees padding.
    #[inline]
    pub fn source(&self, t: usize, j: usize, steps: usize) -> Option<usize> {
        (t * self.stride + j * self.dilation).checked_sub(self.before).filter(|&s| s < steps)
    }

    /// Returns the index of the window whose tap `j` sees step `step`; `None` if there is no such
    /// window.
    ///
    /// # Panics
    /// Panics if the stride is 0.
    #[inline]
    pub fn target(&self, step: usize, j: usize) -> Option<usize> {
        let start = (step + self.before).checked_sub(j * self.dilation)?;
        let window = start / self.stride;
        (start.is_multiple_of(self.stride) && window < self.windows).then_some(window)
    }

    /// Checks that the windows lie within a sequence of `steps` steps and its padding.
    ///
    /// # Errors
    /// Fails with [`OpError::Shape`] if the last window begins after the end of the sequence, or
    /// the size, the stride, the dilation or the number of windows is 0.
    pub(crate) fn check(&self, steps: usize) -> Result<(), OpError> {
        let last = (self.windows.max(1) - 1) * self.stride;
        let fits = self.size > 0 && self.stride > 0 && self.dilation > 0 && self.windows > 0;
        ensure(fits && last < steps + self.before, || format!("{self:?} over {steps} steps"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Padding, Window};

    #[test]
    fn windows_lie_where_tensorflow_puts_them() {
        let at = |steps, shape, padding| {
            Window::over(steps, shape, padding).map(|w| (w.before, w.windows))
        };
        assert_eq!(at(10, (3, 1, 1), Padding::Valid), Some((0, 8)));
        assert_eq!(at(10, (3, 2, 1), Padding::Valid), Some((0, 4)));
        assert_eq!(at(10, (3, 1, 1), Padding::Same), Some((1, 10)));
        assert_eq!(at(10, (4, 1, 1), Padding::Same), Some((1, 10)));
        assert_eq!(at(10, (3, 2, 1), Padding::Same), Some((0, 5)));
        assert_eq!(at(9, (3, 2, 1), Padding::Same), Some((1, 5)));
        assert_eq!(at(10, (3, 1, 2), Padding::Causal), Some((4, 10)));
        assert_eq!(at(500, (2, 2, 1), Padding::Valid), Some((0, 250)));
        assert_eq!(at(2, (3, 1, 1), Padding::Valid), None);
    }
}
