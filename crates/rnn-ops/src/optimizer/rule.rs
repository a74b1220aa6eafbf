//! What an optimizer is: the rule by which weights follow their gradients.

use crate::StepParams;
use rnn_graph::{Real, Shader};

/// A reference to an argument of a rule, by which Keras's descriptions of an optimizer are read and
/// written.
pub enum RuleArgument<'a> {
    /// A number.
    Number(&'a mut f32),
    /// A number for which null stands for the default.
    Nullable(&'a mut f32),
    /// True or false.
    Flag(&'a mut bool),
    /// A number that has this value, and no other.
    Fixed(f64),
}

/// The order in which an optimizer's slots stand in Keras's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotOrder {
    /// All slots of a weight stand together.
    ByWeight,
    /// The weights' values of one slot stand together, in this order of the slots' names.
    BySlot(&'static [&'static str]),
}

/// The constants of an optimizer's kernel; a rule ignores those that its equations do not have.
/// [`Default`]: all 0.
#[derive(Clone, Copy, Debug, Default)]
pub struct RuleConstants {
    /// The part of the last step that is repeated.
    pub momentum: f32,
    /// The decay of the first moment.
    pub beta_1: f32,
    /// The decay of the second moment, or of the only one.
    pub beta_2: f32,
    /// The number that keeps quotients finite.
    pub epsilon: f32,
}

/// The update rule of an optimizer, with Keras's names; [`Default`] gives Keras's default
/// arguments.
///
/// A weight w follows its gradient g as keras/src/optimizers define it. The equations write s, t
/// and u for the slots, the values that are kept for each weight from step to step, which the
/// kernels bind as `first`, `second` and `third`, and rate for [`StepParams::learning_rate`].
pub trait UpdateRule: Default {
    /// Keras's class name.
    const CLASS: &'static str;
    /// Keras's default learning rate.
    const LEARNING_RATE: f64;

    /// The arguments by Keras's names.
    fn arguments(&mut self) -> Vec<(&'static str, RuleArgument<'_>)>;

    /// Keras's names of the slots, in the order in which the kernel takes them.
    fn slots(&self) -> Vec<&'static str>;

    /// The value that every slot has before the first step.
    fn initial_slot_value(&self) -> f32 {
        0.0
    }

    /// The order of the slots in Keras's files.
    fn slot_order(&self) -> SlotOrder {
        SlotOrder::ByWeight
    }

    /// A number that Keras keeps behind the slots: its value after this many steps.
    fn kept_number(&self, _steps: u64) -> Option<f64> {
        None
    }

    /// The kernel and its entry point. It binds `first`, `second` and `third` to the slots.
    fn kernel(&self) -> (&'static Shader, &'static str);

    /// The constants of the kernel.
    fn constants(&self) -> RuleConstants;

    /// The kernel's override constants.
    fn overrides(&self) -> Vec<(&'static str, f64)> {
        vec![]
    }

    /// The numbers of step 1, 2, .. for a learning rate.
    fn step_params(&self, learning_rate: f64, _step: u64) -> StepParams {
        StepParams::of_rate(learning_rate)
    }

    /// Moves the slots of one weight on; returns the number that is added to the weight.
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

/// beta m + (1 - beta) v: an exponential moving average.
pub(super) fn moving_average<F: Real>(beta: f32, before: F, value: F) -> F {
    let beta = F::of(beta.into());
    beta * before + (F::one() - beta) * value
}

/// 1 - beta^step, by which Adam's moments are divided, since they begin at zero.
pub(super) fn bias_correction(beta: f32, step: u64) -> f64 {
    1.0 - f64::from(beta).powf(step as f64)
}
