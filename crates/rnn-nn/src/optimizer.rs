use crate::ConfigError;
use crate::layer::Arguments;
use rnn_graph::{Graph, GraphError, TensorId};
use rnn_ops::{ClipByNorm, Rule, StepParams, Update};
use std::f64::consts::PI;
use std::fmt;
use std::sync::Arc;

/// The learning rate by step, as keras/src/optimizers/schedules define it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Schedule {
    /// The same at every step.
    Constant(f64),
    /// `initial decay_rate^(step / decay_steps)`.
    ExponentialDecay {
        /// At step 0.
        initial: f64,
        /// Steps in which it decays once.
        decay_steps: f64,
        /// The factor of one decay.
        decay_rate: f64,
        /// Decays all at once, at the end of so many steps.
        staircase: bool,
    },
    /// Half a wave of the cosine from `initial` down to `alpha initial`, where it stays.
    CosineDecay {
        /// At step 0.
        initial: f64,
        /// Steps to the end.
        decay_steps: f64,
        /// What is left, as a fraction.
        alpha: f64,
    },
}

impl Schedule {
    /// The rate at step 0, 1, ..
    pub fn rate(&self, step: u64) -> f64 {
        match *self {
            Self::Constant(rate) => rate,
            Self::ExponentialDecay { initial, decay_steps, decay_rate, staircase } => {
                let decays = step as f64 / decay_steps;
                initial * decay_rate.powf(if staircase { decays.floor() } else { decays })
            }
            Self::CosineDecay { initial, decay_steps, alpha } => {
                let done = (step as f64 / decay_steps).min(1.0);
                initial * ((1.0 - alpha) * 0.5 * (1.0 + (PI * done).cos()) + alpha)
            }
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant(rate) => write!(f, "{rate}"),
            Self::ExponentialDecay { initial, decay_steps, decay_rate, .. } => {
                write!(f, "{initial} x {decay_rate}^(step / {decay_steps})")
            }
            Self::CosineDecay { initial, decay_steps, .. } => {
                write!(f, "{initial}, by half a cosine over {decay_steps} steps")
            }
        }
    }
}

/// What is done to gradients that are too large.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Clip {
    /// Nothing.
    #[default]
    Off,
    /// Each element is kept within plus and minus this: `clipvalue`.
    Value(f32),
    /// The gradient of each weight is scaled down to this norm: `clipnorm`.
    Norm(f32),
    /// All gradients together are scaled down to this norm: `global_clipnorm`.
    GlobalNorm(f32),
}

/// How weights follow their gradients; Keras's defaults.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Optimizer {
    rule: Rule,
    learning_rate: Schedule,
    weight_decay: f64,
    clip: Clip,
}

/// What trains a model, for people: `Adam, learning rate 0.001`.
impl fmt::Display for Optimizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, learning rate {}", self.class(), self.learning_rate)?;
        if self.weight_decay != 0.0 {
            write!(f, ", weight decay {}", self.weight_decay)?;
        }
        match self.clip {
            Clip::Off => Ok(()),
            Clip::Value(value) => write!(f, ", clipvalue {value}"),
            Clip::Norm(norm) => write!(f, ", clipnorm {norm}"),
            Clip::GlobalNorm(norm) => write!(f, ", global_clipnorm {norm}"),
        }
    }
}

impl Optimizer {
    /// A rule with a learning rate.
    pub fn new(rule: Rule, learning_rate: f64) -> Self {
        let learning_rate = Schedule::Constant(learning_rate);
        Self { rule, learning_rate, weight_decay: 0.0, clip: Clip::Off }
    }

    /// Plain gradient descent with a learning rate of 0.01.
    pub fn sgd() -> Self {
        Self::new(Rule::Sgd { momentum: 0.0, nesterov: false }, 0.01)
    }

    /// RMSprop with a learning rate of 0.001.
    pub fn rmsprop() -> Self {
        let rule = Rule::RmsProp { rho: 0.9, momentum: 0.0, epsilon: 1e-7, centered: false };
        Self::new(rule, 1e-3)
    }

    /// Adagrad with a learning rate of 0.001.
    pub fn adagrad() -> Self {
        Self::new(Rule::Adagrad { epsilon: 1e-7 }, 1e-3)
    }

    /// Adadelta with a learning rate of 0.001; in 2018 it was 1.
    pub fn adadelta() -> Self {
        Self::new(Rule::Adadelta { rho: 0.95, epsilon: 1e-7 }, 1e-3)
    }

    /// Adam with a learning rate of 0.001.
    pub fn adam() -> Self {
        Self::new(Rule::Adam { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7 }, 1e-3)
    }

    /// Adam with weights that decay by 0.004 times the learning rate at each step.
    pub fn adamw() -> Self {
        Self::adam().weight_decay(0.004)
    }

