//! Ops on column ranges, which are ranges of the last axis: concatenation and slicing.

use crate::common::{arity, ensure, threads};
use crate::{Case, Definition, Fill, Sample};
use rnn_graph::{
    Cost, Graph, Io, Launch, Limits, Op, OpError, Operand, Operands, Real, Shader, Signature,
    TensorId, TensorType, Work,
};

/// WGSL module of [`Concat`] and [`Columns`] (`shaders/columns.wgsl`).
pub static SHADER: Shader =
    Shader::new("columns", &[rnn_shaders::shared::ELEMENTWISE, rnn_shaders::COLUMNS]);

/// Returns a launch that copies columns of an operand to columns of the only output.
fn launch(
    input: usize,
    (x, x_start): (&TensorType, usize),
    (out, out_start): (&TensorType, usize),
    width: usize,
) -> Result<Launch, OpError> {
    let count = out.shape.rows() * width;
    Ok(Launch::new(&SHADER, "copy_columns", threads(count)?)
        .bind("x", Operand::Input(input))
        .bind("out", Operand::Output(0))
        .param("count", count)
        .param("width", width)
        .param("x_columns", x.shape.last())
        .param("out_columns", out.shape.last())
        .param("x_start", x_start)
        .param("out_start", out_start))
}

fn with_last(ty: &TensorType, width: usize) -> Result<TensorType, OpError> {
    let (_, rows) = ty.dims().split_last().ok_or_else(|| OpError::shape("a scalar"))?;
    Ok(TensorType::f32([rows, &[width]].concat()))
}

/// Concatenates tensors along the last axis. Inputs: one or more tensors `[.., F1]`, `[.., F2]`,
/// .., with equal leading axes. Output: `[.., F1 + F2 + ..]`.
#[derive(Clone, Debug)]
pub struct Concat;

impl Definition for Concat {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let columns = io.signature.outputs[0].shape.last();
        let mut start = 0;
        for (i, ty) in io.signature.inputs.iter().enumerate() {
            let (x, width) = (io.input(i), ty.shape.last());
            let rows = io.output().chunks_exact_mut(columns);
            for (out, x) in rows.zip(x.chunks_exact(width)) {
                out[start..start + width].copy_from_slice(x);
            }
            start += width;
        }
    }
}

impl Op for Concat {
    fn name(&self) -> &'static str {
        "concat"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let first = inputs.first().ok_or_else(|| OpError::shape("nothing to put together"))?;
        let rows = |ty: &TensorType| ty.dims().split_last().map(|(_, rows)| rows.to_vec());
        for ty in inputs {
            ensure(rows(ty) == rows(first), || format!("{ty} beside {first}"))?;
        }
        Ok(vec![with_last(first, inputs.iter().map(|ty| ty.shape.last()).sum())?])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let (mut launches, mut start) = (Vec::new(), 0);
        for (i, x) in s.inputs.iter().enumerate() {
            let width = x.shape.last();
            launches.push(launch(i, (x, 0), (&s.outputs[0], start), width)?);
            start += width;
        }
        Ok(launches.into())
    }

    fn backward(
        &self,
        graph: &mut Graph,
        operands: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let Some(g) = gradients[0] else { return Ok(vec![None; operands.inputs.len()]) };
        let mut start = 0;
        let mut part = |&input: &TensorId| {
            let width = graph.shape(input).last();
            start += width;
            Ok(Some(graph.apply(Columns { start: start - width, width }, &[g])?))
        };
        operands.inputs.iter().map(&mut part).collect()
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 0, bytes: s.bytes() }
    }
}

/// Returns the columns `start..start + width` of the last axis. Input: x `[.., F]`, where F is at
/// least `start + width`. Output: `[.., width]`.
#[derive(Clone, Debug)]
pub struct Columns {
    /// Index of the first column, from 0 on.
    pub start: usize,
    /// Number of columns, 1 or more.
    pub width: usize,
}

impl Definition for Columns {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let (x, columns) = (io.input(0), io.signature.inputs[0].shape.last());
        let rows = x.chunks_exact(columns);
        for (out, x) in io.output().chunks_exact_mut(self.width).zip(rows) {
            out.copy_from_slice(&x[self.start..self.start + self.width]);
        }
    }
}

impl Op for Columns {
    fn name(&self) -> &'static str {
        "columns"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [x] = arity(inputs)?;
        let fits = self.width > 0 && self.start + self.width <= x.shape.last();
        ensure(fits, || format!("{self:?} of {x}"))?;
        Ok(vec![with_last(x, self.width)?])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        Ok(launch(0, (&s.inputs[0], self.start), (&s.outputs[0], 0), self.width)?.into())
    }

    fn backward(
        &self,
        graph: &mut Graph,
        operands: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let Some(g) = gradients[0] else { return Ok(vec![None]) };
        let x = graph[operands.inputs[0]].ty.clone();
        let mut zeros = |width: usize| {
            let shape = with_last(&x, width)?.shape;
            let zeros = (width > 0).then(|| graph.apply(Fill { shape, value: 0.0 }, &[]));
            Ok::<_, OpError>(zeros.transpose()?)
        };
        let before = zeros(self.start)?;
        let after = zeros(x.shape.last() - self.start - self.width)?;
        let parts: Vec<TensorId> = [before, Some(g), after].into_iter().flatten().collect();
        Ok(vec![Some(graph.apply(Concat, &parts)?)])
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 0, bytes: 2 * 4 * s.outputs[0].len() as u64 }
    }
}

/// Returns the test cases of [`Concat`] and [`Columns`], for [`suite`](crate::suite).
pub fn cases() -> Vec<Case> {
    let normal = |shape: [usize; 3]| Sample::Normal(shape.to_vec());
    vec![
        Case::new("concat two", Concat, vec![normal([4, 3, 5]), normal([4, 3, 7])])
            .gradient(&[0, 1]),
        Case::new("concat one", Concat, vec![normal([2, 3, 5])]).gradient(&[0]),
        Case::new("columns in the middle", Columns { start: 2, width: 3 }, vec![normal([4, 3, 7])])
            .gradient(&[0]),
        Case::new("columns all", Columns { start: 0, width: 7 }, vec![normal([4, 3, 7])])
            .gradient(&[0]),
    ]
}
