pub mod sort_tokens;

use crate::common::{arity, dims, ensure, threads};
use crate::{Case, Definition, Sample, SortTokens};
use rnn_core::DType;
use rnn_graph::{
    Cost, Graph, Io, Launch, Limits, Op, OpError, Operand, Operands, Real, Shader, Signature,
    TensorId, TensorType, Work, iterations,
};
use rnn_shaders::embedding::EMBEDDING;
use rnn_shaders::shared::{ELEMENTWISE, STORAGE_F16, STORAGE_F32};

/// WGSL module of [`Embedding`] and [`EmbeddingBackward`] over tensors of single precision
/// (`shaders/embedding/embedding.wgsl`).
pub static SHADER: Shader = Shader::new("embedding", &[STORAGE_F32, ELEMENTWISE, EMBEDDING]);
/// WGSL module of [`Embedding`] and [`EmbeddingBackward`] over tensors of half precision
/// (`shaders/embedding/embedding.wgsl`).
pub static OF_HALVES: Shader =
    Shader::new("embedding_half", &[STORAGE_F16, ELEMENTWISE, EMBEDDING]);

/// Returns the module for tables of this element type.
fn shader(rows: &TensorType) -> &'static Shader {
    if rows.dtype == DType::F16 { &OF_HALVES } else { &SHADER }
}

/// Sorted positions per window, the share of one thread in the gradient.
const WINDOW: usize = rnn_shaders::constant(EMBEDDING, "WINDOW");

/// out[.., :] = table[tokens[..], :] (keras/src/layers/core/embedding.py). Inputs: tokens u32 of
/// any shape S; table `[V, E]`. Output: `S + [E]`, of the table's element type. Each token must be
/// below V; the caller checks that.
#[derive(Clone, Debug)]
pub struct Embedding;

impl Definition for Embedding {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let (tokens, table, width) = (io.uints(0), io.input(1), io.dims(1)[1]);
        for (row, &token) in io.output().chunks_exact_mut(width).zip(tokens) {
            let at = token as usize * width;
            row.copy_from_slice(&table[at..at + width]);
        }
    }
}

impl Op for Embedding {
    fn name(&self) -> &'static str {
        "embedding"
    }

    fn takes_half(&self) -> bool {
        true
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [tokens, table] = arity(inputs)?;
        let [_, width] = dims(table)?;
        ensure(tokens.dtype == DType::U32, || format!("tokens are {tokens}, not integers"))?;
        let mut shape = tokens.dims().to_vec();
        shape.push(width);
        Ok(vec![TensorType { shape: shape.into(), dtype: table.dtype }])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let [vocabulary, width] = dims(&s.inputs[1])?;
        let count = s.outputs[0].len();
        Ok(Launch::new(shader(&s.inputs[1]), "gather", threads(count)?)
            .bind("tokens", Operand::Input(0))
            .bind("rows", Operand::Input(1))
            .bind("gathered", Operand::Output(0))
            .param("count", count)
            .param("positions", s.inputs[0].len())
            .param("vocabulary", vocabulary)
            .param("width", width)
            .into())
    }

    fn backward(
        &self,
        graph: &mut Graph,
        operands: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let Some(g) = gradients[0] else { return Ok(vec![None, None]) };
        let (tokens, table) = (operands.inputs[0], operands.inputs[1]);
        let [vocabulary, _] = dims(&graph[table].ty)?;
        let sorted = graph.push(SortTokens { vocabulary }, &[tokens])?;
        let inputs = [tokens, g, sorted[0], sorted[1]];
        let d_table = graph.apply(EmbeddingBackward { vocabulary }, &inputs)?;
        Ok(vec![None, Some(d_table)])
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 0, bytes: 4 * (s.inputs[0].words() + 2 * s.outputs[0].words()) as u64 }
    }
}

/// Gradient of the table of an [`Embedding`]: d_table[v, :] is the sum of d_out over the positions
/// of token v, in ascending order.
///
/// Inputs: tokens u32 of shape S; d_out `S + [E]`; order `[N]` and starts `[V + 1]`, both u32,
/// which [`SortTokens`] returns for these N tokens. Output: d_table `[V, E]`, in single precision.
#[derive(Clone, Debug)]
pub struct EmbeddingBackward {
    /// V, the number of rows of the table.
    pub vocabulary: usize,
}