    /// Adam with Nesterov's momentum and a learning rate of 0.001.
    pub fn nadam() -> Self {
        Self::new(Rule::Nadam { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7 }, 1e-3)
    }

    /// Replaces the learning rate.
    pub fn learning_rate(mut self, rate: f64) -> Self {
        self.learning_rate = Schedule::Constant(rate);
        self
    }

    /// Lets the learning rate follow the steps.
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.learning_rate = schedule;
        self
    }

    /// At each step weights lose this fraction, times the learning rate.
    pub fn weight_decay(mut self, decay: f64) -> Self {
        self.weight_decay = decay;
        self
    }

    /// Limits the gradients.
    pub fn clip(mut self, clip: Clip) -> Self {
        self.clip = clip;
        self
    }

    /// Each of them by Keras's class name. AdamW is an Adam with another default.
    pub(crate) fn all() -> [(&'static str, Self); 7] {
        [
            ("SGD", Self::sgd()),
            ("RMSprop", Self::rmsprop()),
            ("Adagrad", Self::adagrad()),
            ("Adadelta", Self::adadelta()),
            ("Adam", Self::adam()),
            ("AdamW", Self::adamw()),
            ("Nadam", Self::nadam()),
        ]
    }

    /// Keras's class name.
    pub fn class(&self) -> &'static str {
        let kind = std::mem::discriminant(&self.rule);
        let all = Self::all();
        let found = all.iter().find(|(_, other)| std::mem::discriminant(&other.rule) == kind);
        found.map_or("Adam", |(name, _)| name)
    }

    /// Keras's names of the arguments.
    pub(crate) fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.renamed(["learning_rate", "lr"], &mut self.learning_rate)?;
        let mut weight_decay = (self.weight_decay != 0.0).then_some(self.weight_decay);
        a.optional("weight_decay", &mut weight_decay)?;
        self.weight_decay = weight_decay.unwrap_or(0.0);
        let [mut value, mut norm, mut global_norm] = match self.clip {
            Clip::Off => [None; 3],
            Clip::Value(value) => [Some(value), None, None],
            Clip::Norm(norm) => [None, Some(norm), None],
            Clip::GlobalNorm(norm) => [None, None, Some(norm)],
        };
        a.optional("clipvalue", &mut value)?;
        a.optional("clipnorm", &mut norm)?;
        a.optional("global_clipnorm", &mut global_norm)?;
        self.clip = match (value, norm, global_norm) {
            (None, None, None) => Clip::Off,
            (Some(value), None, None) => Clip::Value(value),
            (None, Some(norm), None) => Clip::Norm(norm),
            (None, None, Some(norm)) => Clip::GlobalNorm(norm),
            _ => {
                let message = "an optimizer clips by clipvalue, clipnorm or global_clipnorm alone";
                return Err(ConfigError::Structure(message.into()));
            }
        };
        a.ignored(&["name", "ema_momentum", "jit_compile", "is_legacy_optimizer"]);
        a.fixed("decay", 0.0)?;
        match &mut self.rule {
            Rule::Sgd { momentum, nesterov } => {
                a.optional("momentum", momentum)?;
                a.optional("nesterov", nesterov)
            }
            Rule::RmsProp { rho, momentum, epsilon, centered } => {
                a.optional("rho", rho)?;
                a.optional("momentum", momentum)?;
                a.nullable("epsilon", epsilon)?;
                a.optional("centered", centered)
            }
            Rule::Adagrad { epsilon } => {
                a.fixed("initial_accumulator_value", 0.1)?;
                a.nullable("epsilon", epsilon)
            }
            Rule::Adadelta { rho, epsilon } => {
                a.optional("rho", rho)?;
                a.nullable("epsilon", epsilon)
            }
            Rule::Adam { beta_1, beta_2, epsilon } | Rule::Nadam { beta_1, beta_2, epsilon } => {
                a.optional("beta_1", beta_1)?;
                a.optional("beta_2", beta_2)?;
                a.fixed("schedule_decay", 0.004)?;
                a.nullable("epsilon", epsilon)
            }
        }
    }

    /// How many values it keeps for each weight.
    pub fn slots(&self) -> usize {
        self.rule.slots()
    }

    /// Keras's names of what it keeps for each weight.
    pub fn slot_names(&self) -> Vec<&'static str> {
        let names = match self.rule {
            Rule::Sgd { .. } => vec!["momentum"],
            // The kernel's last slot is the momentum.
            Rule::RmsProp { centered: true, .. } => {
                vec!["velocity", "average_gradient", "momentum"]
            }
            Rule::RmsProp { .. } => vec!["velocity", "momentum"],
            Rule::Adagrad { .. } => vec!["accumulator"],
            Rule::Adadelta { .. } => vec!["accumulated_grad", "accumulated_delta_var"],
            Rule::Adam { .. } | Rule::Nadam { .. } => vec!["momentum", "velocity"],
        };
        names.into_iter().take(self.slots()).collect()
    }

    /// What a slot holds at first.
    pub fn initial_slot_value(&self) -> f32 {
        // Adagrad's initial_accumulator_value.
        if matches!(self.rule, Rule::Adagrad { .. }) { 0.1 } else { 0.0 }
    }

    /// The learning rate, if it is the same at every step.
    pub fn constant_rate(&self) -> Option<f64> {
        match self.learning_rate {
            Schedule::Constant(rate) => Some(rate),
            _ => None,
        }
    }

    /// The product of Nadam's momenta over so many steps, which Keras keeps beside the slots.
    pub fn momentum_product(&self, steps: u64) -> Option<f64> {
        match self.rule {
            Rule::Nadam { beta_1, .. } => Some(nadam_product(beta_1, steps)),
            _ => None,
        }
    }

    /// The numbers of step 1, 2, .., the learning rate being multiplied by `factor`. Adam's rate has
    /// both bias corrections, lr sqrt(1 - beta_2^t) / (1 - beta_1^t); Nadam's factors are those of
    /// keras/src/optimizers/nadam.py.
    pub fn step_params(&self, step: u64, factor: f64) -> StepParams {
        let learning_rate = factor * self.learning_rate.rate(step - 1);
        let corrected = |beta: f32| 1.0 - f64::from(beta).powf(step as f64);
        let decay = self.weight_decay * learning_rate;
        let mut rate = learning_rate;
        let mut factors = [0.0; 3];
        match self.rule {
            Rule::Adam { beta_1, beta_2, .. } => {
                rate = learning_rate * corrected(beta_2).sqrt() / corrected(beta_1);
            }
            Rule::Nadam { beta_1, beta_2, .. } => {
                let u = |t| nadam_momentum(beta_1, t);
                let product = nadam_product(beta_1, step);
                let next = product * u(step + 1);
                let (a, b) = (u(step + 1) / (1.0 - next), (1.0 - u(step)) / (1.0 - product));
                factors = [a, b, corrected(beta_2).recip()];
            }
            _ => {}
        }
        let [moment_factor, gradient_factor, variance_factor] = factors.map(|f: f64| f as f32);
        StepParams {
            learning_rate: rate as f32,
            weight_decay: decay as f32,
            moment_factor,
            gradient_factor,
            variance_factor,
            active: 1.0,
        }
    }

    /// Adds the update of all parameters. `numbers` are those of the step, `arenas` the parameters
    /// and then the slots; `each` holds the gradient of each weight, parts of `gradients`.
    pub fn update(
        &self,
        graph: &mut Graph,
        gradients: TensorId,
        each: &[TensorId],
        numbers: TensorId,
        arenas: &[TensorId],
    ) -> Result<(), GraphError> {
        let all = [gradients];
        let (limited, norm) = match self.clip {
            Clip::Norm(norm) => (each, norm),
            Clip::GlobalNorm(norm) => (&all[..], norm),
            Clip::Off | Clip::Value(_) => (&[][..], 0.0),
        };
        for &part in limited {
            graph.push_node(Arc::new(ClipByNorm { norm }), &[], &[part])?;
        }
        let clip = if let Clip::Value(value) = self.clip { value } else { f32::INFINITY };
        let op = Update { rule: self.rule, clip };
        graph.push_node(Arc::new(op), &[gradients, numbers], arenas)?;
        Ok(())
    }
}

