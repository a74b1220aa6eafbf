use super::OutputActivation;
use super::axes::{sample, spread, swap_leading};
use super::dense::project;
use super::permute::permuted;
use crate::layer::{
    Argument, Arguments, Dialect, ForwardContext, MaskFlow, Reader, Value, Weight, WeightArguments,
};
use crate::onnx::{ExportError, OnnxContext};
use crate::{ConfigError, Initializer, Layer, LayerError};
use rnn_formats::onnx::{Attribute::Text, ValueName};
use rnn_graph::{GraphError, TensorId};
use rnn_ops::{Binary, Penalty};
use serde_json::{Value as Json, json};

/// A product of each example with a kernel, summed over axes that an equation names by letters
/// (keras/src/layers/core/einsum_dense.py): `EinsumDense::new("abc,cd->abd", [None, Some(64)])` is a
/// dense layer of 64 units over the last axis of a sequence.
///
/// ```text
/// y = activation(einsum(equation, x, W) + b)
/// ```
///
/// The equation has the letters of x, of W and of y, those of x and y with the batch, which is their
/// first; `...` stands for axes of x that y has too. Each letter of W is that of an axis of x, which
/// is summed over, or of y. b has the axes of y that [`Self::bias_axes`] names. W is Glorot-uniform
/// and b zeros at first. A mask ends here.
///
/// Unlike in Keras no letter is one of x, W and y at once, and all letters of x are in W or y.
#[derive(Clone, Debug)]
pub struct EinsumDense {
    equation: String,
    output_shape: Extents,
    activation: OutputActivation,
    bias_axes: Option<String>,
    kernel: WeightArguments,
    bias: WeightArguments,
    activity_regularizer: Option<Penalty>,
}

const EXPECTED: &str = "inputs that its equation and its output_shape fit";

/// The equation for inputs of some extents.
struct Product {
    /// The letters of x, W and y; those of x and y with the batch. `...` has become letters.
    x: Vec<char>,
    kernel: Vec<char>,
    y: Vec<char>,
    /// The extents of W and of y, the latter without the batch.
    kernel_shape: Vec<usize>,
    output: Vec<usize>,
    /// The extents of b, as many as y has behind the first axis that b has, 1 where it has none.
    bias_shape: Vec<usize>,
}

impl EinsumDense {
    /// Creates a layer without an activation and without a bias. `output_shape` has the extents of
    /// the axes of y that the equation names, without the batch; `None` for one that x has. What does
    /// not fit is refused when a model calls the layer.
    pub fn new(equation: impl Into<String>, output_shape: impl Into<Vec<Option<usize>>>) -> Self {
        Self {
            equation: equation.into(),
            output_shape: Extents(output_shape.into()),
            activation: OutputActivation::default(),
            bias_axes: None,
            kernel: Initializer::GlorotUniform.into(),
            bias: Initializer::Zeros.into(),
            activity_regularizer: None,
        }
    }

    /// Sets the activation; there is none by default.
    pub fn activation(mut self, activation: impl Into<OutputActivation>) -> Self {
        self.activation = activation.into();
        self
    }

    /// Adds a bias, which has the axes of these letters of y: `d` for one number for each unit of
    /// `abc,cd->abd`.
    pub fn bias_axes(mut self, letters: impl Into<String>) -> Self {
        self.bias_axes = Some(letters.into());
        self
    }

    /// Sets the penalty on the output that is added to the loss; there is none by default.
    pub fn activity_regularizer(mut self, regularizer: Penalty) -> Self {
        self.activity_regularizer = Some(regularizer);
        self
    }

    weight_arguments!(kernel, kernel_initializer, kernel_regularizer, kernel_constraint);
    weight_arguments!(bias, bias_initializer, bias_regularizer, bias_constraint);

