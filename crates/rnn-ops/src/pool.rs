//! Pooling over time.

use crate::common::{arity, dims, ensure, nested};
use crate::window::window_cases;
use crate::{Case, Definition, Sample, Window};
use rnn_core::DType;
use rnn_graph::{
    Cost, Graph, Io, Limits, Op, OpError, Operand, Operands, Real, Signature, SliceMut, TensorId,
    TensorType, Work,
};

/// The largest element that each window sees, and the step where it is; the first of equals.
///
/// Input: x `[T, B, C]`. Outputs: `[windows, B, C]` and the steps, u32 of the same shape.
#[derive(Clone, Debug)]
pub struct MaxPool(pub Window);

/// Each step sums the gradients of the windows whose largest element it has. Inputs: the gradient
/// `[windows, B, C]` and the steps that [`MaxPool`] found. Output `[T, B, C]`.
#[derive(Clone, Debug)]
pub struct MaxPoolBackward {
    /// The windows.
    pub window: Window,
    /// T.
    pub steps: usize,
}

/// The mean of the steps that each window sees; those beyond the ends do not count.
/// `[T, B, C]` -> `[windows, B, C]`.
#[derive(Clone, Debug)]
pub struct AveragePool(pub Window);

/// Each step sums its share of the gradients of the windows that see it.
/// `[windows, B, C]` -> `[T, B, C]`.
#[derive(Clone, Debug)]
pub struct AveragePoolBackward {
    /// The windows.
    pub window: Window,
    /// T.
    pub steps: usize,
}

/// The steps that window t sees.
fn seen(window: Window, t: usize, steps: usize) -> impl Iterator<Item = usize> {
    (0..window.size).filter_map(move |j| window.source(t, j, steps))
}

/// T and the elements of a step.
fn sizes(ty: &TensorType) -> (usize, usize) {
    let steps = ty.dims().first().copied().unwrap_or(1);
    (steps, ty.len() / steps.max(1))
}

/// The shape rule of the backward ops.
fn undo(window: &Window, steps: usize, d: &TensorType) -> Result<TensorType, OpError> {
    let [windows, batch, channels] = dims(d)?;
    ensure(windows == window.windows, || format!("{d} does not hold {window:?}"))?;
    let x = TensorType::f32([steps, batch, channels]);
    window.results(&x, 1)?;
    Ok(x)
}

impl Definition for MaxPool {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let (steps, per_step) = sizes(&io.signature.inputs[0]);
        let x = io.input(0);
        let [SliceMut::Float(y), SliceMut::Uint(at)] = &mut io.outputs[..] else { return };
        for (i, (y, at)) in y.iter_mut().zip(at.iter_mut()).enumerate() {
            let value = |s: usize| x[s * per_step + i % per_step];
            let larger = |best, next| if value(next) > value(best) { next } else { best };
            // A window beyond the ends sees nothing.
            let best = seen(self.0, i / per_step, steps).reduce(larger);
            *y = best.map_or(F::zero(), value);
            *at = best.unwrap_or(steps) as u32;
        }
    }
}

impl Op for MaxPool {
    fn name(&self) -> &'static str {
        "max_pool"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [x] = arity(inputs)?;
        let y = self.0.results(x, 1)?;
        let at = TensorType { dtype: DType::U32, ..y.clone() };
        Ok(vec![y, at])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let launch = self.0.launch("max_pool", s.outputs[0].len(), &s.inputs[0])?;
        Ok(launch.bind("x", Operand::Input(0)).bind("index_out", Operand::Output(1)).into())
    }

    fn backward(
        &self,
        graph: &mut Graph,
        operands: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let Some(g) = gradients[0] else { return Ok(vec![None]) };
        let steps = graph.shape(operands.inputs[0]).dims()[0];
        let op = MaxPoolBackward { window: self.0, steps };
        Ok(vec![Some(graph.apply(op, &[g, operands.outputs[1]]).map_err(nested)?)])
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: (s.outputs[0].len() * self.0.size) as u64, bytes: s.bytes() }
    }
}

