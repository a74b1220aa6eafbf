//! The layers, with Keras's names and defaults.

/// The three arguments of Keras's layers for one of their weights.
macro_rules! weight_arguments {
    ($field:ident, $initializer:ident, $regularizer:ident, $constraint:ident) => {
        /// Replaces the first values.
        pub fn $initializer(mut self, initializer: crate::Initializer) -> Self {
            self.$field.initializer = initializer;
            self
        }

        /// Adds its size to the loss.
        pub fn $regularizer(mut self, regularizer: rnn_ops::Penalty) -> Self {
            self.$field.regularizer = Some(regularizer);
            self
        }

        /// Brings it back after each step.
        pub fn $constraint(mut self, constraint: rnn_ops::Constraint) -> Self {
            self.$field.constraint = Some(constraint);
            self
        }
    };
}

mod activation;
mod axes;
mod bidirectional;
mod boxed;
mod cell;
mod cells;
mod conv;
mod conv_lstm;
mod core;
mod embedding;
mod merging;
mod normalization;
mod pool;
mod recurrent;
mod reshaping;
mod spatial;

pub use activation::OutputActivation;
pub use bidirectional::{Bidirectional, Merge};
pub use cell::{Cell, CellShapes, Scan};
pub use cells::{Gru, GruCell, Lstm, LstmCell, SimpleRnn, SimpleRnnCell};
pub use conv::{Conv, Conv1D, Conv2D, Conv3D};
pub use conv_lstm::{ConvLstm1D, ConvLstm2D, ConvLstm3D, ConvLstmCell};
pub use core::{Dense, Dropout, Masking, Softmax, SpatialDropout1D, TimeDistributed};
pub use embedding::Embedding;
pub use merging::{Add, Average, Concatenate, Elementwise, Multiply, Subtract};
pub(crate) use normalization::ZERO_DEBIAS;
pub use normalization::{BatchNormalization, LayerNormalization};
pub use pool::{
    AveragePooling1D, AveragePooling2D, AveragePooling3D, GlobalAveragePooling1D,
    GlobalAveragePooling2D, GlobalAveragePooling3D, GlobalMaxPooling1D, GlobalMaxPooling2D,
    GlobalMaxPooling3D, MaxPooling1D, MaxPooling2D, MaxPooling3D, Pooling,
};
pub use recurrent::{Recurred, Recurrent};
pub use reshaping::{Flatten, Reshape, UpSampling, UpSampling1D, UpSampling2D, UpSampling3D};
pub use spatial::PerAxis;

use crate::config::{Arguments, ConfigError};
use crate::{Initializer, Precision};
use dyn_clone::DynClone;
use rnn_core::{DType, Shape};
use rnn_graph::{Graph, GraphError, OpError, TensorId};
use rnn_ops::{self as ops, Constraint, Fill, Penalty, Scale};
use std::collections::VecDeque;

/// A weight that a layer asks for.
#[derive(Clone, Debug)]
pub struct Weight {
    /// Its name within the layer, as Keras calls it.
    pub name: String,
    /// The part of the layer that holds it, as Keras names its attributes: `cell`,
    /// `forward_layer/cell`; empty for the layer itself.
    pub owner: String,
    /// The extents.
    pub shape: Vec<usize>,
    /// Its first values and what holds it.
    pub arguments: WeightArguments,
    /// Gradients move it; else it is the layer itself that does.
    pub trained: bool,
}

/// How a weight begins, and what holds it.
#[derive(Clone, Debug)]
pub struct WeightArguments {
    /// Its first values.
    pub initializer: Initializer,
    /// What its size adds to the loss.
    pub regularizer: Option<Penalty>,
    /// What it is brought back to after each step.
    pub constraint: Option<Constraint>,
}

impl From<Initializer> for WeightArguments {
    fn from(initializer: Initializer) -> Self {
        Self { initializer, regularizer: None, constraint: None }
    }
}

impl Weight {
    pub(crate) fn new(name: &str, shape: &[usize], arguments: &WeightArguments) -> Self {
        let (name, shape) = (name.into(), shape.to_vec());
        let (owner, arguments) = (String::new(), arguments.clone());
        Self { name, owner, shape, arguments, trained: true }
    }

    /// The same, held by a part of the layer.
    pub(crate) fn of(self, part: &str) -> Self {
        let owner = match self.owner.as_str() {
            "" => part.to_owned(),
            inner => format!("{part}/{inner}"),
        };
        Self { owner, ..self }
    }

