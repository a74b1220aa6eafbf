//! Operations of two operands, element by element, which are broadcast as in NumPy.

use super::laid::{Laid, binary};
use super::operand::{OPERANDS, Operand, Operands};
use super::{Compute, Misfit, Operation};
use crate::layer::{Arguments, ForwardContext};
use crate::layers::LayerTable;
use crate::onnx::{ExportError, OnnxContext};
use crate::{ConfigError, Layer};
use rnn_core::DType;
use rnn_formats::onnx::{Attribute::Int, ValueName};
use rnn_ops::{Activate, Activation, Binary, Fill, MaskItems, StepMask, Unary};

/// The functions of two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    Add,
    Subtract,
    Multiply,
    Divide,
    FloorDivide,
    Power,
    Maximum,
    Minimum,
    Equal,
    NotEqual,
    Greater,
    GreaterEqual,
    Less,
    LessEqual,
    And,
    Or,
    Xor,
}

use Function as F;

/// y = f(a, b), where a and b are tensors of the model, numbers or arrays.
#[derive(Clone, Debug)]
struct Arithmetic {
    class: &'static str,
    function: Function,
    operands: Operands,
}

fn new(class: &'static str, function: Function) -> Box<dyn Layer> {
    Box::new(Operation(Arithmetic { class, function, operands: Operands::tensors(2) }))
}

pub(super) static TABLE: &LayerTable = &[
    ("Add", || new("Add", F::Add)),
    ("Divide", || new("Divide", F::Divide)),
    ("Equal", || new("Equal", F::Equal)),
    ("FloorDivide", || new("FloorDivide", F::FloorDivide)),
    ("Greater", || new("Greater", F::Greater)),
    ("GreaterEqual", || new("GreaterEqual", F::GreaterEqual)),
    ("Less", || new("Less", F::Less)),
    ("LessEqual", || new("LessEqual", F::LessEqual)),
    ("LogicalAnd", || new("LogicalAnd", F::And)),
    ("LogicalOr", || new("LogicalOr", F::Or)),
    ("LogicalXor", || new("LogicalXor", F::Xor)),
    ("Maximum", || new("Maximum", F::Maximum)),
    ("Minimum", || new("Minimum", F::Minimum)),
    ("Multiply", || new("Multiply", F::Multiply)),
    ("NotEqual", || new("NotEqual", F::NotEqual)),
    ("Power", || new("Power", F::Power)),
    ("Subtract", || new("Subtract", F::Subtract)),
    ("TrueDivide", || new("TrueDivide", F::Divide)),
];

/// 1 where x is not 0, else 0.
pub(super) fn truth(cx: &mut ForwardContext<'_>, x: Laid) -> Result<Laid, Misfit> {
    let zero = x.with_number(cx, Binary::Equal, 0.0)?;
    negated(cx, zero)
}

/// 1 - x.
pub(super) fn negated(cx: &mut ForwardContext<'_>, x: Laid) -> Result<Laid, Misfit> {
    Ok(x.with_number(cx, Binary::Equal, 0.0)?)
}

/// A factor of x^n.
fn times(cx: &mut ForwardContext<'_>, product: Option<Laid>, x: &Laid) -> Result<Laid, Misfit> {
    match product {
        Some(product) => binary(cx, Binary::Mul, product, x.clone()),
        None => Ok(x.clone()),
    }
}

/// The largest exponent that is computed as a product.
const MOST_FACTORS: f32 = 16.0;

/// x^n for a number n, whole or half: by products and a root, which take negative x too. Others are
/// computed from the logarithm.
fn power(cx: &mut ForwardContext<'_>, x: Laid, exponent: f32) -> Result<Laid, Misfit> {
    let size = exponent.abs();
    let half = size.fract() == 0.5;
    if size > MOST_FACTORS || size.fract() != 0.0 && !half {
        let log = x.map(cx, Unary::Log)?;
        let scaled = log.with_number(cx, Binary::Mul, exponent)?;
        return Ok(scaled.map(cx, Activate(Activation::Exponential))?);
    }
    let mut product = match half {
        true => Some(x.clone().map(cx, Unary::Sqrt)?),
        false => None,
    };
    for _ in 0..size as usize {
        product = Some(times(cx, product, &x)?);
    }
    let product = match product {
        Some(product) => product,
        None => x.filled(cx, 1.0)?,
    };
    if exponent >= 0.0 {
        return Ok(product);
    }
    let one = product.filled(cx, 1.0)?;
    binary(cx, Binary::Div, one, product)
}

impl Arithmetic {
    /// Comparisons of tokens with one of them.
    fn of_tokens(&self, cx: &mut ForwardContext<'_>, tokens: &Laid) -> Result<Laid, Misfit> {
        let number = self.operands.0.iter().find_map(Operand::number);
        let token = number.filter(|n| *n >= 0.0 && n.fract() == 0.0).ok_or(Misfit::Inputs)?;
        let differs = cx.graph.apply(StepMask { padding: token }, &[tokens.tensor])?;
        let dims = cx.graph.shape(tokens.tensor).dims().to_vec();
        let items = [&dims[..], &[1]].concat();
        let ones = cx.graph.apply(Fill { shape: items.into(), value: 1.0 }, &[])?;
        let marks = cx.graph.apply(MaskItems, &[ones, differs])?;
        let marks = tokens.like(cx.graph.reshape(marks, dims)?);
        match self.function {
            F::NotEqual => Ok(marks),
            F::Equal => negated(cx, marks),
            _ => Err(Misfit::Inputs),
        }
    }