impl Definition for MaxPoolBackward {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let (_, per_step) = sizes(&io.signature.inputs[0]);
        let (d, at) = (io.input(0), io.uints(1));
        let dx = io.output();
        dx.fill(F::zero());
        for (i, (&d, &s)) in d.iter().zip(at).enumerate() {
            if (s as usize) < self.steps {
                let to = s as usize * per_step + i % per_step;
                dx[to] = dx[to] + d;
            }
        }
    }
}

impl Op for MaxPoolBackward {
    fn name(&self) -> &'static str {
        "max_pool_backward"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [d, at] = arity(inputs)?;
        ensure(at.dtype == DType::U32 && at.shape == d.shape, || format!("{at} for {d}"))?;
        Ok(vec![undo(&self.window, self.steps, d)?])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let launch = self.window.launch("max_pool_backward", s.outputs[0].len(), &s.outputs[0])?;
        Ok(launch.bind("d", Operand::Input(0)).bind("index", Operand::Input(1)).into())
    }

    not_differentiable!();

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: (s.outputs[0].len() * self.window.size) as u64, bytes: s.bytes() }
    }
}

impl Definition for AveragePool {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let (steps, per_step) = sizes(&io.signature.inputs[0]);
        let x = io.input(0);
        for (i, y) in io.output().iter_mut().enumerate() {
            let count = seen(self.0, i / per_step, steps).count().max(1);
            let sum: F =
                seen(self.0, i / per_step, steps).map(|s| x[s * per_step + i % per_step]).sum();
            *y = sum / F::of(count as f64);
        }
    }
}

impl Op for AveragePool {
    fn name(&self) -> &'static str {
        "average_pool"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [x] = arity(inputs)?;
        Ok(vec![self.0.results(x, 1)?])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let launch = self.0.launch("average_pool", s.outputs[0].len(), &s.inputs[0])?;
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
        let op = AveragePoolBackward { window: self.0, steps };
        Ok(vec![Some(graph.apply(op, &[g]).map_err(nested)?)])
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: (s.outputs[0].len() * self.0.size) as u64, bytes: s.bytes() }
    }
}

impl Definition for AveragePoolBackward {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let (windows, per_step) = sizes(&io.signature.inputs[0]);
        let d = io.input(0);
        let dx = io.output();
        dx.fill(F::zero());
        for t in 0..windows {
            let count = F::of(seen(self.window, t, self.steps).count().max(1) as f64);
            for s in seen(self.window, t, self.steps) {
                for e in 0..per_step {
                    let to = s * per_step + e;
                    dx[to] = dx[to] + d[t * per_step + e] / count;
                }
            }
        }
    }
}

impl Op for AveragePoolBackward {
    fn name(&self) -> &'static str {
        "average_pool_backward"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [d] = arity(inputs)?;
        Ok(vec![undo(&self.window, self.steps, d)?])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let x = &s.outputs[0];
        let launch = self.window.launch("average_pool_backward", x.len(), x)?;
        Ok(launch.bind("d", Operand::Input(0)).into())
    }

    not_differentiable!();

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: (s.outputs[0].len() * self.window.size) as u64, bytes: s.bytes() }
    }
}

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, window) in window_cases() {
        let x = || vec![Sample::Normal(vec![9, 3, 5])];
        let d = Sample::Normal(vec![window.windows, 3, 5]);
        // Any step serves as the largest, one beyond the end too.
        let at = Sample::Below(vec![window.windows, 3, 5], 10);
        cases.push(Case::new(format!("max_pool {name}"), MaxPool(window), x()).gradient(&[0]));
        cases.push(
            Case::new(format!("average_pool {name}"), AveragePool(window), x()).gradient(&[0]),
        );
        let op = AveragePoolBackward { window, steps: 9 };
        cases.push(Case::new(format!("average_pool_backward {name}"), op, vec![d.clone()]));
        if name == "all" {
            let op = MaxPoolBackward { window, steps: 9 };
            cases.push(Case::new("max_pool_backward all", op, vec![d, at]));
        }
    }
    cases
}
