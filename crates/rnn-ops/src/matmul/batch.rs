use crate::common::{arity, dims, ensure, threads};
use crate::matmul::Extents;
use crate::{Case, Definition, Sample};
use rnn_graph::{
    Cost, Graph, Io, Launch, Limits, Op, OpError, Operand, Operands, Real, Shader, Signature,
    TensorId, TensorType, Work, iterations,
};

/// WGSL module of [`BatchMatmul`] (`shaders/matmul/batch_matmul.wgsl`).
pub static SHADER: Shader = Shader::new(
    "batch_matmul",
    &[rnn_shaders::shared::ELEMENTWISE, rnn_shaders::matmul::BATCH_MATMUL],
);

/// `y[i] = A[i] B[i]`, a product of two matrices for each item i of a batch.
///
/// ```text
/// y(i, m, n) = sum over k of A(i, m, k) B(i, k, n)
/// ```
///
/// Inputs: A `[I, M, K]`, or `[I, K, M]` if it is stored transposed; B `[I, K, N]`, or `[I, N, K]`
/// if it is. Output: y `[I, M, N]`. A matrix that all items share is multiplied by
/// [`Matmul`](crate::Matmul) instead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchMatmul {
    /// True if each A is stored as K x M, false if as M x K.
    pub transpose_a: bool,
    /// True if each B is stored as N x K, false if as K x N.
    pub transpose_b: bool,
}

impl BatchMatmul {
    /// The number of items, and the extents of each product.
    fn extents(&self, a: &TensorType, b: &TensorType) -> Result<(usize, Extents), OpError> {
        let ([items, m, k], [other, b_k, n]) = (dims(a)?, dims(b)?);
        let (m, k) = if self.transpose_a { (k, m) } else { (m, k) };
        let (b_k, n) = if self.transpose_b { (n, b_k) } else { (b_k, n) };
        ensure(items == other && k == b_k, || format!("{self:?} of {a} and {b}"))?;
        Ok((items, Extents { m, n, k }))
    }

    /// The steps in memory of A from row to row and from term to term, of B from term to term and
    /// from column to column.
    fn steps(&self, Extents { m, n, k }: Extents) -> [usize; 4] {
        let [a_row, a_term] = if self.transpose_a { [1, m] } else { [k, 1] };
        let [b_term, b_column] = if self.transpose_b { [1, k] } else { [n, 1] };
        [a_row, a_term, b_term, b_column]
    }
}

impl Definition for BatchMatmul {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let types = &io.signature.inputs;
        let Ok((_, extents)) = self.extents(&types[0], &types[1]) else { return };
        let Extents { m, n, k } = extents;
        let [a_row, a_term, b_term, b_column] = self.steps(extents);
        let (a, b) = (io.input(0), io.input(1));
        for (i, y) in io.output().iter_mut().enumerate() {
            let (item, row, column) = (i / (m * n), i / n % m, i % n);
            let (a, b) = (&a[item * m * k + row * a_row..], &b[item * k * n + column * b_column..]);
            *y = (0..k).map(|term| a[term * a_term] * b[term * b_term]).sum();
        }
    }
}

impl Op for BatchMatmul {
    fn name(&self) -> &'static str {
        "batch_matmul"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [a, b] = arity(inputs)?;
        let (items, Extents { m, n, .. }) = self.extents(a, b)?;
        Ok(vec![TensorType::f32([items, m, n])])
    }

    fn record(&self, s: &Signature, limits: &Limits) -> Result<Work, OpError> {
        let (_, extents) = self.extents(&s.inputs[0], &s.inputs[1])?;
        let Extents { m, n, k } = extents;
        let [a_row, a_term, b_term, b_column] = self.steps(extents);
        let count = s.outputs[0].len();
        let most = usize::try_from(limits.loop_iterations - 1).unwrap_or(usize::MAX).clamp(1, k);
        let launch = |first: usize| {
            let end = k.min(first + most);
            Ok(Launch::new(&SHADER, "batch_matmul", threads(count)?)
                .iterations(iterations(end - first, 0))
                .bind("a", Operand::Input(0))
                .bind("b", Operand::Input(1))
                .bind("out", Operand::Output(0))
                .param("count", count)
                .param("rows", m)
                .param("columns", n)
                .param("terms", k)
                .param("a_row", a_row)
                .param("a_term", a_term)
                .param("b_term", b_term)
                .param("b_column", b_column)
                .param("first_term", first)
                .param("end_term", end))
        };
        let launches: Result<Vec<_>, OpError> = (0..k).step_by(most).map(launch).collect();
        Ok(launches?.into())
    }

    /// dA = dy B', dB = A' dy; of what is stored transposed, the transpose.
    fn backward(
        &self,
        graph: &mut Graph,
        operands: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let Some(g) = gradients[0] else { return Ok(vec![None, None]) };
        let (a, b) = (operands.inputs[0], operands.inputs[1]);
        let mut product = |transpose_a, transpose_b, operands: [TensorId; 2]| {
            graph.apply(Self { transpose_a, transpose_b }, &operands)
        };
        let da = match self.transpose_a {
            false => product(false, !self.transpose_b, [g, b])?,
            true => product(self.transpose_b, true, [b, g])?,
        };
        let db = match self.transpose_b {
            false => product(!self.transpose_a, false, [a, g])?,
            true => product(true, self.transpose_a, [g, a])?,
        };
        Ok(vec![Some(da), Some(db)])
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        let terms = self.extents(&s.inputs[0], &s.inputs[1]).map_or(0, |(_, extents)| extents.k);
        Cost { flops: 2 * (terms * s.outputs[0].len()) as u64, bytes: s.bytes() }
    }
}

/// Returns the test cases of [`BatchMatmul`], for [`suite`](crate::suite).
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (transpose_a, transpose_b) in [(false, false), (false, true), (true, false), (true, true)] {
        for [items, m, n, k] in [[1, 1, 1, 1], [3, 5, 7, 4], [2, 33, 9, 17]] {
            let a = if transpose_a { vec![items, k, m] } else { vec![items, m, k] };
            let b = if transpose_b { vec![items, n, k] } else { vec![items, k, n] };
            let stored = |transposed| if transposed { "'" } else { "" };
            let (ta, tb) = (stored(transpose_a), stored(transpose_b));
            let name = format!("batch_matmul {items} of {m}x{k}{ta} by {k}x{n}{tb}");
            let op = BatchMatmul { transpose_a, transpose_b };
            let inputs = vec![Sample::Normal(a), Sample::Normal(b)];
            cases.push(Case::new(name, op, inputs).gradient(&[0, 1]));
        }
    }
    cases
}
