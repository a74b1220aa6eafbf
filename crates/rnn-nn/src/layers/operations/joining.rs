//! Operations that join tensors along an axis, or take one apart.

use super::axis_arguments::{Axes, Counts, axis_of};
use super::laid::{Laid, bounded};
use super::{Compute, Misfit, Operation};
use crate::ConfigError;
use crate::layer::{Arguments, ForwardContext};
use crate::layers::LayerTable;
use crate::onnx::{ExportError, OnnxContext};
use rnn_formats::onnx::{Attribute::Int, ValueName};
use rnn_ops::{Concat, Slice};
use serde_json::json;

pub(super) static TABLE: &LayerTable = &[
    ("Concatenate", || Box::new(Operation(Join { axis: -1, stacks: false }))),
    ("Split", || Box::new(Operation(Split { parts: Counts(vec![1]), listed: false, axis: -1 }))),
    ("Stack", || Box::new(Operation(Join { axis: 0, stacks: true }))),
    ("Unstack", || Box::new(Operation(Unstack { axis: 0 }))),
];

/// The most tensors that an axis is taken apart into.
const MOST_PARTS: usize = 1 << 10;

/// Inputs one behind the other along an axis, which a stack adds.
#[derive(Clone, Debug)]
struct Join {
    axis: isize,
    stacks: bool,
}

impl Compute for Join {
    fn class(&self) -> &'static str {
        if self.stacks { "Stack" } else { "Concatenate" }
    }

    fn expected(&self) -> &'static str {
        "inputs of one shape, but for the axis of a concatenation, which is not the batch"
    }

    fn compute(&self, cx: &mut ForwardContext<'_>, inputs: Vec<Laid>) -> Result<Vec<Laid>, Misfit> {
        let first = inputs.first().ok_or(Misfit::Inputs)?;
        let axis = axis_of(self.axis, first.rank() + usize::from(self.stacks))?;
        let (mut all, mut together): (Vec<Laid>, usize) = (vec![], 0);
        for mut input in inputs {
            if self.stacks {
                input = input.with(cx, axis)?;
            }
            if let Some(first) = all.first() {
                let (mut a, mut b) = (first.dims(cx), input.dims(cx));
                if a.len() != b.len() {
                    return Err(Misfit::Inputs);
                }
                (a[axis], b[axis]) = (0, 0);
                if a != b {
                    return Err(Misfit::Inputs);
                }
                input = input.beside(cx, first)?;
            }
            let mut dims = input.dims(cx);
            together = together.saturating_add(dims[axis]);
            dims[axis] = together;
            bounded(&dims)?;
            all.push(input);
        }
        Ok(vec![Laid::joined(cx, axis, &all)?])
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let rank = cx.output().len() + 1;
        let axis = axis_of(self.axis, rank).map_err(|_| cx.refuse("it joins the batch"))? as i64;
        if !self.stacks {
            return Ok(vec![cx.node_of_inputs("Concat", &[("axis", Int(axis))])]);
        }
        let axes = cx.graph.ints("axes", &[axis]);
        let inputs: Vec<ValueName> = cx.inputs.iter().map(|input| input.value.clone()).collect();
        let wide: Vec<ValueName> =
            inputs.iter().map(|x| cx.node("Unsqueeze", &[x, &axes], &[])).collect();
        let wide: Vec<&ValueName> = wide.iter().collect();
        Ok(vec![cx.node("Concat", &wide, &[("axis", Int(axis))])])
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.optional("axis", &mut self.axis)
    }

    fn merges(&self) -> bool {
        true
    }
}

impl Laid {
    /// The same tensor with its axes in memory as those of another.
    fn beside(self, cx: &mut ForwardContext<'_>, other: &Self) -> Result<Self, Misfit> {
        let order = other.order().to_vec();
        Ok(self.moved(cx, &order)?)
    }

    /// Tensors of one order of axes in memory, one behind the other.
    fn joined(cx: &mut ForwardContext<'_>, axis: usize, all: &[Self]) -> Result<Self, Misfit> {
        let mut rows = Vec::new();
        for part in all {
            part.clone().along(cx, axis, |cx, x| {
                let dims = cx.graph.shape(x).dims().to_vec();
                rows.push(cx.graph.reshape(x, [dims[0], dims[1] * dims[2]])?);
                Ok(x)
            })?;
        }
        let first = all.first().ok_or(Misfit::Inputs)?.clone();
        let joined = first.along(cx, axis, |cx, x| {
            let dims = cx.graph.shape(x).dims().to_vec();
            let together = cx.graph.apply(Concat, &rows)?;
            let extent = cx.graph.shape(together).last() / dims[2].max(1);
            cx.graph.reshape(together, [dims[0], extent, dims[2]])
        })?;
        Ok(joined)
    }
}

