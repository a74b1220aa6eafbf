#[macro_use]
pub mod kernels;
pub mod batch;
pub mod dropout;
pub mod matrix_units;
pub mod matrix_units_proof;
pub mod tile;
pub mod weights;

use crate::activation::{ActivateBackward, Activation};
use crate::common::{ensure, threads};
use crate::matmul::kernels::{ProductKernels, find, stored};
use crate::matmul::tile::{Tiled, most_terms, tile_iterations, usual_tiles};
use crate::{Case, Definition, MatmulWeights, Sample, SumRows};
use rnn_core::{DType, Shape};
use rnn_graph::{
    Cost, Graph, Io, Launch, Limits, Op, OpError, Operand, Operands, Real, Signature, TensorId,
    TensorType, Work, iterations,
};

static KERNELS: ProductKernels = product_kernels!(
    "matmul",
    rnn_shaders::shared::ELEMENTWISE,
    rnn_shaders::shared::BITS,
    rnn_shaders::shared::EXPONENTIAL,
    rnn_shaders::shared::ACTIVATIONS,
    rnn_shaders::shared::TILE,
    rnn_shaders::matmul::MATMUL,
);

/// y = activation(A B + bias), for a matrix A of M x K and a matrix B of K x N.
///
/// A is `[.., K]`, with the product M of its leading axes; or, stored transposed, `[.., M]` with
/// product K. Likewise B is `[.., N]` with product K; or, stored transposed, `[.., K]` with product
/// N. The bias is `[N]`. Output: y `[.., N]` with A's leading axes, or `[M, N]` if A is stored
/// transposed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matmul {
    /// True if A is stored as K x M, false if as M x K.
    pub transpose_a: bool,
    /// True if B is stored as N x K, false if as K x N.
    pub transpose_b: bool,
    /// True if a bias, added to every row, is the third input; false if nothing is added.
    pub bias: bool,
    /// Activation that is applied to every element of the result.
    pub activation: Activation,
    /// Element type of y. A and B may have half precision too; sums have single precision.
    pub output: DType,
}

/// Extents of a product M x K by K x N.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extents {
    /// Rows of A and of the result.
    pub m: usize,
    /// Columns of B and of the result.
    pub n: usize,
    /// Terms of each sum.
    pub k: usize,
}

impl Matmul {
    /// Returns the extents of the product of two operands of these types.
    ///
    /// # Errors
    /// Fails if their K differ.
    pub(crate) fn extents(&self, a: &TensorType, b: &TensorType) -> Result<Extents, OpError> {
        ensure(a.shape.rank() >= 1 && b.shape.rank() >= 1, || "an operand is a scalar".into())?;
        let (b_rows, b_columns) = (b.shape.rows(), b.shape.last());
        let (m, k) = match self.transpose_a {
            false => (a.shape.rows(), a.shape.last()),
            true => (a.shape.last(), a.shape.rows()),
        };
        let (b_k, n) = if self.transpose_b { (b_columns, b_rows) } else { (b_rows, b_columns) };
        ensure(k == b_k, || format!("A gives {k} terms to each sum, B {b_k}"))?;
        Ok(Extents { m, n, k })
    }
}

/// A product as the kernels of matmul.wgsl take it.
pub(crate) struct Product {
    /// M, N and K.
    pub extents: Extents,
    /// The matrix A.
    pub a: Operand,
    /// The matrix B.
    pub b: Operand,
    /// True if A is stored as K x M, false if as M x K.
    pub transpose_a: bool,
    /// True if B is stored as N x K, false if as K x N.
    pub transpose_b: bool,
    /// Bias `[N]`, if any.
    pub bias: Option<Operand>,
    /// Activation that is applied to every element of the result.
    pub activation: Activation,
    /// Dropout factors, if any.
    pub dropout: Option<ProductDropout>,
    /// Element types of A, B and the result.
    pub stored: [DType; 3],
}

/// Dropout within a product: each gate, a range of columns, multiplies A by factors of its own; see
/// matmul.wgsl.
#[derive(Clone, Copy)]
pub(crate) struct ProductDropout {
    /// Factors `[gates, period, features]`.
    pub factors: Operand,
    /// Number of gates.
    pub gates: usize,
    /// Number of rows of A after which the factors repeat.
    pub period: usize,
    /// Applies the factors to the sums over each gate's terms instead of to A.
    pub to_sums: bool,
}