    fn of(&self, cx: &mut ForwardContext<'_>, a: Laid, b: Laid) -> Result<Laid, Misfit> {
        let numbers: Vec<Option<f32>> = self.operands.0.iter().map(Operand::number).collect();
        match self.function {
            F::Add => binary(cx, Binary::Add, a, b),
            F::Subtract => binary(cx, Binary::Sub, a, b),
            F::Multiply => binary(cx, Binary::Mul, a, b),
            F::Divide => binary(cx, Binary::Div, a, b),
            F::FloorDivide => Ok(binary(cx, Binary::Div, a, b)?.map(cx, Unary::Floor)?),
            F::Maximum => binary(cx, Binary::Max, a, b),
            F::Minimum => binary(cx, Binary::Min, a, b),
            F::Equal => binary(cx, Binary::Equal, a, b),
            F::NotEqual => {
                let equal = binary(cx, Binary::Equal, a, b)?;
                negated(cx, equal)
            }
            F::Greater => binary(cx, Binary::Greater, a, b),
            F::GreaterEqual => binary(cx, Binary::GreaterEqual, a, b),
            F::Less => binary(cx, Binary::Greater, b, a),
            F::LessEqual => binary(cx, Binary::GreaterEqual, b, a),
            F::Power => match numbers[..] {
                [_, Some(exponent)] => power(cx, a, exponent),
                _ => {
                    let log = a.map(cx, Unary::Log)?;
                    let product = binary(cx, Binary::Mul, log, b)?;
                    Ok(product.map(cx, Activate(Activation::Exponential))?)
                }
            },
            F::And | F::Or | F::Xor => {
                let (a, b) = (truth(cx, a)?, truth(cx, b)?);
                match self.function {
                    F::And => binary(cx, Binary::Mul, a, b),
                    F::Or => binary(cx, Binary::Max, a, b),
                    _ => {
                        let equal = binary(cx, Binary::Equal, a, b)?;
                        negated(cx, equal)
                    }
                }
            }
        }
    }
}

impl Compute for Arithmetic {
    fn class(&self) -> &'static str {
        self.class
    }

    fn expected(&self) -> &'static str {
        "operands of which each axis has one extent or is 1, with the batch as the first axis of all \
         tensors"
    }

    fn compute(&self, cx: &mut ForwardContext<'_>, inputs: Vec<Laid>) -> Result<Vec<Laid>, Misfit> {
        if let [tokens] = &inputs[..]
            && cx.graph[tokens.tensor].ty.dtype == DType::U32
        {
            return Ok(vec![self.of_tokens(cx, tokens)?]);
        }
        // Otherwise the batch would meet another axis.
        let ranks: Vec<usize> = inputs.iter().map(Laid::rank).collect();
        let most = ranks.iter().max().copied().unwrap_or(0);
        let all = self.operands.laid(cx, inputs)?;
        let fits = ranks.iter().all(|&rank| rank == most) && all.iter().all(|x| x.rank() <= most);
        match <[Laid; 2]>::try_from(all) {
            Ok([a, b]) if fits => Ok(vec![self.of(cx, a, b)?]),
            _ => Err(Misfit::Inputs),
        }
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let all = self.operands.onnx(cx)?;
        let [a, b] = <[ValueName; 2]>::try_from(all).map_err(|_| cx.refuse("two operands"))?;
        let float = [("to", Int(1))];
        let logical = |cx: &mut OnnxContext<'_>, operator: &str| {
            let [a, b] = [&a, &b].map(|x| cx.node("Cast", &[x], &[("to", Int(9))]));
            let y = cx.node(operator, &[&a, &b], &[]);
            cx.node("Cast", &[&y], &float)
        };
        let compared = |cx: &mut OnnxContext<'_>, operator: &str| {
            // Of tokens, too.
            let [a, b] = [&a, &b].map(|x| cx.node("Cast", &[x], &float));
            cx.node(operator, &[&a, &b], &[])
        };
        let mut simple = |operator: &str| cx.node(operator, &[&a, &b], &[]);
        let y = match self.function {
            F::Add => simple("Add"),
            F::Subtract => simple("Sub"),
            F::Multiply => simple("Mul"),
            F::Divide => simple("Div"),
            F::Power => simple("Pow"),
            F::Maximum => simple("Max"),
            F::Minimum => simple("Min"),
            F::FloorDivide => {
                let y = simple("Div");
                cx.node("Floor", &[&y], &[])
            }
            F::And => logical(cx, "And"),
            F::Or => logical(cx, "Or"),
            F::Xor => logical(cx, "Xor"),
            F::NotEqual => {
                let equal = compared(cx, "Equal");
                let differs = cx.node("Not", &[&equal], &[]);
                cx.node("Cast", &[&differs], &float)
            }
            comparison => {
                let y = compared(
                    cx,
                    match comparison {
                        F::Equal => "Equal",
                        F::Greater => "Greater",
                        F::GreaterEqual => "GreaterOrEqual",
                        F::Less => "Less",
                        _ => "LessOrEqual",
                    },
                );
                cx.node("Cast", &[&y], &float)
            }
        };
        Ok(vec![y])
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.required(OPERANDS, &mut self.operands)?;
        match self.operands.0.len() {
            2 => Ok(()),
            count => Err(a.refuse(OPERANDS, &count.into(), "two operands".into())),
        }
    }

    fn operands(&self) -> Option<&Operands> {
        Some(&self.operands)
    }

    fn takes_tokens(&self) -> bool {
        let number = self.operands.0.iter().any(|operand| operand.number().is_some());
        number && matches!(self.function, F::Equal | F::NotEqual)
    }
}
