use crate::Rows;
use rnn_core::{DType, HostTensor, Rng, Shape};
use rnn_graph::{Op, TensorType};
use std::sync::Arc;

/// Extent of a check: which cases it includes. Each tier includes the cases of those above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// Small cases of every op; seconds on a GPU.
    Smoke,
    /// Smoke, and cases that need a large matrix.
    Standard,
    /// Standard, and the sizes of real training runs: hundreds of steps, more rows and workgroups
    /// than 65,535.
    Full,
}

/// Recipe for the random values of one operand, with its shape (row-major).
#[derive(Clone, Debug)]
pub enum Sample {
    /// Standard normal floats.
    Normal(Vec<usize>),
    /// Floats uniform from the first bound, which is included, to the second, which is not.
    Uniform(Vec<usize>, f32, f32),
    /// Integers that are uniform from 0 to below a bound, which is at least 1.
    Below(Vec<usize>, u32),
    /// Exactly these integers, row-major, as many as the shape has elements.
    Exactly(Vec<usize>, Vec<u32>),
    /// Exactly these floats, row-major, as many as the shape has elements.
    Floats(Vec<usize>, Vec<f32>),
}

impl Sample {
    /// Returns the shape and element type of the tensor that [`Self::draw`] returns.
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
    /// row-major order. [`Self::Exactly`] and [`Self::Floats`] draw nothing; if their values are
    /// not as many as the shape has elements, the result is a scalar of zero.
    ///
    /// # Panics
    /// Panics for [`Self::Below`] with a bound of 0 and a shape that is not empty.
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

/// One configuration of an op, with recipes for the operands to check it on.
#[derive(Clone, Debug)]
pub struct Case {
    /// Name of the op and configuration, unique in the suite; it is the seed of the values.
    pub name: String,
    /// The op.
    pub op: Arc<dyn Op>,
    /// Recipes for its inputs.
    pub inputs: Vec<Sample>,
    /// Indices of the inputs that are rounded to half precision, from 0 on.
    pub half: Vec<usize>,
    /// Recipes for the tensors that it changes in place.
    pub updates: Vec<Sample>,
    /// Indices of the inputs whose gradients are compared with finite differences.
    pub differentiable: Vec<usize>,
    /// Indices of the outputs through which gradients flow. The others exist for the backward pass
    /// only.
    pub through: Vec<usize>,
    /// Largest permitted error of a tensor: `max |got - want| / max(max |want|, 1e-3)`.
    pub tolerance: f64,
    /// Repetition of the rows on the device, if it is given more rows than the samples hold; `None`
    /// if the samples are what it is given.
    pub rows: Option<Rows>,
    /// The first tier that includes the case.
    pub tier: Tier,
}

impl Case {
    /// Creates a case of [`Tier::Smoke`] with a tolerance of a few roundings (2e-6), and without
    /// tensors changed in place, gradients to check or repeated rows.
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

    /// Sets the largest permitted error of a tensor, `max |got - want| / max(max |want|, 1e-3)`;
    /// the default is 2e-6. The caller justifies another in a comment.
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// Sets the first tier that includes the case; the default is [`Tier::Smoke`].
    pub fn tier(mut self, tier: Tier) -> Self {
        self.tier = tier;
        self
    }

    /// Draws the values of the inputs, and those of the tensors changed in place, each list in the
    /// order of its recipes. The name of the case is the seed, so that every call returns the same
    /// values; inputs of [`Case::half`] are not rounded yet.
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