impl Product {
    /// Returns the number of parts into which K is split. Splitting keeps the device busy where M x
    /// N is small and K is long, as for weight gradients. It depends on the shape alone, so that
    /// results repeat bit by bit.
    fn usual_splits(&self) -> usize {
        let Extents { m, n, k } = self.extents;
        let tiles = usual_tiles(m, n);
        // Parts hold single-precision sums, which take more memory.
        let narrow = self.stored[2] == DType::F16;
        let whole = tiles >= 128 || narrow || self.dropout.is_some_and(|d| d.to_sums);
        if whole { 1 } else { (k / 512).clamp(1, 256 / tiles) }
    }

    /// Returns true if the result consists of plain sums: there is no bias, and the activation is
    /// linear.
    pub fn ends_with_sums(&self) -> bool {
        self.bias.is_none() && self.activation == Activation::Linear
    }

    /// Returns the launches of the product: one launch over the whole of K; or, where that suits
    /// the shape or the device better, one launch over parts of K and one that adds the parts.
    ///
    /// # Errors
    /// Fails with [`OpError::Limit`] if a grid exceeds WebGPU's limits, and with [`OpError::Shape`]
    /// if there is no kernel for the element types.
    pub fn record(self, limits: &Limits) -> Result<Work, OpError> {
        let e = self.extents;
        let shader = find(&KERNELS, self.stored)?;
        let dropout = self.dropout;
        let to_sums = dropout.is_some_and(|d| d.to_sums);
        let gates = dropout.map_or(1, |d| d.gates);
        let (column_gates, k_gates) = if to_sums { (1, gates) } else { (gates, 1) };
        // No part is longer than the device's loop limit.
        let most = most_terms(limits.loop_iterations, k_gates);
        let splits = self.usual_splits().max(e.k.div_ceil(most));
        let k_part = e.k.div_ceil(splits).next_multiple_of(16).max(16);
        let splits = e.k.div_ceil(k_part).max(1);
        let [a, b, _] = self.stored;
        let of_parts = if splits > 1 { find(&KERNELS, [a, b, DType::F32])? } else { shader };
        let describe = |launch: Launch| {
            launch
                .constant("HAS_BIAS", u8::from(self.bias.is_some()))
                .constant("ACTIVATION", self.activation.code())
                .bind("bias", self.bias.unwrap_or(self.b))
                .param("m", e.m)
                .param("n", e.n)
                .param("k", e.k)
                .param("k_part", k_part)
                .param("splits", splits)
                .param("column_gates", column_gates)
                .param("period", dropout.map_or(1, |d| d.period))
        };
        let to = if splits == 1 { Operand::Output(0) } else { Operand::Scratch(0) };
        let finish = |multiply: Launch| -> Result<Work, OpError> {
            if splits == 1 {
                return Ok(multiply.into());
            }
            let add = describe(Launch::new(shader, "add_parts", threads(e.m * e.n)?))
                .iterations(iterations(splits, 0))
                .bind("parts", Operand::Scratch(0))
                .bind("out", Operand::Output(0));
            Ok(Work { scratch: vec![splits * e.m * e.n], launches: vec![multiply, add] })
        };
        if let Some(launch) = matrix_units::launch(&self, splits, limits)? {
            let multiply = launch
                .constant("TRANSPOSE_A", u8::from(self.transpose_a))
                .constant("TRANSPOSE_B", u8::from(self.transpose_b))
                .bind("a", self.a)
                .bind("b", self.b)
                .bind("out", to)
                .param("m", e.m)
                .param("n", e.n)
                .param("k", e.k)
                .param("k_part", k_part)
                .iterations(matrix_units::iterations(k_part));
            return finish(multiply);
        }
        let tiled = Tiled {
            rows: e.m,
            columns: e.n / column_gates,
            column_groups: column_gates,
            parts: splits,
        };
        let multiply = describe(tiled.launch(of_parts, "multiply")?.divisible())
            .iterations(tile_iterations(k_part.min(e.k), k_gates))
            .constant("TRANSPOSE_A", u8::from(self.transpose_a))
            .constant("TRANSPOSE_B", u8::from(self.transpose_b))
            .constant("DROP_A", u8::from(dropout.is_some() && !to_sums))
            .constant("DROP_SUMS", u8::from(to_sums))
            .constant("K_GATES", k_gates as u32)
            .bind("a", self.a)
            .bind("b", self.b)
            .bind("dropout", dropout.map_or(self.b, |d| d.factors))
            .bind("out", to);
        finish(multiply)
    }
}

