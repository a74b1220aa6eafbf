//! Optimizers: each has a file with its rule, and this file has the op that all rules share.

pub mod clip_by_norm;
pub mod constrain;
pub mod penalty;
mod rule;
pub mod step_params;
pub mod unscale;

pub use rule::{RuleArgument, RuleConstants, SlotOrder, UpdateRule};

use crate::common::{arity, clip, ensure, threads};
use crate::{Case, Definition, Sample, StepParams};
use rnn_graph::{
    Cost, Io, Launch, Limits, Op, OpError, Operand, Real, Shader, Signature, TensorType, Work,
};

/// Declares the modules of all optimizers and one type of their rules.
macro_rules! rules {
    ($($module:ident::$rule:ident),*) => {
        $(mod $module;)*

        /// The update rules of all optimizers.
        pub mod rules {
            $(pub use super::$module::$rule;)*
        }
        use rules::*;

        /// The update rule of one of the optimizers, with its arguments. The methods are those of
        /// [`UpdateRule`].
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub enum Rule {
            $(
                #[doc = concat!("[`", stringify!($rule), "`].")]
                $rule($rule),
            )*
        }

        $(
            impl From<$rule> for Rule {
                fn from(rule: $rule) -> Self {
                    Self::$rule(rule)
                }
            }
        )*

        /// Each method is that of [`UpdateRule`].
        impl Rule {
            /// Returns the rules of all optimizers, each with Keras's default arguments.
            pub fn all() -> Vec<Self> {
                vec![$($rule::default().into()),*]
            }

            /// Returns Keras's class name, such as `Adam`.
            pub fn class(&self) -> &'static str {
                match self { $(Self::$rule(_) => $rule::CLASS),* }
            }

            /// Returns Keras's default learning rate of the optimizer.
            pub fn default_learning_rate(&self) -> f64 {
                match self { $(Self::$rule(_) => $rule::LEARNING_RATE),* }
            }

            /// Returns references to the rule's arguments, by their names in Keras, to be read or
            /// changed.
            pub fn arguments(&mut self) -> Vec<(&'static str, RuleArgument<'_>)> {
                match self { $(Self::$rule(rule) => rule.arguments()),* }
            }

            /// Returns the names of the slots in Keras, in the order in which the kernel takes
            /// them. Slots are the values that the rule keeps for each weight from step to step.
            pub fn slots(&self) -> Vec<&'static str> {
                match self { $(Self::$rule(rule) => rule.slots()),* }
            }

            /// Returns the value that every slot has before the first step.
            pub fn initial_slot_value(&self) -> f32 {
                match self { $(Self::$rule(rule) => rule.initial_slot_value()),* }
            }

            /// Returns the order in which Keras's files hold the slots.
            pub fn slot_order(&self) -> SlotOrder {
                match self { $(Self::$rule(rule) => rule.slot_order()),* }
            }

            /// Returns the number that Keras stores after the slots in its files, as it is after
            /// `steps` steps; `None` for rules without such a number.
            pub fn kept_number(&self, steps: u64) -> Option<f64> {
                match self { $(Self::$rule(rule) => rule.kept_number(steps)),* }
            }

            /// Returns the parameters of step number `step`, counted from 1, at this learning rate.
            pub fn step_params(&self, learning_rate: f64, step: u64) -> StepParams {
                match self { $(Self::$rule(rule) => rule.step_params(learning_rate, step)),* }
            }

            fn kernel(&self) -> (&'static Shader, &'static str) {
                match self { $(Self::$rule(rule) => rule.kernel()),* }
            }

            fn constants(&self) -> RuleConstants {
                match self { $(Self::$rule(rule) => rule.constants()),* }
            }

            fn overrides(&self) -> Vec<(&'static str, f64)> {
                match self { $(Self::$rule(rule) => rule.overrides()),* }
            }

            fn change<F: Real>(&self, g: F, step: &StepParams<F>, slots: &mut [F]) -> F {
                match self { $(Self::$rule(rule) => rule.change(g, step, slots)),* }
            }
        }
    };
}

rules!(
    sgd::Sgd,
    rmsprop::RmsProp,
    adagrad::Adagrad,
    adadelta::Adadelta,
    adam::Adam,
    adamax::Adamax,
    nadam::Nadam,
    lion::Lion
);