/// The momentum of step 1, 2, ..
fn nadam_momentum(beta_1: f32, step: u64) -> f64 {
    f64::from(beta_1) * (1.0 - 0.5 * 0.96f64.powf(step as f64))
}

fn nadam_product(beta_1: f32, steps: u64) -> f64 {
    // 0.96^1000 is lost beside 1: later factors are all beta_1.
    let exact = steps.min(1000);
    let first: f64 = (1..=exact).map(|step| nadam_momentum(beta_1, step)).product();
    first * f64::from(beta_1).powf((steps - exact) as f64)
}

#[cfg(test)]
mod tests {
    use super::Schedule;

    #[test]
    fn schedules_pass_through_their_ends() {
        let (initial, decay_steps) = (0.1, 100.0);
        let exponential = |staircase| Schedule::ExponentialDecay {
            initial,
            decay_steps,
            decay_rate: 0.5,
            staircase,
        };
        assert!((exponential(false).rate(150) - 0.1 * 0.5f64.powf(1.5)).abs() < 1e-12);
        assert!((exponential(true).rate(150) - 0.05).abs() < 1e-12);
        let cosine = Schedule::CosineDecay { initial, decay_steps, alpha: 0.1 };
        for (step, rate) in [(0, 0.1), (50, 0.055), (100, 0.01), (1000, 0.01)] {
            assert!((cosine.rate(step) - rate).abs() < 1e-12, "{step}");
        }
    }
}
