use crate::layer::{Arguments, ForwardContext, MaskFlow, Value};
use crate::onnx::{ExportError, OnnxContext};
use crate::{ConfigError, Layer, LayerError};
use rnn_formats::onnx::ValueName;
use rnn_graph::{GraphError, TensorId};
use rnn_ops::{Binary, Fill};

const EXPECTED: &str = "a vector [F]";

/// Repeats a vector as each of the N steps of a sequence: `[F]` -> `[N, F]`.
///
/// ```text
/// y(t, f) = x(f),  t = 0 .. N - 1
/// ```
///
/// A decoder takes it after an encoder's last output (keras/src/layers/reshaping/repeat_vector.py).
/// The sequence has no mask.
#[derive(Clone, Debug)]
pub struct RepeatVector {
    n: usize,
}

impl RepeatVector {
    /// Creates a layer that makes sequences of `n` steps, at least 1; 0 is refused when a model
    /// adds the layer.
    pub fn new(n: usize) -> Self {
        Self { n }
    }
}

impl Layer for RepeatVector {
    fn class(&self) -> &'static str {
        "RepeatVector"
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        match *input {
            [features] => Ok(vec![self.n, features]),
            _ => Err(LayerError::new("RepeatVector", EXPECTED, input)),
        }
    }

    /// A sum broadcasts its second operand along the leading axis, which is time.
    fn forward(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        _: &[TensorId],
    ) -> Result<Value, GraphError> {
        let &[batch, features] = cx.graph.shape(input.tensor).dims() else {
            return Err(cx.misfit("RepeatVector", input.tensor, EXPECTED));
        };
        let shape = [self.n, batch, features].into();
        let zeros = cx.graph.apply(Fill { shape, value: 0.0 }, &[])?;
        Ok(cx.graph.apply(Binary::Add, &[zeros, input.tensor])?.into())
    }

    fn mask_flow(&self) -> MaskFlow {
        MaskFlow::Ends
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let x = cx.x()?;
        let output = cx.output().to_vec();
        let step = cx.reshape(&x, &[&[1], output.get(1..).unwrap_or_default()].concat());
        let repeats = cx.graph.ints("repeats", &[1, self.n as i64, 1]);
        Ok(vec![cx.node("Tile", &[&step, &repeats], &[])])
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.required("n", &mut self.n)
    }
}
