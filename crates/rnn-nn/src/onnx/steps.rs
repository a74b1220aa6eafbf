//! SimpleRNN, LSTM and GRU step by step, for activations that ONNX's operators over whole sequences do
//! not have.

use super::recurrence::{OnnxCell, OnnxScan, ScanOptions};
use super::{OnnxContext, conv_lstm::MAX_STEPS};
use crate::error::ExportError;
use rnn_core::HostTensor;
use rnn_formats::onnx::Attribute::Int;
use rnn_formats::onnx::ValueName;
use rnn_ops::Activation;

/// The state of a cell between two steps, in an ONNX graph: `[B, H]` each, h first.
type State = Vec<ValueName>;

/// What all steps of a cell share.
struct Steps<'c> {
    cell: &'c OnnxCell,
    units: usize,
    /// U, `[H, gates H]`.
    recurrent: ValueName,
    /// U of the gates z and r, then that of the candidate, if a GRU resets before the product.
    parts: Option<[ValueName; 2]>,
    /// The bias of the product with U, `[gates H]`, which a GRU has that resets behind it.
    inner_bias: Option<ValueName>,
}

/// Adds the steps of a cell over the layer's first input, `[B, T, F]`. Further inputs of the layer
/// are its initial states.
///
/// # Errors
/// Fails if there are no steps or too many, or a weight is missing or has another shape.
pub(super) fn scan(
    cell: &OnnxCell,
    cx: &mut OnnxContext<'_>,
    options: ScanOptions,
) -> Result<OnnxScan, ExportError> {
    let count = cx.input()?.dims.first().copied().unwrap_or(0);
    if !(1..=MAX_STEPS).contains(&count) {
        return Err(cx.refuse(format!("{count} steps, of which 1 to {MAX_STEPS} are unrolled")));
    }
    let units = options.units;
    let width = cell.gates.len() * units;
    let kernel = cx.constant_weight("kernel")?;
    let x = cx.x()?;
    let mut projected = cx.node("MatMul", &[&x, &kernel], &[]);
    let mut inner_bias = None;
    if options.use_bias {
        let bias = cx.floats(cx.weight("bias")?)?.to_vec();
        let row = |from: &[f32]| cx.tensor([width], from.to_vec());
        let (first, rest) = bias.split_at(width.min(bias.len()));
        let (first, rest) = (row(first)?, (!rest.is_empty()).then(|| row(rest)).transpose()?);
        let first = cx.graph.tensor("bias", &first);
        projected = cx.node("Add", &[&projected, &first], &[]);
        inner_bias = rest.map(|rest| cx.graph.tensor("bias", &rest));
    }
    let recurrent = cx.constant_weight("recurrent_kernel")?;
    let parts = match cell.resets_before() {
        true => {
            let sizes = cx.graph.ints("sizes", &[2 * units as i64, units as i64]);
            let axis = [("axis", Int(1))];
            let made = cx.graph.node_with_outputs("Split", &[&recurrent, &sizes], 2, &axis);
            made.try_into().ok()
        }
        false => None,
    };
    let steps = Steps { cell, units, recurrent, parts, inner_bias };
    let axis = [("axis", Int(1))];
    let pieces = cx.graph.node_with_outputs("Split", &[&projected], count, &axis);
    let time = cx.graph.ints("axes", &[1]);
    let squeezed: Vec<ValueName> =
        pieces.iter().map(|piece| cx.node("Squeeze", &[piece, &time], &[])).collect();
    let mut state: State =
        cx.inputs.get(1..).unwrap_or_default().iter().map(|input| input.value.clone()).collect();
    if state.is_empty() {
        let zeros = HostTensor::from_f32([width, units], vec![0.0; width * units]);
        let zeros = zeros.map_err(|error| cx.refuse(error.to_string()))?;
        let zeros = cx.graph.tensor("zeros", &zeros);
        state = vec![cx.node("MatMul", &[&squeezed[0], &zeros], &[]); cell.states];
    }
    let mut order: Vec<usize> = (0..count).collect();
    if options.go_backwards {
        order.reverse();
    }
    let mut hidden = Vec::new();
    for step in order {
        state = steps.step(cx, &squeezed[step], &state);
        hidden.extend(state.first().cloned());
    }
    let sequence = options.return_sequences.then(|| {
        let rows: Vec<ValueName> =
            hidden.iter().map(|h| cx.node("Unsqueeze", &[h, &time], &[])).collect();
        cx.node("Concat", &rows.iter().collect::<Vec<_>>(), &axis)
    });
    Ok(OnnxScan { sequence, states: state })
}

