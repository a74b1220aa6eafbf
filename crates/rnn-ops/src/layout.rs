use crate::common::{arity, ensure, threads};
use crate::{Case, Definition, Sample};
use rnn_core::Shape;
use rnn_graph::{
    Cost, Graph, Io, Launch, Limits, Op, OpError, Operand, Operands, Real, Shader, Signature,
    Slice, SliceMut, TensorId, TensorType, Work,
};

/// WGSL module of [`TransposeLeading`], [`ReverseLeading`], [`Pad`], [`Assign`] and [`Fill`]
/// (`shaders/layout.wgsl`).
pub static SHADER: Shader =
    Shader::new("layout", &[rnn_shaders::shared::ELEMENTWISE, rnn_shaders::LAYOUT]);

/// Extents as the kernels of layout.wgsl take them; those that a kernel does not use stay 0.
#[derive(Default)]
struct Extents {
    count: usize,
    rows: usize,
    columns: usize,
    inner: usize,
    start: usize,
    length: usize,
}

fn launch(entry: &'static str, e: &Extents, value: f32) -> Result<Launch, OpError> {
    launch_into(Operand::Output(0), entry, e, value)
}

fn launch_into(
    out: Operand,
    entry: &'static str,
    e: &Extents,
    value: f32,
) -> Result<Launch, OpError> {
    Ok(Launch::new(&SHADER, entry, threads(e.count)?)
        .bind("out", out)
        .param("count", e.count)
        .param("rows", e.rows)
        .param("columns", e.columns)
        .param("inner", e.inner)
        .param("start", e.start)
        .param("length", e.length)
        .param("value", value))
}

/// Sets `out[i] = x[source(i)]`, whatever the element type.
pub(crate) fn rearrange<F: Real>(io: &mut Io<'_, F>, source: impl Fn(usize) -> usize) {
    match (io.inputs[0], &mut io.outputs[0]) {
        (Slice::Float(x), SliceMut::Float(out)) => {
            out.iter_mut().enumerate().for_each(|(i, out)| *out = x[source(i)]);
        }
        (Slice::Uint(x), SliceMut::Uint(out)) => {
            out.iter_mut().enumerate().for_each(|(i, out)| *out = x[source(i)]);
        }
        _ => unreachable!("the shape rule keeps the element type"),
    }
}

/// Swaps the two leading axes: batch-major becomes time-major and the reverse, and a matrix becomes
/// its transpose. Input: `[A, B, ..]`, of any element type. Output: `[B, A, ..]`.
#[derive(Clone, Debug)]
pub struct TransposeLeading;

impl TransposeLeading {
    fn extents(ty: &TensorType) -> Extents {
        let d = ty.dims();
        let inner = d[2..].iter().product();
        Extents { count: ty.len(), rows: d[0], columns: d[1], inner, ..Extents::default() }
    }
}

impl Definition for TransposeLeading {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let e = Self::extents(&io.signature.inputs[0]);
        rearrange(io, |i| {
            let (item, rest) = (i / e.inner, i % e.inner);
            let (column, row) = (item / e.rows, item % e.rows);
            (row * e.columns + column) * e.inner + rest
        });
    }
}

impl Op for TransposeLeading {
    fn name(&self) -> &'static str {
        "transpose_leading"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [x] = arity(inputs)?;
        ensure(x.shape.rank() >= 2, || format!("{x} has no two axes"))?;
        let mut dims = x.dims().to_vec();
        dims.swap(0, 1);
        Ok(vec![TensorType { shape: dims.into(), dtype: x.dtype }])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let e = Self::extents(&s.inputs[0]);
        Ok(launch("transpose_leading", &e, 0.0)?.bind("x", Operand::Input(0)).into())
    }

    fn backward(
        &self,
        graph: &mut Graph,
        _: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let Some(g) = gradients[0] else { return Ok(vec![None]) };
        Ok(vec![Some(graph.apply(Self, &[g])?)])
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 0, bytes: s.bytes() }
    }
}

/// Reverses the leading axis: `out[t] = x[T - 1 - t]`. Input and output: `[T, ..]`, of any element
/// type.
#[derive(Clone, Debug)]
pub struct ReverseLeading;

impl ReverseLeading {
    fn extents(ty: &TensorType) -> Extents {
        let rows = ty.dims().first().copied().unwrap_or(1);
        let inner = ty.dims().iter().skip(1).product();
        Extents { count: ty.len(), rows, inner, ..Extents::default() }
    }
}

impl Definition for ReverseLeading {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let e = Self::extents(&io.signature.inputs[0]);
        rearrange(io, |i| (e.rows - 1 - i / e.inner) * e.inner + i % e.inner);
    }
}

impl Op for ReverseLeading {
    fn name(&self) -> &'static str {
        "reverse_leading"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [x] = arity(inputs)?;
        Ok(vec![x.clone()])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let e = Self::extents(&s.inputs[0]);
        Ok(launch("reverse_leading", &e, 0.0)?.bind("x", Operand::Input(0)).into())
    }

    fn backward(
        &self,
        graph: &mut Graph,
        _: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let Some(g) = gradients[0] else { return Ok(vec![None]) };
        Ok(vec![Some(graph.apply(Self, &[g])?)])
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 0, bytes: s.bytes() }
    }
}

