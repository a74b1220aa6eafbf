//! Operations that combine all elements along axes behind the batch.

use super::arithmetic::{negated, truth};
use super::axis_arguments::Axes;
use super::laid::{Laid, binary};
use super::{Compute, Misfit, Operation};
use crate::layer::{Arguments, ForwardContext};
use crate::layers::LayerTable;
use crate::onnx::{ExportError, OnnxContext};
use crate::{ConfigError, Layer};
use rnn_formats::onnx::{
    Attribute::{Int, Ints},
    ValueName,
};
use rnn_ops::{Activate, Activation, Binary, Reduce, Scale, Unary};

/// What is computed of all elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    Sum,
    Mean,
    /// The mean by its other name, without `keepdims`.
    Average,
    Max,
    Min,
    /// The mean square of what the elements differ from their mean.
    Var,
    /// The root of it.
    Std,
    Any,
    All,
    Logsumexp,
    /// The root of the sum of squares.
    Norm,
}

use Function as F;

/// y = f of all x along the axes, which are dropped or have the extent 1 then.
#[derive(Clone, Debug)]
struct Reduction {
    class: &'static str,
    function: Function,
    axes: Axes,
    keepdims: bool,
}

fn new(class: &'static str, function: Function) -> Box<dyn Layer> {
    Box::new(Operation(Reduction { class, function, axes: Axes(None), keepdims: false }))
}

pub(super) static TABLE: &LayerTable = &[
    ("All", || new("All", F::All)),
    ("Amax", || new("Amax", F::Max)),
    ("Amin", || new("Amin", F::Min)),
    ("Any", || new("Any", F::Any)),
    ("Average", || new("Average", F::Average)),
    ("Logsumexp", || new("Logsumexp", F::Logsumexp)),
    ("Max", || new("Max", F::Max)),
    ("Mean", || new("Mean", F::Mean)),
    ("Min", || new("Min", F::Min)),
    ("Norm", || new("Norm", F::Norm)),
    ("Std", || new("Std", F::Std)),
    ("Sum", || new("Sum", F::Sum)),
    ("Var", || new("Var", F::Var)),
];

fn reduced(
    cx: &mut ForwardContext<'_>,
    mut x: Laid,
    axes: &[usize],
    reduce: Reduce,
) -> Result<Laid, Misfit> {
    for &axis in axes {
        x = x.reduce(cx, axis, reduce)?;
    }
    Ok(x)
}

fn mean(cx: &mut ForwardContext<'_>, x: Laid, axes: &[usize]) -> Result<Laid, Misfit> {
    let dims = x.dims(cx);
    let count: usize = axes.iter().map(|&axis| dims[axis]).product();
    let sum = reduced(cx, x, axes, Reduce::Sum)?;
    Ok(sum.map(cx, Scale(1.0 / count as f32))?)
}

fn square(cx: &mut ForwardContext<'_>, x: Laid) -> Result<Laid, Misfit> {
    binary(cx, Binary::Mul, x.clone(), x)
}

fn smallest(cx: &mut ForwardContext<'_>, x: Laid, axes: &[usize]) -> Result<Laid, Misfit> {
    let negative = x.map(cx, Scale(-1.0))?;
    Ok(reduced(cx, negative, axes, Reduce::Max)?.map(cx, Scale(-1.0))?)
}

