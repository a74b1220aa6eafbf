pub mod clip_by_norm;
pub mod constrain;
pub mod penalty;
pub mod step_params;
pub mod unscale;

use crate::common::{arity, clip, ensure, threads};
use crate::{Case, Definition, Sample, StepParams};
use rnn_graph::{
    Cost, Io, Launch, Limits, Op, OpError, Operand, Real, Shader, Signature, TensorType, Work,
};

/// WGSL module of the kernels.
pub static SHADER: Shader = Shader::new(
    "optimizer",
    &[
        rnn_shaders::shared::ELEMENTWISE,
        rnn_shaders::shared::BITS,
        rnn_shaders::optimizer::STEP_PARAMS,
        rnn_shaders::optimizer::UPDATE,
    ],
);

/// An optimizer's update of a weight w by its gradient g, as keras/src/optimizers define it. `rate`
/// is the learning rate unless stated otherwise; the slots s, t, u are kept from step to step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// SGD: w -= rate g. With momentum: s = momentum s - rate g; w += s, or w += momentum s - rate
    /// g with Nesterov's variant.
    Sgd {
        /// Fraction of the last step that is repeated, in 0..1.
        momentum: f32,
        /// Uses Nesterov momentum.
        nesterov: bool,
    },
    /// RMSprop: s = rho s + (1 - rho) g^2; w -= rate g / sqrt(s + epsilon). Centered: t = rho t +
    /// (1 - rho) g, and s - t^2 replaces s under the root. With momentum the step is added to
    /// momentum times the last one, which is kept in t or u.
    RmsProp {
        /// Decay rate of the moments.
        rho: f32,
        /// Fraction of the last step that is repeated, in 0..1.
        momentum: f32,
        /// Added under the root, so that the quotient stays finite.
        epsilon: f32,
        /// Divides by the standard deviation instead of the root of the second moment.
        centered: bool,
    },
    /// Adagrad: s += g^2; w -= rate g / sqrt(s + epsilon).
    Adagrad {
        /// Added under the root, so that the quotient stays finite.
        epsilon: f32,
    },
    /// Adadelta: s = rho s + (1 - rho) g^2; d = -sqrt(t + epsilon) / sqrt(s + epsilon) g; t = rho t
    /// + (1 - rho) d^2; w += rate d.
    Adadelta {
        /// Decay rate of the moments.
        rho: f32,
        /// Added under the roots, so that the quotient stays finite.
        epsilon: f32,
    },
    /// Adam: s += (g - s)(1 - beta_1); t += (g^2 - t)(1 - beta_2); w -= rate s / (sqrt(t) +
    /// epsilon), where rate includes both bias corrections.
    Adam {
        /// Decay rate of the first moment.
        beta_1: f32,
        /// Decay rate of the second moment.
        beta_2: f32,
        /// Added to the root, so that the quotient stays finite.
        epsilon: f32,
    },
    /// Nadam: s and t as Adam's; w -= rate (a s + b g) / (sqrt(c t) + epsilon), where a, b and c
    /// are the factors in [`StepParams`].
    Nadam {
        /// Decay rate of the first moment.
        beta_1: f32,
        /// Decay rate of the second moment.
        beta_2: f32,
        /// Added to the root, so that the quotient stays finite.
        epsilon: f32,
    },
}

impl Rule {
    /// Returns the number of slots: values kept per weight from step to step.
    pub fn slots(&self) -> usize {
        match *self {
            Self::Sgd { momentum, .. } => usize::from(momentum != 0.0),
            Self::RmsProp { momentum, centered, .. } => {
                1 + usize::from(centered) + usize::from(momentum != 0.0)
            }
            Self::Adagrad { .. } => 1,
            Self::Adadelta { .. } | Self::Adam { .. } | Self::Nadam { .. } => 2,
        }
    }