/// Returns zeros of shape `full` in which the input's elements, in row-major order, replace those
/// from element `offset` on. It is the gradient of a view. Input: any shape of at most
/// `full.len() - offset` elements. Output: `full`.
#[derive(Clone, Debug)]
pub struct Pad {
    /// Row-major index, from 0 on, of the output's element that is the input's first element.
    pub offset: usize,
    /// Shape of the output.
    pub full: Shape,
}

impl Definition for Pad {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let x = io.input(0);
        let out = io.output();
        out.fill(F::zero());
        out[self.offset..self.offset + x.len()].copy_from_slice(x);
    }
}

impl Op for Pad {
    fn name(&self) -> &'static str {
        "pad"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [x] = arity(inputs)?;
        let end = self.offset + x.len();
        ensure(end <= self.full.len(), || format!("{end} elements exceed {}", self.full))?;
        Ok(vec![TensorType { shape: self.full.clone(), dtype: x.dtype }])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let (start, length) = (self.offset, s.inputs[0].len());
        let e = Extents { count: self.full.len(), start, length, ..Extents::default() };
        Ok(launch("pad", &e, 0.0)?.bind("x", Operand::Input(0)).into())
    }

    fn backward(
        &self,
        graph: &mut Graph,
        operands: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let Some(g) = gradients[0] else { return Ok(vec![None]) };
        let shape = graph.shape(operands.inputs[0]).clone();
        Ok(vec![Some(graph.view(g, self.offset, shape)?)])
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 0, bytes: s.bytes() }
    }
}

/// w = x for a tensor w that stays on the device. Input: x of any shape. Update: w, with as many
/// elements and the same element type. No outputs.
#[derive(Clone, Debug)]
pub struct Assign;

impl Definition for Assign {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let x = io.input(0);
        let [w] = io.updates();
        w.copy_from_slice(x);
    }
}

impl Op for Assign {
    fn name(&self) -> &'static str {
        "assign"
    }

    fn infer(
        &self,
        inputs: &[TensorType],
        updates: &[TensorType],
    ) -> Result<Vec<TensorType>, OpError> {
        let ([x], [w]) = (arity(inputs)?, arity(updates)?);
        ensure(x.len() == w.len() && x.dtype == w.dtype, || format!("{w} is set to {x}"))?;
        Ok(vec![])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let count = s.inputs[0].len();
        let e = Extents { count, length: count, ..Extents::default() };
        Ok(launch_into(Operand::Update(0), "pad", &e, 0.0)?.bind("x", Operand::Input(0)).into())
    }

    not_differentiable!();

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 0, bytes: s.bytes() }
    }
}

/// A constant tensor of single precision, each element of which is `value`. No inputs. Output: of
/// shape `shape`.
#[derive(Clone, Debug)]
pub struct Fill {
    /// Shape of the output.
    pub shape: Shape,
    /// Value of every element.
    pub value: f32,
}

impl Definition for Fill {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        io.output().fill(F::of(self.value.into()));
    }
}

impl Op for Fill {
    fn name(&self) -> &'static str {
        "fill"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [] = arity(inputs)?;
        Ok(vec![TensorType::f32(self.shape.clone())])
    }

    fn record(&self, _: &Signature, _: &Limits) -> Result<Work, OpError> {
        let e = Extents { count: self.shape.len(), ..Extents::default() };
        Ok(launch("fill", &e, self.value)?.into())
    }

    fn backward(
        &self,
        _: &mut Graph,
        _: &Operands,
        _: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        Ok(vec![])
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 0, bytes: s.bytes() }
    }
}

/// Returns the test cases of [`TransposeLeading`], [`ReverseLeading`], [`Pad`], [`Assign`] and
/// [`Fill`], for [`suite`](crate::suite).
pub fn cases() -> Vec<Case> {
    let normal = |shape: &[usize]| vec![Sample::Normal(shape.to_vec())];
    vec![
        Case::new("transpose 5x7", TransposeLeading, normal(&[5, 7])).gradient(&[0]),
        Case::new("transpose 3x31x4", TransposeLeading, normal(&[3, 31, 4])).gradient(&[0]),
        Case::new("transpose u32", TransposeLeading, vec![Sample::Below(vec![6, 9], 99)]),
        Case::new("reverse 4x3x5", ReverseLeading, normal(&[4, 3, 5])).gradient(&[0]),
        Case::new("pad", Pad { offset: 7, full: [3, 10].into() }, normal(&[2, 5])).gradient(&[0]),
        Case::new("assign", Assign, normal(&[4, 9])).updates(normal(&[36])),
        Case::new("fill", Fill { shape: [300].into(), value: 2.5 }, vec![]),
    ]
}