impl Definition for Matmul {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let s = io.signature;
        let Ok(Extents { m, n, k }) = self.extents(&s.inputs[0], &s.inputs[1]) else { return };
        let (a, b) = (io.input(0), io.input(1));
        let bias = self.bias.then(|| io.input(2));
        let out = io.output();
        for row in 0..m {
            for column in 0..n {
                let sum: F = (0..k)
                    .map(|i| {
                        let a = if self.transpose_a { a[i * m + row] } else { a[row * k + i] };
                        let b =
                            if self.transpose_b { b[column * k + i] } else { b[i * n + column] };
                        a * b
                    })
                    .sum();
                let z = bias.map_or(sum, |bias| sum + bias[column]);
                out[row * n + column] = self.activation.apply(z);
            }
        }
    }
}

impl Op for Matmul {
    fn name(&self) -> &'static str {
        "matmul"
    }

    fn takes_half(&self) -> bool {
        true
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let wanted = if self.bias { 3 } else { 2 };
        ensure(inputs.len() == wanted, || {
            format!("{} operands given, it takes {wanted}", inputs.len())
        })?;
        let e = self.extents(&inputs[0], &inputs[1])?;
        if let Some(bias) = inputs.get(2) {
            ensure(bias.dims() == [e.n], || format!("the bias is {bias}, not [{}]", e.n))?;
        }
        let shape = match self.transpose_a {
            false => inputs[0].shape.with_last(e.n),
            true => Shape::from([e.m, e.n]),
        };
        Ok(vec![TensorType { shape, dtype: self.output }])
    }

    fn record(&self, s: &Signature, limits: &Limits) -> Result<Work, OpError> {
        Product {
            extents: self.extents(&s.inputs[0], &s.inputs[1])?,
            a: Operand::Input(0),
            b: Operand::Input(1),
            transpose_a: self.transpose_a,
            transpose_b: self.transpose_b,
            bias: self.bias.then_some(Operand::Input(2)),
            activation: self.activation,
            dropout: None,
            stored: stored(s),
        }
        .record(limits)
    }

    fn backward(
        &self,
        graph: &mut Graph,
        operands: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let Some(mut g) = gradients[0] else { return Ok(vec![None; operands.inputs.len()]) };
        let (a, b, y) = (operands.inputs[0], operands.inputs[1], operands.outputs[0]);
        if self.activation != Activation::Linear {
            let sums = || Self { activation: Activation::Linear, ..self.clone() };
            let keeps_input = self.activation.keeps_input();
            let kept = if keeps_input { graph.apply(sums(), &operands.inputs)? } else { y };
            g = graph.apply(ActivateBackward(self.activation), &[kept, g])?;
        }
        let product =
            |transpose_a, transpose_b| Matmul { transpose_a, transpose_b, ..Self::default() };
        let (ta, tb) = (self.transpose_a, self.transpose_b);
        // dA = g B^T and dB = A^T g, with the roles swapped where an operand is stored transposed.
        let da = if ta {
            graph.apply(product(tb, true), &[b, g])
        } else {
            graph.apply(product(false, !tb), &[g, b])
        };
        let weights = if self.bias && !ta && !tb {
            graph.push(MatmulWeights, &[a, g])
        } else if tb {
            graph.push(product(true, ta), &[g, a])
        } else {
            graph.push(product(!ta, false), &[a, g])
        };
        let a_shape = graph.shape(a).clone();
        let da = graph.reshape(da?, a_shape)?;
        let mut weights = weights?;
        if self.bias && weights.len() == 1 {
            weights.push(graph.apply(SumRows, &[g])?);
        }
        Ok([da].into_iter().chain(weights).map(Some).collect())
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        let flops = self
            .extents(&s.inputs[0], &s.inputs[1])
            .map_or(0, |e| 2 * e.m as u64 * e.n as u64 * e.k as u64);
        Cost { flops, bytes: s.bytes() }
    }
}

