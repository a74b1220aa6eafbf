//! Fusion of a recurrent layer with the op that computes its x: each step computes its own x, so
//! that the x of all steps is never stored.

use super::input_projection::InputProjection;
use rnn_graph::{
    Cost, Graph, InPlace, Io, Limits, Node, Op, OpError, Operands, Real, Signature, Slice,
    SliceMut, TensorId, TensorType, Work,
};
use rnn_ops::{Activation, DropoutMatmul, Embedding, Gru, Lstm, Matmul, SimpleRnn};
use std::sync::Arc;

/// Bytes of W and U that the second-level cache of most processors holds beside all else.
const MAX_BYTES: usize = 1 << 20;

/// A recurrent layer that can be fused with the producer of its first input x, `[T, B, gates H]`.
pub trait Recurrent: Op + Clone {
    /// Number of gates.
    const GATES: usize;

    /// Returns true if the layer's kernel can compute x itself.
    fn is_fusible(&self) -> bool {
        true
    }
}

impl Recurrent for Lstm {
    const GATES: usize = 4;
}

impl Recurrent for Gru {
    const GATES: usize = 3;

    fn is_fusible(&self) -> bool {
        self.reset_after
    }
}

impl Recurrent for SimpleRnn {
    const GATES: usize = 1;
}

/// A recurrent layer fused with the op that produces its x: an embedding or a linear product. Its
/// inputs are those of that op, then those of the layer after x; its outputs are the layer's.
#[derive(Clone, Debug)]
pub struct ScanOfProducer<R> {
    /// The recurrent layer.
    pub scan: R,
    producer: Arc<dyn Op>,
    /// Number of the producer's inputs, which is the input index of U, from 0 on.
    pub inputs: usize,
}

/// Returns the fusion of a recurrent layer (`reader`) with the producer of its x, as
/// [`Graph::fused`] calls for it; `None` if the two cannot be fused, or W and U would not stay in
/// the second-level cache.
pub fn fuse(graph: &Graph, producer: &Node, reader: &Node) -> Option<Arc<dyn Op>> {
    fuse_layer::<Lstm>(graph, producer, reader)
        .or_else(|| fuse_layer::<Gru>(graph, producer, reader))
        .or_else(|| fuse_layer::<SimpleRnn>(graph, producer, reader))
}

fn fuse_layer<R: Recurrent>(graph: &Graph, producer: &Node, reader: &Node) -> Option<Arc<dyn Op>> {
    let scan = reader.op.downcast::<R>().filter(|scan| scan.is_fusible())?;
    let inputs = graph.signature(producer).inputs;
    let columns = graph.shape(reader.operands.inputs[0]).last();
    let units = columns / R::GATES;
    let rows = inputs.first()?.shape.last() + units;
    let fits = rows * columns * size_of::<f32>() <= MAX_BYTES;
    let op = &producer.op;
    let linear = |product: &Matmul| {
        product.activation == Activation::Linear && !product.transpose_a && !product.transpose_b
    };
    let fused = if op.downcast::<DropoutMatmul>().is_some() {
        // The gates share one view of x, or have one each.
        fits && [1, R::GATES].contains(&inputs[2].dims()[0])
    } else {
        op.downcast::<Embedding>().is_some() || fits && op.downcast::<Matmul>().is_some_and(linear)
    };
    fused.then(|| -> Arc<dyn Op> {
        Arc::new(ScanOfProducer { scan: scan.clone(), producer: op.clone(), inputs: inputs.len() })
    })
}

impl<R: Recurrent> ScanOfProducer<R> {
    /// Returns where the steps take x from: the rows of the embedding's table, or the factors of
    /// the product, which are read from the inputs in `io`.
    pub fn input_projection<'a>(&self, io: &Io<'a, f32>) -> InputProjection<'a> {
        if self.producer.downcast::<Embedding>().is_some() {
            let (tokens, rows) = (io.uints(0), io.input(1));
            return InputProjection::Table { tokens, rows, width: io.dims(1)[1] };
        }
        let dropout = self.producer.downcast::<DropoutMatmul>();
        // After x, W and dropout factors, if any.
        let bias = 2 + usize::from(dropout.is_some());
        InputProjection::Product {
            rows: io.input(0),
            features: io.signature.inputs[0].shape.last(),
            w: io.input(1),
            bias: (self.inputs > bias).then(|| io.input(bias)),
            dropout: dropout.map(|_| io.input(2)),
        }
    }

    /// Returns the type of x.
    fn x(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        self.producer.infer(&inputs[..self.inputs], &[])
    }

    /// Returns the signature of the layer alone, and that of the producer.
    fn signatures(&self, s: &Signature) -> Result<[Signature; 2], OpError> {
        let (x, own) = (self.x(&s.inputs)?, s.inputs[..self.inputs].to_vec());
        let inputs = [&x[..], &s.inputs[self.inputs..]].concat();
        let scan = Signature { inputs, updates: vec![], outputs: s.outputs.clone() };
        Ok([scan, Signature { inputs: own, updates: vec![], outputs: x }])
    }

    /// Computes x, then runs the layer.
    fn define<F: Real>(&self, io: &mut Io<'_, F>, run: fn(&dyn Op, &mut Io<'_, F>)) {
        let Ok([of_scan, of_producer]) = self.signatures(io.signature) else { return };
        let own = self.inputs;
        let mut x = vec![F::zero(); of_scan.inputs[0].len()];
        let (inputs, outputs) = (io.inputs[..own].to_vec(), vec![SliceMut::Float(&mut x)]);
        let signature = &of_producer;
        run(&*self.producer, &mut Io { signature, inputs, updates: vec![], outputs });
        // A layer that overwrites x reads it from the output.
        if let Some(InPlace { output, .. }) = self.scan.in_place()
            && let SliceMut::Float(values) = &mut io.outputs[output]
        {
            values.copy_from_slice(&x);
        }
        let inputs = [&[Slice::Float(&x)], &io.inputs[own..]].concat();
        let outputs = io.outputs.iter_mut().map(|output| match output {
            SliceMut::Float(values) => SliceMut::Float(values),
            SliceMut::Uint(values) => SliceMut::Uint(values),
        });
        let outputs = outputs.collect();
        run(&self.scan, &mut Io { signature: &of_scan, inputs, updates: vec![], outputs });
    }
}

impl<R: Recurrent> Op for ScanOfProducer<R> {
    fn name(&self) -> &'static str {
        self.scan.name()
    }

    fn takes_half(&self) -> bool {
        self.scan.takes_half()
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let x = self.x(inputs)?;
        self.scan.infer(&[&x[..], &inputs[self.inputs..]].concat(), &[])
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
        let bytes = s.bytes();
        self.signatures(s).map_or(Cost { flops: 0, bytes }, |[scan, producer]| {
            let flops = self.scan.cost(&scan).flops + self.producer.cost(&producer).flops;
            Cost { flops, bytes }
        })
    }
}
