//! Sums of products over axes: `matmul`, `dot`, `tensordot` and `einsum`.

use super::laid::{Laid, bounded};
use super::operand::{OPERANDS, Operand, Operands};
use super::{Compute, Misfit, Operation};
use crate::layer::{Arguments, ForwardContext};
use crate::layers::LayerTable;
use crate::onnx::{ExportError, OnnxContext};
use crate::{ConfigError, Layer};
use rnn_formats::onnx::{Attribute::Text, ValueName};
use rnn_ops::{BatchMatmul, Matmul, Reduce};

/// How the axes of the operands meet.
#[derive(Clone, Debug)]
enum Function {
    /// The last axis of a with the one before the last of b, for each item of the axes before.
    Matmul,
    /// The last axis of a with the one before the last of b.
    Dot,
    /// The last axes of a with the first of b, as many as this.
    Tensordot { axes: usize },
    /// As the letters say.
    Einsum { subscripts: String },
}

/// y = the sum of the products of a and b over the axes that they share.
#[derive(Clone, Debug)]
struct Product {
    class: &'static str,
    function: Function,
    operands: Operands,
}

fn new(class: &'static str, function: Function) -> Box<dyn Layer> {
    Box::new(Operation(Product { class, function, operands: Operands::tensors(2) }))
}

pub(super) static TABLE: &LayerTable = &[
    ("Dot", || new("Dot", Function::Dot)),
    ("Einsum", || new("Einsum", Function::Einsum { subscripts: String::new() })),
    ("Matmul", || new("Matmul", Function::Matmul)),
    ("Tensordot", || new("Tensordot", Function::Tensordot { axes: 2 })),
];

/// A letter for each axis of the operands, and of the result.
#[derive(Debug)]
struct Equation {
    operands: Vec<Vec<char>>,
    result: Vec<char>,
}

/// Letters for axes that have none yet.
const LETTERS: std::ops::RangeInclusive<char> = 'A'..='Z';

impl Equation {
    /// Reads the equation of an einsum for operands of these ranks, of which dots stand for the axes
    /// that have no letter.
    fn read(subscripts: &str, ranks: &[usize]) -> Option<Self> {
        let text: String = subscripts.chars().filter(|c| !c.is_whitespace()).collect();
        let (terms, result) = match text.split_once("->") {
            Some((terms, result)) => (terms, Some(result)),
            None => (text.as_str(), None),
        };
        let terms: Vec<&str> = terms.split(',').collect();
        let lower = |term: &str| term.replace("...", "").chars().all(|c| c.is_ascii_lowercase());
        if terms.len() != ranks.len() || !terms.iter().all(|term| lower(term)) {
            return None;
        }
        let mut most = 0;
        let mut operands = Vec::new();
        for (term, &rank) in terms.iter().zip(ranks) {
            let named = term.replace("...", "").chars().count();
            let dots = rank.checked_sub(named)?;
            if dots > 0 && !term.contains("...") {
                return None;
            }
            most = most.max(dots);
            // Of the axes that the dots stand for the last meet.
            let letters: String = LETTERS.take(dots).collect::<Vec<_>>().iter().rev().collect();
            operands.push(term.replacen("...", &letters, 1).chars().collect::<Vec<char>>());
        }
        let dots: String = LETTERS.take(most).collect::<Vec<_>>().iter().rev().collect();
        let result: Vec<char> = match result {
            Some(result) if lower(result) => result.replacen("...", &dots, 1).chars().collect(),
            Some(_) => return None,
            None => {
                let all: Vec<char> = operands.concat();
                let mut once: Vec<char> = all
                    .iter()
                    .copied()
                    .filter(|c| c.is_lowercase() && all.iter().filter(|d| *d == c).count() == 1)
                    .collect();
                once.sort_unstable();
                dots.chars().chain(once).collect()
            }
        };
        let unique =
            |letters: &[char]| letters.iter().enumerate().all(|(i, c)| !letters[..i].contains(c));
        let known = result.iter().all(|c| operands.concat().contains(c));
        (known && unique(&result) && operands.iter().all(|term| unique(term)))
            .then_some(Self { operands, result })
    }

