use crate::layer::{Arguments, Numbers};
use crate::{ConfigError, Schedule};
use rnn_graph::{Graph, GraphError, TensorId};
use rnn_ops::{self as ops, ClipByNorm, Rule, RuleArgument, SlotOrder, StepParams, Update};
use std::fmt;
use std::sync::Arc;

/// The limit on gradients that are too large (`clipvalue`, `clipnorm` and `global_clipnorm` of
/// keras/src/optimizers/base_optimizer.py).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Clip {
    /// Gradients are not limited.
    #[default]
    Off,
    /// Each element of a gradient is kept between minus and plus this number, above 0: Keras's
    /// `clipvalue`.
    Value(f32),
    /// The gradient of each weight is scaled down to this L2 norm, above 0, if its own norm is
    /// larger: Keras's `clipnorm`.
    Norm(f32),
    /// The gradients of all weights, taken as one vector, are scaled down to this L2 norm, above 0,
    /// if their norm is larger: Keras's `global_clipnorm`.
    GlobalNorm(f32),
}

/// An update rule with its learning rate, weight decay and limit on gradients
/// (keras/src/optimizers). The rules of `rnn_ops`, such as [`Adam`](rnn_ops::Adam), have the
/// equations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Optimizer {
    rule: Rule,
    learning_rate: Schedule,
    weight_decay: f64,
    clip: Clip,
}

/// For people: `Adam, learning rate 0.001`.
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

impl<R: Into<Rule>> From<R> for Optimizer {
    /// A rule with Keras's default learning rate.
    fn from(rule: R) -> Self {
        let rule: Rule = rule.into();
        Self::new(rule, rule.default_learning_rate())
    }
}

impl Optimizer {
    /// Creates an optimizer of the rule `rule` with a constant learning rate, above 0, without
    /// weight decay and with [`Clip::Off`].
    pub fn new(rule: impl Into<Rule>, learning_rate: f64) -> Self {
        let learning_rate = Schedule::Constant(learning_rate);
        Self { rule: rule.into(), learning_rate, weight_decay: 0.0, clip: Clip::Off }
    }

    /// Returns plain gradient descent, [`Sgd`](rnn_ops::Sgd), with Keras's learning rate of 0.01.
    pub fn sgd() -> Self {
        ops::Sgd::default().into()
    }

    /// Returns RMSprop, [`RmsProp`](rnn_ops::RmsProp), with Keras's defaults and a learning rate of
    /// 0.001.
    pub fn rmsprop() -> Self {
        ops::RmsProp::default().into()
    }

    /// Returns Adagrad, [`Adagrad`](rnn_ops::Adagrad), with Keras's defaults and a learning rate of
    /// 0.001.
    pub fn adagrad() -> Self {
        ops::Adagrad::default().into()
    }

    /// Returns Adadelta, [`Adadelta`](rnn_ops::Adadelta), with Keras 3's defaults and its learning
    /// rate of 0.001, which was 1 in Keras 2.2.
    pub fn adadelta() -> Self {
        ops::Adadelta::default().into()
    }

    /// Returns Adam, [`Adam`](rnn_ops::Adam), with Keras's defaults and a learning rate of 0.001.
    pub fn adam() -> Self {
        ops::Adam::default().into()
    }

    /// Returns [`Optimizer::adam`] with a weight decay of 0.004, Keras's AdamW
    /// (keras/src/optimizers/adamw.py).
    pub fn adamw() -> Self {
        Self::adam().weight_decay(0.004)
    }

    /// Returns Adamax, [`Adamax`](rnn_ops::Adamax), with Keras's defaults and a learning rate of
    /// 0.001.
    pub fn adamax() -> Self {
        ops::Adamax::default().into()
    }

    /// Returns Nadam, Adam with Nesterov's momentum, [`Nadam`](rnn_ops::Nadam), with Keras's
    /// defaults and a learning rate of 0.001.
    pub fn nadam() -> Self {
        ops::Nadam::default().into()
    }

    /// Returns Lion, which steps by the sign of a mean of the gradients, [`Lion`](rnn_ops::Lion),
    /// with Keras's defaults and a learning rate of 0.001.
    pub fn lion() -> Self {
        ops::Lion::default().into()
    }

    /// Sets a learning rate that is the same at every step, in place of the rate or schedule
    /// before.
    pub fn learning_rate(mut self, rate: f64) -> Self {
        self.learning_rate = Schedule::Constant(rate);
        self
    }

