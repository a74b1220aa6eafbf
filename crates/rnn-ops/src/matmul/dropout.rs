use crate::common::{dims, ensure};
use crate::matmul::kernels::stored;
use crate::matmul::{Extents, Product, ProductDropout};
use crate::{Activation, Case, Definition, Sample, SumRows};
use rnn_core::{DType, Shape};
use rnn_graph::{
    Cost, Graph, Io, Limits, Op, OpError, Operand, Operands, Real, Signature, TensorId, TensorType,
    Work,
};
use std::sync::Arc;

/// Product of rows with a matrix W whose columns belong to G gates of N columns each. Every gate
/// multiplies the rows by dropout factors of its own, which are the same at all steps
/// (keras/src/layers/rnn/dropout_rnn_cell.py). For step t, row b, gate g and column n of the gate:
///
/// ```text
/// y[t, b, g N + n] = sum over k of x[t, b, k] d[g, b, k] W[k, g N + n] + bias[g N + n]
/// ```
///
/// Inputs: x `[.., B, K]`, W `[K, G N]`, factors d `[G, B, K]` (each 0 or 1 / (1 - rate)) and, if
/// `bias`, the bias `[G N]`. Output: y `[.., B, G N]`. Gradients do not flow to d.
#[derive(Clone, Debug)]
pub struct DropoutMatmul {
    /// True if a bias, added to every row, is the fourth input; false if nothing is added.
    pub bias: bool,
    /// Element type of y. x may have half precision too, and so may dy; sums have single precision.
    pub output: DType,
}

/// Gradient of x of a [`DropoutMatmul`]: dx[t, b, k] is the sum over g and n of d[g, b, k] dy[t, b,
/// g N + n] W[k, g N + n].
///
/// Inputs: dy `[.., B, G N]`, W `[K, G N]`, d `[G, B, K]`. Output: dx `[.., B, K]`, in single
/// precision.
#[derive(Clone, Debug)]
pub struct DropoutMatmulInput;

/// Gradient of W of a [`DropoutMatmul`]: dW[k, g N + n] is the sum over t and b of x[t, b, k] d[g,
/// b, k] dy[t, b, g N + n].
///
/// Inputs: x `[.., B, K]`, dy `[.., B, G N]`, d `[G, B, K]`. Output: dW `[K, G N]`, in single
/// precision.
#[derive(Clone, Debug)]
pub struct DropoutMatmulWeights;

/// Extents of a [`DropoutMatmul`] or of one of its gradients.
#[derive(Clone, Copy, Debug)]
pub struct GateExtents {
    /// G, the number of gates.
    pub gates: usize,
    /// B, the rows of one step. The factors of a gate repeat after this number of rows.
    pub period: usize,
    /// K, the number of columns of x.
    pub features: usize,
    /// N, the number of columns of W that belong to one gate.
    pub width: usize,
}

/// Derives the extents from the factors d, the `columns` (G N) of W and the rows of x, which must
/// agree.
fn extents(d: &TensorType, columns: usize, rows: &TensorType) -> Result<GateExtents, OpError> {
    let [gates, period, features] = dims(d)?;
    let axes = rows.dims();
    ensure(gates > 0 && columns.is_multiple_of(gates), || {
        format!("{columns} columns for {gates} gates")
    })?;
    ensure(axes.len() >= 2 && axes[axes.len() - 2] == period, || {
        format!("{rows} does not have {period} rows a step")
    })?;
    Ok(GateExtents { gates, period, features, width: columns / gates })
}

impl DropoutMatmul {
    /// Returns the extents, derived from the types of the three inputs x, W and d, in this order. A
    /// fourth input, the bias, is not checked.
    ///
    /// # Errors
    /// Fails with [`OpError::Shape`] if the shapes do not agree.
    ///
    /// # Panics
    /// Panics if there are fewer than three inputs.
    pub fn extents(inputs: &[TensorType]) -> Result<GateExtents, OpError> {
        let e = extents(&inputs[2], inputs[1].shape.last(), &inputs[0])?;
        let (k, w) = (inputs[0].shape.last(), inputs[1].dims());
        ensure(k == e.features && w == [k, e.gates * e.width], || {
            format!("x {}, W {}, factors {}", inputs[0], inputs[1], inputs[2])
        })?;
        Ok(e)
    }
}

impl DropoutMatmulInput {
    /// Returns the extents, derived from the types of the three inputs dy, W and d, in this order.
    ///
    /// # Errors
    /// Fails with [`OpError::Shape`] if the shapes do not agree.
    ///
    /// # Panics
    /// Panics if there are fewer than three inputs.
    pub fn extents(inputs: &[TensorType]) -> Result<GateExtents, OpError> {
        let e = extents(&inputs[2], inputs[1].shape.last(), &inputs[0])?;
        let fits = inputs[1].dims() == [e.features, inputs[0].shape.last()];
        ensure(fits, || format!("dy {}, W {}, factors {}", inputs[0], inputs[1], inputs[2]))?;
        Ok(e)
    }
}

