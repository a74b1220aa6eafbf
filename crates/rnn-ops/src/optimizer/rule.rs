//! The interface of an optimizer: the rule by which weights follow their gradients.

use crate::StepParams;
use rnn_graph::{Real, Shader};

/// One argument of a rule, by which Keras's configuration of an optimizer is read and written. Each
/// variant is a kind of value.
pub enum RuleArgument<'a> {
    /// A number.
    Number(&'a mut f32),
    /// A number. In Keras's configuration null stands for the default.
    Nullable(&'a mut f32),
    /// True or false.
    Flag(&'a mut bool),
    /// A number that cannot be changed: Keras's configuration has to hold this value.
    Fixed(f64),
}

/// The order in which Keras's files hold the values of an optimizer's slots, see
/// [`UpdateRule::slots`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotOrder {
    /// The values that one weight has of all slots stand together.
    ByWeight,
    /// The values that all weights have of one slot stand together. The names give the order of the
    /// slots.
    BySlot(&'static [&'static str]),
}

/// The constants of an optimizer's kernel. A kernel ignores those that its equations do not
/// contain. All are 0 by [`Default`].
#[derive(Clone, Copy, Debug, Default)]
pub struct RuleConstants {
    /// The fraction of the last step that is repeated.
    pub momentum: f32,
    /// The decay of the first moment, the average of the gradients; of Lion, the share of that moment
    /// in the step.
    pub beta_1: f32,
    /// The decay of the second moment, or of the only moment that the rule has.
    pub beta_2: f32,
    /// The small number that keeps quotients finite.
    pub epsilon: f32,
}

/// The update rule of an optimizer, with Keras's names. [`Default`] gives Keras's default
/// arguments.
///
/// The rule says how a weight w changes with its gradient g, as in keras/src/optimizers. In the
/// equations of the rules s, t and u are the slots: values that are kept for each weight from step
/// to step, which the kernels bind as `first`, `second` and `third`. `rate` is
/// [`StepParams::learning_rate`], and `step` is the number of the step, counted from 1.
pub trait UpdateRule: Default {
    /// The name of the optimizer's class in Keras.
    const CLASS: &'static str;
    /// The default learning rate in Keras.
    const LEARNING_RATE: f64;

    /// Returns references to the arguments, by their names in Keras.
    fn arguments(&mut self) -> Vec<(&'static str, RuleArgument<'_>)>;

    /// Returns the names of the slots in Keras, in the order in which the kernel takes them.
    fn slots(&self) -> Vec<&'static str>;

    /// Returns the value that every slot has before the first step; 0 by default.
    fn initial_slot_value(&self) -> f32 {
        0.0
    }

    /// Returns the order of the slots in Keras's files; [`SlotOrder::ByWeight`] by default.
    fn slot_order(&self) -> SlotOrder {
        SlotOrder::ByWeight
    }

    /// Returns the number that Keras stores after the slots in its files, as it is after this many
    /// steps; `None`, the default, for rules without such a number.
    fn kept_number(&self, _steps: u64) -> Option<f64> {
        None
    }

    /// Returns the kernel's module and the name of its entry point. The kernel binds the slots as
    /// `first`, `second` and `third`.
    fn kernel(&self) -> (&'static Shader, &'static str);

    /// Returns the constants of the kernel.
    fn constants(&self) -> RuleConstants;

    /// Returns the names and values of the kernel's WGSL `override` constants; none by default.
    fn overrides(&self) -> Vec<(&'static str, f64)> {
        vec![]
    }

    /// Returns the parameters of a step, whose number counts from 1, at this learning rate. By
    /// default they are [`StepParams::of_rate`].
    fn step_params(&self, learning_rate: f64, _step: u64) -> StepParams {
        StepParams::of_rate(learning_rate)
    }

    /// Updates the slots of one weight for its gradient `g`, and returns the number to add to the
    /// weight. `slots` holds as many values as [`Self::slots`] has names, in the same order.
    fn change<F: Real>(&self, g: F, step: &StepParams<F>, slots: &mut [F]) -> F;
}

/// Declares the shader of a rule: the parts that all updates share, and a text of
/// `rnn_shaders::optimizer`.
macro_rules! update_shader {
    ($label:literal, $text:ident) => {
        static SHADER: Shader = Shader::new(
            $label,
            &[
                rnn_shaders::shared::ELEMENTWISE,
                rnn_shaders::shared::BITS,
                rnn_shaders::optimizer::STEP_PARAMS,
                rnn_shaders::optimizer::UPDATE,
                rnn_shaders::optimizer::$text,
            ],
        );
    };
}
pub(super) use update_shader;

/// Returns the next value of an exponential moving average: beta `before` + (1 - beta) `value`.
pub(super) fn moving_average<F: Real>(beta: f32, before: F, value: F) -> F {
    let beta = F::of(beta.into());
    beta * before + (F::one() - beta) * value
}

/// Returns 1 - beta^step. Adam's moments are divided by it, because they begin at zero.
pub(super) fn bias_correction(beta: f32, step: u64) -> f64 {
    1.0 - f64::from(beta).powf(step as f64)
}