/// The parts of an axis: as many of one extent, or those between the places of a list.
#[derive(Clone, Debug)]
struct Split {
    parts: Counts,
    /// True if `parts` are places.
    listed: bool,
    axis: isize,
}

impl Split {
    /// The first element and the number of each part.
    fn ranges(&self, extent: usize) -> Result<Vec<(usize, usize)>, Misfit> {
        let bounds: Vec<usize> = match (&self.parts.0[..], self.listed) {
            (&[parts], false)
                if (1..=MOST_PARTS).contains(&parts) && extent.is_multiple_of(parts) =>
            {
                (0..=parts).map(|part| part * (extent / parts)).collect()
            }
            (places, true) => [&[0], places, &[extent]].concat(),
            _ => return Err(Misfit::Inputs),
        };
        let ranges = bounds.windows(2).map(|pair| match pair {
            [start, end] if start < end => Ok((*start, end - start)),
            _ => Err(Misfit::Inputs),
        });
        ranges.collect()
    }
}

impl Compute for Split {
    fn class(&self) -> &'static str {
        "Split"
    }

    fn expected(&self) -> &'static str {
        "an input whose axis, not the batch, has these parts, none of them empty"
    }

    fn compute(&self, cx: &mut ForwardContext<'_>, inputs: Vec<Laid>) -> Result<Vec<Laid>, Misfit> {
        let [x] = <[Laid; 1]>::try_from(inputs).map_err(|_| Misfit::Inputs)?;
        let axis = axis_of(self.axis, x.rank())?;
        let mut parts = Vec::new();
        for (start, count) in self.ranges(x.dims(cx)[axis])? {
            parts.push(x.clone().slice(cx, axis, Slice { start, step: 1, count })?);
        }
        Ok(parts)
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let input = cx.input()?;
        let axis = axis_of(self.axis, input.dims.len() + 1);
        let ranges = axis.and_then(|axis| Ok((axis, self.ranges(input.dims[axis - 1])?)));
        let (axis, ranges) = ranges.map_err(|_| cx.refuse("it splits the batch"))?;
        let sizes: Vec<i64> = ranges.iter().map(|&(_, count)| count as i64).collect();
        let sizes = cx.graph.ints("sizes", &sizes);
        let axis = [("axis", Int(axis as i64))];
        Ok(cx.graph.node_with_outputs("Split", &[&input.value, &sizes], ranges.len(), &axis))
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        if let Some(given) = a.take("indices_or_sections") {
            self.listed = given.is_array();
        }
        if self.listed || a.reader().is_none() {
            a.required("indices_or_sections", &mut self.parts)?;
        } else {
            a.put("indices_or_sections", json!(self.parts.0.first()));
        }
        a.optional("axis", &mut self.axis)
    }
}

/// The elements of an axis, one by one, without that axis.
#[derive(Clone, Debug)]
struct Unstack {
    axis: isize,
}

impl Compute for Unstack {
    fn class(&self) -> &'static str {
        "Unstack"
    }

    fn module(&self) -> &'static str {
        "keras.src.ops.core"
    }

    fn expected(&self) -> &'static str {
        "an input that has its axis, which is not the batch"
    }

    fn compute(&self, cx: &mut ForwardContext<'_>, inputs: Vec<Laid>) -> Result<Vec<Laid>, Misfit> {
        let [x] = <[Laid; 1]>::try_from(inputs).map_err(|_| Misfit::Inputs)?;
        let axis = axis_of(self.axis, x.rank())?;
        let mut parts = Vec::new();
        let count = x.dims(cx)[axis];
        if count > MOST_PARTS {
            return Err(Misfit::Inputs);
        }
        for start in 0..count {
            let part = x.clone().slice(cx, axis, Slice { start, step: 1, count: 1 })?;
            parts.push(part.without(cx, axis)?);
        }
        Ok(parts)
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let input = cx.input()?;
        let axis = axis_of(self.axis, input.dims.len() + 1);
        let axis = axis.map_err(|_| cx.refuse("it takes the batch apart"))?;
        let count = cx.outputs.len();
        let at = [("axis", Int(axis as i64))];
        let parts = cx.graph.node_with_outputs("Split", &[&input.value], count, &at);
        let output = cx.output().to_vec();
        Ok(parts.iter().map(|part| cx.reshape(part, &output)).collect())
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.ignored(&["num"]);
        let mut axes = Axes::one(self.axis);
        a.optional("axis", &mut axes)?;
        self.axis = axes.0.and_then(|axes| axes.first().copied()).unwrap_or(0);
        Ok(())
    }
}
