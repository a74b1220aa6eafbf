//! Operations that move, repeat or pad elements along the axes behind the batch.

use super::axis_arguments::{Axes, Counts, Margins, axis_of};
use super::laid::{Laid, bounded};
use super::slicing::slice_onnx;
use super::{Compute, Misfit, Operation};
use crate::layer::{Arguments, ForwardContext};
use crate::layers::LayerTable;
use crate::onnx::{ExportError, OnnxContext};
use crate::{ConfigError, Layer};
use rnn_formats::onnx::{Attribute::Ints, ValueName};
use rnn_graph::TensorId;
use rnn_ops::{Binary, Slice, Spread};

/// What becomes of the axes.
#[derive(Clone, Debug)]
enum Function {
    /// Other extents, row-major. The first is that of the batch, -1; one more may be -1, and is then
    /// computed from the others.
    Reshape {
        target: Vec<isize>,
    },
    /// Another order of axes; without one, the reverse.
    Transpose {
        axes: Axes,
    },
    Swap {
        axes: [isize; 2],
    },
    Move {
        from: Axes,
        to: Axes,
    },
    /// An axis of the extent 1 in each of these places.
    Expand {
        axes: Axes,
    },
    /// These axes, or all of the extent 1, are dropped.
    Squeeze {
        axes: Axes,
    },
    /// The elements along these axes, or all, in reverse.
    Flip {
        axes: Axes,
    },
    /// Each element several times, side by side.
    Repeat {
        times: Counts,
        axis: Axes,
    },
    /// All elements several times, one behind the other.
    Tile {
        times: Counts,
    },
    /// A number before and after.
    Pad {
        margins: Margins,
        value: Option<f32>,
    },
    /// The elements moved on, those at the end to the front.
    Roll {
        shift: isize,
        axis: Axes,
    },
}

use Function as F;

#[derive(Clone, Debug)]
struct Shaping {
    class: &'static str,
    function: Function,
}

fn new(class: &'static str, function: Function) -> Box<dyn Layer> {
    Box::new(Operation(Shaping { class, function }))
}

pub(super) static TABLE: &LayerTable = &[
    ("ExpandDims", || new("ExpandDims", F::Expand { axes: Axes::one(-1) })),
    ("Flip", || new("Flip", F::Flip { axes: Axes(None) })),
    ("Moveaxis", || new("Moveaxis", F::Move { from: Axes::one(-1), to: Axes::one(-1) })),
    ("Pad", || new("Pad", F::Pad { margins: Margins(vec![[0, 0]]), value: None })),
    ("Repeat", || new("Repeat", F::Repeat { times: Counts(vec![1]), axis: Axes(None) })),
    ("Reshape", || new("Reshape", F::Reshape { target: vec![-1] })),
    ("Roll", || new("Roll", F::Roll { shift: 0, axis: Axes(None) })),
    ("Squeeze", || new("Squeeze", F::Squeeze { axes: Axes(None) })),
    ("Swapaxes", || new("Swapaxes", F::Swap { axes: [-1, -1] })),
    ("Tile", || new("Tile", F::Tile { times: Counts(vec![1]) })),
    ("Transpose", || new("Transpose", F::Transpose { axes: Axes(None) })),
];

/// The one axis that is named.
fn one(axes: &Axes, rank: usize) -> Result<usize, Misfit> {
    match axes.of(rank)?[..] {
        [axis] => Ok(axis),
        _ => Err(Misfit::Inputs),
    }
}

/// All extents of a target, the batch first.
fn target(given: &[usize], target: &[isize]) -> Result<Vec<usize>, Misfit> {
    let (batch, elements) = (given[0], given[1..].iter().product::<usize>());
    let (&first, rest) = target.split_first().ok_or(Misfit::Inputs)?;
    let known = rest.iter().filter_map(|&n| usize::try_from(n).ok());
    let known = known.fold(1usize, usize::saturating_mul);
    let open = rest.iter().filter(|&&n| n < 0).count();
    let left = elements.checked_div(known).unwrap_or(0);
    let extents = rest.iter().map(|&n| usize::try_from(n).unwrap_or(left));
    let dims: Vec<usize> = [batch].into_iter().chain(extents).collect();
    let fits = first < 0 && open < 2 && dims[1..].iter().product::<usize>() == elements;
    fits.then_some(dims).ok_or(Misfit::Inputs)
}

