//! The graph that layers add their nodes to.

use crate::Precision;
use crate::resident::Resident;
use rnn_core::{DType, Shape};
use rnn_graph::{Graph, GraphError, OpError, TensorId, TensorType};
use rnn_ops::{self as ops, Fill, Penalty, Scale};
use std::collections::VecDeque;

/// A tensor between layers in the graph of a step, with its mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value {
    /// The tensor, `[B, F]`. If an example has more than one axis, its first axis stands before the
    /// batch B, as in `[T, B, F]` and `[H, B, W, C]`.
    pub tensor: TensorId,
    /// The mask of the steps, u32 `[T, B]`, 0 where a step is masked; `None` if no step is masked.
    pub mask: Option<TensorId>,
}

impl From<TensorId> for Value {
    fn from(tensor: TensorId) -> Self {
        Self { tensor, mask: None }
    }
}

/// The graph to which layers add their forward pass, with the options of the pass.
pub struct ForwardContext<'a> {
    /// The graph that grows.
    pub graph: &'a mut Graph,
    /// The key of random numbers in training, u32 `[4]`, as [`rnn_ops::Dropout`] takes it; `None`
    /// at inference, where dropout does not act.
    pub random: Option<TensorId>,
    /// The name of the layer that is called, unique in the model. It names the layer's states.
    pub name: String,
    /// True if training changes no weight and no moving average of the layer that is called, false
    /// otherwise. Dropout acts in both cases.
    pub frozen: bool,
    /// The terms that activity regularizers add to the loss, each `[1]`.
    pub penalties: Vec<TensorId>,
    streams: u32,
    given_factors: VecDeque<TensorId>,
    reads_embedded: bool,
    precision: Precision,
}

impl<'a> ForwardContext<'a> {
    /// Creates a context for `graph` in single precision. `random` is [`Self::random`]: dropout
    /// acts if it is given.
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

    /// Sets the tensors that [`Self::drop_factors`] returns, in this order, in place of random
    /// factors. Once they are used up, random factors follow. There are none by default.
    pub fn given_factors(mut self, factors: impl Into<VecDeque<TensorId>>) -> Self {
        self.given_factors = factors.into();
        self
    }

    /// Sets the precision in which recurrent layers store sequences; the default is
    /// [`Precision::F32`].
    pub fn precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// The type of the sequences of a layer that has kernels of half precision.
    pub(crate) fn sequences(&self) -> DType {
        match self.precision {
            Precision::F32 => DType::F32,
            Precision::Mixed => DType::F16,
        }
    }

    /// Makes every layer read the output of the embedding layer before it, instead of its table.
    pub(crate) fn reads_embedded(mut self) -> Self {
        self.reads_embedded = true;
        self
    }

    /// The tokens and the table from which x was looked up, if the table has fewer rows than x. An
    /// operation on each row is then applied to the table before the look-up.
    pub(crate) fn looked_up(&self, x: TensorId) -> Option<[TensorId; 2]> {
        let node = self.graph.producer(x).filter(|_| !self.reads_embedded)?;
        node.op.downcast::<ops::Embedding>()?;
        let &[tokens, table] = &node.operands.inputs[..] else { return None };
        let fewer = self.graph.shape(table).rows() < self.graph.shape(x).rows();
        fewer.then_some([tokens, table])
    }

    /// The state that the layer keeps between batches.
    pub(crate) fn kept_state(&mut self, shape: Shape) -> TensorId {
        let name = Resident::LayerState(self.name.clone()).to_string();
        self.graph.resident(&name, TensorType::f32(shape))
    }

    /// The numbers of [`Layer::constants`](crate::Layer::constants) of the layer that is called,
    /// `[len]`.
    pub(crate) fn constants(&mut self, len: usize) -> TensorId {
        let name = Resident::Constants(self.name.clone()).to_string();
        self.graph.resident(&name, TensorType::f32([len]))
    }

    /// The sum of the weights of the layer's moving averages, `[1]`.
    pub(crate) fn debias_weight(&mut self) -> TensorId {
        let name = Resident::DebiasWeight(self.name.clone()).to_string();
        self.graph.resident(&name, TensorType::f32([1]))
    }

    /// The error of an operand that a layer does not take.
    pub(crate) fn misfit(&self, layer: &'static str, x: TensorId, expected: &str) -> GraphError {
        let reason = OpError::shape(format!("it takes {expected}"));
        GraphError { op: layer, operands: self.graph[x].ty.to_string(), reason }
    }

    /// Adds a penalty on the output of a layer, divided by the number of examples, to the loss.
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

    /// Returns true if training changes the moving averages of the layer.
    pub(crate) fn trains(&self) -> bool {
        self.random.is_some() && !self.frozen
    }

    /// The key of random numbers, if it is training and the rate lies within 0..1.
    fn drops(&self, rate: f32) -> Option<TensorId> {
        self.random.filter(|_| rate > 0.0 && rate < 1.0)
    }

    /// Adds [`rnn_ops::Dropout`] of the fraction `rate` of x, of any shape, to the graph and
    /// returns the result, of the same shape. At inference, and if the rate is not between 0 and 1,
    /// returns x itself.
    ///
    /// # Errors
    /// Fails if x is not a tensor of floats.
    pub fn drop(&mut self, rate: f32, x: TensorId) -> Result<TensorId, GraphError> {
        let Some(random) = self.drops(rate) else { return Ok(x) };
        let layer = self.stream();
        self.graph.apply(ops::Dropout { rate, layer }, &[x, random])
    }

    /// Every use draws from a stream of its own.
    fn stream(&mut self) -> u32 {
        self.streams += 1;
        self.streams - 1
    }

    /// Adds [`rnn_ops::GaussianNoise`] on x, of any shape, to the graph and returns the result, of
    /// the same shape: x + `deviation` n, or x (1 + `deviation` n) if `multiplies` is true. At
    /// inference, and if the deviation is 0, returns x itself.
    ///
    /// # Errors
    /// Fails if x is not a tensor of floats, or the deviation is negative or not finite.
    pub fn noise(
        &mut self,
        deviation: f32,
        multiplies: bool,
        x: TensorId,
    ) -> Result<TensorId, GraphError> {
        let Some(random) = self.random.filter(|_| deviation != 0.0) else { return Ok(x) };
        let layer = self.stream();
        self.graph.apply(ops::GaussianNoise { deviation, multiplies, layer }, &[x, random])
    }

    /// Adds a tensor of the shape `shape` of random dropout factors, 0 with the probability `rate`,
    /// else 1 / (1 - rate), to the graph. Returns `None` at inference, and if the rate is not
    /// between 0 and 1.
    ///
    /// # Errors
    /// Fails if the next tensor of [`Self::given_factors`] has another number of elements.
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