    fn text(&self) -> String {
        let terms: Vec<String> = self.operands.iter().map(|term| term.iter().collect()).collect();
        format!("{}->{}", terms.join(","), self.result.iter().collect::<String>())
    }
}

impl Product {
    fn equation(&self, ranks: &[usize]) -> Option<Equation> {
        if let Function::Einsum { subscripts } = &self.function {
            return Equation::read(subscripts, ranks);
        }
        let &[a, b] = ranks else { return None };
        // a has the letters of the result before its last ones, b its own behind them.
        let mut left: Vec<char> = ('a'..='i').take(a).collect();
        let mut right: Vec<char> = ('p'..='z').take(b).collect();
        if left.len() < a || right.len() < b || a == 0 || b == 0 {
            return None;
        }
        let count = match self.function {
            Function::Tensordot { axes } => axes,
            _ => 1,
        };
        let first = match self.function {
            Function::Tensordot { .. } => 0,
            _ => b.saturating_sub(2),
        };
        let last = a.checked_sub(count)?;
        for i in 0..count {
            *right.get_mut(first + i)? = *left.get(last + i)?;
        }
        if matches!(self.function, Function::Matmul) {
            // The axes before the last two meet from the last on.
            let before = [a.saturating_sub(2), b.saturating_sub(2)];
            for i in 1..=before[0].min(before[1]) {
                left[before[0] - i] = right[before[1] - i];
            }
        }
        let summed = left[last..].to_vec();
        let outer = match self.function {
            Function::Matmul => right[..b.saturating_sub(2)].to_vec(),
            _ => vec![],
        };
        let own = left.iter().filter(|c| !summed.contains(c) && !outer.contains(c));
        let behind = right.iter().filter(|c| !summed.contains(c) && !outer.contains(c));
        let result = match self.function {
            // The axes that b has more of stand in front.
            Function::Matmul => {
                let (a, b) = (own.copied().collect::<Vec<_>>(), behind.copied());
                let rows = usize::from(left.len() > 1).min(a.len());
                let (lead, row) = a.split_at(a.len() - rows);
                [lead, &outer, row, &b.collect::<Vec<_>>()].concat()
            }
            _ => own.chain(behind).copied().collect(),
        };
        Some(Equation { operands: vec![left, right], result })
    }
}

/// Sums over the axes whose letters are not among these.
fn only(
    cx: &mut ForwardContext<'_>,
    mut x: Laid,
    letters: &mut Vec<char>,
    wanted: &[char],
) -> Result<Laid, Misfit> {
    for axis in (0..letters.len()).rev() {
        if !wanted.contains(&letters[axis]) {
            x = x.reduce(cx, axis, Reduce::Sum)?.without(cx, axis)?;
            letters.remove(axis);
        }
    }
    Ok(x)
}

