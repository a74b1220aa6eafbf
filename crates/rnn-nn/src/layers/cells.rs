use super::cell::{Cell, Scan};
use super::recurrent::Recurrent;
use crate::layer::{Arguments, ForwardContext};
use crate::onnx::{ExportError, OnnxCell, OnnxContext, OnnxScan, ScanOptions};
use crate::{ConfigError, Initializer};
use rnn_formats::onnx::Attribute::Int;
use rnn_graph::{GraphError, TensorId};
use rnn_ops::{self as ops, Activation, LstmGates};

/// The plain recurrent layer: `[T, F]` -> `[H]`, or `[T, H]` with `return_sequences`. H is the
/// number of units.
///
/// ```text
/// h(t) = activation(x(t) W + b + h(t-1) U),  W [F, H], U [H, H], b [H]
/// ```
///
/// By default the activation is tanh, W is Glorot-uniform, U orthogonal and b zeros, as in Keras
/// (keras/src/layers/rnn/simple_rnn.py). [`Recurrent`] has the other arguments, masks and states.
pub type SimpleRnn = Recurrent<SimpleRnnCell>;

/// The equations of [`SimpleRnn`] and their arguments.
#[derive(Clone, Debug)]
pub struct SimpleRnnCell {
    activation: Activation,
}

impl Recurrent<SimpleRnnCell> {
    /// Creates a layer of `units` units, at least 1, with tanh and a bias; 0 is refused when a
    /// model adds the layer.
    pub fn new(units: usize) -> Self {
        Self::with_cell(SimpleRnnCell { activation: Activation::Tanh }, units)
    }
}

impl Cell for SimpleRnnCell {
    const CLASS: &'static str = "SimpleRNN";
    const GATES: usize = 1;
    const STATES: usize = 1;
    const HALF: bool = true;

    fn activation(&mut self) -> &mut Activation {
        &mut self.activation
    }

    fn scan(
        &self,
        cx: &mut ForwardContext<'_>,
        scan: Scan<'_>,
    ) -> Result<(TensorId, TensorId), GraphError> {
        let op = ops::SimpleRnn { activation: self.activation, inputs: scan.inputs };
        let out = cx.graph.push(op, &[&scan.projected[..], scan.optional].concat())?;
        Ok((out[0], out[1]))
    }

    fn onnx(
        &self,
        cx: &mut OnnxContext<'_>,
        options: ScanOptions,
    ) -> Result<OnnxScan, ExportError> {
        let cell = OnnxCell {
            operator: "RNN",
            states: Self::STATES,
            gates: &[0],
            activations: vec![self.activation],
            attributes: vec![],
        };
        cell.scan(cx, options)
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.optional("activation", &mut self.activation)
    }
}

/// Long short-term memory (Hochreiter and Schmidhuber, 1997; forget gate of Gers et al., 2000):
/// `[T, F]` -> `[H]`, or `[T, H]` with `return_sequences`. H is the number of units.
///
/// ```text
/// z_i, z_f, z_c, z_o = x(t) W + h(t-1) U + b,  W [F, 4H], U [H, 4H], b [4H]
/// i, f, o = recurrent_activation(z_i, z_f, z_o)
/// c(t) = f c(t-1) + i activation(z_c)
/// h(t) = o activation(c(t))
/// ```
///
/// W, U and b have the gates in Keras's order i, f, c, o, and b begins at 1 for f
/// (keras/src/layers/rnn/lstm.py). The gates are sigmoids, as in Keras from 2.3 on; those of 2.2
/// are `recurrent_activation(Activation::HardSigmoid2018)`. With recurrent dropout each gate has
/// its own dropout factors of x and h, as with Keras's `implementation=1`; without it all gates
/// share the factors of x. [`Recurrent`] has the other arguments, masks and states; the state is h,
/// then c.
pub type Lstm = Recurrent<LstmCell>;

/// The equations of [`Lstm`] and their arguments.
#[derive(Clone, Debug)]
pub struct LstmCell {
    activation: Activation,
    recurrent_activation: Activation,
    unit_forget_bias: bool,
}

impl Recurrent<LstmCell> {
    /// Creates a layer of `units` units, at least 1, with tanh, sigmoid gates, a bias and
    /// `unit_forget_bias`; 0 is refused when a model adds the layer.
    pub fn new(units: usize) -> Self {
        let cell = LstmCell {
            activation: Activation::Tanh,
            recurrent_activation: Activation::Sigmoid,
            unit_forget_bias: true,
        };
        Self::with_cell(cell, units)
    }

    /// Sets the activation of the gates i, f and o, which is the sigmoid by default.
    pub fn recurrent_activation(mut self, activation: Activation) -> Self {
        self.cell.recurrent_activation = activation;
        self
    }

    /// Makes the initial bias of the forget gate that of the bias initializer, as for the other
    /// gates, instead of 1: Keras's `unit_forget_bias=False`.
    pub fn without_unit_forget_bias(mut self) -> Self {
        self.cell.unit_forget_bias = false;
        self
    }
}

impl Cell for LstmCell {
    const CLASS: &'static str = "LSTM";
    const GATES: usize = 4;
    const STATES: usize = 2;
    const HALF: bool = true;

    fn activation(&mut self) -> &mut Activation {
        &mut self.activation
    }

    fn bias(&self, units: usize, initializer: &Initializer) -> (Vec<usize>, Initializer) {
        let plain = initializer.clone();
        let initializer = match self.unit_forget_bias {
            true => Initializer::UnitForgetBias(Box::new(plain)),
            false => plain,
        };
        (vec![4 * units], initializer)
    }

