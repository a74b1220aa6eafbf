//! Keras's operations on tensors (`keras.ops`) as layers: what a functional model computes between
//! its layers, such as `x[:, -1]` and `1 - x`.
//!
//! Axes are counted as in Keras, which counts the batch as axis 0. No operation takes that axis
//! apart. An operation has no mask, whatever its inputs have. Truth is 1, its opposite 0, and whole
//! numbers are floats.

mod arithmetic;
mod axis_arguments;
mod joining;
mod laid;
mod operand;
mod pointwise;
mod product;
mod reduction;
mod selection;
mod shaping;
mod slicing;

pub(super) use laid::{merged, merged_shape};
pub(crate) use operand::{OPERANDS, is_tensor};

use super::{LayerEntry, LayerTable};
use crate::layer::{Arguments, ForwardContext, MaskFlow, Value};
use crate::onnx::{ExportError, OnnxContext};
use crate::{ConfigError, Layer, LayerError};
use laid::Laid;
use operand::Operands;
use rnn_formats::onnx::ValueName;
use rnn_graph::{Graph, GraphError, TensorId, TensorType};
use std::sync::LazyLock;

/// An operation of each class by Keras's name. Layers have some of these names too.
pub(crate) static OPERATIONS: LazyLock<Vec<LayerEntry>> = LazyLock::new(|| {
    let tables: [&LayerTable; 8] = [
        arithmetic::TABLE,
        joining::TABLE,
        pointwise::TABLE,
        product::TABLE,
        reduction::TABLE,
        selection::TABLE,
        shaping::TABLE,
        slicing::TABLE,
    ];
    tables.concat()
});

/// Why an operation cannot be computed.
pub(super) enum Misfit {
    /// The inputs do not fit it.
    Inputs,
    Graph(GraphError),
}

impl From<GraphError> for Misfit {
    fn from(error: GraphError) -> Self {
        Self::Graph(error)
    }
}

/// What an operation computes.
trait Compute: std::fmt::Debug + Clone + Send + Sync + 'static {
    /// Keras's class.
    fn class(&self) -> &'static str;

    /// Keras's module of the class.
    fn module(&self) -> &'static str {
        "keras.src.ops.numpy"
    }

    /// The inputs that it takes, for messages.
    fn expected(&self) -> &'static str;

    /// Adds it to the graph of `cx`.
    fn compute(&self, cx: &mut ForwardContext<'_>, inputs: Vec<Laid>) -> Result<Vec<Laid>, Misfit>;

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError>;

    fn arguments(&mut self, _: &mut Arguments<'_>) -> Result<(), ConfigError> {
        Ok(())
    }

    /// The operands, if they need not be tensors.
    fn operands(&self) -> Option<&Operands> {
        None
    }

    /// True if Keras's operation takes its inputs as a list.
    fn merges(&self) -> bool {
        false
    }

    fn takes_tokens(&self) -> bool {
        false
    }

    fn vocabulary(&self) -> Option<usize> {
        None
    }
}

/// The layer of an operation.
#[derive(Clone, Debug)]
struct Operation<T>(T);

/// Any batch, of whose elements no operation makes another axis: a prime that no other extent is.
const SOME_BATCH: usize = 999_983;

impl<T: Compute> Layer for Operation<T> {
    fn class(&self) -> &'static str {
        self.0.class()
    }

    fn operation(&self) -> Option<&'static str> {
        Some(self.0.module())
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        let outputs = self.output_shapes(&[input])?;
        outputs.into_iter().next().ok_or_else(|| self.misfit(&[input]))
    }

    fn forward(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        weights: &[TensorId],
    ) -> Result<Value, GraphError> {
        let outputs = self.forward_all(cx, &[input], weights)?;
        let misfit = || cx.misfit(self.0.class(), input.tensor, self.0.expected());
        outputs.into_iter().next().ok_or_else(misfit)
    }

    /// The shapes are those of the tensors that are computed.
    fn output_shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Vec<usize>>, LayerError> {
        let mut graph = Graph::new();
        let tensor = |dims: &&[usize]| {
            let shape = [&[SOME_BATCH], *dims].concat();
            graph.input("input", TensorType::f32(shape))
        };
        let tensors: Vec<TensorId> = inputs.iter().map(tensor).collect();
        let mut cx = ForwardContext::new(&mut graph, None);
        let laid = tensors.into_iter().map(|tensor| Laid::in_order(&cx, tensor)).collect();
        let outputs = self.0.compute(&mut cx, laid).map_err(|_| self.misfit(inputs))?;
        let shapes = outputs.iter().map(|output| {
            let dims = output.dims(&cx);
            let (&batch, example) = dims.split_first()?;
            let batch_alone = example.iter().all(|extent| extent % SOME_BATCH != 0);
            (batch == SOME_BATCH && batch_alone).then(|| example.to_vec())
        });
        shapes.collect::<Option<Vec<_>>>().ok_or_else(|| self.misfit(inputs))
    }

    fn forward_all(
        &self,
        cx: &mut ForwardContext<'_>,
        inputs: &[Value],
        _: &[TensorId],
    ) -> Result<Vec<Value>, GraphError> {
        let laid = inputs.iter().map(|input| Laid::of(cx, input.tensor)).collect();
        let outputs = self.0.compute(cx, laid).map_err(|misfit| match misfit {
            Misfit::Graph(error) => error,
            Misfit::Inputs => cx.misfit(self.0.class(), inputs[0].tensor, self.0.expected()),
        })?;
        outputs.into_iter().map(|output| Ok(output.into_graph(cx)?.into())).collect()
    }

    fn vocabulary(&self) -> Option<usize> {
        self.0.vocabulary()
    }

    fn takes_tokens(&self) -> bool {
        self.0.takes_tokens() || self.0.vocabulary().is_some()
    }

    fn constants(&self) -> Vec<f32> {
        self.0.operands().map(Operands::constants).unwrap_or_default()
    }

    fn merges(&self) -> bool {
        self.0.merges()
    }

    fn mask_flow(&self) -> MaskFlow {
        MaskFlow::Ends
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        self.0.onnx(cx)
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        self.0.arguments(a)
    }
}

impl<T: Compute> Operation<T> {
    fn misfit(&self, inputs: &[&[usize]]) -> LayerError {
        LayerError::of(self.0.class(), self.0.expected(), inputs)
    }
}