    /// The same, moved by the layer alone.
    pub(crate) fn not_trained(self) -> Self {
        Self { trained: false, ..self }
    }
}

/// A layer that does not fit what stands before it.
#[derive(Debug, thiserror::Error)]
#[error("{layer} takes {expected}, got {found} (without the batch axis)")]
pub struct LayerError {
    pub(crate) layer: &'static str,
    pub(crate) expected: &'static str,
    pub(crate) found: String,
}

impl LayerError {
    pub(crate) fn new(layer: &'static str, expected: &'static str, found: &[usize]) -> Self {
        Self { layer, expected, found: format!("{found:?}") }
    }

    /// The same for a layer of several inputs.
    pub(crate) fn of(layer: &'static str, expected: &'static str, found: &[&[usize]]) -> Self {
        Self { layer, expected, found: format!("{found:?}") }
    }
}

/// What a layer makes of masks, as its `compute_mask` says in Keras 3.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MaskFlow {
    /// That of the first input is that of the first output.
    Passes,
    /// There is none behind it.
    Ends,
    /// Masks tokens 0.
    Tokens,
    /// Masks steps whose features all equal this.
    Steps(f32),
    /// A step takes part where it does in one of the inputs; without a mask if one has none.
    Either,
    /// The same of features that are put side by side, where an input without a mask has all steps.
    SideBySide,
    /// The masks of sequences one behind the other.
    OneBehindTheOther,
}

/// What flows from layer to layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value {
    /// The values; of a sequence `[T, B, ..]`.
    pub tensor: TensorId,
    /// Which rows take part in which steps, u32 `[T, B]`; all, where there is none.
    pub mask: Option<TensorId>,
}

impl From<TensorId> for Value {
    fn from(tensor: TensorId) -> Self {
        Self { tensor, mask: None }
    }
}

/// What a layer is built into.
pub struct ForwardContext<'a> {
    /// The graph that grows.
    pub graph: &'a mut Graph,
    /// The key of random numbers, during training.
    pub random: Option<TensorId>,
    /// The layer's name, unique in the model.
    pub name: String,
    /// Training does not change the layer; dropout acts all the same.
    pub frozen: bool,
    /// What the sizes of outputs add to the loss, each `[1]`.
    pub penalties: Vec<TensorId>,
    streams: u32,
    given_factors: VecDeque<TensorId>,
    reads_embedded: bool,
    precision: Precision,
}

impl<'a> ForwardContext<'a> {
    /// Builds into a graph; dropout acts if a key is given.
    pub fn new(graph: &'a mut Graph, random: Option<TensorId>) -> Self {
        Self {
            graph,
            random,
            name: String::new(),
            frozen: false,
            penalties: vec![],
            streams: 0,
            given_factors: VecDeque::new(),
            reads_embedded: false,
            precision: Precision::F32,
        }
    }

    /// Dropout factors that are taken in this order instead of random ones.
    pub fn given_factors(mut self, factors: impl Into<VecDeque<TensorId>>) -> Self {
        self.given_factors = factors.into();
        self
    }

    /// Stores sequences as the precision says.
    pub fn precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// What the sequences of a layer are stored as that knows half precision.
    pub(crate) fn sequences(&self) -> DType {
        match self.precision {
            Precision::F32 => DType::F32,
            Precision::Mixed => DType::F16,
        }
    }

    /// Lets every layer read what the embedding layer before it puts out.
    pub(crate) fn reads_embedded(mut self) -> Self {
        self.reads_embedded = true;
        self
    }

    /// The tokens and the table by which x was looked up, where the table has fewer rows than x:
    /// what is done to each row is then done to the table's instead.
    pub(crate) fn looked_up(&self, x: TensorId) -> Option<[TensorId; 2]> {
        let node = self.graph.producer(x).filter(|_| !self.reads_embedded)?;
        node.op.downcast::<ops::Embedding>()?;
        let &[tokens, table] = &node.operands.inputs[..] else { return None };
        let fewer = self.graph.shape(table).rows() < self.graph.shape(x).rows();
        fewer.then_some([tokens, table])
    }

    /// An operand that a layer does not take.
    pub(crate) fn misfit(&self, layer: &'static str, x: TensorId, expected: &str) -> GraphError {
        let reason = OpError::shape(format!("it takes {expected}"));
        GraphError { op: layer, operands: self.graph[x].ty.to_string(), reason }
    }