    /// Sets a learning rate that depends on the number of the step, in place of the rate or
    /// schedule before.
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.learning_rate = schedule;
        self
    }

    /// Sets the weight decay. At every step, before the update, each weight w becomes w - learning
    /// rate * `decay` * w. The default is 0, or 0.004 for [`Optimizer::adamw`].
    pub fn weight_decay(mut self, decay: f64) -> Self {
        self.weight_decay = decay;
        self
    }

    /// Sets the limit on gradients, in place of the one before; the default is [`Clip::Off`].
    pub fn clip(mut self, clip: Clip) -> Self {
        self.clip = clip;
        self
    }

    /// All optimizers by Keras's class names. AdamW is an Adam with another default.
    pub(crate) fn all() -> Vec<(&'static str, Self)> {
        let plain = Rule::all().into_iter().map(|rule| (rule.class(), Self::from(rule)));
        plain.chain([("AdamW", Self::adamw())]).collect()
    }

    /// Returns Keras's class name of the rule, such as `Adam`, which is also that of
    /// [`Optimizer::adamw`].
    pub fn class(&self) -> &'static str {
        self.rule.class()
    }

    /// Visits the arguments by Keras's names.
    pub(crate) fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.renamed(["learning_rate", "lr"], &mut self.learning_rate)?;
        let mut weight_decay = (self.weight_decay != 0.0).then_some(self.weight_decay);
        a.optional("weight_decay", &mut weight_decay)?;
        self.weight_decay = weight_decay.unwrap_or(0.0);
        not_negative(a, "weight_decay", self.weight_decay)?;
        let [mut value, mut norm, mut global_norm] = match self.clip {
            Clip::Off => [None; 3],
            Clip::Value(value) => [Some(value), None, None],
            Clip::Norm(norm) => [None, Some(norm), None],
            Clip::GlobalNorm(norm) => [None, None, Some(norm)],
        };
        a.optional("clipvalue", &mut value)?;
        a.optional("clipnorm", &mut norm)?;
        a.optional("global_clipnorm", &mut global_norm)?;
        let clips = [("clipvalue", value), ("clipnorm", norm), ("global_clipnorm", global_norm)];
        for (name, clip) in clips {
            not_negative(a, name, clip.unwrap_or(0.0).into())?;
        }
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
        for (name, argument) in self.rule.arguments() {
            match argument {
                RuleArgument::Number(value) if name.starts_with("beta") => {
                    // Moments are divided by 1 - beta^step.
                    a.number(name, value, Numbers::Rate)?;
                }
                RuleArgument::Number(value) => a.number(name, value, Numbers::Fraction)?,
                RuleArgument::Nullable(value) => {
                    a.nullable(name, value)?;
                    not_negative(a, name, f64::from(*value))?;
                }
                RuleArgument::Flag(value) => a.optional(name, value)?,
                RuleArgument::Fixed(value) => a.fixed(name, value)?,
            }
        }
        Ok(())
    }

    /// Returns the number of slots: the values that the optimizer keeps for each element of a
    /// weight.
    pub fn slots(&self) -> usize {
        self.rule.slots().len()
    }

    /// Returns Keras's names of the slots, such as `momentum`, in the order of
    /// [`Optimizer::update`].
    pub fn slot_names(&self) -> Vec<&'static str> {
        self.rule.slots()
    }

    /// Returns the order of the slots in Keras's files.
    pub fn slot_order(&self) -> SlotOrder {
        self.rule.slot_order()
    }

    /// Returns the value that every slot has before the first step.
    pub fn initial_slot_value(&self) -> f32 {
        self.rule.initial_slot_value()
    }

    /// Returns the learning rate if it is the same at every step; `None` if it follows a schedule.
    pub fn constant_rate(&self) -> Option<f64> {
        match self.learning_rate {
            Schedule::Constant(rate) => Some(rate),
            _ => None,
        }
    }

    /// Returns the number that a Keras file has after the slots, such as Nadam's product of
    /// momenta. Its value is that after `steps` steps. `None` if the rule has no such number.
    pub fn kept_number(&self, steps: u64) -> Option<f64> {
        self.rule.kept_number(steps)
    }

    /// Returns the numbers that [`Optimizer::update`] takes at the step number `step`, counted from
    /// 1. The learning rate in them is the optimizer's times `factor`.
    ///
    /// # Panics
    /// May panic if `step` is 0.
    pub fn step_params(&self, step: u64, factor: f64) -> StepParams {
        let learning_rate = factor * self.learning_rate.rate(step - 1);
        let weight_decay = (self.weight_decay * learning_rate) as f32;
        StepParams { weight_decay, ..self.rule.step_params(learning_rate, step) }
    }

    /// Adds the update of P parameters, in place, to a graph. `gradients`, f32 `[P]`, holds all
    /// gradients, and `each` the view of every weight's gradient in it. [`Clip::Norm`] and
    /// [`Clip::GlobalNorm`] scale the gradients in place. `params` holds
    /// [`Optimizer::step_params`], f32 `[StepParams::LEN]`. `arenas` holds the parameters and then
    /// the slots, f32 `[P]` each.
    ///
    /// # Errors
    /// Fails if the arenas are not of the type of `gradients`, `params` has another length, or the
    /// number of arenas is not 1 + [`Optimizer::slots`].
    pub fn update(
        &self,
        graph: &mut Graph,
        gradients: TensorId,
        each: &[TensorId],
        params: TensorId,
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
        graph.push_node(Arc::new(op), &[gradients, params], arenas)?;
        Ok(())
    }
}

/// Makes sure that an argument is a number from 0 on.
fn not_negative(a: &Arguments<'_>, name: &str, value: f64) -> Result<(), ConfigError> {
    match value >= 0.0 {
        true => Ok(()),
        false => Err(a.refuse(name, &value.into(), Numbers::NotNegative.supported())),
    }
}
