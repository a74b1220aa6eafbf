//! Fusion of an LSTM with the op that computes its x: each step computes its own x, so that the x
//! of all steps is never stored.

use super::{ScanOptions, padded};
use crate::packed::{UNROLL, VECTORS, Views};
use rnn_graph::{
    Cost, Graph, Io, Limits, Node, Op, OpError, Operands, Real, Signature, Slice, SliceMut,
    TensorId, TensorType, Work,
};
use rnn_ops::{Activation, DropoutMatmul, Embedding, Lstm, Matmul};
use std::sync::Arc;

/// Bytes of W and U that the second-level cache of most processors holds beside all else.
const MAX_BYTES: usize = 1 << 20;

/// An LSTM fused with the producer of its x: an embedding or a linear product. Its inputs are those
/// of the producer, then those of the LSTM after x; its outputs are the LSTM's.
#[derive(Clone, Debug)]
pub struct LstmOfProducer {
    /// The LSTM.
    pub lstm: Lstm,
    producer: Arc<dyn Op>,
    /// Number of the producer's inputs, which is the input index of U.
    pub inputs: usize,
}

/// Returns the fusion of an LSTM (`reader`) with the producer of its x; `None` if its steps would
/// compute x more slowly.
pub fn fuse(graph: &Graph, producer: &Node, reader: &Node) -> Option<Arc<dyn Op>> {
    let lstm = reader.op.downcast::<Lstm>()?;
    let inputs = graph.signature(producer).inputs;
    let columns = graph.shape(reader.operands.inputs[0]).last();
    let rows = inputs.first()?.shape.last() + columns / VECTORS;
    let fits = rows * columns * size_of::<f32>() <= MAX_BYTES;
    let op = &producer.op;
    let linear = |product: &Matmul| {
        product.activation == Activation::Linear && !product.transpose_a && !product.transpose_b
    };
    let fused = if op.downcast::<DropoutMatmul>().is_some() {
        // The gates share one view of x.
        fits && VECTORS.is_multiple_of(inputs[2].dims()[0])
    } else {
        op.downcast::<Embedding>().is_some() || fits && op.downcast::<Matmul>().is_some_and(linear)
    };
    fused.then(|| -> Arc<dyn Op> {
        Arc::new(LstmOfProducer { lstm: lstm.clone(), producer: op.clone(), inputs: inputs.len() })
    })
}

impl LstmOfProducer {
    /// Returns the signature of the LSTM alone.
    fn of_lstm(&self, s: &Signature) -> Signature {
        let x = s.outputs[1].clone();
        let inputs = [&[x], &s.inputs[self.inputs..]].concat();
        Signature { inputs, updates: vec![], outputs: s.outputs.clone() }
    }

    /// Computes x in the memory of the gates, then runs the LSTM.
    fn define<F: Real>(&self, io: &mut Io<'_, F>, run: fn(&dyn Op, &mut Io<'_, F>)) {
        let (signature, own) = (self.of_lstm(io.signature), self.inputs);
        let of_producer = Signature {
            inputs: io.signature.inputs[..own].to_vec(),
            updates: vec![],
            outputs: vec![io.signature.outputs[1].clone()],
        };
        if let SliceMut::Float(x) = &mut io.outputs[1] {
            let inputs = io.inputs[..own].to_vec();
            let outputs = vec![SliceMut::Float(x)];
            run(
                &*self.producer,
                &mut Io { signature: &of_producer, inputs, updates: vec![], outputs },
            );
        }
        let inputs = [&[Slice::Float(&[])], &io.inputs[own..]].concat();
        let outputs = io.outputs.iter_mut().map(|output| match output {
            SliceMut::Float(values) => SliceMut::Float(values),
            SliceMut::Uint(values) => SliceMut::Uint(values),
        });
        let outputs = outputs.collect();
        run(&self.lstm, &mut Io { signature: &signature, inputs, updates: vec![], outputs });
    }
}

impl Op for LstmOfProducer {
    fn name(&self) -> &'static str {
        self.lstm.name()
    }

    fn takes_half(&self) -> bool {
        true
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let x = self.producer.infer(&inputs[..self.inputs], &[])?;
        self.lstm.infer(&[&x[..], &inputs[self.inputs..]].concat(), &[])
    }

    fn record(&self, _: &Signature, _: &Limits) -> Result<Work, OpError> {
        Err(OpError::Limit("it is an op of the CPU alone".into()))
    }

    fn backward(
        &self,
        _: &mut Graph,
        _: &Operands,
        _: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        Err(OpError::NotDifferentiable)
    }

    fn reference_f64(&self, io: &mut Io<'_, f64>) {
        self.define(io, |op, io| op.reference_f64(io));
    }

    fn reference_f32(&self, io: &mut Io<'_, f32>) {
        self.define(io, |op, io| op.reference_f32(io));
    }

    fn cost(&self, s: &Signature) -> Cost {
        Cost { bytes: s.bytes(), ..self.lstm.cost(&self.of_lstm(s)) }
    }
}