    /// Returns the entry point of its kernel.
    fn entry(&self) -> &'static str {
        match *self {
            Self::Sgd { momentum: 0.0, .. } => "sgd",
            Self::Sgd { .. } => "sgd_momentum",
            Self::RmsProp { momentum: 0.0, centered: false, .. } => "rmsprop",
            Self::RmsProp { momentum: 0.0, centered: true, .. } => "rmsprop_centered",
            Self::RmsProp { centered: false, .. } => "rmsprop_momentum",
            Self::RmsProp { .. } => "rmsprop_centered_momentum",
            Self::Adagrad { .. } => "adagrad",
            Self::Adadelta { .. } => "adadelta",
            Self::Adam { .. } => "adam",
            Self::Nadam { .. } => "nadam",
        }
    }

    /// Returns the kernel's constants: momentum, beta_1, beta_2 (or rho), epsilon.
    fn constants(&self) -> [f32; 4] {
        match *self {
            Self::Sgd { momentum, .. } => [momentum, 0.0, 0.0, 0.0],
            Self::RmsProp { rho, momentum, epsilon, .. } => [momentum, 0.0, rho, epsilon],
            Self::Adagrad { epsilon } => [0.0, 0.0, 0.0, epsilon],
            Self::Adadelta { rho, epsilon } => [0.0, 0.0, rho, epsilon],
            Self::Adam { beta_1, beta_2, epsilon } | Self::Nadam { beta_1, beta_2, epsilon } => {
                [0.0, beta_1, beta_2, epsilon]
            }
        }
    }

    /// Updates the slots of one weight; returns the change of the weight.
    fn change<F: Real>(&self, g: F, step: &StepParams<F>, slots: &mut [F]) -> F {
        let [momentum, beta_1, beta_2, epsilon] = self.constants().map(|c| F::of(c.into()));
        // 1 - beta is computed in f64 here; the kernel's rounding is its own.
        let rest = |beta: f32| F::of(1.0 - f64::from(beta));
        let rate = step.learning_rate;
        let moment = |before: F, beta: F, value: F| beta * before + (F::one() - beta) * value;
        match *self {
            Self::Sgd { momentum: 0.0, .. } => -rate * g,
            Self::Sgd { nesterov, .. } => {
                slots[0] = momentum * slots[0] - rate * g;
                if nesterov { momentum * slots[0] - rate * g } else { slots[0] }
            }
            Self::RmsProp { centered, momentum: repeats, .. } => {
                slots[0] = moment(slots[0], beta_2, g * g);
                let mut variance = slots[0];
                if centered {
                    slots[1] = moment(slots[1], beta_2, g);
                    variance = variance - slots[1] * slots[1];
                }
                let down = rate * g / (variance + epsilon).sqrt();
                match slots.last_mut().filter(|_| repeats != 0.0) {
                    Some(last) => {
                        *last = momentum * *last + down;
                        -*last
                    }
                    None => -down,
                }
            }
            Self::Adagrad { .. } => {
                slots[0] = slots[0] + g * g;
                -rate * g / (slots[0] + epsilon).sqrt()
            }
            Self::Adadelta { .. } => {
                slots[0] = moment(slots[0], beta_2, g * g);
                let d = -(slots[1] + epsilon).sqrt() / (slots[0] + epsilon).sqrt() * g;
                slots[1] = moment(slots[1], beta_2, d * d);
                rate * d
            }
            Self::Adam { beta_1: b1, beta_2: b2, .. } => {
                slots[0] = slots[0] + (g - slots[0]) * rest(b1);
                slots[1] = slots[1] + (g * g - slots[1]) * rest(b2);
                -rate * slots[0] / (slots[1].sqrt() + epsilon)
            }
            Self::Nadam { .. } => {
                slots[0] = moment(slots[0], beta_1, g);
                slots[1] = moment(slots[1], beta_2, g * g);
                let ahead = step.moment_factor * slots[0] + step.gradient_factor * g;
                -rate * ahead / ((step.variance_factor * slots[1]).sqrt() + epsilon)
            }
        }
    }
}

/// One optimizer step over all parameters: clips g to +-`clip`, applies weight decay, then the
/// rule.
///
/// Inputs: gradients `[N]`, [`StepParams`] `[LEN]`. Updates: parameters `[N]`, then the rule's
/// slots, `[N]` each.
#[derive(Clone, Debug)]
pub struct Update {
    /// The update rule.
    pub rule: Rule,
    /// Upper bound on the magnitude of a gradient element; infinite for no clipping.
    pub clip: f32,
}

impl Definition for Update {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let (g, step) = (io.input(0), io.input(1));
        let Some(step) = StepParams::from_slice(step).filter(|step| step.active != F::zero())
        else {
            return;
        };
        let bound = F::of(self.clip.into());
        let mut arenas: Vec<&mut [F]> = io.all_updates();
        let mut slots = vec![F::zero(); self.rule.slots()];
        for (i, &g) in g.iter().enumerate() {
            for (slot, arena) in slots.iter_mut().zip(&arenas[1..]) {
                *slot = arena[i];
            }
            let change = self.rule.change(clip(g, -bound, bound), &step, &mut slots);
            arenas[0][i] = arenas[0][i] - arenas[0][i] * step.weight_decay + change;
            for (slot, arena) in slots.iter().zip(&mut arenas[1..]) {
                arena[i] = *slot;
            }
        }
    }
}