impl Function {
    /// Axis i of the result is this axis of the input, for the functions that reorder axes.
    fn order(&self, rank: usize) -> Result<Vec<usize>, Misfit> {
        let mut order: Vec<usize> = (0..rank).collect();
        match self {
            Self::Transpose { axes: Axes(Some(axes)) } => {
                let place = |&axis: &isize| {
                    usize::try_from(if axis < 0 { axis + rank as isize } else { axis }).ok()
                };
                let given: Option<Vec<usize>> = axes.iter().map(place).collect();
                let given = given.ok_or(Misfit::Inputs)?;
                let mut sorted = given.clone();
                sorted.sort_unstable();
                if sorted != order {
                    return Err(Misfit::Inputs);
                }
                order = given;
            }
            Self::Transpose { .. } => order.reverse(),
            Self::Swap { axes: [a, b] } => order.swap(axis_of(*a, rank)?, axis_of(*b, rank)?),
            Self::Move { from, to } => {
                let (from, to) = (one(from, rank)?, one(to, rank)?);
                let axis = order.remove(from);
                order.insert(to, axis);
            }
            _ => {}
        }
        // The batch stays where it is.
        if order.first() == Some(&0) { Ok(order) } else { Err(Misfit::Inputs) }
    }

    /// The axes that are dropped from, or flipped in, a tensor of these extents.
    fn chosen(&self, dims: &[usize]) -> Result<Vec<usize>, Misfit> {
        match self {
            Self::Squeeze { axes: Axes(None) } => {
                Ok((1..dims.len()).filter(|&axis| dims[axis] == 1).collect())
            }
            Self::Squeeze { axes } => {
                let axes = axes.of(dims.len())?;
                let fits = axes.iter().all(|&axis| dims[axis] == 1);
                fits.then_some(axes).ok_or(Misfit::Inputs)
            }
            Self::Flip { axes } => axes.of(dims.len()),
            _ => Err(Misfit::Inputs),
        }
    }

    /// How often each axis of a tensor of this rank is repeated as a whole.
    fn tiles(times: &Counts, rank: usize) -> Result<Vec<usize>, Misfit> {
        let missing = rank.checked_sub(times.0.len()).ok_or(Misfit::Inputs)?;
        let all = [&vec![1; missing], &times.0[..]].concat();
        let fits = all[0] == 1 && !all.contains(&0);
        fits.then_some(all).ok_or(Misfit::Inputs)
    }

    /// The elements before and after each axis of a tensor of this rank.
    fn margins(margins: &Margins, rank: usize) -> Result<Vec<[usize; 2]>, Misfit> {
        let all = match margins.0[..] {
            [both] => vec![both; rank],
            _ => margins.0.clone(),
        };
        let fits = all.len() == rank && all[0] == [0, 0];
        fits.then_some(all).ok_or(Misfit::Inputs)
    }
}

/// Repeats the middle axis of `[outer, extent, inner]` as a whole, or each of its elements.
fn repeated(
    cx: &mut ForwardContext<'_>,
    x: Laid,
    axis: usize,
    times: usize,
    whole: bool,
) -> Result<Laid, Misfit> {
    let mut dims = x.dims(cx);
    dims[axis] = dims[axis].saturating_mul(times);
    bounded(&dims)?;
    let repeat = |cx: &mut ForwardContext<'_>, x: TensorId| {
        let dims = cx.graph.shape(x).dims().to_vec();
        let parts = match whole {
            true => [dims[0], 1, dims[1] * dims[2]],
            false => [dims[0] * dims[1], 1, dims[2]],
        };
        let parts = cx.graph.reshape(x, parts)?;
        let repeated = cx.graph.apply(Slice::repeat(times), &[parts])?;
        cx.graph.reshape(repeated, [dims[0], dims[1] * times, dims[2]])
    };
    if times == 1 { Ok(x) } else { Ok(x.along(cx, axis, repeat)?) }
}

