use super::{Build, Layer, LayerError, Value, Weight};
use crate::config::{Arguments, ConfigError};
use rnn_graph::{GraphError, TensorId};
use rnn_ops::{Binary, Concat, Scale};

/// Inputs of one shape become one output of that shape, element by element: what [`Add`],
/// [`Multiply`], [`Average`] and [`Subtract`] make. Unlike Keras's, they want inputs of exactly one
/// shape, and with one mask or none.
#[derive(Clone, Debug)]
pub struct Elementwise {
    class: &'static str,
    with: Binary,
    mean: bool,
}

/// The sum of all inputs, of one shape: y = x_1 + x_2 + ..
#[allow(non_snake_case, reason = "named as Keras's layer, which it makes")]
pub fn Add() -> Elementwise {
    Elementwise { class: "Add", with: Binary::Add, mean: false }
}

/// The product of all inputs, of one shape: y = x_1 x_2 ..
#[allow(non_snake_case, reason = "named as Keras's layer, which it makes")]
pub fn Multiply() -> Elementwise {
    Elementwise { class: "Multiply", with: Binary::Mul, mean: false }
}

/// The mean of all n inputs, of one shape: y = (x_1 + x_2 + ..) / n
#[allow(non_snake_case, reason = "named as Keras's layer, which it makes")]
pub fn Average() -> Elementwise {
    Elementwise { class: "Average", with: Binary::Add, mean: true }
}

/// The first of two inputs of one shape, less the second: y = x_1 - x_2
#[allow(non_snake_case, reason = "named as Keras's layer, which it makes")]
pub fn Subtract() -> Elementwise {
    Elementwise { class: "Subtract", with: Binary::Sub, mean: false }
}

impl Layer for Elementwise {
    fn class(&self) -> &'static str {
        self.class
    }

    fn weights(&self, _: &[usize]) -> Result<Vec<Weight>, LayerError> {
        Ok(vec![])
    }

    fn output(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        Ok(input.to_vec())
    }

    fn build(&self, _: &mut Build<'_>, input: Value, _: &[TensorId]) -> Result<Value, GraphError> {
        Ok(input)
    }

    fn outputs(&self, inputs: &[&[usize]]) -> Result<Vec<Vec<usize>>, LayerError> {
        let counts = if self.with == Binary::Sub { 2..=2 } else { 1..=usize::MAX };
        let fit = counts.contains(&inputs.len()) && inputs.iter().all(|input| *input == inputs[0]);
        let expected = match self.with {
            Binary::Sub => "two inputs of one shape",
            _ => "inputs of one shape",
        };
        let outputs = fit.then(|| vec![inputs[0].to_vec()]);
        outputs.ok_or_else(|| LayerError::of(self.class, expected, inputs))
    }

    fn push(
        &self,
        b: &mut Build<'_>,
        inputs: &[Value],
        _: &[TensorId],
    ) -> Result<Vec<Value>, GraphError> {
        let Value { mut tensor, mask } = one_mask(b, self.class, inputs)?;
        for other in &inputs[1..] {
            tensor = b.graph.apply(self.with, &[tensor, other.tensor])?;
        }
        if self.mean {
            tensor = b.graph.apply(Scale(1.0 / inputs.len() as f32), &[tensor])?;
        }
        Ok(vec![Value { tensor, mask }])
    }

    fn merges(&self) -> bool {
        true
    }

    fn arguments(&mut self, _: &mut Arguments<'_>) -> Result<(), ConfigError> {
        Ok(())
    }
}

/// Inputs one behind the other along one of their axes, in which alone they may differ:
/// `[.., A]`, `[.., B]` -> `[.., A + B]`.
///
/// Unlike Keras, axes are counted without the batch, and all inputs must have one mask or none.
#[derive(Clone, Debug)]
pub struct Concatenate {
    /// From the last, if negative; the batch does not count.
    axis: isize,
}

