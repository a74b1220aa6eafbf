//! Operations on each element of one tensor, among them the activations.

use super::arithmetic::{negated, truth};
use super::axis_arguments::axis_of;
use super::laid::{Laid, binary};
use super::{Compute, Misfit, Operation};
use crate::layer::{Argument, Arguments, Dialect, ForwardContext, Numbers, Reader};
use crate::layers::{LayerTable, OutputActivation, Softmax};
use crate::onnx::{ExportError, OnnxContext};
use crate::{ConfigError, Layer};
use rnn_formats::onnx::{
    Attribute::{Float, Int},
    ValueName,
};
use rnn_ops::{Activate, Activation, Binary, LogSoftmax, Rectify, Scale, Unary};
use serde_json::{Value, json};

/// The functions of a number.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Function {
    Negative,
    Square,
    Rsqrt,
    Reciprocal,
    Expm1,
    Log1p,
    /// The logarithm, divided by that of the base.
    LogOf {
        base: f32,
    },
    Ceil,
    Not,
    /// The numbers that a type can hold.
    Cast(Type),
    /// Other numbers become the nearest one of the range.
    Clip {
        low: Option<f32>,
        high: Option<f32>,
    },
    Fill(f32),
    Unary(Unary, &'static str),
    Activation(Activation),
    LeakyRelu {
        slope: f32,
    },
    Elu {
        alpha: f32,
    },
    Gelu {
        approximate: bool,
    },
    Softmax {
        axis: isize,
    },
    LogSoftmax {
        axis: isize,
    },
}

use Function as F;

/// The types that a cast converts to, all of which are stored as floats.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Type {
    Float,
    /// What lies behind the point is dropped.
    Whole,
    Bool,
}

impl Argument for Type {
    fn supported() -> String {
        "float32, int32, int64, bool".into()
    }

    fn read(value: &Value, _: Dialect) -> Option<Self> {
        Some(match value.as_str()? {
            "float32" | "float16" | "bfloat16" | "float64" | "float" => Self::Float,
            "int32" | "int64" | "int16" | "int" => Self::Whole,
            "bool" => Self::Bool,
            _ => return None,
        })
    }

    fn write(&self, _: Reader) -> Option<Value> {
        Some(match self {
            Self::Float => json!("float32"),
            Self::Whole => json!("int32"),
            Self::Bool => json!("bool"),
        })
    }
}

/// y = f(x).
#[derive(Clone, Debug)]
struct Pointwise {
    class: &'static str,
    function: Function,
}

fn new(class: &'static str, function: Function) -> Box<dyn Layer> {
    Box::new(Operation(Pointwise { class, function }))
}

fn activation(class: &'static str, activation: Activation) -> Box<dyn Layer> {
    new(class, F::Activation(activation))
}

pub(super) static TABLE: &LayerTable = &[
    ("Abs", || new("Abs", F::Unary(Unary::Abs, "Abs"))),
    ("Absolute", || new("Absolute", F::Unary(Unary::Abs, "Abs"))),
    ("Cast", || new("Cast", F::Cast(Type::Float))),
    ("Ceil", || new("Ceil", F::Ceil)),
    ("Celu", || activation("Celu", Activation::Celu)),
    ("Clip", || new("Clip", F::Clip { low: None, high: None })),
    ("Elu", || new("Elu", F::Elu { alpha: 1.0 })),
    ("Exp", || activation("Exp", Activation::Exponential)),
    ("Expm1", || new("Expm1", F::Expm1)),
    ("Floor", || new("Floor", F::Unary(Unary::Floor, "Floor"))),
    ("Gelu", || new("Gelu", F::Gelu { approximate: true })),
    ("HardSigmoid", || activation("HardSigmoid", Activation::HardSigmoid)),
    ("HardSilu", || activation("HardSilu", Activation::HardSilu)),
    ("HardTanh", || activation("HardTanh", Activation::HardTanh)),
    ("LeakyRelu", || new("LeakyRelu", F::LeakyRelu { slope: 0.2 })),
    ("Log", || new("Log", F::Unary(Unary::Log, "Log"))),
    ("Log10", || new("Log10", F::LogOf { base: 10.0 })),
    ("Log1p", || new("Log1p", F::Log1p)),
    ("Log2", || new("Log2", F::LogOf { base: 2.0 })),
    ("LogSoftmax", || new("LogSoftmax", F::LogSoftmax { axis: -1 })),
    ("LogicalNot", || new("LogicalNot", F::Not)),
    ("Negative", || new("Negative", F::Negative)),
    ("OnesLike", || new("OnesLike", F::Fill(1.0))),
    ("Reciprocal", || new("Reciprocal", F::Reciprocal)),
    ("Relu", || activation("Relu", Activation::Relu)),
    ("Relu6", || activation("Relu6", Activation::Relu6)),
    ("Round", || new("Round", F::Unary(Unary::Round, "Round"))),
    ("Rsqrt", || new("Rsqrt", F::Rsqrt)),
    ("Selu", || activation("Selu", Activation::Selu)),
    ("Sigmoid", || activation("Sigmoid", Activation::Sigmoid)),
    ("Sign", || new("Sign", F::Unary(Unary::Sign, "Sign"))),
    ("Silu", || activation("Silu", Activation::Silu)),
    ("Softmax", || new("Softmax", F::Softmax { axis: -1 })),
    ("Softplus", || activation("Softplus", Activation::Softplus)),
    ("Softsign", || activation("Softsign", Activation::Softsign)),
    ("Sqrt", || new("Sqrt", F::Unary(Unary::Sqrt, "Sqrt"))),
    ("Square", || new("Square", F::Square)),
    ("Tanh", || activation("Tanh", Activation::Tanh)),
    ("ZerosLike", || new("ZerosLike", F::Fill(0.0))),
];

