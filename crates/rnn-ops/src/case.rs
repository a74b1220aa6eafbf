use crate::Rows;
use rnn_core::{DType, HostTensor, Rng, Shape};
use rnn_graph::{Op, TensorType};
use std::sync::Arc;

/// How much is checked; each tier holds those above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// Small cases of every op.
    Smoke,
    /// Those too that need a large matrix.
    Standard,
    /// The sizes that people train, too: hundreds of steps, more rows and workgroups than 65,535.
    Full,
}

/// Random values for one operand.
#[derive(Clone, Debug)]
pub enum Sample {
    /// Standard normal floats.
    Normal(Vec<usize>),
    /// Floats uniform between two bounds.
    Uniform(Vec<usize>, f32, f32),
    /// Integers below a bound.
    Below(Vec<usize>, u32),
    /// Exactly these integers.
    Exactly(Vec<usize>, Vec<u32>),
    /// Exactly these floats.
    Floats(Vec<usize>, Vec<f32>),
}

impl Sample {
    /// The type of the tensor.
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

    /// Draws the tensor.
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

/// One configuration of an op with the data to try it on.
#[derive(Clone, Debug)]
pub struct Case {
    /// Op and configuration, unique in the suite.
    pub name: String,
    /// The op.
    pub op: Arc<dyn Op>,
    /// Its inputs.
    pub inputs: Vec<Sample>,
    /// Which of them are rounded to half precision.
    pub half: Vec<usize>,
    /// The tensors that it changes in place.
    pub updates: Vec<Sample>,
    /// The inputs whose gradient finite differences check.
    pub differentiable: Vec<usize>,
    /// The outputs through which it is checked; others are kept for the backward pass.
    pub through: Vec<usize>,
    /// Largest `|got - want| / max(max |want|, 1e-3)` of a tensor.
    pub tolerance: f64,
    /// How its rows repeat, where a device is given more of them than the samples hold.
    pub rows: Option<Rows>,
    /// When it runs.
    pub tier: Tier,
}

impl Case {
    /// A quick case at the tolerance of a few roundings.
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

    /// Adds to the name.
    pub(crate) fn named(mut self, suffix: &str) -> Self {
        self.name += suffix;
        self
    }

    /// Rounds inputs to half precision.
    pub fn half(mut self, inputs: &[usize]) -> Self {
        self.half = inputs.to_vec();
        self
    }

    /// Sets the tensors changed in place.
    pub fn updates(mut self, updates: Vec<Sample>) -> Self {
        self.updates = updates;
        self
    }

    /// Sets the inputs whose gradient is checked.
    pub fn gradient(mut self, inputs: &[usize]) -> Self {
        self.differentiable = inputs.to_vec();
        self
    }

    /// Sets the outputs through which gradients are checked, if not the first alone.
    pub fn through(mut self, outputs: &[usize]) -> Self {
        self.through = outputs.to_vec();
        self
    }

    /// Sets the tolerance; the caller says why in a comment.
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// Sets when it runs.
    pub fn tier(mut self, tier: Tier) -> Self {
        self.tier = tier;
        self
    }

    /// Inputs and updates, the same at every call.
    pub fn draw(&self) -> (Vec<HostTensor>, Vec<HostTensor>) {
        // FNV-1a of the name: cases do not share their numbers.
        let seed = self.name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| {
            (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        let mut rng = Rng::new(seed, 0);
        let mut all = |samples: &[Sample]| samples.iter().map(|s| s.draw(&mut rng)).collect();
        (all(&self.inputs), all(&self.updates))
    }
}