/// All combinations of A and B stored transposed or not.
const TRANSPOSES: [(bool, bool); 4] = [(false, false), (true, false), (false, true), (true, true)];

fn described((m, n, k): (usize, usize, usize), (a, b): (bool, bool)) -> String {
    let mark = |transposed| if transposed { "t" } else { "" };
    format!("{m}x{n}x{k} a{} b{}", mark(a), mark(b))
}

/// A plain product of M x K and K x N.
fn product_case(
    name: String,
    (m, n, k): (usize, usize, usize),
    (transpose_a, transpose_b): (bool, bool),
) -> Case {
    let op = Matmul { transpose_a, transpose_b, ..Matmul::default() };
    let a = Sample::Normal(if transpose_a { vec![k, m] } else { vec![m, k] });
    let b = Sample::Normal(if transpose_b { vec![n, k] } else { vec![k, n] });
    Case::new(name, op, vec![a, b])
}

/// Returns the test cases of [`Matmul`], for [`suite`](crate::suite).
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let sizes = [(1, 1, 1), (5, 7, 3), (65, 130, 17), (128, 1, 128), (31, 129, 64)];
    for (m, n, k) in sizes {
        for transposes in TRANSPOSES {
            let name = format!("matmul {}", described((m, n, k), transposes));
            cases.push(product_case(name, (m, n, k), transposes).gradient(&[0, 1]));
        }
    }
    for activation in Activation::ALL {
        let op = Matmul { bias: true, activation, ..Matmul::default() };
        let inputs = vec![
            Sample::Normal(vec![2, 9, 20]),
            Sample::Normal(vec![20, 35]),
            Sample::Normal(vec![35]),
        ];
        let name = format!("matmul bias {}", activation.name());
        cases.push(Case::new(name, op, inputs).gradient(&[0, 1, 2]));
    }
    // Tall enough for the CPU device's own kernel.
    let tall = [(false, false, 24, 40), (false, true, 24, 9), (true, false, 40, 70)];
    for (transpose_a, transpose_b, columns, n) in tall {
        let (m, k) = if transpose_a { (columns, 4099) } else { (4099, columns) };
        let name = format!("matmul tall {columns}x{n} a{transpose_a} b{transpose_b}");
        let case = product_case(name, (m, n, k), (transpose_a, transpose_b));
        cases.push(case.tolerance(5e-6));
    }
    // 4,099 terms per sum: rounding grows with the square root of their number.
    let split = Matmul { transpose_a: true, bias: true, ..Matmul::default() };
    let inputs = vec![
        Sample::Normal(vec![4099, 40]),
        Sample::Normal(vec![4099, 70]),
        Sample::Normal(vec![70]),
    ];
    cases.push(Case::new("matmul split k", split.clone(), inputs.clone()).tolerance(5e-6));
    let halves = Case::new("matmul split k halves", split, inputs);
    cases.push(halves.half(&[0, 1]).tolerance(5e-6));
    // Extents that every matrix unit divides; the last product in parts.
    for (m, n, k) in [(32, 96, 48), (160, 32, 1040)] {
        for transposes in TRANSPOSES {
            let name = format!("matmul halves {}", described((m, n, k), transposes));
            let case = product_case(name, (m, n, k), transposes);
            cases.push(case.half(&[0, 1]).tolerance(5e-6));
        }
    }
    let matrices = || vec![Sample::Normal(vec![65, 17]), Sample::Normal(vec![17, 33])];
    cases.push(Case::new("matmul half a", Matmul::default(), matrices()).half(&[0]));
    cases.push(Case::new("matmul half b", Matmul::default(), matrices()).half(&[1]));
    // Values rounded to half precision have an error of half of 2^-10.
    let to_half = Matmul { output: DType::F16, ..Matmul::default() };
    cases.push(Case::new("matmul to half", to_half, matrices()).tolerance(1e-3));
    cases
}