impl Reduction {
    /// With all axes kept.
    fn of(&self, cx: &mut ForwardContext<'_>, x: Laid, axes: &[usize]) -> Result<Laid, Misfit> {
        match self.function {
            F::Sum => reduced(cx, x, axes, Reduce::Sum),
            F::Mean | F::Average => mean(cx, x, axes),
            F::Max => reduced(cx, x, axes, Reduce::Max),
            F::Min => smallest(cx, x, axes),
            F::Any => {
                let marks = truth(cx, x)?;
                reduced(cx, marks, axes, Reduce::Max)
            }
            F::All => {
                let zeros = negated(cx, x)?;
                let any = reduced(cx, zeros, axes, Reduce::Max)?;
                negated(cx, any)
            }
            F::Var | F::Std => {
                let center = mean(cx, x.clone(), axes)?;
                let rest = binary(cx, Binary::Sub, x, center)?;
                let squares = square(cx, rest)?;
                let variance = mean(cx, squares, axes)?;
                match self.function {
                    F::Var => Ok(variance),
                    _ => Ok(variance.map(cx, Unary::Sqrt)?),
                }
            }
            F::Norm => {
                let squares = square(cx, x)?;
                Ok(reduced(cx, squares, axes, Reduce::Sum)?.map(cx, Unary::Sqrt)?)
            }
            F::Logsumexp => {
                let largest = reduced(cx, x.clone(), axes, Reduce::Max)?;
                let rest = binary(cx, Binary::Sub, x, largest.clone())?;
                let shares = rest.map(cx, Activate(Activation::Exponential))?;
                let sum = reduced(cx, shares, axes, Reduce::Sum)?;
                let log = sum.map(cx, Unary::Log)?;
                binary(cx, Binary::Add, log, largest)
            }
        }
    }
}

impl Compute for Reduction {
    fn class(&self) -> &'static str {
        self.class
    }

    fn module(&self) -> &'static str {
        match self.function {
            F::Logsumexp => "keras.src.ops.math",
            F::Norm => "keras.src.ops.linalg",
            _ => "keras.src.ops.numpy",
        }
    }

    fn expected(&self) -> &'static str {
        "an input that has its axes, which must be named: axis = None, or 0, would combine the \
         examples of a batch"
    }

    fn compute(&self, cx: &mut ForwardContext<'_>, inputs: Vec<Laid>) -> Result<Vec<Laid>, Misfit> {
        let [x] = <[Laid; 1]>::try_from(inputs).map_err(|_| Misfit::Inputs)?;
        let axes = self.axes.of(x.rank())?;
        let mut y = self.of(cx, x, &axes)?;
        if !self.keepdims {
            for &axis in axes.iter().rev() {
                y = y.without(cx, axis)?;
            }
        }
        Ok(vec![y])
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let input = cx.input()?;
        let axes = self.axes.of(input.dims.len() + 1);
        let axes = axes.map_err(|_| cx.refuse("it combines the batch"))?;
        let axes: Vec<i64> = axes.into_iter().map(|axis| axis as i64).collect();
        let kept = |keep: bool| [("axes", Ints(axes.clone())), ("keepdims", Int(i64::from(keep)))];
        let x = input.value;
        let own = kept(self.keepdims);
        let truth = |cx: &mut OnnxContext<'_>, operator: &str| {
            let truth = cx.node("Cast", &[&x], &[("to", Int(9))]);
            let marks = cx.node("Cast", &[&truth], &[("to", Int(1))]);
            cx.node(operator, &[&marks], &own)
        };
        let y = match self.function {
            F::Sum => {
                let axes = cx.graph.ints("axes", &axes);
                cx.node("ReduceSum", &[&x, &axes], &own[1..])
            }
            F::Mean | F::Average => cx.node("ReduceMean", &[&x], &own),
            F::Max => cx.node("ReduceMax", &[&x], &own),
            F::Min => cx.node("ReduceMin", &[&x], &own),
            F::Any => truth(cx, "ReduceMax"),
            F::All => truth(cx, "ReduceMin"),
            F::Logsumexp => cx.node("ReduceLogSumExp", &[&x], &own),
            F::Norm => cx.node("ReduceL2", &[&x], &own),
            F::Var | F::Std => {
                let center = cx.node("ReduceMean", &[&x], &kept(true));
                let rest = cx.node("Sub", &[&x, &center], &[]);
                let squares = cx.node("Mul", &[&rest, &rest], &[]);
                let variance = cx.node("ReduceMean", &[&squares], &own);
                match self.function {
                    F::Var => variance,
                    _ => cx.node("Sqrt", &[&variance], &[]),
                }
            }
        };
        Ok(vec![y])
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.optional("axis", &mut self.axes)?;
        match self.function {
            F::Average => return a.fixed("weights", ()),
            F::Max | F::Min => a.fixed("initial", ())?,
            F::Norm => a.fixed("ord", 2)?,
            _ => {}
        }
        a.optional("keepdims", &mut self.keepdims)
    }
}