impl Definition for EmbeddingBackward {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let (tokens, d_out, width) =
            (io.uints(0), io.input(1), io.signature.inputs[1].shape.last());
        let d_table = io.output();
        d_table.fill(F::zero());
        for (&token, row) in tokens.iter().zip(d_out.chunks_exact(width)) {
            let at = token as usize * width;
            for (sum, &g) in d_table[at..at + width].iter_mut().zip(row) {
                *sum = *sum + g;
            }
        }
    }
}

impl Op for EmbeddingBackward {
    fn name(&self) -> &'static str {
        "embedding_backward"
    }

    fn takes_half(&self) -> bool {
        true
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [tokens, d_out, order, starts] = arity(inputs)?;
        let n = tokens.len();
        ensure(d_out.shape.rows() == n && order.len() == n, || {
            format!("{n} tokens, {d_out}, {order}")
        })?;
        ensure(starts.len() == self.vocabulary + 1, || format!("starts is {starts}"))?;
        Ok(vec![TensorType::f32([self.vocabulary, d_out.shape.last()])])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let (positions, width) = (s.inputs[0].len(), s.inputs[1].shape.last());
        let windows = positions.div_ceil(WINDOW);
        // A thread sums whole windows, and the positions of a partial window at either end.
        let launch = |entry, count: usize| -> Result<Launch, OpError> {
            Ok(Launch::new(shader(&s.inputs[1]), entry, threads(count)?)
                .iterations(iterations(windows, 0) + 4 * iterations(2 * WINDOW, 0))
                .bind("rows", Operand::Input(1))
                .bind("order", Operand::Input(2))
                .param("count", count)
                .param("positions", positions)
                .param("vocabulary", self.vocabulary)
                .param("width", width))
        };
        let sum_windows = launch("sum_windows", windows * width)?
            .bind("tokens", Operand::Input(0))
            .bind("out", Operand::Scratch(0));
        let sum_tokens = launch("sum_tokens", self.vocabulary * width)?
            .bind("starts", Operand::Input(3))
            .bind("windows", Operand::Scratch(0))
            .bind("out", Operand::Output(0));
        Ok(Work { scratch: vec![windows * width], launches: vec![sum_windows, sum_tokens] })
    }

    not_differentiable!();

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: s.inputs[1].len() as u64, bytes: s.bytes() }
    }
}

/// Returns the test cases of [`Embedding`] and [`EmbeddingBackward`], for [`suite`](crate::suite).
pub fn cases() -> Vec<Case> {
    let embed = |n: usize, v: usize, e: usize| {
        let inputs = vec![Sample::Below(vec![n], v as u32), Sample::Normal(vec![v, e])];
        Case::new(format!("embedding {n} of {v}x{e}"), Embedding, inputs).gradient(&[1])
    };
    // The gradient of 700 positions, most of which hold one token, as padding does.
    let tokens: Vec<u32> = (0..700).map(|i| if i % 9 == 0 { i % 5 } else { 2 }).collect();
    let mut order: Vec<u32> = (0..700).collect();
    order.sort_by_key(|&p| tokens[p as usize]);
    let starts =
        (0..=6).map(|v| order.iter().filter(|&&p| tokens[p as usize] < v).count() as u32).collect();
    let inputs = vec![
        Sample::Exactly(vec![700], tokens),
        Sample::Normal(vec![700, 33]),
        Sample::Exactly(vec![700], order),
        Sample::Exactly(vec![7], starts),
    ];
    vec![
        embed(1, 1, 1),
        embed(21, 11, 5),
        embed(130, 50, 32),
        Case { differentiable: vec![], ..embed(21, 11, 5) }.half(&[1]).named(" half"),
        Case::new("embedding backward padded", EmbeddingBackward { vocabulary: 6 }, inputs.clone()),
        Case::new("embedding backward half", EmbeddingBackward { vocabulary: 6 }, inputs)
            .half(&[1]),
    ]
}
