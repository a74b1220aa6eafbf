use super::cell::{Cell, CellShapes, Scan};
use super::recurrent::Recurrent;
use super::spatial::{PerAxis, Spatial};
use crate::layer::{Arguments, ForwardContext};
use crate::onnx::{ExportError, OnnxContext, OnnxScan, ScanOptions, conv_lstm};
use crate::{ConfigError, Initializer};
use rnn_core::DType;
use rnn_graph::{GraphError, TensorId};
use rnn_ops::{self as ops, Activation, Binary, Columns, Concat, LstmGates, Padding, ScanInputs};

/// A convolutional LSTM over sequences: `[T, A, C]` -> `[A', filters]`, or `[T, A', filters]` with
/// `return_sequences`; the equations are those of [`ConvLstmCell`].
pub type ConvLstm1D = Recurrent<ConvLstmCell<1>>;

/// A convolutional LSTM over videos: `[T, H, W, C]` -> `[H', W', filters]`, or `[T, H', W',
/// filters]` with `return_sequences`; the equations are those of [`ConvLstmCell`].
pub type ConvLstm2D = Recurrent<ConvLstmCell<2>>;

/// A convolutional LSTM over sequences of volumes: `[T, D, H, W, C]` -> `[D', H', W', filters]`, or
/// `[T, D', H', W', filters]` with `return_sequences`; the equations are those of [`ConvLstmCell`].
pub type ConvLstm3D = Recurrent<ConvLstmCell<3>>;

/// The equations of a convolutional LSTM (Shi et al., 2015, arXiv:1506.04214, without peepholes).
///
/// ```text
/// z_i, z_f, z_c, z_o = x(t) * W + h(t-1) * U + b,  * being convolution
/// i, f, o = recurrent_activation(z_i, z_f, z_o)
/// c(t) = f c(t-1) + i activation(z_c)
/// h(t) = o activation(c(t))
/// W [K1, .., KN, C, 4 filters], U [K1, .., KN, filters, 4 filters], b [4 filters]
/// ```
///
/// The convolution of x has the padding, strides and dilation of the layer; that of h keeps the
/// extents of h. As in Keras (keras/src/layers/rnn/conv_lstm.py) each gate has its own dropout
/// factors of x, and the padding is valid by default. The gates are sigmoids, as in Keras 3; up to
/// Keras 2.15 they were hard sigmoids, `recurrent_activation(Activation::HardSigmoid2018)`.
#[derive(Clone, Debug)]
pub struct ConvLstmCell<const N: usize> {
    spatial: Spatial<N>,
    gates: LstmGates,
    unit_forget_bias: bool,
}

impl<const N: usize> Recurrent<ConvLstmCell<N>> {
    /// Creates a layer of `filters` filters over windows of `kernel_size` pixels, one number for
    /// all axes or one for each, with stride 1, dilation 1, valid padding, tanh, sigmoid gates, a
    /// bias and `unit_forget_bias`. If `filters` or a size is 0, it is refused when a model adds
    /// the layer.
    pub fn new(filters: usize, kernel_size: impl PerAxis<N>) -> Self {
        let gates =
            LstmGates { activation: Activation::Tanh, recurrent_activation: Activation::Sigmoid };
        let spatial = Spatial::new(kernel_size);
        Self::with_cell(ConvLstmCell { spatial, gates, unit_forget_bias: true }, filters)
    }

    /// Sets the distance in pixels between neighbouring windows over the input, along all axes or
    /// along each; the default is 1.
    pub fn strides(mut self, strides: impl PerAxis<N>) -> Self {
        self.cell.spatial.strides = strides.per_axis();
        self
    }

    /// Sets the distance in pixels between neighbouring taps of a window over the input, along all
    /// axes or along each; the default is 1.
    pub fn dilation_rate(mut self, dilation_rate: impl PerAxis<N>) -> Self {
        self.cell.spatial.dilation_rate = dilation_rate.per_axis();
        self
    }

    /// Sets the padding of the input, which is [`Padding::Valid`] by default.
    pub fn padding(mut self, padding: Padding) -> Self {
        self.cell.spatial.padding = padding;
        self
    }

    /// Sets the activation of the gates i, f and o, which is the sigmoid by default.
    pub fn recurrent_activation(mut self, activation: Activation) -> Self {
        self.cell.gates.recurrent_activation = activation;
        self
    }

    /// Makes the initial bias of the forget gate that of the bias initializer, as for the other
    /// gates, instead of 1: Keras's `unit_forget_bias=False`.
    pub fn without_unit_forget_bias(mut self) -> Self {
        self.cell.unit_forget_bias = false;
        self
    }
}

impl<const N: usize> Cell for ConvLstmCell<N> {
    const CLASS: &'static str = ["ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"][N - 1];
    const GATES: usize = 4;
    const STATES: usize = 2;
    const UNITS: &'static str = "filters";

    fn activation(&mut self) -> &mut Activation {
        &mut self.gates.activation
    }

