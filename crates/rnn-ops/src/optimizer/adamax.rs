use super::rule::{RuleArgument, RuleConstants, UpdateRule, bias_correction, update_shader};
use crate::StepParams;
use crate::common::larger;
use rnn_graph::{Real, Shader};

update_shader!("adamax", ADAMAX);

/// Adam with a decaying maximum of the gradients' magnitudes in place of the root of the second
/// moment (keras/src/optimizers/adamax.py). The symbols are those of [`UpdateRule`]. `rate` already
/// includes the bias correction.
///
/// ```text
/// s += (g - s) (1 - beta_1),  t = max(beta_2 t, |g|),  w -= rate s / (t + epsilon)
/// rate = learning rate / (1 - beta_1^step)
/// ```
///
/// [`Default`]: beta_1 0.9, beta_2 0.999, epsilon 1e-7.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adamax {
    /// Decay of the first moment s, at least 0 and below 1.
    pub beta_1: f32,
    /// Decay of the maximum t, at least 0 and below 1.
    pub beta_2: f32,
    /// Added to the denominator, above 0, so that the quotient stays finite.
    pub epsilon: f32,
}

impl Default for Adamax {
    fn default() -> Self {
        Self { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7 }
    }
}

impl UpdateRule for Adamax {
    const CLASS: &'static str = "Adamax";
    const LEARNING_RATE: f64 = 1e-3;

    fn arguments(&mut self) -> Vec<(&'static str, RuleArgument<'_>)> {
        vec![
            ("beta_1", RuleArgument::Number(&mut self.beta_1)),
            ("beta_2", RuleArgument::Number(&mut self.beta_2)),
            ("epsilon", RuleArgument::Nullable(&mut self.epsilon)),
        ]
    }

    fn slots(&self) -> Vec<&'static str> {
        vec!["momentum", "norm"]
    }

    fn kernel(&self) -> (&'static Shader, &'static str) {
        (&SHADER, "adamax")
    }

    fn constants(&self) -> RuleConstants {
        let Self { beta_1, beta_2, epsilon } = *self;
        RuleConstants { beta_1, beta_2, epsilon, ..RuleConstants::default() }
    }

    fn step_params(&self, learning_rate: f64, step: u64) -> StepParams {
        StepParams::of_rate(learning_rate / bias_correction(self.beta_1, step))
    }

    fn change<F: Real>(&self, g: F, step: &StepParams<F>, slots: &mut [F]) -> F {
        // 1 - beta_1 in f64: the kernel's rounding is its own.
        let rest = F::of(1.0 - f64::from(self.beta_1));
        slots[0] = slots[0] + (g - slots[0]) * rest;
        slots[1] = larger(F::of(self.beta_2.into()) * slots[1], g.abs());
        -step.learning_rate * slots[0] / (slots[1] + F::of(self.epsilon.into()))
    }
}
