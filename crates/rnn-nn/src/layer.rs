use crate::Initializer;
use rnn_graph::{Graph, GraphError, TensorId};
use rnn_ops::{self as ops, Activate, Activation, Matmul};

/// A weight that a layer asks for.
#[derive(Clone, Debug)]
pub struct Weight {
    /// Its name within the layer, as Keras calls it.
    pub name: &'static str,
    /// The extents.
    pub shape: Vec<usize>,
    /// Its first values.
    pub initializer: Initializer,
}

pub(crate) fn weight(name: &'static str, shape: &[usize], initializer: Initializer) -> Weight {
    Weight { name, shape: shape.to_vec(), initializer }
}

/// A layer that does not fit what stands before it.
#[derive(Debug, thiserror::Error)]
#[error("{layer} takes {expected}, got {found:?} (without the batch axis)")]
pub struct LayerError {
    pub(crate) layer: &'static str,
    pub(crate) expected: &'static str,
    pub(crate) found: Vec<usize>,
}

/// What a layer is built into.
pub struct Build<'a> {
    /// The graph that grows.
    pub graph: &'a mut Graph,
    /// Whether dropout acts; the key of its random numbers.
    pub random: Option<TensorId>,
    /// The layer's place in the model.
    pub index: u32,
}

/// One layer of a model. Shapes are without the batch axis and in Keras's order; inside the graph
/// a sequence is time-major, `[T, B, F]`.
pub trait Layer: std::fmt::Debug + Send + Sync {
    /// Keras's class name.
    fn class(&self) -> &'static str;

    /// The weights for an input of this shape.
    fn weights(&self, input: &[usize]) -> Result<Vec<Weight>, LayerError>;

    /// The shape of the output.
    fn output(&self, input: &[usize]) -> Result<Vec<usize>, LayerError>;

    /// Adds the layer's nodes; `weights` are in the order of [`Layer::weights`].
    fn build(
        &self,
        build: &mut Build<'_>,
        input: TensorId,
        weights: &[TensorId],
    ) -> Result<TensorId, GraphError>;

    /// The number of token ids that the layer accepts, if it takes token ids.
    fn vocabulary(&self) -> Option<usize> {
        None
    }
}

/// Rows of a table by token: `[T]` -> `[T, width]`.
#[derive(Clone, Debug)]
pub struct Embedding {
    vocabulary: usize,
    width: usize,
}

impl Embedding {
    /// A table of `vocabulary` rows, uniform within 0.05 at first.
    pub fn new(vocabulary: usize, width: usize) -> Self {
        Self { vocabulary, width }
    }
}

impl Layer for Embedding {
    fn class(&self) -> &'static str {
        "Embedding"
    }

    fn weights(&self, _: &[usize]) -> Result<Vec<Weight>, LayerError> {
        let uniform = Initializer::Uniform(-0.05, 0.05);
        Ok(vec![weight("embeddings", &[self.vocabulary, self.width], uniform)])
    }

    fn output(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        match *input {
            [steps] => Ok(vec![steps, self.width]),
            _ => Err(LayerError {
                layer: "Embedding",
                expected: "token ids [T]",
                found: input.into(),
            }),
        }
    }

    fn build(
        &self,
        b: &mut Build<'_>,
        input: TensorId,
        w: &[TensorId],
    ) -> Result<TensorId, GraphError> {
        b.graph.apply(ops::Embedding, &[input, w[0]])
    }

    fn vocabulary(&self) -> Option<usize> {
        Some(self.vocabulary)
    }
}

/// Sets a fraction of the elements to zero during training and scales the others up.
#[derive(Clone, Debug)]
pub struct Dropout {
    rate: f32,
}

impl Dropout {
    /// Drops this fraction, in 0..1.
    pub fn new(rate: f32) -> Self {
        Self { rate }
    }
}

impl Layer for Dropout {
    fn class(&self) -> &'static str {
        "Dropout"
    }

    fn weights(&self, _: &[usize]) -> Result<Vec<Weight>, LayerError> {
        Ok(vec![])
    }

    fn output(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        Ok(input.to_vec())
    }

    fn build(
        &self,
        b: &mut Build<'_>,
        input: TensorId,
        _: &[TensorId],
    ) -> Result<TensorId, GraphError> {
        match b.random {
            Some(random) => {
                b.graph.apply(ops::Dropout { rate: self.rate, layer: b.index }, &[input, random])
            }
            None => Ok(input),
        }
    }
}

/// y = activation(x W + b) over the last axis.
#[derive(Clone, Debug)]
pub struct Dense {
    units: usize,
    activation: Activation,
    use_bias: bool,
}

impl Dense {
    /// A layer of this width.
    pub fn new(units: usize, activation: Activation) -> Self {
        Self { units, activation, use_bias: true }
    }

    /// Without b.
    pub fn without_bias(mut self) -> Self {
        self.use_bias = false;
        self
    }
}

/// x W + b with the weights of a layer that may have no bias.
pub(crate) fn project(
    b: &mut Build<'_>,
    x: TensorId,
    w: TensorId,
    bias: Option<&TensorId>,
) -> Result<TensorId, GraphError> {
    let mut operands = vec![x, w];
    operands.extend(bias);
    b.graph.apply(Matmul { bias: bias.is_some(), ..Matmul::default() }, &operands)
}

impl Layer for Dense {
    fn class(&self) -> &'static str {
        "Dense"
    }

    fn weights(&self, input: &[usize]) -> Result<Vec<Weight>, LayerError> {
        let width = *self.output(input).and(Ok(input.last().unwrap_or(&0)))?;
        let mut all = vec![weight("kernel", &[width, self.units], Initializer::GlorotUniform)];
        all.extend(self.use_bias.then(|| weight("bias", &[self.units], Initializer::Zeros)));
        Ok(all)
    }

    fn output(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        match input.split_last() {
            Some((_, rest)) => Ok([rest, &[self.units]].concat()),
            None => Err(LayerError { layer: "Dense", expected: "[.., F]", found: vec![] }),
        }
    }

    /// The activation is a node of its own, so that a loss can take what stands before it.
    fn build(
        &self,
        b: &mut Build<'_>,
        input: TensorId,
        w: &[TensorId],
    ) -> Result<TensorId, GraphError> {
        let z = project(b, input, w[0], w.get(1))?;
        match self.activation {
            Activation::Linear => Ok(z),
            activation => b.graph.apply(Activate(activation), &[z]),
        }
    }
}