    fn expected(&self) -> &'static str {
        "a sequence [T, .., C] with as many axes between as its windows, as long as they are"
    }

    fn shapes(&self, input: &[usize], filters: usize) -> Option<CellShapes> {
        let extents = input.get(1..=N).filter(|_| input.len() == N + 2)?;
        let state = [self.spatial.results(extents)?, vec![filters]].concat();
        let kernel = |channels| [&self.spatial.size[..], &[channels, 4 * filters]].concat();
        Some(CellShapes { kernel: kernel(input[N + 1]), recurrent_kernel: kernel(filters), state })
    }

    /// Always each gate in its own way (keras/src/layers/rnn/conv_lstm.py).
    fn input_drops(&self, _: bool) -> usize {
        Self::GATES
    }

    fn bias(&self, filters: usize, initializer: &Initializer) -> (Vec<usize>, Initializer) {
        let plain = initializer.clone();
        let initializer = match self.unit_forget_bias {
            true => Initializer::UnitForgetBias(Box::new(plain)),
            false => plain,
        };
        (vec![4 * filters], initializer)
    }

    fn project(
        &self,
        cx: &mut ForwardContext<'_>,
        x: TensorId,
        [w, bias, factors]: [Option<TensorId>; 3],
    ) -> Result<TensorId, GraphError> {
        let axes = cx.graph.shape(x).dims().to_vec();
        let (steps, batch, channels) = (axes[0], axes[1], axes[N + 2]);
        let extents = &axes[2..N + 2];
        let (Some(windows), Some(w)) = (self.spatial.over(extents, false), w) else {
            return Err(cx.misfit(Self::CLASS, x, self.expected()));
        };
        let columns = cx.graph.shape(w).last();
        let w = cx.graph.reshape(w, [self.spatial.taps(), channels, columns])?;
        let depth = if N == 3 { extents[0] } else { 1 };
        let pixels = Spatial::<N>::pixels([steps * batch, depth], extents, channels, false);
        // Gates that see x each in its own way are put together in single precision.
        let output = if factors.is_none() { cx.sequences() } else { DType::F32 };
        let convolve = |cx: &mut ForwardContext<'_>, x, w, bias: Option<TensorId>| {
            let mut operands = vec![cx.graph.reshape(x, pixels)?, w];
            operands.extend(bias);
            cx.graph.apply(ops::Conv { windows, bias: bias.is_some(), output }, &operands)
        };
        let Some(factors) = factors else { return convolve(cx, x, w, bias) };
        let mut gates = Vec::new();
        for gate in 0..Self::GATES {
            let one: usize = axes[1..].iter().product();
            let factors = cx.graph.view(factors, gate * one, &axes[1..])?;
            let seen = cx.graph.apply(Binary::Mul, &[x, factors])?;
            let width = columns / Self::GATES;
            let part = Columns { start: gate * width, width };
            let w = cx.graph.apply(part.clone(), &[w])?;
            let bias = bias.map(|bias| cx.graph.view(bias, gate * width, [width])).transpose()?;
            gates.push(convolve(cx, seen, w, bias)?);
        }
        cx.graph.apply(Concat, &gates)
    }

    fn scan(
        &self,
        cx: &mut ForwardContext<'_>,
        scan: Scan<'_>,
    ) -> Result<(TensorId, TensorId), GraphError> {
        let [z, u] = scan.projected;
        let shape = cx.graph.shape(z).dims().to_vec();
        let filters = shape[4] / Self::GATES;
        let recurrent = Spatial { padding: Padding::Same, ..Spatial::<N>::new(self.spatial.size) };
        let inner = [shape[1], shape[2], shape[3]];
        let windows = recurrent.over(&inner[3 - N..], false);
        let windows = windows.ok_or_else(|| cx.misfit(Self::CLASS, z, self.expected()))?;
        let taps = self.spatial.taps();
        let mut operands = vec![z, cx.graph.reshape(u, [taps, filters, Self::GATES * filters])?];
        let ScanInputs { state, mask, dropout } = scan.inputs;
        let kinds = [(state, Self::STATES), (mask, 0), (dropout, Self::GATES)];
        let given = kinds.into_iter().filter(|(there, _)| *there).zip(scan.optional);
        for ((_, times), &tensor) in given {
            let batch = cx.graph.shape(tensor).dims()[1];
            operands.push(match times {
                0 => tensor,
                _ => {
                    let items = [times * batch, inner[0], inner[1], inner[2], filters];
                    cx.graph.reshape(tensor, items)?
                }
            });
        }
        let steps = scan.steps;
        let op = ops::ConvLstm { steps, windows, gates: self.gates, inputs: scan.inputs };
        let out = cx.graph.push(op, &operands)?;
        let batch = shape[0] / steps;
        let extents = &inner[3 - N..];
        let hidden = [&[steps, batch], extents, &[filters]].concat();
        let state = [&[Self::STATES, batch], extents, &[filters]].concat();
        Ok((cx.graph.reshape(out[0], hidden)?, cx.graph.reshape(out[3], state)?))
    }

    fn onnx(
        &self,
        cx: &mut OnnxContext<'_>,
        options: ScanOptions,
    ) -> Result<OnnxScan, ExportError> {
        conv_lstm::scan(cx, &self.spatial.onnx(), self.gates, options)
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        self.spatial.arguments(a, false)?;
        a.optional("activation", &mut self.gates.activation)?;
        a.optional("recurrent_activation", &mut self.gates.recurrent_activation)?;
        a.optional("unit_forget_bias", &mut self.unit_forget_bias)
    }
}
