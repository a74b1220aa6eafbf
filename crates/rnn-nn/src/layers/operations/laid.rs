//! Tensors whose axes are counted as Keras counts them, wherever they stand in memory.

use super::Misfit;
use crate::layer::{ForwardContext, Value};
use crate::layers::axes::spread;
use crate::layers::permute::permuted;
use rnn_core::DType;
use rnn_graph::{GraphError, Op, TensorId};
use rnn_ops::{Binary, Fill, Reduce, Slice};

/// A tensor with the order of its axes in memory: an operation names Keras's axes, and nothing is
/// moved before it has to be.
#[derive(Clone, Debug)]
pub(in crate::layers) struct Laid {
    pub tensor: TensorId,
    /// Keras's axis, of which the batch is the first, at each place in memory.
    order: Vec<usize>,
}

/// Keras's axes in the order of a model's tensors in a graph.
fn of_graph(rank: usize, leads: bool) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rank).collect();
    if leads {
        order.swap(0, 1);
    }
    order
}

impl Laid {
    /// A tensor of the model.
    pub fn of(cx: &ForwardContext<'_>, tensor: TensorId) -> Self {
        let ty = &cx.graph[tensor].ty;
        let rank = ty.shape.rank();
        // Tokens [T], too, have their steps before the batch.
        Self { tensor, order: of_graph(rank, rank > 2 || rank == 2 && ty.dtype == DType::U32) }
    }

    /// A tensor whose axes stand in Keras's order.
    pub fn in_order(cx: &ForwardContext<'_>, tensor: TensorId) -> Self {
        Self { tensor, order: (0..cx.graph.shape(tensor).rank()).collect() }
    }

    /// A tensor whose axes stand as those of this one.
    pub fn like(&self, tensor: TensorId) -> Self {
        Self { tensor, order: self.order.clone() }
    }

    /// Keras's axis at each place in memory.
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    pub fn rank(&self) -> usize {
        self.order.len()
    }

    /// The extents in Keras's order.
    pub fn dims(&self, cx: &ForwardContext<'_>) -> Vec<usize> {
        let given = cx.graph.shape(self.tensor).dims();
        let mut dims = vec![0; given.len()];
        self.order.iter().zip(given).for_each(|(&axis, &extent)| dims[axis] = extent);
        dims
    }

    fn place(&self, axis: usize) -> usize {
        self.order.iter().take_while(|&&other| other != axis).count()
    }