impl Pointwise {
    fn gelu(approximate: bool) -> Activation {
        if approximate { Activation::GeluTanh } else { Activation::Gelu }
    }

    /// What `function` is of the axes of x, of which it moves none.
    fn softmax(cx: &mut ForwardContext<'_>, x: Laid, axis: isize) -> Result<Laid, Misfit> {
        let place = axis_of(axis, x.rank())? as isize;
        let softmax = OutputActivation::Softmax(Softmax::axis(place - 1));
        let tensor = x.into_graph(cx)?;
        let shares = softmax.apply(cx, tensor)?;
        Ok(Laid::of(cx, shares))
    }

    fn of(&self, cx: &mut ForwardContext<'_>, x: Laid) -> Result<Laid, Misfit> {
        let exponential = Activate(Activation::Exponential);
        let one_over = |cx: &mut ForwardContext<'_>, x: Laid| {
            let one = x.filled(cx, 1.0)?;
            binary(cx, Binary::Div, one, x)
        };
        Ok(match self.function {
            F::Negative => x.map(cx, Scale(-1.0))?,
            F::Square => binary(cx, Binary::Mul, x.clone(), x)?,
            F::Reciprocal => one_over(cx, x)?,
            F::Rsqrt => {
                let root = x.map(cx, Unary::Sqrt)?;
                one_over(cx, root)?
            }
            F::Expm1 => x.map(cx, exponential)?.with_number(cx, Binary::Sub, 1.0)?,
            F::Log1p => x.with_number(cx, Binary::Add, 1.0)?.map(cx, Unary::Log)?,
            F::LogOf { base } => x.map(cx, Unary::Log)?.map(cx, Scale(1.0 / base.ln()))?,
            F::Ceil => x.map(cx, Scale(-1.0))?.map(cx, Unary::Floor)?.map(cx, Scale(-1.0))?,
            F::Not => negated(cx, x)?,
            F::Cast(Type::Float) => x,
            F::Cast(Type::Bool) => truth(cx, x)?,
            F::Cast(Type::Whole) => {
                let sign = x.clone().map(cx, Unary::Sign)?;
                let size = x.map(cx, Unary::Abs)?.map(cx, Unary::Floor)?;
                binary(cx, Binary::Mul, size, sign)?
            }
            F::Clip { low, high } => {
                let mut y = x;
                for (op, limit) in [(Binary::Max, low), (Binary::Min, high)] {
                    if let Some(limit) = limit {
                        y = y.with_number(cx, op, limit)?;
                    }
                }
                y
            }
            F::Fill(value) => x.filled(cx, value)?,
            F::Unary(op, _) => x.map(cx, op)?,
            F::Activation(activation) => x.map(cx, Activate(activation))?,
            F::LeakyRelu { slope } => x.map(cx, Rectify { slope, ..Rectify::default() })?,
            F::Elu { alpha } => {
                x.map(cx, Rectify { slope: alpha, curved: true, ..Rectify::default() })?
            }
            F::Gelu { approximate } => x.map(cx, Activate(Self::gelu(approximate)))?,
            F::Softmax { axis } => Self::softmax(cx, x, axis)?,
            F::LogSoftmax { axis } => {
                let last = x.rank().saturating_sub(1);
                if axis_of(axis, x.rank())? != last {
                    return Err(Misfit::Inputs);
                }
                let tensor = x.into_graph(cx)?;
                let logs = cx.graph.apply(LogSoftmax, &[tensor])?;
                Laid::of(cx, logs)
            }
        })
    }
}