impl Compute for Shaping {
    fn class(&self) -> &'static str {
        self.class
    }

    fn expected(&self) -> &'static str {
        match self.function {
            F::Reshape { .. } => {
                "as many elements as its target has behind the batch, which is -1 or None there"
            }
            F::Flip { .. } | F::Repeat { .. } | F::Roll { .. } => {
                "an input that has its axis, which must be named and is not the batch"
            }
            _ => "an input that has its axes, of which the batch stays as it is",
        }
    }

    fn compute(&self, cx: &mut ForwardContext<'_>, inputs: Vec<Laid>) -> Result<Vec<Laid>, Misfit> {
        let [mut x] = <[Laid; 1]>::try_from(inputs).map_err(|_| Misfit::Inputs)?;
        let dims = x.dims(cx);
        let rank = dims.len();
        match &self.function {
            F::Reshape { target: to } => {
                let to = target(&dims, to)?;
                x = x.reshaped(cx, &to)?;
            }
            F::Transpose { .. } | F::Swap { .. } | F::Move { .. } => {
                x = x.transposed(&self.function.order(rank)?);
            }
            F::Expand { axes } => {
                let count = axes.0.as_ref().map_or(0, Vec::len);
                for axis in axes.of(rank + count)? {
                    x = x.with(cx, axis)?;
                }
            }
            F::Squeeze { .. } => {
                for axis in self.function.chosen(&dims)?.into_iter().rev() {
                    x = x.without(cx, axis)?;
                }
            }
            F::Flip { .. } => {
                for axis in self.function.chosen(&dims)? {
                    let slice = Slice { start: dims[axis] - 1, step: -1, count: dims[axis] };
                    x = x.slice(cx, axis, slice)?;
                }
            }
            F::Repeat { times, axis } => match times.0[..] {
                [times] if times > 0 => x = repeated(cx, x, one(axis, rank)?, times, false)?,
                _ => return Err(Misfit::Inputs),
            },
            F::Tile { times } => {
                for (axis, times) in F::tiles(times, rank)?.into_iter().enumerate() {
                    x = repeated(cx, x, axis, times, true)?;
                }
            }
            F::Pad { margins, value } => {
                let value = value.unwrap_or(0.0);
                // Zeros are spread around the differences from the number.
                if value != 0.0 {
                    x = x.with_number(cx, Binary::Sub, value)?;
                }
                for (axis, [before, after]) in F::margins(margins, rank)?.into_iter().enumerate() {
                    let mut wide = x.dims(cx);
                    wide[axis] += before + after;
                    bounded(&wide)?;
                    if [before, after] != [0, 0] {
                        let slice = Slice { start: before, step: 1, count: dims[axis] };
                        let spread = Spread { slice, extent: before + dims[axis] + after };
                        x = x.along(cx, axis, |cx, x| cx.graph.apply(spread, &[x]))?;
                    }
                }
                if value != 0.0 {
                    x = x.with_number(cx, Binary::Add, value)?;
                }
            }
            F::Roll { shift, axis } => {
                let axis = one(axis, rank)?;
                let extent = dims[axis] as isize;
                let first = (-shift).rem_euclid(extent.max(1)) as usize;
                if first > 0 {
                    let twice = repeated(cx, x, axis, 2, true)?;
                    x = twice.slice(
                        cx,
                        axis,
                        Slice { start: first, step: 1, count: dims[axis] },
                    )?;
                }
            }
        }
        Ok(vec![x])
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let input = cx.input()?;
        let dims = [&[super::SOME_BATCH], &input.dims[..]].concat();
        let (rank, x) = (dims.len(), input.value);
        let misfit = |cx: &OnnxContext<'_>| cx.refuse("it changes the batch");
        let output = cx.output().to_vec();
        Ok(vec![match &self.function {
            F::Reshape { .. } | F::Expand { .. } | F::Squeeze { .. } => cx.reshape(&x, &output),
            F::Transpose { .. } | F::Swap { .. } | F::Move { .. } => {
                let order = self.function.order(rank).map_err(|_| misfit(cx))?;
                let order: Vec<i64> = order.into_iter().map(|axis| axis as i64).collect();
                cx.node("Transpose", &[&x], &[("perm", Ints(order))])
            }
            F::Flip { .. } => {
                let axes = self.function.chosen(&dims).map_err(|_| misfit(cx))?;
                let back = |axis: usize| {
                    let count = dims[axis];
                    (axis, Slice { start: count - 1, step: -1, count })
                };
                let slices: Vec<(usize, Slice)> = axes.into_iter().map(back).collect();
                slice_onnx(cx, &x, &slices)
            }
            F::Repeat { times, axis } => {
                let axis = one(axis, rank).map_err(|_| misfit(cx))?;
                let wide = [&dims[1..=axis], &[1], &dims[axis + 1..]].concat();
                let wide = cx.reshape(&x, &wide);
                let mut tiles = vec![1; rank + 1];
                tiles[axis + 1] = times.0.first().map_or(1, |&n| n as i64);
                let tiles = cx.graph.ints("repeats", &tiles);
                let tiled = cx.node("Tile", &[&wide, &tiles], &[]);
                cx.reshape(&tiled, &output)
            }
            F::Tile { times } => {
                let tiles = F::tiles(times, rank).map_err(|_| misfit(cx))?;
                let tiles: Vec<i64> = tiles.into_iter().map(|n| n as i64).collect();
                let tiles = cx.graph.ints("repeats", &tiles);
                cx.node("Tile", &[&x, &tiles], &[])
            }
            F::Pad { margins, value } => {
                let all = F::margins(margins, rank).map_err(|_| misfit(cx))?;
                let ends = [0, 1].map(|end| all.iter().map(move |pair| pair[end] as i64));
                let pads: Vec<i64> = ends.into_iter().flatten().collect();
                let (pads, value) = (cx.graph.ints("pads", &pads), value.unwrap_or(0.0));
                let value = cx.scalar(value);
                cx.node("Pad", &[&x, &pads, &value], &[])
            }
            F::Roll { shift, axis } => {
                let axis = one(axis, rank).map_err(|_| misfit(cx))?;
                let extent = dims[axis] as isize;
                let start = (-shift).rem_euclid(extent.max(1)) as usize;
                let mut tiles = vec![1; rank];
                tiles[axis] = 2;
                let tiles = cx.graph.ints("repeats", &tiles);
                let twice = cx.node("Tile", &[&x, &tiles], &[]);
                slice_onnx(cx, &twice, &[(axis, Slice { start, step: 1, count: dims[axis] })])
            }
        }])
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        match &mut self.function {
            F::Reshape { target } => a.required("newshape", target),
            F::Transpose { axes } => a.optional("axes", axes),
            F::Swap { axes: [first, second] } => {
                a.required("axis1", first)?;
                a.required("axis2", second)
            }
            F::Move { from, to } => {
                a.required("source", from)?;
                a.required("destination", to)
            }
            F::Expand { axes } | F::Squeeze { axes } | F::Flip { axes } => a.optional("axis", axes),
            F::Repeat { times, axis } => {
                a.required("repeats", times)?;
                a.optional("axis", axis)
            }
            F::Tile { times } => a.required("repeats", times),
            F::Pad { margins, value } => {
                a.required("pad_width", margins)?;
                a.fixed("mode", "constant")?;
                a.optional("constant_values", value)
            }
            F::Roll { shift, axis } => {
                a.required("shift", shift)?;
                a.optional("axis", axis)
            }
        }
    }
}