    /// Replaces the extent of an axis by what `make` does to `[outer, extent, inner]`.
    pub fn along(
        self,
        cx: &mut ForwardContext<'_>,
        axis: usize,
        make: impl FnOnce(&mut ForwardContext<'_>, TensorId) -> Result<TensorId, GraphError>,
    ) -> Result<Self, GraphError> {
        let place = self.place(axis);
        let mut dims = cx.graph.shape(self.tensor).dims().to_vec();
        let inner: usize = dims[place + 1..].iter().product();
        let outer: usize = dims[..place].iter().product();
        let x = cx.graph.reshape(self.tensor, [outer, dims[place], inner])?;
        let y = make(cx, x)?;
        dims[place] = cx.graph.shape(y).dims()[1];
        Ok(Self { tensor: cx.graph.reshape(y, dims)?, ..self })
    }

    /// The elements of an axis that `slice` names.
    pub fn slice(
        self,
        cx: &mut ForwardContext<'_>,
        axis: usize,
        slice: Slice,
    ) -> Result<Self, GraphError> {
        if slice == (Slice { start: 0, step: 1, count: self.dims(cx)[axis] }) {
            return Ok(self);
        }
        self.along(cx, axis, |cx, x| match (cx.graph.shape(x).dims(), slice) {
            // Leading elements side by side are a view.
            (&[1, _, inner], Slice { start, step: 1, count }) => {
                cx.graph.view(x, start * inner, [1, count, inner])
            }
            _ => cx.graph.apply(slice, &[x]),
        })
    }

    /// Combines the elements of an axis, whose extent becomes 1.
    pub fn reduce(
        self,
        cx: &mut ForwardContext<'_>,
        axis: usize,
        reduce: Reduce,
    ) -> Result<Self, GraphError> {
        self.along(cx, axis, |cx, x| reduce.apply(cx.graph, x))
    }

    /// Drops an axis of the extent 1.
    pub fn without(self, cx: &mut ForwardContext<'_>, axis: usize) -> Result<Self, GraphError> {
        let place = self.place(axis);
        let mut dims = cx.graph.shape(self.tensor).dims().to_vec();
        dims.remove(place);
        let behind = self.order.iter().filter(|&&other| other != axis);
        let order = behind.map(|&other| other - usize::from(other > axis)).collect();
        Ok(Self { tensor: cx.graph.reshape(self.tensor, dims)?, order })
    }

    /// Adds an axis of the extent 1, which becomes that of the number `axis`.
    pub fn with(self, cx: &mut ForwardContext<'_>, axis: usize) -> Result<Self, GraphError> {
        let mut dims = cx.graph.shape(self.tensor).dims().to_vec();
        let mut order: Vec<usize> =
            self.order.iter().map(|&other| other + usize::from(other >= axis)).collect();
        let place = self.place(axis);
        dims.insert(place, 1);
        order.insert(place, axis);
        Ok(Self { tensor: cx.graph.reshape(self.tensor, dims)?, order })
    }

    /// The same tensor, whose axis i is called `order[i]` no more: axis i of the result is axis
    /// `axes[i]` of this one.
    pub fn transposed(self, axes: &[usize]) -> Self {
        let new = |axis: &usize| axes.iter().take_while(|&old| old != axis).count();
        Self { order: self.order.iter().map(new).collect(), ..self }
    }

    /// Moves the axes to these places in memory.
    pub fn moved(self, cx: &mut ForwardContext<'_>, order: &[usize]) -> Result<Self, GraphError> {
        let places: Vec<usize> = order.iter().map(|&axis| self.place(axis)).collect();
        Ok(Self { tensor: permuted(cx, self.tensor, &places)?, order: order.to_vec() })
    }

    /// Moves the axes into Keras's order.
    pub fn batch_major(self, cx: &mut ForwardContext<'_>) -> Result<TensorId, GraphError> {
        let order: Vec<usize> = (0..self.rank()).collect();
        Ok(self.moved(cx, &order)?.tensor)
    }

    /// Moves the axes to where the layers of a model expect them.
    pub fn into_graph(self, cx: &mut ForwardContext<'_>) -> Result<TensorId, GraphError> {
        let order = of_graph(self.rank(), self.rank() > 2);
        Ok(self.moved(cx, &order)?.tensor)
    }

    /// Gives the elements other extents, row-major in Keras's order.
    pub fn reshaped(self, cx: &mut ForwardContext<'_>, dims: &[usize]) -> Result<Self, GraphError> {
        let given = self.dims(cx);
        let leads = self.rank() > 2 && self.order == of_graph(self.rank(), true);
        if leads && dims.len() > 2 && given[..2] == dims[..2] {
            let order = of_graph(dims.len(), true);
            let memory: Vec<usize> = order.iter().map(|&axis| dims[axis]).collect();
            return Ok(Self { tensor: cx.graph.reshape(self.tensor, memory)?, order });
        }
        let rows = self.batch_major(cx)?;
        let tensor = cx.graph.reshape(rows, dims.to_vec())?;
        Ok(Self::in_order(cx, tensor))
    }

    /// An elementwise op of x alone.
    pub fn map(self, cx: &mut ForwardContext<'_>, op: impl Op) -> Result<Self, GraphError> {
        Ok(Self { tensor: cx.graph.apply(op, &[self.tensor])?, ..self })
    }

    /// An elementwise op of x and a number.
    pub fn with_number(
        self,
        cx: &mut ForwardContext<'_>,
        op: Binary,
        number: f32,
    ) -> Result<Self, GraphError> {
        let number = cx.graph.apply(Fill { shape: [1].into(), value: number }, &[])?;
        let number = cx.graph.reshape(number, [])?;
        Ok(Self { tensor: cx.graph.apply(op, &[self.tensor, number])?, ..self })
    }

    /// A tensor of this shape that holds one number.
    pub fn filled(&self, cx: &mut ForwardContext<'_>, value: f32) -> Result<Self, GraphError> {
        let shape = cx.graph.shape(self.tensor).clone();
        Ok(Self { tensor: cx.graph.apply(Fill { shape, value }, &[])?, ..self.clone() })
    }
}

/// Refuses extents, those of the batch first, of examples with more elements than a tensor may have.
///
/// # Errors
/// Fails if there are more than 2^31.
pub(super) fn bounded(dims: &[usize]) -> Result<(), Misfit> {
    let elements = dims.iter().skip(1).try_fold(1usize, |all, &extent| all.checked_mul(extent));
    match elements {
        Some(elements) if elements <= 1 << 31 => Ok(()),
        _ => Err(Misfit::Inputs),
    }
}

/// Gives all operands one rank and one order of axes, that of the one with the most elements; also
/// returns the extents, in memory, that they are broadcast to.
///
/// # Errors
/// Fails if the operands cannot be broadcast: of two extents that differ one is 1.
fn aligned(
    cx: &mut ForwardContext<'_>,
    operands: Vec<Laid>,
) -> Result<(Vec<Laid>, Vec<usize>), Misfit> {
    let rank = operands.iter().map(Laid::rank).max().unwrap_or(0);
    let mut wide = Vec::new();
    for mut operand in operands {
        while operand.rank() < rank {
            operand = operand.with(cx, 0)?;
        }
        wide.push(operand);
    }
    let mut dims = vec![1; rank];
    for operand in &wide {
        for (extent, own) in dims.iter_mut().zip(operand.dims(cx)) {
            match (*extent, own) {
                (_, 1) => {}
                (1, own) => *extent = own,
                (extent, own) if extent == own => {}
                _ => return Err(Misfit::Inputs),
            }
        }
    }
    bounded(&dims)?;
    let most = wide.iter().max_by_key(|laid| cx.graph.shape(laid.tensor).len());
    let order = most.map(|laid| laid.order.clone()).unwrap_or_default();
    let mut all = Vec::new();
    for operand in wide {
        all.push(operand.moved(cx, &order)?);
    }
    Ok((all, order.iter().map(|&axis| dims[axis]).collect()))
}

impl Laid {
    /// Repeats axes of the extent 1 to these extents in memory; leading ones only if `all` is true,
    /// as elementwise ops repeat those by themselves.
    fn spread(
        &self,
        cx: &mut ForwardContext<'_>,
        dims: &[usize],
        all: bool,
    ) -> Result<TensorId, GraphError> {
        let given = cx.graph.shape(self.tensor).dims().to_vec();
        let x = spread(cx, self.tensor, &given, dims)?;
        let (whole, len) = (dims.iter().product::<usize>(), cx.graph.shape(x).len());
        if !all || len == whole {
            return if len == whole { cx.graph.reshape(x, dims.to_vec()) } else { Ok(x) };
        }
        let once = cx.graph.reshape(x, [1, 1, len])?;
        let repeated = cx.graph.apply(Slice::repeat(whole / len), &[once])?;
        cx.graph.reshape(repeated, dims.to_vec())
    }
}

/// The shape of all examples that layers merge: extents of 1 are broadcast, and an example with fewer
/// axes gets more in front (keras/src/layers/merging/base_merge.py); `None` if they do not fit.
pub(in crate::layers) fn merged_shape(inputs: &[&[usize]]) -> Option<Vec<usize>> {
    let rank = inputs.iter().map(|input| input.len()).max()?;
    let mut shape = vec![1; rank];
    for input in inputs {
        for (extent, &own) in shape[rank - input.len()..].iter_mut().zip(*input) {
            match (*extent, own) {
                (extent, own) if extent == own || own == 1 => {}
                (1, own) => *extent = own,
                _ => return None,
            }
        }
    }
    Some(shape)
}

/// Broadcasts values that a layer merges to the shape of [`merged_shape`]; their masks stay. `None`
/// if they do not fit.
pub(in crate::layers) fn merged(
    cx: &mut ForwardContext<'_>,
    inputs: &[Value],
) -> Result<Option<Vec<Value>>, GraphError> {
    let shape = |input: &Value| cx.graph.shape(input.tensor).clone();
    if inputs.iter().all(|input| shape(input) == shape(&inputs[0])) {
        return Ok(Some(inputs.to_vec()));
    }
    let mut laid: Vec<Laid> = inputs.iter().map(|input| Laid::of(cx, input.tensor)).collect();
    let rank = laid.iter().map(Laid::rank).max().unwrap_or(0);
    for x in &mut laid {
        while x.rank() < rank {
            *x = x.clone().with(cx, 1)?;
        }
    }
    let (laid, dims) = match aligned(cx, laid) {
        Ok(aligned) => aligned,
        Err(Misfit::Graph(error)) => return Err(error),
        Err(Misfit::Inputs) => return Ok(None),
    };
    let mut values = Vec::new();
    for (x, input) in laid.iter().zip(inputs) {
        let tensor = x.like(x.spread(cx, &dims, true)?).into_graph(cx)?;
        // A mask is that of the steps of the result.
        if input
            .mask
            .is_some_and(|mask| cx.graph.shape(mask).dims() != &cx.graph.shape(tensor).dims()[..2])
        {
            return Ok(None);
        }
        values.push(Value { tensor, ..*input });
    }
    Ok(Some(values))
}

/// An elementwise op of two operands, which are broadcast as in NumPy.
///
/// # Errors
/// Fails if they cannot be broadcast.
pub(in crate::layers) fn binary(
    cx: &mut ForwardContext<'_>,
    op: Binary,
    a: Laid,
    b: Laid,
) -> Result<Laid, Misfit> {
    let (mut pair, dims) = aligned(cx, vec![a, b])?;
    let whole = |cx: &ForwardContext<'_>, laid: &Laid| cx.graph.shape(laid.tensor).dims() == dims;
    // The second operand is repeated by the op itself.
    let commutes = matches!(op, Binary::Add | Binary::Mul | Binary::Equal);
    if commutes && !whole(cx, &pair[0]) && whole(cx, &pair[1]) {
        pair.swap(0, 1);
    }
    let a = pair[0].spread(cx, &dims, true)?;
    let b = pair[1].spread(cx, &dims, false)?;
    let tensor = cx.graph.apply(op, &[a, b])?;
    Ok(Laid { tensor, order: pair[0].order.clone() })
}

/// An elementwise op of operands that are broadcast to one shape.
///
/// # Errors
/// Fails if they cannot be.
pub(super) fn together(
    cx: &mut ForwardContext<'_>,
    op: impl Op,
    operands: Vec<Laid>,
) -> Result<Laid, Misfit> {
    let (operands, dims) = aligned(cx, operands)?;
    let spread = operands.iter().map(|laid| laid.spread(cx, &dims, true));
    let tensors = spread.collect::<Result<Vec<_>, _>>()?;
    let order = operands.first().map(|laid| laid.order.clone()).unwrap_or_default();
    Ok(Laid { tensor: cx.graph.apply(op, &tensors)?, order })
}
