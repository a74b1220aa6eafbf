//! Windows that slide over the leading axis of a sequence `[T, B, C]`.

use crate::common::{arity, dims, ensure, nested, threads};
use crate::{Case, Definition, Sample};
use rnn_graph::{
    Cost, Graph, Io, Launch, Limits, Op, OpError, Operand, Operands, Real, Shader, Signature,
    TensorId, TensorType, Work,
};

pub static SHADER: Shader = Shader::new(
    "window",
    &[include_str!("../../../shaders/flat.wgsl"), include_str!("../../../shaders/window.wgsl")],
);

/// What lies beyond the ends of a sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Padding {
    /// Nothing: windows stay inside.
    #[default]
    Valid,
    /// As much on both sides, the odd step at the end, that stride 1 keeps the length.
    Same,
    /// All of it in front: a window sees no later step than its own.
    Causal,
}

/// Window t sees steps `t stride + j dilation - before`, j < size, of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// Steps that it sees.
    pub size: usize,
    /// Steps from one window to the next.
    pub stride: usize,
    /// Steps from one that it sees to the next.
    pub dilation: usize,
    /// Steps by which the first window begins before the sequence.
    pub before: usize,
    /// How many windows there are.
    pub windows: usize,
}

impl Window {
    /// The windows over a sequence, as Keras and TensorFlow place them; none, where the sequence
    /// is too short or an argument is 0.
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

    /// The step that tap `j` of window `t` sees, if it lies within the sequence.
    pub fn source(&self, t: usize, j: usize, steps: usize) -> Option<usize> {
        (t * self.stride + j * self.dilation).checked_sub(self.before).filter(|&s| s < steps)
    }

    pub(crate) fn check(&self, steps: usize) -> Result<(), OpError> {
        let last = (self.windows.max(1) - 1) * self.stride;
        let fits = self.size > 0 && self.stride > 0 && self.dilation > 0 && self.windows > 0;
        ensure(fits && last < steps + self.before, || format!("{self:?} over {steps} steps"))
    }

    /// A launch over `count` elements of a sequence of `steps` steps.
    pub(crate) fn launch(
        &self,
        entry: &'static str,
        count: usize,
        sequence: &TensorType,
    ) -> Result<Launch, OpError> {
        let [steps, batch, channels] = dims(sequence)?;
        Ok(Launch::new(&SHADER, entry, threads(count)?)
            .bind("out", Operand::Output(0))
            .param("count", count)
            .param("steps", steps)
            .param("windows", self.windows)
            .param("per_step", batch * channels)
            .param("channels", channels)
            .param("size", self.size)
            .param("stride", self.stride)
            .param("dilation", self.dilation)
            .param("before", self.before))
    }

    /// The type of one result a window, checked.
    pub(crate) fn results(&self, x: &TensorType, per_window: usize) -> Result<TensorType, OpError> {
        let [steps, batch, channels] = dims(x)?;
        self.check(steps)?;
        Ok(TensorType::f32([self.windows, batch, per_window * channels]))
    }
}

/// What each window sees, side by side: `[T, B, C]` -> `[windows, B, size C]`, zero beyond the
/// ends. A convolution over time is this, times a kernel `[size C, filters]`.
#[derive(Clone, Debug)]
pub struct Unfold(pub Window);

impl Definition for Unfold {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let &[steps, batch, channels] = io.dims(0) else { return };
        let x = io.input(0);
        for (i, taps) in io.output().chunks_exact_mut(channels).enumerate() {
            let (row, j) = (i / self.0.size, i % self.0.size);
            let (t, b) = (row / batch, row % batch);
            match self.0.source(t, j, steps) {
                Some(s) => {
                    let from = (s * batch + b) * channels;
                    taps.copy_from_slice(&x[from..from + channels]);
                }
                None => taps.fill(F::zero()),
            }
        }
    }
}

impl Op for Unfold {
    fn name(&self) -> &'static str {
        "unfold"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [x] = arity(inputs)?;
        Ok(vec![self.0.results(x, self.0.size)?])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let launch = self.0.launch("unfold", s.outputs[0].len(), &s.inputs[0])?;
        Ok(launch.bind("x", Operand::Input(0)).into())
    }

    fn backward(
        &self,
        graph: &mut Graph,
        operands: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let Some(g) = gradients[0] else { return Ok(vec![None]) };
        let steps = graph.shape(operands.inputs[0]).dims()[0];
        Ok(vec![Some(graph.apply(Fold { window: self.0, steps }, &[g]).map_err(nested)?)])
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 0, bytes: s.bytes() }
    }
}

/// The gradient of [`Unfold`]: each step sums what the windows that see it hold of it.
/// `[windows, B, size C]` -> `[T, B, C]`.
#[derive(Clone, Debug)]
pub struct Fold {
    /// The windows.
    pub window: Window,
    /// T.
    pub steps: usize,
}

impl Definition for Fold {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let &[windows, batch, width] = io.dims(0) else { return };
        let Window { size, .. } = self.window;
        let (d, channels) = (io.input(0), width / size);
        let out = io.output();
        out.fill(F::zero());
        for (t, j) in (0..windows).flat_map(|t| (0..size).map(move |j| (t, j))) {
            let Some(s) = self.window.source(t, j, self.steps) else { continue };
            for b in 0..batch {
                let taps = &d[((t * batch + b) * size + j) * channels..][..channels];
                let to = &mut out[(s * batch + b) * channels..][..channels];
                to.iter_mut().zip(taps).for_each(|(to, &d)| *to = *to + d);
            }
        }
    }
}

impl Op for Fold {
    fn name(&self) -> &'static str {
        "fold"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [d] = arity(inputs)?;
        let [windows, batch, width] = dims(d)?;
        self.window.check(self.steps)?;
        let fits = windows == self.window.windows && width.is_multiple_of(self.window.size);
        ensure(fits, || format!("{d} does not hold {:?}", self.window))?;
        Ok(vec![TensorType::f32([self.steps, batch, width / self.window.size])])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let launch = self.window.launch("fold", s.outputs[0].len(), &s.outputs[0])?;
        Ok(launch.bind("d", Operand::Input(0)).into())
    }

    fn backward(
        &self,
        graph: &mut Graph,
        _: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let Some(g) = gradients[0] else { return Ok(vec![None]) };
        Ok(vec![Some(graph.apply(Unfold(self.window), &[g]).map_err(nested)?)])
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: s.inputs[0].len() as u64, bytes: s.bytes() }
    }
}

/// Windows of every kind over 9 steps, by name.
pub(crate) fn window_cases() -> Vec<(&'static str, Window)> {
    [
        ("valid", (3, 1, 1), Padding::Valid),
        ("valid stride 2", (2, 2, 1), Padding::Valid),
        ("same", (4, 1, 1), Padding::Same),
        ("same stride 2", (3, 2, 1), Padding::Same),
        ("causal dilation 2", (3, 1, 2), Padding::Causal),
        ("all", (9, 1, 1), Padding::Valid),
    ]
    .into_iter()
    .filter_map(|(name, size, padding)| Some((name, Window::over(9, size, padding)?)))
    .collect()
}

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, window) in window_cases() {
        let x = Sample::Normal(vec![9, 3, 5]);
        let d = Sample::Normal(vec![window.windows, 3, 5 * window.size]);
        cases.push(Case::new(format!("unfold {name}"), Unfold(window), vec![x]).gradient(&[0]));
        let fold = Fold { window, steps: 9 };
        cases.push(Case::new(format!("fold {name}"), fold, vec![d]).gradient(&[0]));
    }
    cases
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