impl Steps<'_> {
    /// Adds one step, from x W + b of the gates, `[B, gates H]`, and the state before.
    fn step(&self, cx: &mut OnnxContext<'_>, x: &ValueName, state: &State) -> State {
        match (self.cell.operator, &state[..]) {
            ("LSTM", [h, c]) => self.lstm(cx, x, [h, c]),
            ("GRU", [h]) => vec![self.gru(cx, x, h)],
            (_, [h, ..]) => {
                let sum = self.add_product(cx, x, h, &self.recurrent);
                vec![cx.elementwise(self.cell.activations[0], &sum)]
            }
            (_, []) => vec![],
        }
    }

    fn lstm(&self, cx: &mut OnnxContext<'_>, x: &ValueName, [h, c]: [&ValueName; 2]) -> State {
        let (rec, act) = (self.cell.activations[0], self.cell.activations[1]);
        let sums = self.add_product(cx, x, h, &self.recurrent);
        let gates = self.split(cx, &sums, 4);
        let [i, f, g, o] = [(0, rec), (1, rec), (2, act), (3, rec)]
            .map(|(gate, kind): (usize, Activation)| cx.elementwise(kind, &gates[gate]));
        let kept = cx.node("Mul", &[&f, c], &[]);
        let added = cx.node("Mul", &[&i, &g], &[]);
        let c = cx.node("Add", &[&kept, &added], &[]);
        let shown = cx.elementwise(act, &c);
        vec![cx.node("Mul", &[&o, &shown], &[]), c]
    }

    fn gru(&self, cx: &mut OnnxContext<'_>, x: &ValueName, h: &ValueName) -> ValueName {
        let (rec, act) = (self.cell.activations[0], self.cell.activations[1]);
        let x = self.split(cx, x, 3);
        let seen = self.parts.as_ref().map_or(&self.recurrent, |[gates, _]| gates);
        let mut sums = cx.node("MatMul", &[h, seen], &[]);
        if let Some(bias) = &self.inner_bias {
            sums = cx.node("Add", &[&sums, bias], &[]);
        }
        let a = self.split(cx, &sums, if self.parts.is_some() { 2 } else { 3 });
        let [z, r] = [0, 1].map(|gate| {
            let sum = cx.node("Add", &[&x[gate], &a[gate]], &[]);
            cx.elementwise(rec, &sum)
        });
        let inner = match &self.parts {
            Some([_, candidate]) => {
                let passed = cx.node("Mul", &[&r, h], &[]);
                cx.node("MatMul", &[&passed, candidate], &[])
            }
            None => cx.node("Mul", &[&r, &a[2]], &[]),
        };
        let sum = cx.node("Add", &[&x[2], &inner], &[]);
        let g = cx.elementwise(act, &sum);
        // z h + (1 - z) g.
        let difference = cx.node("Sub", &[h, &g], &[]);
        let moved = cx.node("Mul", &[&z, &difference], &[]);
        cx.node("Add", &[&g, &moved], &[])
    }

    /// Adds x + h U.
    fn add_product(
        &self,
        cx: &mut OnnxContext<'_>,
        x: &ValueName,
        h: &ValueName,
        u: &ValueName,
    ) -> ValueName {
        let product = cx.node("MatMul", &[h, u], &[]);
        cx.node("Add", &[x, &product], &[])
    }

    /// Adds the gates of `[B, count H]`, `[B, H]` each.
    fn split(&self, cx: &mut OnnxContext<'_>, sums: &ValueName, count: usize) -> Vec<ValueName> {
        let sizes = cx.graph.ints("sizes", &vec![self.units as i64; count]);
        cx.graph.node_with_outputs("Split", &[sums, &sizes], count, &[("axis", Int(1))])
    }
}
