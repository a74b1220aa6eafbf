use crate::{Activation, DropoutMatmul, Embedding, Matmul};
use rnn_graph::{
    Graph, Io, Limits, Node, Op, OpError, Operand, Operands, Real, Signature, SliceMut, TensorId,
    TensorType, Work,
};
use std::sync::Arc;

/// What makes a scan's x, as a part of the scan, whose first inputs are then those of this op. A
/// device may make the x of a step when the step needs it, and need not hold that of all steps.
#[derive(Clone, Debug)]
pub struct Source {
    op: Arc<dyn Op>,
    inputs: usize,
}

impl Source {
    /// An op of so many inputs.
    pub(crate) fn new(op: impl Op, inputs: usize) -> Self {
        Self { op: Arc::new(op), inputs }
    }

    /// The op that a node runs, if x may come from it: rows of a table, or a linear product.
    pub fn of(node: &Node) -> Option<Self> {
        let op = &node.op;
        let linear = |product: &Matmul| {
            product.activation == Activation::Linear && !product.transpose_a && !product.transpose_b
        };
        let fits = op.downcast::<Embedding>().is_some()
            || op.downcast::<DropoutMatmul>().is_some()
            || op.downcast::<Matmul>().is_some_and(linear);
        fits.then(|| Self { op: op.clone(), inputs: node.operands.inputs.len() })
    }

    /// The op.
    pub fn op(&self) -> &dyn Op {
        &*self.op
    }

    /// The inputs of the scan that are the op's.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// x's type.
    pub(crate) fn infer(&self, inputs: &[TensorType]) -> Result<TensorType, OpError> {
        Ok(self.op.infer(&inputs[..self.inputs], &[])?.remove(0))
    }

    /// The op's signature, in that of a scan that puts x where its output will be.
    fn signature(&self, scan: &Signature, output: usize) -> Signature {
        Signature {
            inputs: scan.inputs[..self.inputs].to_vec(),
            updates: vec![],
            outputs: vec![scan.outputs[output].clone()],
        }
    }

    /// Makes x in a scan's output, by what runs an op.
    pub fn make<F: Real>(
        &self,
        io: &mut Io<'_, F>,
        output: usize,
        run: impl FnOnce(&dyn Op, &mut Io<'_, F>),
    ) {
        let signature = &self.signature(io.signature, output);
        let inputs = io.inputs[..self.inputs].to_vec();
        let SliceMut::Float(x) = &mut io.outputs[output] else { return };
        let outputs = vec![SliceMut::Float(x)];
        run(self.op(), &mut Io { signature, inputs, updates: vec![], outputs });
    }

    /// The launches that make x in a scan's output.
    pub(crate) fn record(
        &self,
        scan: &Signature,
        output: usize,
        limits: &Limits,
    ) -> Result<Work, OpError> {
        let work = self.op.record(&self.signature(scan, output), limits)?;
        Ok(work.over(|operand| match operand {
            Operand::Output(_) => Operand::Output(output),
            input => input,
        }))
    }

    /// The gradients of the op's inputs from that of x, whose values are gone.
    pub(crate) fn backward(
        &self,
        graph: &mut Graph,
        scan: &Operands,
        d_x: TensorId,
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let operands = Operands {
            inputs: scan.inputs[..self.inputs].to_vec(),
            updates: vec![],
            outputs: vec![d_x],
        };
        self.op.backward(graph, &operands, &[Some(d_x)])
    }
}