    /// The product for examples of the extents `input`; `None` if it is none.
    fn product(&self, input: &[usize]) -> Option<Product> {
        let equation: String = self.equation.chars().filter(|c| !c.is_whitespace()).collect();
        let (operands, of_y) = equation.split_once("->")?;
        let (of_x, of_kernel) = operands.split_once(',')?;
        let named = of_x.replace("...", "").chars().count();
        let elided = (input.len() + 1).checked_sub(named)?;
        // Letters that no equation has.
        let others: String = ('\u{e000}'..).take(elided).collect();
        let letters = |text: &str| text.replacen("...", &others, 1).chars().collect::<Vec<char>>();
        let (x, kernel, y) =
            (letters(of_x), of_kernel.chars().collect::<Vec<char>>(), letters(of_y));
        let dots = of_x.contains("...") && of_y.contains("...");
        let plain = |c: &char| c.is_ascii_alphabetic() || others.contains(*c);
        let once =
            |all: &[char]| (0..all.len()).all(|i| plain(&all[i]) && !all[..i].contains(&all[i]));
        let fits = x.len() == input.len() + 1 && x.first() == y.first() && (elided == 0 || dots);
        let of_two = |c: &char| {
            [&x, &kernel, &y].into_iter().filter(|letters| letters.contains(c)).count() == 2
        };
        let all = x.iter().chain(&kernel).chain(&y);
        if !fits || ![&x, &kernel, &y].into_iter().all(|all| once(all)) || !all.clone().all(of_two)
        {
            return None;
        }
        let extent_of_x =
            |c: &char| input.get(x.iter().position(|of| of == c)?.checked_sub(1)?).copied();
        let mut given = self.output_shape.0.iter();
        let mut output = Vec::new();
        for c in y.get(1..)? {
            let extent = extent_of_x(c);
            let wanted = if others.contains(*c) { None } else { *given.next()? };
            output.push(match (extent, wanted) {
                (Some(extent), wanted) if wanted.is_none_or(|wanted| wanted == extent) => extent,
                (None, Some(wanted)) => wanted,
                _ => return None,
            });
        }
        if given.next().is_some() || y.len() < 2 {
            return None;
        }
        let extent_of_y =
            |c: &char| output.get(y.iter().position(|of| of == c)?.checked_sub(1)?).copied();
        let extent = |c: &char| extent_of_x(c).or_else(|| extent_of_y(c));
        let kernel_shape = kernel.iter().map(extent).collect::<Option<Vec<usize>>>()?;
        let has = |c: &char| self.bias_axes.as_ref().is_some_and(|axes| axes.contains(*c));
        let known = |c: char| y[1..].contains(&c);
        if !self.bias_axes.iter().flat_map(|axes| axes.chars()).all(known) {
            return None;
        }
        let behind = y[1..].iter().zip(&output).skip_while(|(c, _)| !has(c));
        let bias_shape = behind.map(|(c, &extent)| if has(c) { extent } else { 1 }).collect();
        Some(Product { x, kernel, y, kernel_shape, output, bias_shape })
    }
}

impl Product {
    /// The letters of W that are summed over, and those of y.
    fn parts(&self) -> [Vec<char>; 2] {
        let (summed, made) = self.kernel.iter().partition(|c| self.x.contains(c));
        [summed, made]
    }

    /// The extent of axes of W.
    fn extent(&self, of: &[char]) -> usize {
        let extents = self.kernel.iter().zip(&self.kernel_shape);
        extents.filter(|(c, _)| of.contains(c)).map(|(_, &extent)| extent).product()
    }
}

/// Letters as a tensor in a graph has its axes: of two axes and more of an example the first stands
/// in front of the batch.
fn in_graph(letters: &[char]) -> Vec<char> {
    let mut letters = letters.to_vec();
    if letters.len() > 2 {
        letters.swap(0, 1);
    }
    letters
}

/// The places of `letters` in `of`, which has all of them.
fn order(letters: &[char], of: &[char]) -> Vec<usize> {
    letters.iter().filter_map(|c| of.iter().position(|other| other == c)).collect()
}

