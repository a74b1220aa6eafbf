use crate::common::{arity, ensure};
use crate::{Binary, Case, Definition, Fill, Sample};
use rnn_core::DType;
use rnn_graph::{
    Cost, Graph, Grid, Io, Launch, Limits, Op, OpError, Operand, Operands, Real, Shader, Signature,
    TensorId, TensorType, Work, iterations,
};
use rnn_shaders::SUM_ROWS;
use rnn_shaders::shared::{STORAGE_F16, STORAGE_F32};

/// WGSL module of [`SumRows`] over tensors of single precision (`shaders/sum_rows.wgsl`).
pub static SHADER: Shader = Shader::new("sum_rows", &[STORAGE_F32, SUM_ROWS]);
/// WGSL module of [`SumRows`] over tensors of half precision (`shaders/sum_rows.wgsl`).
pub static OF_HALVES: Shader = Shader::new("sum_rows_half", &[STORAGE_F16, SUM_ROWS]);

/// Columns per workgroup.
const COLUMNS: usize = rnn_shaders::constant(SUM_ROWS, "COLUMNS");

/// Sum over all leading axes: y_n = sum of x[.., n]. It is the gradient of a bias. Input: x
/// `[.., N]`, of single or half precision. Output: y `[N]`, in single precision.
#[derive(Clone, Debug)]
pub struct SumRows;

impl Definition for SumRows {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let (x, width) = (io.input(0), io.signature.inputs[0].shape.last());
        let out = io.output();
        out.fill(F::zero());
        for row in x.chunks_exact(width) {
            for (sum, &x) in out.iter_mut().zip(row) {
                *sum = *sum + x;
            }
        }
    }
}

impl Op for SumRows {
    fn name(&self) -> &'static str {
        "sum_rows"
    }

    fn takes_half(&self) -> bool {
        true
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [x] = arity(inputs)?;
        ensure(x.shape.rank() >= 1, || "a scalar has no rows".into())?;
        Ok(vec![TensorType::f32([x.shape.last()])])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let (rows, columns) = (s.inputs[0].shape.rows(), s.inputs[0].shape.last());
        let sum = |from, to, rows: usize, rows_per_part: usize| -> Result<Launch, OpError> {
            let grid = Grid::new(columns.div_ceil(COLUMNS), rows.div_ceil(rows_per_part), 1)?;
            let half = from == Operand::Input(0) && s.inputs[0].dtype == DType::F16;
            let shader = if half { &OF_HALVES } else { &SHADER };
            Ok(Launch::new(shader, "sum_part", grid)
                .iterations(iterations(rows_per_part, 0))
                .bind("x", from)
                .bind("out", to)
                .param("rows", rows)
                .param("columns", columns)
                .param("rows_per_part", rows_per_part))
        };
        let (x, out, partial) = (Operand::Input(0), Operand::Output(0), Operand::Scratch(0));
        if rows <= 128 {
            return Ok(sum(x, out, rows, rows.max(1))?.into());
        }
        // Both passes have about the same length.
        let rows_per_part = (rows as f64).sqrt().ceil() as usize;
        let parts = rows.div_ceil(rows_per_part);
        Ok(Work {
            scratch: vec![parts * columns],
            launches: vec![sum(x, partial, rows, rows_per_part)?, sum(partial, out, parts, parts)?],
        })
    }

    fn backward(
        &self,
        graph: &mut Graph,
        operands: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let Some(g) = gradients[0] else { return Ok(vec![None]) };
        let shape = graph.shape(operands.inputs[0]).clone();
        let zeros = graph.apply(Fill { shape, value: 0.0 }, &[])?;
        Ok(vec![Some(graph.apply(Binary::Add, &[zeros, g])?)])
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: s.inputs[0].len() as u64, bytes: s.bytes() }
    }
}

/// Returns the test cases of [`SumRows`], for [`suite`](crate::suite).
pub fn cases() -> Vec<Case> {
    let case = |name: &str, rows, columns| {
        let x = Sample::Normal(vec![rows, columns]);
        Case::new(format!("sum rows{name} {rows}x{columns}"), SumRows, vec![x])
    };
    let sizes = [(1, 1), (7, 65), (127, 31), (129, 128), (1000, 3)];
    let mut cases: Vec<Case> =
        sizes.iter().map(|&(rows, columns)| case("", rows, columns).gradient(&[0])).collect();
    cases.push(case(" half", 7, 65).half(&[0]));
    cases.push(case(" half", 300, 33).half(&[0]));
    cases
}