    /// Adds a penalty on a layer's output to the loss, for each example of the batch.
    pub(crate) fn regularize(
        &mut self,
        output: TensorId,
        regularizer: Option<&Penalty>,
    ) -> Result<(), GraphError> {
        let Some(regularizer) = regularizer else { return Ok(()) };
        let axes = self.graph.shape(output).dims();
        let batch = if axes.len() > 2 { axes[1] } else { axes[0] };
        let sum = self.graph.apply(regularizer.clone(), &[output])?;
        let mean = self.graph.apply(Scale(1.0 / batch as f32), &[sum])?;
        self.penalties.push(mean);
        Ok(())
    }

    /// Whether training changes what the layer keeps.
    pub(crate) fn trains(&self) -> bool {
        self.random.is_some() && !self.frozen
    }

    /// The key of random numbers, if it is training and the rate lies within 0..1.
    fn drops(&self, rate: f32) -> Option<TensorId> {
        self.random.filter(|_| rate > 0.0 && rate < 1.0)
    }

    /// x with elements dropped, if dropout acts.
    pub fn drop(&mut self, rate: f32, x: TensorId) -> Result<TensorId, GraphError> {
        let Some(random) = self.drops(rate) else { return Ok(x) };
        // Every use draws from a stream of its own.
        let layer = self.streams;
        self.streams += 1;
        self.graph.apply(ops::Dropout { rate, layer }, &[x, random])
    }

    /// Factors of 0 or 1 / (1 - rate), if dropout acts.
    pub fn drop_factors(
        &mut self,
        rate: f32,
        shape: impl Into<Shape>,
    ) -> Result<Option<TensorId>, GraphError> {
        if self.drops(rate).is_none() {
            return Ok(None);
        }
        if let Some(given) = self.given_factors.pop_front() {
            return self.graph.reshape(given, shape).map(Some);
        }
        let ones = self.graph.apply(Fill { shape: shape.into(), value: 1.0 }, &[])?;
        self.drop(rate, ones).map(Some)
    }
}

/// One layer of a model. Shapes are without the batch axis and in Keras's order; inside the graph
/// a sequence is time-major, `[T, B, F]`.
pub trait Layer: std::fmt::Debug + DynClone + Send + Sync {
    /// Keras's class name.
    fn class(&self) -> &'static str;

    /// The weights for an input of this shape; of several inputs it is the first.
    fn weights(&self, input: &[usize]) -> Result<Vec<Weight>, LayerError>;

    /// The shape of the output.
    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError>;

    /// Adds the layer's nodes; `weights` are in the order of [`Layer::weights`].
    fn forward(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        weights: &[TensorId],
    ) -> Result<Value, GraphError>;

    /// The shapes of all outputs for all inputs: one of each, unless the layer says otherwise.
    fn output_shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Vec<usize>>, LayerError> {
        match inputs {
            [input] => Ok(vec![self.output_shape(input)?]),
            _ => Err(LayerError::of(self.class(), "one input", inputs)),
        }
    }

    /// Adds the layer's nodes for all inputs and returns all outputs.
    fn forward_all(
        &self,
        cx: &mut ForwardContext<'_>,
        inputs: &[Value],
        weights: &[TensorId],
    ) -> Result<Vec<Value>, GraphError> {
        inputs.iter().map(|&input| self.forward(cx, input, weights)).collect()
    }

    /// The number of token ids that the layer accepts, if it takes token ids.
    fn vocabulary(&self) -> Option<usize> {
        None
    }

    /// The layer applied to each step of a sequence `[T, B, ..]` by itself, one after the other,
    /// where that is something else than all steps as one batch of examples.
    fn steps(
        &self,
        _: &mut ForwardContext<'_>,
        _: Value,
        _: &[TensorId],
    ) -> Result<Option<Value>, GraphError> {
        Ok(None)
    }

    /// Whether what the layer makes of an example during training depends on the others.
    fn sees_batch(&self) -> bool {
        false
    }

    /// What becomes of the masks of its inputs; nodes that the layer adds do the same.
    fn mask_flow(&self) -> MaskFlow {
        MaskFlow::Passes
    }

    /// Whether several inputs are one argument, a list, to Keras.
    fn merges(&self) -> bool {
        false
    }

    /// Keras's names of the layer's arguments: replaces them by those of a description, or says
    /// what they are.
    ///
    /// # Errors
    /// If one of them is not supported; without this method, always.
    fn arguments(&mut self, arguments: &mut Arguments<'_>) -> Result<(), ConfigError> {
        Err(ConfigError::Foreign {
            owner: arguments.owner().to_owned(),
            what: format!("{} does not say its arguments", self.class()),
        })
    }
}

dyn_clone::clone_trait_object!(Layer);