/// The source of the input projection x W + b, `[steps, batch, 4 units]`.
#[derive(Clone, Copy)]
pub enum InputProjection<'a> {
    /// Stored in the memory of the gates.
    Given,
    /// Rows of an embedding table.
    Table { tokens: &'a [u32], rows: &'a [f32], width: usize },
    /// rows W + bias, computed in each step; `rows` precede h in the left factors.
    Product {
        /// `[steps, batch, features]`
        rows: &'a [f32],
        features: usize,
        w: &'a [f32],
        bias: Option<&'a [f32]>,
        /// `[1 or 4, batch, features]`
        dropout: Option<&'a [f32]>,
    },
}

impl<'a> InputProjection<'a> {
    /// Returns the source of a fused scan's x.
    pub fn of(op: &LstmOfProducer, io: &Io<'a, f32>) -> Self {
        if op.producer.downcast::<Embedding>().is_some() {
            return Self::Table { tokens: io.uints(0), rows: io.input(1), width: io.dims(1)[1] };
        }
        let dropout = op.producer.downcast::<DropoutMatmul>();
        // After x, W and dropout factors, if any.
        let bias = 2 + usize::from(dropout.is_some());
        Self::Product {
            rows: io.input(0),
            features: io.signature.inputs[0].shape.last(),
            w: io.input(1),
            bias: (op.inputs > bias).then(|| io.input(bias)),
            dropout: dropout.map(|_| io.input(2)),
        }
    }

    /// Returns the padded floats that precede h in the left factors.
    pub fn depth(&self) -> usize {
        match self {
            Self::Product { features, .. } => features.next_multiple_of(UNROLL),
            _ => 0,
        }
    }

    /// Returns row k of W.
    pub fn weights(&self, k: usize, width: usize) -> Option<&'a [f32]> {
        match self {
            Self::Product { w, .. } => w.chunks_exact(width).nth(k),
            _ => None,
        }
    }

    /// Returns the initial values of a row's pre-activations; `given` is the stored x.
    #[inline(always)]
    pub fn start<'b>(&self, place: usize, given: &'b [f32]) -> &'b [f32]
    where
        'a: 'b,
    {
        match *self {
            Self::Given => given,
            Self::Table { tokens, rows, width } => &rows[tokens[place] as usize * width..][..width],
            Self::Product { bias, .. } => bias.unwrap_or(&[]),
        }
    }

    /// Returns the row that is multiplied with W; empty if x is not a product.
    #[inline(always)]
    pub fn row(&self, place: usize) -> &'a [f32] {
        match *self {
            Self::Product { rows, features, .. } => &rows[place * features..][..features],
            _ => &[],
        }
    }

    /// Returns the dropout factors of the input with its features, and those of h with the units.
    fn dropout(&self, options: &ScanOptions<'a>) -> [(Option<&'a [f32]>, usize); 2] {
        let of_x = match *self {
            Self::Product { features, dropout, .. } => (dropout, features),
            _ => (None, 0),
        };
        [of_x, (options.dropout, options.units)]
    }

    /// Returns the number of views of the left factors: one for all gates, or one for each.
    pub(super) fn views(&self, options: &ScanOptions<'a>) -> usize {
        let of_gates = self.dropout(options).map(|(factors, width)| {
            factors.map_or(1, |factors| factors.len() / (options.batch * width.max(1)))
        });
        of_gates[0].max(of_gates[1])
    }

    /// Returns the dropout factors of the left factors of rows from `first` on; empty without
    /// dropout.
    pub(super) fn factors<const R: usize, const G: usize>(
        &self,
        options: &ScanOptions<'a>,
        first: usize,
    ) -> Vec<Views<R, G>> {
        let ScanOptions { batch, units, .. } = *options;
        let parts = self.dropout(options);
        if parts.iter().all(|(factors, _)| factors.is_none()) {
            return vec![];
        }
        let mut all = vec![[[[1.0; UNROLL]; R]; G]; (self.depth() + padded(units)) / UNROLL];
        for ((factors, width), begins) in parts.into_iter().zip([0, self.depth()]) {
            let Some(factors) = factors else { continue };
            let gates = factors.len() / (batch * width);
            for (view, r) in (0..G).flat_map(|view| (0..R).map(move |r| (view, r))) {
                let row = view * gates / G * batch + first + r;
                if first + r < batch {
                    for (k, &factor) in factors[row * width..][..width].iter().enumerate() {
                        all[(begins + k) / UNROLL][view][r][k % UNROLL] = factor;
                    }
                }
            }
        }
        all
    }
}