/// One optimizer step over all parameters. Each gradient is clipped to `-clip..=clip`, each
/// parameter is reduced by the fraction [`StepParams::weight_decay`] of itself, and then the rule
/// changes it. If [`StepParams::active`] is 0, nothing changes.
///
/// Inputs: gradients `[N]`, and [`StepParams`] `[LEN]` ([`StepParams::LEN`]). Updates: parameters
/// `[N]`, then the rule's slots ([`Rule::slots`]), each `[N]`. No outputs.
#[derive(Clone, Debug)]
pub struct Update {
    /// The optimizer.
    pub rule: Rule,
    /// The bound on the magnitude of a gradient, above 0; infinity for no bound.
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
        let mut slots = vec![F::zero(); self.rule.slots().len()];
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
        self.rule.kernel().1
    }

    fn infer(
        &self,
        inputs: &[TensorType],
        updates: &[TensorType],
    ) -> Result<Vec<TensorType>, OpError> {
        let [gradients, step] = arity(inputs)?;
        let wanted = 1 + self.rule.slots().len();
        ensure(step.len() == StepParams::LEN, || format!("the numbers of a step are {step}"))?;
        ensure(updates.len() == wanted, || format!("{} arenas, not {wanted}", updates.len()))?;
        ensure(updates.iter().all(|u| u == gradients), || "arenas differ in length".into())?;
        Ok(vec![])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let count = s.inputs[0].len();
        let RuleConstants { momentum, beta_1, beta_2, epsilon } = self.rule.constants();
        let (shader, entry) = self.rule.kernel();
        let mut launch = Launch::new(shader, entry, threads(count)?)
            .bind("gradients", Operand::Input(0))
            .bind("step", Operand::Input(1))
            .bind("parameters", Operand::Update(0))
            .param("count", count)
            .param("momentum", momentum)
            .param("beta_1", beta_1)
            .param("beta_2", beta_2)
            .param("epsilon", epsilon)
            // The largest float stands for no limit: infinities need not survive on a GPU.
            .param("clip", self.clip.min(f32::MAX));
        for (name, value) in self.rule.overrides() {
            launch = launch.constant(name, value);
        }
        let slots = s.updates.len().saturating_sub(1);
        for (i, slot) in ["first", "second", "third"].into_iter().take(slots).enumerate() {
            launch = launch.bind(slot, Operand::Update(1 + i));
        }
        Ok(launch.into())
    }

    not_differentiable!();

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost {
            flops: ((6 + 4 * self.rule.slots().len()) * s.inputs[0].len()) as u64,
            bytes: s.bytes(),
        }
    }
}

/// Rules with all kernels, by name: each with its defaults, and variants that have a kernel or a
/// branch of their own.
pub(crate) fn rules_of_cases() -> Vec<(String, Rule)> {
    let sgd = |nesterov| Sgd { momentum: 0.9, nesterov };
    let rmsprop = |momentum, centered| RmsProp { momentum, centered, ..RmsProp::default() };
    let variants: [(&str, Rule); 6] = [
        ("sgd momentum", sgd(false).into()),
        ("sgd nesterov", sgd(true).into()),
        ("rmsprop momentum", rmsprop(0.5, false).into()),
        ("rmsprop centered", rmsprop(0.0, true).into()),
        ("rmsprop centered momentum", rmsprop(0.5, true).into()),
        // With the default the positive slots of the cases outweigh nearly all gradients.
        ("lion both signs", Lion { beta_1: 0.5, ..Lion::default() }.into()),
    ];
    let plain = Rule::all().into_iter().map(|rule| (rule.class().to_lowercase(), rule));
    plain.chain(variants.map(|(name, rule)| (name.to_owned(), rule))).collect()
}

/// Returns the test cases of [`Update`] with every rule, for [`suite`](crate::suite).
pub fn cases() -> Vec<Case> {
    let n = 1000;
    let case = |name: String, rule: Rule, clip: f32| {
        let step = Sample::Uniform(vec![StepParams::LEN], 0.001, 0.1);
        // Squared first moments stay below second ones, as they do when they come from gradients.
        let slots = [Sample::Uniform(vec![n], 0.3, 1.0), Sample::Uniform(vec![n], 0.0, 0.5)];
        let mut updates = vec![Sample::Normal(vec![n])];
        updates.extend(slots.iter().cycle().take(rule.slots().len()).cloned());
        Case::new(name, Update { rule, clip }, vec![Sample::Normal(vec![n]), step])
            .updates(updates)
            // 1 - beta_2 has a relative rounding error of 3e-5 in f32, and so has the moments' change.
            .tolerance(1e-5)
    };
    let rules = rules_of_cases().into_iter();
    let mut cases: Vec<Case> = rules.map(|(name, rule)| case(name, rule, f32::INFINITY)).collect();
    cases.push(case("sgd clipped".into(), Sgd::default().into(), 0.5));
    for rule in [Rule::from(Sgd::default()), Adam::default().into()] {
        let name = format!("{} left out", rule.class().to_lowercase());
        let mut left_out = case(name, rule, f32::INFINITY);
        left_out.inputs[1] =
            Sample::Floats(vec![StepParams::LEN], vec![0.1, 0.01, 0.1, 0.1, 0.1, 0.0]);
        cases.push(left_out);
    }
    cases
}
