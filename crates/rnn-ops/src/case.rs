use crate::Rows;
use rnn_core::{DType, HostTensor, Rng, Shape};
use rnn_graph::{Op, TensorType};
use std::sync::Arc;

/// The set of cases that a check runs, from the fewest to all. Each tier includes the cases of the
/// tiers before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// Small cases of every op. A GPU runs all of them in seconds.
    Smoke,
    /// Also cases with large matrices.
    Standard,
    /// Also cases of the sizes of real training runs: hundreds of time steps, and more than 65,535
    /// rows or workgroups.
    Full,
}

/// Recipe for the values of one operand. The first field of each variant is the operand's shape,
/// and values are in row-major order.
#[derive(Clone, Debug)]
pub enum Sample {
    /// Floats from the standard normal distribution.
    Normal(Vec<usize>),
    /// Floats uniform between two bounds. The lower bound, which comes first, is included. The
    /// upper bound is excluded, unless a value is rounded to it.
    Uniform(Vec<usize>, f32, f32),
    /// Integers uniform in `0..bound`. The bound, the second field, is at least 1.
    Below(Vec<usize>, u32),
    /// Exactly these integers, one for each element of the shape.
    Exactly(Vec<usize>, Vec<u32>),
    /// Exactly these floats, one for each element of the shape.
    Floats(Vec<usize>, Vec<f32>),
}

impl Sample {
    /// Returns the shape and element type of the tensor that [`Self::draw`] returns, provided that
    /// [`Self::Exactly`] and [`Self::Floats`] hold one value for each element of the shape.
    pub fn ty(&self) -> TensorType {
        match self {
            Self::Normal(shape) | Self::Uniform(shape, ..) | Self::Floats(shape, _) => {
                TensorType::f32(Shape::new(shape.as_slice()))
            }
            Self::Below(shape, _) | Self::Exactly(shape, _) => {
                TensorType::u32(Shape::new(shape.as_slice()))
            }
        }
    }

    /// Returns the tensor that the recipe describes, with random values drawn from `rng` in
    /// row-major order. [`Self::Exactly`] and [`Self::Floats`] draw nothing. If the number of their
    /// values is not that of the shape's elements, the result is a single-precision scalar of zero.
    ///
    /// # Panics
    /// Panics for [`Self::Below`] with a bound of 0, unless the shape has no elements.
    pub fn draw(&self, rng: &mut Rng) -> HostTensor {
        let floats = |shape: &[usize], rng: &mut Rng, f: &dyn Fn(&mut Rng) -> f64| {
            let data = (0..shape.iter().product()).map(|_| f(rng) as f32).collect();
            HostTensor::from_f32(shape, data)
        };
        let drawn = match self {
            Sample::Normal(shape) => floats(shape, rng, &Rng::normal),
            Sample::Uniform(shape, low, high) => {
                floats(shape, rng, &|r| r.uniform_in((*low).into(), (*high).into()))
            }
            Sample::Below(shape, bound) => {
                let data = (0..shape.iter().product()).map(|_| rng.below(*bound)).collect();
                HostTensor::from_u32(shape.as_slice(), data)
            }
            Sample::Exactly(shape, data) => HostTensor::from_u32(shape.as_slice(), data.clone()),
            Sample::Floats(shape, data) => HostTensor::from_f32(shape.as_slice(), data.clone()),
        };
        drawn.unwrap_or_else(|_| HostTensor::zeros(Vec::new(), DType::F32))
    }
}

/// One configuration of an op, with recipes for the operands on which it is checked.
#[derive(Clone, Debug)]
pub struct Case {
    /// Name of the op and the configuration. It is unique in the suite and seeds the random values;
    /// see [`Case::draw`].
    pub name: String,
    /// The op under test.
    pub op: Arc<dyn Op>,
    /// Recipes for the inputs of the op, in order.
    pub inputs: Vec<Sample>,
    /// Indices of the inputs, from 0 on, that are rounded to half precision and given to the op as
    /// such.
    pub half: Vec<usize>,
    /// Recipes for the tensors that the op changes in place, in order.
    pub updates: Vec<Sample>,
    /// Indices of the inputs, from 0 on, whose gradients are compared with finite differences.
    pub differentiable: Vec<usize>,
    /// Indices of the outputs, from 0 on, through which gradients flow. The other outputs exist
    /// only for the backward pass.
    pub through: Vec<usize>,
    /// Largest permitted error of each result: `max |got - want| / max(max |want|, 1e-3)` over the
    /// elements of a tensor.
    pub tolerance: f64,
    /// How the rows of the samples are repeated to give the device more rows; `None` if the device
    /// is given the samples as they are.
    pub rows: Option<Rows>,
    /// The lowest tier that includes the case.
    pub tier: Tier,
}

impl Case {
    /// Creates a case of [`Tier::Smoke`] for `op`, with a tolerance of a few roundings (2e-6).
    /// Gradients flow through the first output. Nothing is in half precision, changed in place or
    /// repeated, and no gradient is compared; the methods below set these fields.
    pub fn new(name: impl Into<String>, op: impl Op, inputs: Vec<Sample>) -> Self {
        Self {
            name: name.into(),
            op: Arc::new(op),
            inputs,
            half: vec![],
            updates: vec![],
            differentiable: vec![],
            through: vec![0],
            tolerance: 2e-6,
            rows: None,
            tier: Tier::Smoke,
        }
    }

    /// Appends a suffix to the name.
    pub(crate) fn named(mut self, suffix: &str) -> Self {
        self.name += suffix;
        self
    }

    /// Sets the indices of the inputs that are rounded to half precision; the default is none.
    pub fn half(mut self, inputs: &[usize]) -> Self {
        self.half = inputs.to_vec();
        self
    }

    /// Sets the recipes of the tensors that the op changes in place; the default is none.
    pub fn updates(mut self, updates: Vec<Sample>) -> Self {
        self.updates = updates;
        self
    }

    /// Sets the indices of the inputs whose gradients are compared with finite differences; the
    /// default is none.
    pub fn gradient(mut self, inputs: &[usize]) -> Self {
        self.differentiable = inputs.to_vec();
        self
    }

    /// Sets the indices of the outputs through which gradients flow; the default is the first
    /// alone.
    pub fn through(mut self, outputs: &[usize]) -> Self {
        self.through = outputs.to_vec();
        self
    }

    /// Sets [`Case::tolerance`], the largest permitted error of a tensor; the default is 2e-6. The
    /// caller states the reason for another value in a comment.
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// Sets the lowest tier that includes the case; the default is [`Tier::Smoke`].
    pub fn tier(mut self, tier: Tier) -> Self {
        self.tier = tier;
        self
    }

    /// Returns the values of the inputs and the values of the tensors changed in place, each list
    /// in the order of its recipes. The seed is a hash of the case's name, so every call returns
    /// the same values. The inputs in [`Case::half`] are not rounded yet.
    ///
    /// # Panics
    /// Panics as [`Sample::draw`] does.
    pub fn draw(&self) -> (Vec<HostTensor>, Vec<HostTensor>) {
        // FNV-1a of the name, so that cases draw different values.
        let seed = self.name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| {
            (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        let mut rng = Rng::new(seed, 0);
        let mut all = |samples: &[Sample]| samples.iter().map(|s| s.draw(&mut rng)).collect();
        (all(&self.inputs), all(&self.updates))
    }
}
