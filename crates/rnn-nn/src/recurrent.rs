use crate::Initializer;
use crate::layer::{Build, Layer, LayerError, Weight, project, weight};
use rnn_graph::{GraphError, TensorId};
use rnn_ops::{self as ops, Activation, ReverseLeading, ScanInputs};

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
        let op =
            ops::SimpleRnn { activation: self.common.activation, inputs: ScanInputs::default() };
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
            inputs: ScanInputs::default(),
        };
        let out = b.graph.push(op, &[x, w[1]])?;
        self.common.select(b, out[0], out[2])
    }
}