    fn scan(
        &self,
        cx: &mut ForwardContext<'_>,
        scan: Scan<'_>,
    ) -> Result<(TensorId, TensorId), GraphError> {
        let (activation, recurrent_activation) = (self.activation, self.recurrent_activation);
        let gates = LstmGates { activation, recurrent_activation };
        let mut operands = scan.projected.to_vec();
        operands.extend(scan.optional);
        let out = cx.graph.push(ops::Lstm { gates, inputs: scan.inputs }, &operands)?;
        Ok((out[0], out[3]))
    }

    fn onnx(
        &self,
        cx: &mut OnnxContext<'_>,
        options: ScanOptions,
    ) -> Result<OnnxScan, ExportError> {
        let cell = OnnxCell {
            operator: "LSTM",
            states: Self::STATES,
            gates: &[0, 3, 1, 2],
            activations: vec![self.recurrent_activation, self.activation, self.activation],
            attributes: vec![],
        };
        cell.scan(cx, options)
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.optional("activation", &mut self.activation)?;
        a.optional("recurrent_activation", &mut self.recurrent_activation)?;
        a.optional("unit_forget_bias", &mut self.unit_forget_bias)
    }
}

/// A gated recurrent unit (Cho et al., 2014): `[T, F]` -> `[H]`, or `[T, H]` with
/// `return_sequences`. H is the number of units.
///
/// ```text
/// x_z, x_r, x_h = x(t) W + b_0,  W [F, 3H], U [H, 3H], b [2, 3H]
/// a_z, a_r, a_h = h(t-1) U + b_1
/// z, r = recurrent_activation(x_z + a_z, x_r + a_r)
/// g = activation(x_h + r a_h)
/// h(t) = z h(t-1) + (1 - z) g
/// ```
///
/// W, U and b have the gates in Keras's order z, r, h (keras/src/layers/rnn/gru.py). With
/// [`reset_before`](Recurrent::reset_before), Keras's `reset_after=False`, b is `[3H]`, a_h = (r
/// h(t-1)) U_h, where U_h are the last H columns of U, and g = activation(x_h + a_h). [`Recurrent`]
/// has the other arguments, masks and states.
pub type Gru = Recurrent<GruCell>;

/// The equations of [`Gru`] and their arguments.
#[derive(Clone, Debug)]
pub struct GruCell {
    activation: Activation,
    recurrent_activation: Activation,
    reset_after: bool,
}

impl Recurrent<GruCell> {
    /// Creates a layer of `units` units, at least 1, with tanh, sigmoid gates, a bias and the reset
    /// gate after the product with U; 0 is refused when a model adds the layer.
    pub fn new(units: usize) -> Self {
        let cell = GruCell {
            activation: Activation::Tanh,
            recurrent_activation: Activation::Sigmoid,
            reset_after: true,
        };
        Self::with_cell(cell, units)
    }

    /// Sets the activation of the gates z and r, which is the sigmoid by default.
    pub fn recurrent_activation(mut self, activation: Activation) -> Self {
        self.cell.recurrent_activation = activation;
        self
    }

    /// Makes the reset gate multiply h before the product with U, as in Keras 2 by default: Keras's
    /// `reset_after=False`.
    pub fn reset_before(mut self) -> Self {
        self.cell.reset_after = false;
        self
    }
}

impl Cell for GruCell {
    const CLASS: &'static str = "GRU";
    const GATES: usize = 3;
    const STATES: usize = 1;

    fn activation(&mut self) -> &mut Activation {
        &mut self.activation
    }

    /// With `reset_after` a second row, for the product with U.
    fn bias(&self, units: usize, initializer: &Initializer) -> (Vec<usize>, Initializer) {
        let shape = if self.reset_after { vec![2, 3 * units] } else { vec![3 * units] };
        (shape, initializer.clone())
    }

    fn scan(
        &self,
        cx: &mut ForwardContext<'_>,
        scan: Scan<'_>,
    ) -> Result<(TensorId, TensorId), GraphError> {
        let inner = scan.bias.filter(|_| self.reset_after).map(|bias| {
            let columns = cx.graph.shape(bias).last();
            cx.graph.view(bias, columns, [columns])
        });
        let inner = inner.transpose()?;
        let op = ops::Gru {
            activation: self.activation,
            recurrent_activation: self.recurrent_activation,
            reset_after: self.reset_after,
            bias: inner.is_some(),
            inputs: scan.inputs,
        };
        let mut operands = scan.projected.to_vec();
        operands.extend(inner);
        operands.extend(scan.optional);
        let hidden = cx.graph.push(op, &operands)?[0];
        let [steps, batch, units] = [0, 1, 2].map(|axis| cx.graph.shape(hidden).dims()[axis]);
        let state = cx.graph.view(hidden, (steps - 1) * batch * units, [1, batch, units])?;
        Ok((hidden, state))
    }

    fn onnx(
        &self,
        cx: &mut OnnxContext<'_>,
        options: ScanOptions,
    ) -> Result<OnnxScan, ExportError> {
        let cell = OnnxCell {
            operator: "GRU",
            states: Self::STATES,
            gates: &[0, 1, 2],
            activations: vec![self.recurrent_activation, self.activation],
            attributes: vec![("linear_before_reset", Int(self.reset_after.into()))],
        };
        cell.scan(cx, options)
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        if a.dialect().before_keras_3() {
            self.reset_after = false;
        }
        a.optional("activation", &mut self.activation)?;
        a.optional("recurrent_activation", &mut self.recurrent_activation)?;
        a.optional("reset_after", &mut self.reset_after)
    }
}
