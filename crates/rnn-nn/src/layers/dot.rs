use super::axes::{sample, swap_leading};
use super::permute::permuted;
use crate::layer::{Argument, Arguments, Dialect, ForwardContext, MaskFlow, Reader, Value};
use crate::onnx::{ExportError, OnnxContext, OnnxTensor};
use crate::{ConfigError, Layer, LayerError};
use rnn_formats::onnx::{
    Attribute::{Int, Ints, Text},
    ValueName,
};
use rnn_graph::{GraphError, TensorId};
use rnn_ops::{BatchMatmul, Binary, Fill, InverseRoot, Matmul};
use serde_json::json;

/// Multiplies two tensors of each example along one axis of both: `[.., K, ..]`, `[.., K, ..]` ->
/// the other axes of the first, then those of the second, or `[1]` if there is none
/// (keras/src/layers/merging/dot.py).
///
/// ```text
/// y(i.., j..) = sum over k of x_1(i.., k) x_2(j.., k)
/// ```
///
/// Normalized, each vector along the axis is divided by its length first, so that products are
/// cosines; a length below 1e-12 counts as that. The output has no mask.
#[derive(Clone, Debug)]
pub struct Dot {
    axes: Axes,
    normalize: bool,
}

/// The square of the smallest length.
const SHORTEST: f32 = 1e-24;

const EXPECTED: &str = "two inputs that have its axes, of one extent";

impl Dot {
    /// Creates a layer that sums over one axis of each input, with the batch as axis 0, which is not
    /// among them; -1 is the last. Axes that the inputs do not have are refused when a model calls
    /// the layer.
    pub fn new(axes: [isize; 2]) -> Self {
        Self { axes: Axes(axes), normalize: false }
    }

    /// Divides each vector along the axes by its length first: Keras's `normalize=True`.
    pub fn normalize(mut self) -> Self {
        self.normalize = true;
        self
    }

    /// The places of the two axes among those of examples of these ranks, if they are there.
    fn places(&self, ranks: [usize; 2]) -> Option<[usize; 2]> {
        let place = |input: usize| {
            let (axis, rank) = (self.axes.0[input], ranks[input]);
            let place = if axis < 0 { axis + rank as isize } else { axis - 1 };
            usize::try_from(place).ok().filter(|place| *place < rank)
        };
        Some([place(0)?, place(1)?])
    }

    /// x as `[B, R, K]`, where R is the number of vectors along the axis at `place`.
    fn vectors(
        &self,
        cx: &mut ForwardContext<'_>,
        x: TensorId,
        place: usize,
    ) -> Result<TensorId, GraphError> {
        let dims = cx.graph.shape(x).dims().to_vec();
        // In a graph the batch, Keras's axis 0, and axis 1 of several stand in each other's place.
        let swaps = dims.len() > 2;
        let swapped = |axis: usize| if swaps && axis < 2 { 1 - axis } else { axis };
        let others = (0..dims.len()).filter(|&axis| axis != place + 1);
        let order: Vec<usize> = others.chain([place + 1]).map(swapped).collect();
        let (batch, terms) = (dims[swapped(0)], dims[swapped(place + 1)]);
        let x = permuted(cx, x, &order)?;
        let count = cx.graph.shape(x).len() / terms;
        let mut rows = cx.graph.reshape(x, [count, terms])?;
        if self.normalize {
            let mut ones =
                |shape: [usize; 2]| cx.graph.apply(Fill { shape: shape.into(), value: 1.0 }, &[]);
            let (column, row) = (ones([terms, 1])?, ones([1, terms])?);
            let squares = cx.graph.apply(Binary::Mul, &[rows, rows])?;
            let sums = cx.graph.apply(Matmul::default(), &[squares, column])?;
            let inverse = cx.graph.apply(InverseRoot { epsilon: SHORTEST }, &[sums])?;
            let inverse = cx.graph.apply(Matmul::default(), &[inverse, row])?;
            rows = cx.graph.apply(Binary::Mul, &[rows, inverse])?;
        }
        cx.graph.reshape(rows, [batch, count / batch, terms])
    }

    fn of(&self, inputs: &[&[usize]]) -> Option<Vec<usize>> {
        let &[a, b] = inputs else { return None };
        let [i, j] = self.places([a.len(), b.len()])?;
        let rest = [&a[..i], &a[i + 1..], &b[..j], &b[j + 1..]].concat();
        let shape = if rest.is_empty() { vec![1] } else { rest };
        (a[i] == b[j]).then_some(shape)
    }
}