impl DropoutMatmulWeights {
    /// Returns the extents, derived from the types of the three inputs x, dy and d, in this order.
    ///
    /// # Errors
    /// Fails with [`OpError::Shape`] if the shapes do not agree.
    ///
    /// # Panics
    /// Panics if there are fewer than three inputs.
    pub fn extents(inputs: &[TensorType]) -> Result<GateExtents, OpError> {
        let e = extents(&inputs[2], inputs[1].shape.last(), &inputs[0])?;
        let fits = inputs[0].shape.last() == e.features
            && inputs[0].shape.rows() == inputs[1].shape.rows();
        ensure(fits, || format!("x {}, dy {}, factors {}", inputs[0], inputs[1], inputs[2]))?;
        Ok(e)
    }
}

impl GateExtents {
    fn factor(&self, gate: usize, row: usize, feature: usize) -> usize {
        (gate * self.period + row % self.period) * self.features + feature
    }

    fn columns(&self) -> usize {
        self.gates * self.width
    }

    fn product(&self, s: &Signature, [m, n, k]: [usize; 3], to_sums: bool) -> Product {
        let factors = Operand::Input(2);
        let (gates, period) = (self.gates, self.period);
        Product {
            extents: Extents { m, n, k },
            a: Operand::Input(0),
            b: Operand::Input(1),
            transpose_a: false,
            transpose_b: false,
            bias: None,
            activation: Activation::Linear,
            dropout: Some(ProductDropout { factors, gates, period, to_sums }),
            stored: stored(s),
        }
    }

    fn cost(&self, s: &Signature) -> Cost {
        let rows = s.inputs[0].shape.rows() * self.features;
        Cost { flops: 2 * (rows * self.columns()) as u64, bytes: s.bytes() }
    }
}

impl Definition for DropoutMatmul {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let Ok(e) = Self::extents(&io.signature.inputs) else { return };
        let (x, w, d) = (io.input(0), io.input(1), io.input(2));
        let bias = self.bias.then(|| io.input(3));
        let (features, columns) = (e.features, e.columns());
        for (at, y) in io.output().iter_mut().enumerate() {
            let (row, column) = (at / columns, at % columns);
            let gate = column / e.width;
            let sum: F = (0..features)
                .map(|k| {
                    x[row * features + k] * d[e.factor(gate, row, k)] * w[k * columns + column]
                })
                .sum();
            *y = bias.map_or(sum, |bias| sum + bias[column]);
        }
    }
}

impl Definition for DropoutMatmulInput {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let Ok(e) = Self::extents(&io.signature.inputs) else { return };
        let (dy, w, d) = (io.input(0), io.input(1), io.input(2));
        let columns = e.columns();
        for (at, dx) in io.output().iter_mut().enumerate() {
            let (row, k) = (at / e.features, at % e.features);
            *dx = (0..columns)
                .map(|n| {
                    d[e.factor(n / e.width, row, k)] * dy[row * columns + n] * w[k * columns + n]
                })
                .sum();
        }
    }
}

impl Definition for DropoutMatmulWeights {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let Ok(e) = Self::extents(&io.signature.inputs) else { return };
        let rows = io.signature.inputs[0].shape.rows();
        let (x, dy, d) = (io.input(0), io.input(1), io.input(2));
        let columns = e.columns();
        for (at, dw) in io.output().iter_mut().enumerate() {
            let (k, column) = (at / columns, at % columns);
            *dw = (0..rows)
                .map(|row| {
                    let factor = d[e.factor(column / e.width, row, k)];
                    x[row * e.features + k] * factor * dy[row * columns + column]
                })
                .sum();
        }
    }
}

impl Op for DropoutMatmul {
    fn name(&self) -> &'static str {
        "dropout_matmul"
    }

    fn takes_half(&self) -> bool {
        true
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let wanted = if self.bias { 4 } else { 3 };
        ensure(inputs.len() == wanted, || format!("{} operands, it takes {wanted}", inputs.len()))?;
        let columns = Self::extents(inputs)?.columns();
        if let Some(bias) = inputs.get(3) {
            ensure(bias.dims() == [columns], || format!("the bias is {bias}, not [{columns}]"))?;
        }
        Ok(vec![TensorType::f32(inputs[0].shape.with_last(columns)).of(self.output)])
    }

    fn record(&self, s: &Signature, limits: &Limits) -> Result<Work, OpError> {
        let e = Self::extents(&s.inputs)?;
        let product = e.product(s, [s.inputs[0].shape.rows(), e.columns(), e.features], false);
        Product { bias: self.bias.then_some(Operand::Input(3)), ..product }.record(limits)
    }

    fn backward(
        &self,
        graph: &mut Graph,
        operands: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let Some(g) = gradients[0] else { return Ok(vec![None; operands.inputs.len()]) };
        let [x, w, d] = [0, 1, 2].map(|i| operands.inputs[i]);
        let dx = graph.apply(DropoutMatmulInput, &[g, w, d])?;
        let dw = graph.apply(DropoutMatmulWeights, &[x, g, d])?;
        let mut result = vec![Some(dx), Some(dw), None];
        if self.bias {
            result.push(Some(graph.apply(SumRows, &[g])?));
        }
        Ok(result)
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Self::extents(&s.inputs).map_or(Cost::default(), |e| e.cost(s))
    }
}

