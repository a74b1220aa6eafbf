use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::coord::types::RangedCoordf64;

/// An axis with a label and ticks.
pub(crate) struct Axis {
    /// The name of the axis, with its unit.
    pub label: String,
    /// The values at the two ends of the axis.
    pub range: Range<f64>,
    /// The values at which there is a tick with a label.
    pub ticks: Vec<f64>,
    /// The number of decimals of tick labels.
    decimals: usize,
    /// The labels of ticks in place of their numbers.
    names: Vec<String>,
}

impl Axis {
    /// Returns an axis over `range`, which must not be empty. It has about `count` ticks, at least
    /// 1, at multiples of a step of 1, 2 or 5 times a power of ten. The step is at least
    /// `min_step`; 0 sets no limit.
    pub fn new(label: impl Into<String>, range: Range<f64>, count: usize, min_step: f64) -> Self {
        let step = round_up((range.end - range.start) / count as f64).max(min_step);
        let first = (range.start / step - 1e-9).ceil() as i64;
        let last = (range.end / step + 1e-9).floor() as i64;
        Self {
            label: label.into(),
            range,
            ticks: (first..=last).map(|i| i as f64 * step).collect(),
            decimals: (-step.log10().floor()).max(0.0) as usize,
            names: Vec::new(),
        }
    }

    /// Returns an axis of categories, without a label. Each category has a width of 1, from 0 on,
    /// and its name below its middle.
    pub fn named(names: Vec<String>) -> Self {
        let ticks = (0..names.len()).map(|i| i as f64 + 0.5).collect();
        Self {
            label: String::new(),
            range: 0.0..names.len().max(1) as f64,
            ticks,
            decimals: 0,
            names,
        }
    }

    /// Returns an axis from epoch 1 to epoch `epochs`, with ticks at whole epochs.
    pub fn epochs(epochs: usize) -> Self {
        Self::counted("epoch", epochs)
    }

    /// Returns an axis from 1 to `count`, with at most about 12 ticks at whole numbers. A `count`
    /// of 0 acts as 1.
    pub fn counted(label: impl Into<String>, count: usize) -> Self {
        const MOST_TICKS: usize = 12;
        let step = [1, 5, 10, 20, 50, 100, 200, 500]
            .into_iter()
            .find(|step| count / step <= MOST_TICKS)
            .unwrap_or(count / MOST_TICKS);
        let count = count.max(1);
        // Half a step of room keeps a single point in the middle.
        let margin = if count == 1 { 0.5 } else { 0.03 * (count - 1) as f64 };
        Self {
            label: label.into(),
            range: 1.0 - margin..count as f64 + margin,
            ticks: (1..=count).filter(|n| *n == 1 || n % step == 0).map(|n| n as f64).collect(),
            decimals: 0,
            names: Vec::new(),
        }
    }
}

impl Axis {
    /// Returns the label of the tick at the value `at`: the name of the category there, if the axis
    /// has categories, else the number, with as many decimals as the distance between ticks needs.
    pub fn tick(&self, at: f64) -> String {
        match self.names.get(at as usize) {
            Some(name) => name.clone(),
            None => format!("{at:.*}", self.decimals),
        }
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        RangedCoordf64::from(self.range.clone()).map(value, limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() { Vec::new() } else { self.ticks.clone() }
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, tick: &f64) -> String {
        self.tick(*tick)
    }
}

/// The range of the finite values, widened by a margin on both sides; 0 to 1 when there are none.
pub(crate) fn padded(values: impl Iterator<Item = f64>) -> Range<f64> {
    let (low, high) = values
        .filter(|v| v.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    if low > high {
        return 0.0..1.0;
    }
    // A floor on the margin keeps the noise of a flat curve from filling the panel.
    let margin = (0.08 * (high - low)).max(0.02 * high.abs()).max(1e-3);
    low - margin..high + margin
}

/// The least of 1, 2 or 5 times a power of ten that is not below `step`.
fn round_up(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|f| f * power >= step * (1.0 - 1e-9));
    factor.unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_lie_on_round_numbers() {
        let axis = Axis::new("", 0.43..0.71, 6, 0.0);
        let labels: Vec<_> = axis.ticks.iter().map(|tick| axis.format_ext(tick)).collect();
        assert_eq!(labels, ["0.45", "0.50", "0.55", "0.60", "0.65", "0.70"]);
    }

    #[test]
    fn counts_have_whole_ticks() {
        let axis = Axis::new("", 0.0..2.2, 6, 1.0);
        assert_eq!(axis.ticks, [0.0, 1.0, 2.0]);
        assert_eq!(axis.decimals, 0);
    }

    #[test]
    fn epochs_start_at_one() {
        assert_eq!(Axis::epochs(1).ticks, [1.0]);
        assert_eq!(Axis::epochs(3).ticks, [1.0, 2.0, 3.0]);
        assert_eq!(Axis::epochs(20).ticks, [1.0, 5.0, 10.0, 15.0, 20.0]);
        assert_eq!(Axis::epochs(0).ticks, [1.0]);
    }

    #[test]
    fn values_that_are_not_finite_do_not_widen_a_range() {
        let range = padded([0.5, f64::NAN, f64::INFINITY, 1.5].into_iter());
        assert!(range.start < 0.5 && range.start > 0.4);
        assert!(range.end > 1.5 && range.end < 1.6);
        assert_eq!(padded(std::iter::empty()), 0.0..1.0);
    }
}