/// The sum of products of two tensors, by the letters of their axes.
fn contracted(
    cx: &mut ForwardContext<'_>,
    [a, b]: [Laid; 2],
    equation: &Equation,
) -> Result<Laid, Misfit> {
    let result = &equation.result;
    let [mut left, mut right] = [0, 1].map(|i| equation.operands[i].clone());
    let a = only(cx, a, &mut left, &[&right[..], result].concat())?;
    let b = only(cx, b, &mut right, &[&left[..], result].concat())?;
    let (a_dims, b_dims) = (a.dims(cx), b.dims(cx));
    let extent = |c: &char| {
        let of = |letters: &[char], dims: &[usize]| {
            letters.iter().position(|d| d == c).map(|place| dims[place])
        };
        of(&left, &a_dims).or(of(&right, &b_dims)).unwrap_or(1)
    };
    let fits = right.iter().zip(&b_dims).all(|(c, own)| extent(c) == *own);
    if !fits {
        return Err(Misfit::Inputs);
    }
    let shared: Vec<char> = left.iter().filter(|c| right.contains(c)).copied().collect();
    let (items, terms): (Vec<char>, Vec<char>) = shared.iter().partition(|c| result.contains(c));
    // The own axes in the order of memory, which moves least.
    let own = |x: &Laid, letters: &[char]| -> Vec<char> {
        let in_memory = x.order().iter().map(|&axis| letters[axis]);
        in_memory.filter(|c| !shared.contains(c)).collect()
    };
    let (rows, columns) = (own(&a, &left), own(&b, &right));
    let size = |letters: &[char]| letters.iter().map(extent).product::<usize>();
    let (i, m, n, k) = (size(&items), size(&rows), size(&columns), size(&terms));
    let mut matrices = |x: Laid, letters: &[char], parts: [&[char]; 3]| {
        let order = parts.concat();
        let place = |c: &char| letters.iter().take_while(|d| *d != c).count();
        let order: Vec<usize> = order.iter().map(place).collect();
        x.moved(cx, &order).map(|x| x.tensor)
    };
    let made = [&items[..], &rows, &columns].concat();
    let dims: Vec<usize> = made.iter().map(extent).collect();
    bounded(&dims)?;
    let a = matrices(a, &left, [&items, &rows, &terms])?;
    let whole = items.is_empty();
    // A matrix that all rows share is read as it usually lies.
    let b = match whole {
        true => matrices(b, &right, [&items, &terms, &columns])?,
        false => matrices(b, &right, [&items, &columns, &terms])?,
    };
    let product = if whole {
        let (a, b) = (cx.graph.reshape(a, [m, k])?, cx.graph.reshape(b, [k, n])?);
        cx.graph.apply(Matmul::default(), &[a, b])?
    } else {
        let (a, b) = (cx.graph.reshape(a, [i, m, k])?, cx.graph.reshape(b, [i, n, k])?);
        cx.graph.apply(BatchMatmul { transpose_a: false, transpose_b: true }, &[a, b])?
    };
    let tensor = cx.graph.reshape(product, dims)?;
    let axes: Vec<usize> =
        result.iter().map(|c| made.iter().take_while(|d| *d != c).count()).collect();
    Ok(Laid::in_order(cx, tensor).transposed(&axes))
}

impl Compute for Product {
    fn class(&self) -> &'static str {
        self.class
    }

    fn expected(&self) -> &'static str {
        "one or two operands whose shared axes have one extent, and does not sum over the batch; no \
         axis of an operand twice"
    }

    fn compute(&self, cx: &mut ForwardContext<'_>, inputs: Vec<Laid>) -> Result<Vec<Laid>, Misfit> {
        let all = self.operands.laid(cx, inputs)?;
        let ranks: Vec<usize> = all.iter().map(Laid::rank).collect();
        let equation = self.equation(&ranks).ok_or(Misfit::Inputs)?;
        if let [x] = &all[..] {
            let x = x.clone();
            let mut letters = equation.operands.concat();
            let x = only(cx, x, &mut letters, &equation.result)?;
            let place = |c: &char| letters.iter().take_while(|d| *d != c).count();
            let axes: Vec<usize> = equation.result.iter().map(place).collect();
            return Ok(vec![x.transposed(&axes)]);
        }
        let pair = <[Laid; 2]>::try_from(all).map_err(|_| Misfit::Inputs)?;
        Ok(vec![contracted(cx, pair, &equation)?])
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let all = self.operands.onnx(cx)?;
        let all: Vec<&ValueName> = all.iter().collect();
        if matches!(self.function, Function::Matmul) {
            return Ok(vec![cx.node("MatMul", &all, &[])]);
        }
        let mut inputs = cx.inputs.iter();
        let ranks = self.operands.0.iter().map(|operand| match operand {
            Operand::Tensor => inputs.next().map_or(0, |input| input.dims.len() + 1),
            Operand::Constant(array) => array.shape.len(),
        });
        let ranks: Vec<usize> = ranks.collect();
        let equation = self.equation(&ranks).ok_or_else(|| cx.refuse("its axes do not fit"))?;
        Ok(vec![cx.node("Einsum", &all, &[("equation", Text(equation.text()))])])
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        match &mut self.function {
            Function::Tensordot { axes } => a.optional("axes", axes)?,
            Function::Einsum { subscripts } => a.required("subscripts", subscripts)?,
            _ => {}
        }
        a.required(OPERANDS, &mut self.operands)
    }

    fn operands(&self) -> Option<&Operands> {
        Some(&self.operands)
    }
}