impl Compute for Pointwise {
    fn class(&self) -> &'static str {
        self.class
    }

    fn module(&self) -> &'static str {
        match self.function {
            F::Rsqrt => "keras.src.ops.math",
            F::Cast(_) => "keras.src.ops.core",
            F::Activation(Activation::Tanh | Activation::Exponential) => "keras.src.ops.numpy",
            F::Activation(_)
            | F::LeakyRelu { .. }
            | F::Elu { .. }
            | F::Gelu { .. }
            | F::Softmax { .. }
            | F::LogSoftmax { .. } => "keras.src.ops.nn",
            _ => "keras.src.ops.numpy",
        }
    }

    fn expected(&self) -> &'static str {
        match self.function {
            F::Softmax { .. } => "an input that has its axis, which is not the batch",
            F::LogSoftmax { .. } => "an input whose last axis is its own",
            _ => "one input",
        }
    }

    fn compute(&self, cx: &mut ForwardContext<'_>, inputs: Vec<Laid>) -> Result<Vec<Laid>, Misfit> {
        let [x] = <[Laid; 1]>::try_from(inputs).map_err(|_| Misfit::Inputs)?;
        Ok(vec![self.of(cx, x)?])
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let x = cx.x()?;
        let cast =
            |cx: &mut OnnxContext<'_>, x: &ValueName, to| cx.node("Cast", &[x], &[("to", Int(to))]);
        Ok(vec![match self.function {
            F::Negative => cx.node("Neg", &[&x], &[]),
            F::Square => cx.node("Mul", &[&x, &x], &[]),
            F::Reciprocal => cx.node("Reciprocal", &[&x], &[]),
            F::Rsqrt => {
                let root = cx.node("Sqrt", &[&x], &[]);
                cx.node("Reciprocal", &[&root], &[])
            }
            F::Expm1 => {
                let (one, y) = (cx.scalar(1.0), cx.node("Exp", &[&x], &[]));
                cx.node("Sub", &[&y, &one], &[])
            }
            F::Log1p => {
                let one = cx.scalar(1.0);
                let sum = cx.node("Add", &[&x, &one], &[]);
                cx.node("Log", &[&sum], &[])
            }
            F::LogOf { base } => {
                let log = cx.node("Log", &[&x], &[]);
                cx.times(&log, 1.0 / base.ln())
            }
            F::Ceil => cx.node("Ceil", &[&x], &[]),
            F::Not => {
                let truth = cast(cx, &x, 9);
                let not = cx.node("Not", &[&truth], &[]);
                cast(cx, &not, 1)
            }
            F::Cast(Type::Float) => x,
            F::Cast(Type::Whole) => {
                let whole = cast(cx, &x, 7);
                cast(cx, &whole, 1)
            }
            F::Cast(Type::Bool) => {
                let truth = cast(cx, &x, 9);
                cast(cx, &truth, 1)
            }
            F::Clip { low, high } => {
                let mut limit = |limit: Option<f32>| match limit {
                    Some(limit) => cx.scalar(limit),
                    None => ValueName::none(),
                };
                let (low, high) = (limit(low), limit(high));
                cx.node("Clip", &[&x, &low, &high], &[])
            }
            F::Fill(value) => {
                let zeros = cx.times(&x, 0.0);
                let number = cx.scalar(value);
                cx.node("Add", &[&zeros, &number], &[])
            }
            F::Unary(_, operator) => cx.node(operator, &[&x], &[]),
            F::Activation(activation) => cx.elementwise(activation, &x),
            F::LeakyRelu { slope } => cx.node("LeakyRelu", &[&x], &[("alpha", Float(slope))]),
            F::Elu { alpha } => cx.node("Elu", &[&x], &[("alpha", Float(alpha))]),
            F::Gelu { approximate } => cx.elementwise(Self::gelu(approximate), &x),
            F::Softmax { axis } => cx.node("Softmax", &[&x], &[("axis", Int(axis as i64))]),
            F::LogSoftmax { axis } => cx.node("LogSoftmax", &[&x], &[("axis", Int(axis as i64))]),
        }])
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        match &mut self.function {
            F::Cast(to) => a.required("dtype", to),
            F::Fill(_) => a.fixed("dtype", "float32"),
            F::Clip { low, high } => {
                a.optional("x_min", low)?;
                a.optional("x_max", high)
            }
            F::LeakyRelu { slope } => a.number("negative_slope", slope, Numbers::NotNegative),
            F::Elu { alpha } => a.number("alpha", alpha, Numbers::NotNegative),
            F::Activation(Activation::Celu) => a.fixed("alpha", 1.0),
            F::Gelu { approximate } => a.optional("approximate", approximate),
            F::Unary(Unary::Round, _) => a.fixed("decimals", 0),
            F::Softmax { axis } | F::LogSoftmax { axis } => a.optional("axis", axis),
            _ => Ok(()),
        }
    }
}