impl Op for Update {
    fn name(&self) -> &'static str {
        self.rule.entry()
    }

    fn infer(
        &self,
        inputs: &[TensorType],
        updates: &[TensorType],
    ) -> Result<Vec<TensorType>, OpError> {
        let [gradients, step] = arity(inputs)?;
        let wanted = 1 + self.rule.slots();
        ensure(step.len() == StepParams::LEN, || format!("the parameters of a step are {step}"))?;
        ensure(updates.len() == wanted, || format!("{} arenas, not {wanted}", updates.len()))?;
        ensure(updates.iter().all(|u| u == gradients), || "arenas differ in length".into())?;
        Ok(vec![])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let count = s.inputs[0].len();
        let [momentum, beta_1, beta_2, epsilon] = self.rule.constants();
        let mut launch = Launch::new(&SHADER, self.rule.entry(), threads(count)?)
            .bind("gradients", Operand::Input(0))
            .bind("step", Operand::Input(1))
            .bind("parameters", Operand::Update(0))
            .param("count", count)
            .param("momentum", momentum)
            .param("beta_1", beta_1)
            .param("beta_2", beta_2)
            .param("epsilon", epsilon)
            // The largest float stands for no clipping: infinities need not survive on a GPU.
            .param("clip", self.clip.min(f32::MAX));
        if let Rule::Sgd { nesterov, .. } = self.rule {
            launch = launch.constant("NESTEROV", u8::from(nesterov));
        }
        for (i, slot) in
            ["first", "second", "third"].into_iter().take(self.rule.slots()).enumerate()
        {
            launch = launch.bind(slot, Operand::Update(1 + i));
        }
        Ok(launch.into())
    }

    not_differentiable!();

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: ((6 + 4 * self.rule.slots()) * s.inputs[0].len()) as u64, bytes: s.bytes() }
    }
}

/// Returns the cases of this file for the suite.
pub fn cases() -> Vec<Case> {
    let n = 1000;
    let rmsprop =
        |momentum, centered| Rule::RmsProp { rho: 0.9, momentum, epsilon: 1e-7, centered };
    let rules = [
        ("sgd", Rule::Sgd { momentum: 0.0, nesterov: false }),
        ("sgd momentum", Rule::Sgd { momentum: 0.9, nesterov: false }),
        ("sgd nesterov", Rule::Sgd { momentum: 0.9, nesterov: true }),
        ("rmsprop", rmsprop(0.0, false)),
        ("rmsprop momentum", rmsprop(0.5, false)),
        ("rmsprop centered", rmsprop(0.0, true)),
        ("rmsprop centered momentum", rmsprop(0.5, true)),
        ("adagrad", Rule::Adagrad { epsilon: 1e-7 }),
        ("adadelta", Rule::Adadelta { rho: 0.95, epsilon: 1e-7 }),
        ("adam", Rule::Adam { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7 }),
        ("nadam", Rule::Nadam { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7 }),
    ];
    let case = |name: String, rule: Rule, clip: f32| {
        let step = Sample::Uniform(vec![StepParams::LEN], 0.001, 0.1);
        // Squared first moments stay below second moments, as they do when they come from
        // gradients.
        let slots = [Sample::Uniform(vec![n], 0.3, 1.0), Sample::Uniform(vec![n], 0.0, 0.5)];
        let mut updates = vec![Sample::Normal(vec![n])];
        updates.extend(slots.iter().cycle().take(rule.slots()).cloned());
        Case::new(name, Update { rule, clip }, vec![Sample::Normal(vec![n]), step])
            .updates(updates)
            // 1 - beta_2 has a relative rounding error of 3e-5 in f32, and so has the change of the
            // moments.
            .tolerance(1e-5)
    };
    let mut cases: Vec<Case> =
        rules.iter().map(|&(name, rule)| case(name.into(), rule, f32::INFINITY)).collect();
    cases.push(case("sgd clipped".into(), rules[0].1, 0.5));
    for (name, rule) in [rules[0], rules[9]] {
        let mut left_out = case(format!("{name} left out"), rule, f32::INFINITY);
        left_out.inputs[1] =
            Sample::Floats(vec![StepParams::LEN], vec![0.1, 0.01, 0.1, 0.1, 0.1, 0.0]);
        cases.push(left_out);
    }
    cases
}
