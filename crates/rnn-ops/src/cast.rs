use crate::common::{arity, ensure, threads};
use crate::{Case, Definition, Sample};
use rnn_core::DType;
use rnn_graph::{
    Cost, Graph, Io, Launch, Limits, Op, OpError, Operand, Operands, Real, Shader, Signature,
    TensorId, TensorType, Work,
};
use rnn_shaders::{CAST, shared::ELEMENTWISE};

/// WGSL module of [`Cast`] from single to half precision (`shaders/cast.wgsl`).
pub static NARROW: Shader = Shader::new(
    "cast_narrow",
    &["enable f16;\nalias From = f32;\nalias To = f16;", ELEMENTWISE, CAST],
);
/// WGSL module of [`Cast`] from half to single precision (`shaders/cast.wgsl`).
pub static WIDEN: Shader = Shader::new(
    "cast_widen",
    &["enable f16;\nalias From = f16;\nalias To = f32;", ELEMENTWISE, CAST],
);

/// y = x converted to the other float precision, which the field names. [`DType::F16`] rounds
/// single-precision x to the nearest half-precision value; [`DType::F32`] converts half-precision x
/// exactly. Input and output: any shape.
#[derive(Clone, Debug)]
pub struct Cast(pub DType);

/// Returns a launch that rounds `count` elements to half precision.
///
/// # Errors
/// Fails if the grid exceeds WebGPU's limits.
pub(crate) fn narrow(from: Operand, to: Operand, count: usize) -> Result<Launch, OpError> {
    launch(&NARROW, from, to, count)
}

fn launch(
    shader: &'static Shader,
    from: Operand,
    to: Operand,
    count: usize,
) -> Result<Launch, OpError> {
    let launch = Launch::new(shader, "convert", threads(count)?).bind("x", from).bind("out", to);
    Ok(launch.param("count", count))
}

impl Definition for Cast {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let x = io.input(0);
        io.output().copy_from_slice(x);
    }
}

impl Op for Cast {
    fn name(&self) -> &'static str {
        "cast"
    }

    fn takes_half(&self) -> bool {
        true
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [x] = arity(inputs)?;
        let kinds = [x.dtype, self.0];
        ensure(kinds == [DType::F32, DType::F16] || kinds == [DType::F16, DType::F32], || {
            format!("{x} to {}", self.0)
        })?;
        Ok(vec![x.of(self.0)])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let shader = if self.0 == DType::F16 { &NARROW } else { &WIDEN };
        Ok(launch(shader, Operand::Input(0), Operand::Output(0), s.outputs[0].len())?.into())
    }

    fn backward(
        &self,
        graph: &mut Graph,
        operands: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let Some(g) = gradients[0] else { return Ok(vec![None]) };
        let dtype = graph[operands.inputs[0]].ty.dtype;
        match graph[g].ty.dtype == dtype {
            true => Ok(vec![Some(g)]),
            false => Ok(vec![Some(graph.apply(Cast(dtype), &[g])?)]),
        }
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 0, bytes: s.bytes() }
    }
}

/// Returns the test cases of [`Cast`], for [`suite`](crate::suite).
pub fn cases() -> Vec<Case> {
    // Widening is exact; rounding to half precision loses half of 2^-10.
    let case = |n: usize| {
        let x = vec![Sample::Normal(vec![n])];
        let widened = Case::new(format!("cast {n} widened"), Cast(DType::F32), x.clone());
        let narrowed = Case::new(format!("cast {n} narrowed"), Cast(DType::F16), x);
        [widened.half(&[0]), narrowed.tolerance(1e-3)]
    };
    [1, 7, 1000].into_iter().flat_map(case).collect()
}