impl Op for DropoutMatmulInput {
    fn name(&self) -> &'static str {
        "dropout_matmul_input"
    }

    fn takes_half(&self) -> bool {
        true
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        ensure(inputs.len() == 3, || format!("{} operands, it takes 3", inputs.len()))?;
        let e = Self::extents(inputs)?;
        Ok(vec![TensorType::f32(inputs[0].shape.with_last(e.features))])
    }

    fn record(&self, s: &Signature, limits: &Limits) -> Result<Work, OpError> {
        let e = Self::extents(&s.inputs)?;
        let product = e.product(s, [s.inputs[0].shape.rows(), e.features, e.columns()], true);
        Product { transpose_b: true, ..product }.record(limits)
    }

    not_differentiable!();

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Self::extents(&s.inputs).map_or(Cost::default(), |e| e.cost(s))
    }
}

impl Op for DropoutMatmulWeights {
    fn name(&self) -> &'static str {
        "dropout_matmul_weights"
    }

    fn takes_half(&self) -> bool {
        true
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        ensure(inputs.len() == 3, || format!("{} operands, it takes 3", inputs.len()))?;
        let e = Self::extents(inputs)?;
        Ok(vec![TensorType::f32(Shape::from([e.features, e.columns()]))])
    }

    fn record(&self, s: &Signature, limits: &Limits) -> Result<Work, OpError> {
        let e = Self::extents(&s.inputs)?;
        let product = e.product(s, [e.features, e.columns(), s.inputs[0].shape.rows()], false);
        Product { transpose_a: true, ..product }.record(limits)
    }

    not_differentiable!();

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Self::extents(&s.inputs).map_or(Cost::default(), |e| e.cost(s))
    }
}

/// Returns the test cases of [`DropoutMatmul`], [`DropoutMatmulInput`] and
/// [`DropoutMatmulWeights`], for [`suite`](crate::suite).
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    // Steps, batch, features, gates, columns of a gate.
    for (t, b, k, g, n) in [(1, 1, 1, 1, 1), (3, 5, 7, 4, 9), (2, 33, 20, 4, 65), (4, 3, 66, 1, 70)]
    {
        let (x, dy) = (Sample::Normal(vec![t, b, k]), Sample::Normal(vec![t, b, g * n]));
        let w = Sample::Normal(vec![k, g * n]);
        let d = Sample::Uniform(vec![g, b, k], 0.0, 2.0);
        let name = |part: &str| format!("dropout matmul{part} {t}x{b}x{k} {g}x{n}");
        let inputs = vec![x.clone(), w.clone(), d.clone(), Sample::Normal(vec![g * n])];
        let forward = DropoutMatmul { bias: true, output: DType::F32 };
        cases.push(Case::new(name(""), forward, inputs).gradient(&[0, 1, 3]));
        let inputs = vec![dy.clone(), w, d.clone()];
        cases.push(Case::new(name(" input"), DropoutMatmulInput, inputs));
        cases.push(Case::new(name(" weights"), DropoutMatmulWeights, vec![x, dy, d]));
        if (t, b) == (2, 33) {
            let mut halves = cases[cases.len() - 3..].to_vec();
            halves[0].op = Arc::new(DropoutMatmul { bias: true, output: DType::F16 });
            halves[0].differentiable.clear();
            // Values rounded to half precision have an error of half of 2^-10.
            halves[0].tolerance = 1e-3;
            halves[1].half = vec![0];
            halves[2].half = vec![0, 1];
            cases.extend(halves.into_iter().map(|case| case.named(" half")));
        }
    }
    // 2,700 terms per sum, divided among several workgroups.
    let inputs = vec![
        Sample::Normal(vec![900, 3, 20]),
        Sample::Normal(vec![900, 3, 40]),
        Sample::Uniform(vec![4, 3, 20], 0.0, 2.0),
    ];
    cases.push(
        Case::new("dropout matmul weights split k", DropoutMatmulWeights, inputs).tolerance(5e-6),
    );
    cases
}