impl Concatenate {
    /// Along the last axis.
    pub fn new() -> Self {
        Self { axis: -1 }
    }

    /// Along this axis: 0 is the first behind the batch (Keras's 1), -1 the last.
    pub fn axis(axis: isize) -> Self {
        Self { axis }
    }

    fn place(&self, rank: usize) -> Option<usize> {
        let place = if self.axis < 0 { self.axis + rank as isize } else { self.axis };
        usize::try_from(place).ok().filter(|&place| place < rank)
    }

    /// The shape of the output.
    fn together(&self, inputs: &[&[usize]]) -> Option<Vec<usize>> {
        let mut shape = inputs.first()?.to_vec();
        let axis = self.place(shape.len())?;
        for input in &inputs[1..] {
            let extent = shape[axis];
            shape[axis] = *input.get(axis)?;
            if shape != *input {
                return None;
            }
            shape[axis] += extent;
        }
        Some(shape)
    }
}

impl Default for Concatenate {
    fn default() -> Self {
        Self::new()
    }
}

impl Layer for Concatenate {
    fn class(&self) -> &'static str {
        "Concatenate"
    }

    fn weights(&self, _: &[usize]) -> Result<Vec<Weight>, LayerError> {
        Ok(vec![])
    }

    fn output(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        Ok(input.to_vec())
    }

    fn build(&self, _: &mut Build<'_>, input: Value, _: &[TensorId]) -> Result<Value, GraphError> {
        Ok(input)
    }

    fn outputs(&self, inputs: &[&[usize]]) -> Result<Vec<Vec<usize>>, LayerError> {
        let expected = "inputs of one shape but for the axis along which they are put together";
        let together = self.together(inputs);
        Ok(vec![together.ok_or_else(|| LayerError::of("Concatenate", expected, inputs))?])
    }

    fn push(
        &self,
        b: &mut Build<'_>,
        inputs: &[Value],
        _: &[TensorId],
    ) -> Result<Vec<Value>, GraphError> {
        let first = one_mask(b, "Concatenate", inputs)?;
        let rank = b.graph.shape(first.tensor).rank() - 1;
        let misfit = || b.misfit("Concatenate", first.tensor, "another axis");
        let place = self.place(rank).ok_or_else(misfit)?;
        if place == 0 && first.mask.is_some() && rank > 1 {
            return Err(b.misfit("Concatenate", first.tensor, "no mask along the axis of time"));
        }
        // Of two axes and more the first stands in front of the batch.
        let axis = if place == 0 && rank > 1 { 0 } else { place + 1 };
        // Everything from that axis on is one row.
        let mut shape = b.graph.shape(first.tensor).dims().to_vec();
        let before: usize = shape[..axis].iter().product();
        let mut rows = Vec::new();
        shape[axis] = 0;
        for input in inputs {
            let ty = b.graph.shape(input.tensor).clone();
            shape[axis] += ty.dims()[axis];
            rows.push(b.graph.reshape(input.tensor, [before, ty.len() / before])?);
        }
        let all = b.graph.apply(Concat, &rows)?;
        let tensor = b.graph.reshape(all, shape)?;
        Ok(vec![Value { tensor, ..first }])
    }

    fn merges(&self) -> bool {
        true
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        // Keras counts the batch.
        let mut axis = if self.axis < 0 { self.axis } else { self.axis + 1 };
        a.optional("axis", &mut axis)?;
        if axis == 0 {
            return Err(a.refuse("axis", &0.into(), "other axes than the batch".into()));
        }
        self.axis = if axis < 0 { axis } else { axis - 1 };
        Ok(())
    }
}

/// The first input with the mask that all have.
fn one_mask(b: &Build<'_>, class: &'static str, inputs: &[Value]) -> Result<Value, GraphError> {
    let first = inputs[0];
    match inputs.iter().find(|input| input.mask != first.mask) {
        None => Ok(first),
        Some(other) => Err(b.misfit(class, other.tensor, "inputs with one mask")),
    }
}