impl Layer for Dot {
    fn class(&self) -> &'static str {
        "Dot"
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        Err(LayerError::of("Dot", EXPECTED, &[input]))
    }

    fn forward(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        _: &[TensorId],
    ) -> Result<Value, GraphError> {
        Err(cx.misfit("Dot", input.tensor, EXPECTED))
    }

    fn output_shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Vec<usize>>, LayerError> {
        let output = self.of(inputs).ok_or_else(|| LayerError::of("Dot", EXPECTED, inputs))?;
        Ok(vec![output])
    }

    fn forward_all(
        &self,
        cx: &mut ForwardContext<'_>,
        inputs: &[Value],
        _: &[TensorId],
    ) -> Result<Vec<Value>, GraphError> {
        let examples: Vec<Vec<usize>> =
            inputs.iter().map(|input| sample(cx, input.tensor)).collect();
        let shapes: Vec<&[usize]> = examples.iter().map(Vec::as_slice).collect();
        let ranks = [0, 1].map(|input| examples.get(input).map_or(0, Vec::len));
        let fits = self.of(&shapes).zip(self.places(ranks));
        let misfit = || cx.misfit("Dot", inputs[0].tensor, EXPECTED);
        let (output, [i, j]) = fits.ok_or_else(misfit)?;
        let a = self.vectors(cx, inputs[0].tensor, i)?;
        let b = self.vectors(cx, inputs[1].tensor, j)?;
        let batch = cx.graph.shape(a).dims()[0];
        let product = BatchMatmul { transpose_a: false, transpose_b: true };
        let product = cx.graph.apply(product, &[a, b])?;
        let product = cx.graph.reshape(product, [&[batch], &output[..]].concat())?;
        Ok(vec![swap_leading(cx, product)?.into()])
    }

    fn merges(&self) -> bool {
        true
    }

    fn mask_flow(&self) -> MaskFlow {
        MaskFlow::Ends
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let refused = || cx.refuse(format!("it takes {EXPECTED}"));
        let [a, b] = <[OnnxTensor; 2]>::try_from(cx.inputs.clone()).map_err(|_| refused())?;
        let places = self.places([a.dims.len(), b.dims.len()]).ok_or_else(refused)?;
        // A letter for each axis: the batch z, the one that both share k.
        let mut letters = ('a'..='j').chain('l'..='y');
        let (mut terms, mut rest) = (vec![], String::new());
        let mut values = vec![];
        for (input, place) in [a, b].into_iter().zip(places) {
            let mut term = String::from("z");
            for axis in 0..input.dims.len() {
                let letter = if axis == place { Some('k') } else { letters.next() };
                let letter = letter.ok_or_else(|| cx.refuse("it has too many axes"))?;
                term.push(letter);
                if axis != place {
                    rest.push(letter);
                }
            }
            terms.push(term);
            values.push(if self.normalize {
                let axis = [("axes", Ints(vec![place as i64 + 1])), ("keepdims", Int(1))];
                let length = cx.node("ReduceL2", &[&input.value], &axis);
                let shortest = cx.tensor([1], vec![SHORTEST.sqrt()])?;
                let shortest = cx.graph.tensor("shortest", &shortest);
                let length = cx.node("Max", &[&length, &shortest], &[]);
                cx.node("Div", &[&input.value, &length], &[])
            } else {
                input.value
            });
        }
        let equation = format!("{}->z{rest}", terms.join(","));
        let values: Vec<&ValueName> = values.iter().collect();
        let product = cx.node("Einsum", &values, &[("equation", Text(equation))]);
        let output = cx.output().to_vec();
        Ok(vec![cx.reshape(&product, &output)])
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.required("axes", &mut self.axes)?;
        a.optional("normalize", &mut self.normalize)
    }
}

/// One axis of each of two inputs, counted with the batch.
#[derive(Clone, Copy, Debug)]
struct Axes([isize; 2]);

impl Argument for Axes {
    fn supported() -> String {
        "an axis behind the batch, or two of them".into()
    }

    fn read(value: &serde_json::Value, dialect: Dialect) -> Option<Self> {
        let axis = |value: &serde_json::Value| {
            isize::read(value, dialect).filter(|axis| *axis != 0 && !value.is_array())
        };
        match value.as_array().map(Vec::as_slice) {
            Some([a, b]) => Some(Self([axis(a)?, axis(b)?])),
            Some(_) => None,
            None => axis(value).map(|axis| Self([axis; 2])),
        }
    }

    fn write(&self, _: Reader) -> Option<serde_json::Value> {
        Some(json!(self.0))
    }
}
