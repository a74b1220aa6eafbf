use crate::Initializer;
use rnn_graph::{Graph, GraphError, TensorId};
use rnn_ops::{self as ops, Activate, Activation, Matmul, ReverseLeading};

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

fn weight(name: &'static str, shape: &[usize], initializer: Initializer) -> Weight {
    Weight { name, shape: shape.to_vec(), initializer }
}

/// A layer that does not fit what stands before it.
#[derive(Debug, thiserror::Error)]
#[error("{layer} takes {expected}, got {found:?} (without the batch axis)")]
pub struct LayerError {
    layer: &'static str,
    expected: &'static str,
    found: Vec<usize>,
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
pub trait Layer: std::fmt::Debug + Send {
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
fn project(
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

/// The arguments that all recurrent layers share.
#[derive(Clone, Debug)]
struct Recurrent {
    units: usize,
    activation: Activation,
    use_bias: bool,
    return_sequences: bool,
    go_backwards: bool,
}

impl Recurrent {
    fn new(units: usize) -> Self {
        let activation = Activation::Tanh;
        Self { units, activation, use_bias: true, return_sequences: false, go_backwards: false }
    }

    fn output(&self, layer: &'static str, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        match *input {
            [steps, _] if self.return_sequences => Ok(vec![steps, self.units]),
            [_, _] => Ok(vec![self.units]),
            _ => Err(LayerError { layer, expected: "a sequence [T, F]", found: input.into() }),
        }
    }

    fn weights(&self, input: &[usize], gates: usize, bias: Initializer) -> Vec<Weight> {
        let (width, columns) = (input[1], gates * self.units);
        let mut all = vec![
            weight("kernel", &[width, columns], Initializer::GlorotUniform),
            weight("recurrent_kernel", &[self.units, columns], Initializer::Orthogonal),
        ];
        all.extend(self.use_bias.then(|| weight("bias", &[columns], bias)));
        all
    }

    /// x W + b for all steps as one product.
    fn project(
        &self,
        b: &mut Build<'_>,
        x: TensorId,
        w: &[TensorId],
    ) -> Result<TensorId, GraphError> {
        let x = if self.go_backwards { b.graph.apply(ReverseLeading, &[x])? } else { x };
        project(b, x, w[0], w.get(2))
    }

    /// The sequence of h, or the last h out of the final state.
    fn select(
        &self,
        b: &mut Build<'_>,
        hidden: TensorId,
        last: TensorId,
    ) -> Result<TensorId, GraphError> {
        if self.return_sequences {
            return Ok(hidden);
        }
        let batch = b.graph.shape(last).dims()[1];
        b.graph.view(last, 0, [batch, self.units])
    }
}

macro_rules! recurrent_arguments {
    () => {
        /// Returns h of every step instead of the last.
        pub fn return_sequences(mut self) -> Self {
            self.common.return_sequences = true;
            self
        }

        /// Processes the last step first; a returned sequence is in that order too.
        pub fn go_backwards(mut self) -> Self {
            self.common.go_backwards = true;
            self
        }

        /// Without b.
        pub fn without_bias(mut self) -> Self {
            self.common.use_bias = false;
            self
        }

        /// Replaces tanh.
        pub fn activation(mut self, activation: Activation) -> Self {
            self.common.activation = activation;
            self
        }
    };
}

/// h(t) = activation(x(t) W + b + h(t-1) U).
#[derive(Clone, Debug)]
pub struct SimpleRnn {
    common: Recurrent,
}

impl SimpleRnn {
    /// A layer of this many units, with tanh.
    pub fn new(units: usize) -> Self {
        Self { common: Recurrent::new(units) }
    }

    recurrent_arguments!();
}

impl Layer for SimpleRnn {
    fn class(&self) -> &'static str {
        "SimpleRNN"
    }

    fn weights(&self, input: &[usize]) -> Result<Vec<Weight>, LayerError> {
        self.output(input)?;
        Ok(self.common.weights(input, 1, Initializer::Zeros))
    }

    fn output(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        self.common.output("SimpleRNN", input)
    }

    fn build(
        &self,
        b: &mut Build<'_>,
        input: TensorId,
        w: &[TensorId],
    ) -> Result<TensorId, GraphError> {
        let x = self.common.project(b, input, w)?;
        let op = ops::SimpleRnn { activation: self.common.activation };
        let out = b.graph.push(op, &[x, w[1]])?;
        self.common.select(b, out[0], out[1])
    }
}

/// Long short-term memory; see [`rnn_ops::Lstm`] for the equations.
#[derive(Clone, Debug)]
pub struct Lstm {
    common: Recurrent,
    recurrent_activation: Activation,
}

impl Lstm {
    /// A layer of this many units, with tanh, sigmoid gates and `unit_forget_bias`.
    pub fn new(units: usize) -> Self {
        Self { common: Recurrent::new(units), recurrent_activation: Activation::Sigmoid }
    }

    recurrent_arguments!();

    /// Replaces the sigmoid of the gates.
    pub fn recurrent_activation(mut self, activation: Activation) -> Self {
        self.recurrent_activation = activation;
        self
    }
}

impl Layer for Lstm {
    fn class(&self) -> &'static str {
        "LSTM"
    }

    fn weights(&self, input: &[usize]) -> Result<Vec<Weight>, LayerError> {
        self.output(input)?;
        Ok(self.common.weights(input, 4, Initializer::UnitForgetBias))
    }

    fn output(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        self.common.output("LSTM", input)
    }

    fn build(
        &self,
        b: &mut Build<'_>,
        input: TensorId,
        w: &[TensorId],
    ) -> Result<TensorId, GraphError> {
        let x = self.common.project(b, input, w)?;
        let op = ops::Lstm {
            activation: self.common.activation,
            recurrent_activation: self.recurrent_activation,
        };
        let out = b.graph.push(op, &[x, w[1]])?;
        self.common.select(b, out[0], out[3])
    }
}