impl Layer for EinsumDense {
    fn class(&self) -> &'static str {
        "EinsumDense"
    }

    fn weights(&self, input: &[usize]) -> Result<Vec<Weight>, LayerError> {
        let misfit = || LayerError::new("EinsumDense", EXPECTED, input);
        let product = self.product(input).ok_or_else(misfit)?;
        let fan_in = product.extent(&product.parts()[0]);
        let kernel = Weight::new("kernel", &product.kernel_shape, &self.kernel).of_terms(fan_in);
        let bias = || Weight::new("bias", &product.bias_shape, &self.bias);
        Ok([kernel].into_iter().chain(self.bias_axes.is_some().then(bias)).collect())
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        let misfit = || LayerError::new("EinsumDense", EXPECTED, input);
        let product = self.product(input).ok_or_else(misfit)?;
        self.activation.shape("EinsumDense", product.output)
    }

    fn forward(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        w: &[TensorId],
    ) -> Result<Value, GraphError> {
        let product = self.product(&sample(cx, input.tensor));
        let product = product.ok_or_else(|| cx.misfit("EinsumDense", input.tensor, EXPECTED))?;
        let [summed, made] = product.parts();
        let (x, y) = (in_graph(&product.x), in_graph(&product.y));
        let kept: Vec<char> = y.iter().copied().filter(|c| x.contains(c)).collect();
        let rows = permuted(cx, input.tensor, &order(&[&kept[..], &summed].concat(), &x))?;
        let kernel = order(&[&summed[..], &made].concat(), &product.kernel);
        let kernel = permuted(cx, w[0], &kernel)?;
        let (terms, columns) = (product.extent(&summed), product.extent(&made));
        let kernel = cx.graph.reshape(kernel, [terms, columns])?;
        let mut extents = cx.graph.shape(rows).dims()[..kept.len()].to_vec();
        let count: usize = extents.iter().product();
        let rows = cx.graph.reshape(rows, [count, terms])?;
        let z = project(cx, rows, kernel, None)?;
        let of_kernel = product.kernel.iter().zip(&product.kernel_shape);
        extents.extend(of_kernel.filter(|(c, _)| made.contains(c)).map(|(_, &extent)| extent));
        let z = cx.graph.reshape(z, extents)?;
        let mut z = permuted(cx, z, &order(&y, &[&kept[..], &made].concat()))?;
        if let Some(&bias) = w.get(1) {
            let dims = &product.output[product.output.len() - product.bias_shape.len()..];
            let bias = spread(cx, bias, &product.bias_shape, dims)?;
            // Along the first of several axes, which leads in a graph, b is added behind the batch.
            let leads = y.len() > 2 && cx.graph.shape(bias).rank() + 1 == y.len();
            z = if leads { swap_leading(cx, z)? } else { z };
            z = cx.graph.apply(Binary::Add, &[z, bias])?;
            z = if leads { swap_leading(cx, z)? } else { z };
        }
        let tensor = self.activation.apply(cx, z)?;
        cx.regularize(tensor, self.activity_regularizer.as_ref())?;
        Ok(tensor.into())
    }

    fn mask_flow(&self) -> MaskFlow {
        MaskFlow::Ends
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let input = cx.input()?;
        let refused = || cx.refuse(format!("it takes {EXPECTED}"));
        let Product { x, kernel, y, .. } = self.product(&input.dims).ok_or_else(refused)?;
        // ONNX's equations have letters alone.
        let all: Vec<char> = x.iter().chain(&kernel).copied().collect();
        let letter = |c: &char| {
            let place = all.iter().position(|other| other == c)?;
            ('a'..='z').chain('A'..='Z').nth(place)
        };
        let term = |of: &[char]| of.iter().map(letter).collect::<Option<String>>();
        let terms = [term(&x), term(&kernel), term(&y)];
        let [Some(x), Some(kernel), Some(y)] = terms else {
            return Err(cx.refuse("it has too many axes"));
        };
        let equation = Text(format!("{x},{kernel}->{y}"));
        let kernel = cx.constant_weight("kernel")?;
        let z = cx.node("Einsum", &[&input.value, &kernel], &[("equation", equation)]);
        let z = cx.add_bias(z, self.bias_axes.is_some())?;
        Ok(vec![self.activation.apply_onnx(cx, &z)])
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.required("equation", &mut self.equation)?;
        a.required("output_shape", &mut self.output_shape)?;
        a.optional("activation", &mut self.activation)?;
        a.optional("bias_axes", &mut self.bias_axes)?;
        a.weight("kernel", &mut self.kernel)?;
        a.weight("bias", &mut self.bias)?;
        a.in_training("activity_regularizer", &mut self.activity_regularizer)
    }
}

/// Extents, null for one that is told by the input.
#[derive(Clone, Debug)]
struct Extents(Vec<Option<usize>>);

impl Argument for Extents {
    fn supported() -> String {
        "whole numbers from 1 on, below 2^31, or null".into()
    }

    fn read(value: &Json, dialect: Dialect) -> Option<Self> {
        match value.as_array() {
            Some(list) => {
                let extents = list.iter().map(|extent| Option::<usize>::read(extent, dialect));
                extents.collect::<Option<Vec<_>>>().map(Self)
            }
            None => usize::read(value, dialect).map(|extent| Self(vec![Some(extent)])),
        }
    }

    fn write(&self, _: Reader) -> Option<Json> {
        Some(json!(self.0))
    }
}
