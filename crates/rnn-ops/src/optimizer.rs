use crate::common::{arity, ensure, threads};
use crate::{Case, Definition, Sample};
use rnn_graph::{
    Cost, Io, Launch, Limits, Op, OpError, Operand, Real, Shader, Signature, TensorType, Work,
};

pub static SHADER: Shader = Shader::new(
    "optimizer",
    &[include_str!("../../../shaders/flat.wgsl"), include_str!("../../../shaders/optimizer.wgsl")],
);

fn check(inputs: &[TensorType], updates: &[TensorType], slots: usize) -> Result<(), OpError> {
    let [gradients, rate] = arity(inputs)?;
    ensure(rate.len() == 1, || format!("the learning rate is {rate}"))?;
    ensure(updates.len() == 1 + slots, || format!("{} slots, not {slots}", updates.len() - 1))?;
    ensure(updates.iter().all(|u| u == gradients), || "arenas differ in length".into())
}

/// What both optimizers hand to their kernel.
fn launch(entry: &'static str, s: &Signature) -> Result<Launch, OpError> {
    let count = s.inputs[0].len();
    Ok(Launch::new(&SHADER, entry, threads(count)?)
        .bind("gradients", Operand::Input(0))
        .bind("rate", Operand::Input(1))
        .bind("parameters", Operand::Update(0))
        .param("count", count))
}

/// Stochastic gradient descent, as keras/src/optimizers/sgd.py:
/// v = momentum v - rate g; w += v, or w += momentum v - rate g with Nesterov's.
///
/// Inputs: gradients `[N]`, rate `[1]`; updates: parameters, and velocity unless momentum is 0.
#[derive(Clone, Debug)]
pub struct Sgd {
    /// The part of the last step that is repeated.
    pub momentum: f32,
    /// Looks ahead along the velocity.
    pub nesterov: bool,
}

impl Definition for Sgd {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let (g, rate) = (io.input(0), io.input(1)[0]);
        if self.momentum == 0.0 {
            let [w] = io.updates();
            for (w, &g) in w.iter_mut().zip(g) {
                *w = *w - rate * g;
            }
            return;
        }
        let momentum = F::of(self.momentum.into());
        let [w, velocity] = io.updates();
        for i in 0..g.len() {
            velocity[i] = momentum * velocity[i] - rate * g[i];
            let step =
                if self.nesterov { momentum * velocity[i] - rate * g[i] } else { velocity[i] };
            w[i] = w[i] + step;
        }
    }
}

impl Op for Sgd {
    fn name(&self) -> &'static str {
        "sgd"
    }

    fn infer(
        &self,
        inputs: &[TensorType],
        updates: &[TensorType],
    ) -> Result<Vec<TensorType>, OpError> {
        check(inputs, updates, usize::from(self.momentum != 0.0))?;
        Ok(vec![])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let plain = self.momentum == 0.0;
        let mut launch = launch(if plain { "sgd" } else { "sgd_momentum" }, s)?
            .param("momentum", self.momentum)
            .param("beta_1", 0.0)
            .param("beta_2", 0.0)
            .param("epsilon", 0.0);
        if !plain {
            launch = launch
                .constant("NESTEROV", u8::from(self.nesterov))
                .bind("first", Operand::Update(1));
        }
        Ok(launch.into())
    }

    not_differentiable!();

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 4 * s.inputs[0].len() as u64, bytes: s.bytes() }
    }
}

/// Adam (Kingma and Ba, 2015), as keras/src/optimizers/adam.py: m += (g - m)(1 - beta_1);
/// v += (g^2 - v)(1 - beta_2); w -= rate m / (sqrt(v) + epsilon), where the rate given already
/// holds both bias corrections.
///
/// Inputs: gradients `[N]`, rate `[1]`; updates: parameters, m, v.
#[derive(Clone, Debug)]
pub struct Adam {
    /// Decay of the first moment.
    pub beta_1: f32,
    /// Decay of the second moment.
    pub beta_2: f32,
    /// Keeps the quotient finite.
    pub epsilon: f32,
}

impl Definition for Adam {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let (g, rate) = (io.input(0), io.input(1)[0]);
        let [w, m, v] = io.updates();
        let c1 = F::of(1.0 - f64::from(self.beta_1));
        let c2 = F::of(1.0 - f64::from(self.beta_2));
        for i in 0..g.len() {
            m[i] = m[i] + (g[i] - m[i]) * c1;
            v[i] = v[i] + (g[i] * g[i] - v[i]) * c2;
            w[i] = w[i] - rate * m[i] / (v[i].sqrt() + F::of(self.epsilon.into()));
        }
    }
}

impl Op for Adam {
    fn name(&self) -> &'static str {
        "adam"
    }

    fn infer(
        &self,
        inputs: &[TensorType],
        updates: &[TensorType],
    ) -> Result<Vec<TensorType>, OpError> {
        check(inputs, updates, 2)?;
        Ok(vec![])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        Ok(launch("adam", s)?
            .bind("first", Operand::Update(1))
            .bind("second", Operand::Update(2))
            .param("momentum", 0.0)
            .param("beta_1", self.beta_1)
            .param("beta_2", self.beta_2)
            .param("epsilon", self.epsilon)
            .into())
    }

    not_differentiable!();

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 12 * s.inputs[0].len() as u64, bytes: s.bytes() }
    }
}

pub fn cases() -> Vec<Case> {
    let n = 1000;
    let inputs = || vec![Sample::Normal(vec![n]), Sample::Uniform(vec![1], 0.001, 0.1)];
    let normal = || Sample::Normal(vec![n]);
    let positive = Sample::Uniform(vec![n], 0.0, 1.0);
    let sgd = |name: &str, momentum, nesterov, slots: usize| {
        let updates = std::iter::repeat_with(normal).take(1 + slots).collect();
        Case::new(name, Sgd { momentum, nesterov }, inputs()).updates(updates)
    };
    vec![
        sgd("sgd", 0.0, false, 0),
        sgd("sgd momentum", 0.9, false, 1),
        sgd("sgd nesterov", 0.9, true, 1),
        // 1 - beta_2 has a relative rounding error of 3e-5 in f32, and so has the change of v.
        Case::new("adam", Adam { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7 }, inputs())
            .updates(vec![normal(), normal(), positive])
            .tolerance(1e-5),
    ]
}
