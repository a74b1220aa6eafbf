use super::rule::{RuleArgument, RuleConstants, UpdateRule, bias_correction, update_shader};
use crate::StepParams;
use rnn_graph::{Real, Shader};

update_shader!("adam", ADAM);

/// Adam (keras/src/optimizers/adam.py). The symbols are those of [`UpdateRule`]. `rate` already
/// includes the bias corrections.
///
/// ```text
/// s += (g - s) (1 - beta_1),  t += (g^2 - t) (1 - beta_2),  w -= rate s / (sqrt(t) + epsilon)
/// rate = learning rate sqrt(1 - beta_2^step) / (1 - beta_1^step)
/// ```
///
/// [`Default`]: beta_1 0.9, beta_2 0.999, epsilon 1e-7.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// Decay of the first moment s, at least 0 and below 1.
    pub beta_1: f32,
    /// Decay of the second moment t, at least 0 and below 1.
    pub beta_2: f32,
    /// Added to the denominator, above 0, so that the quotient stays finite.
    pub epsilon: f32,
}

impl Default for Adam {
    fn default() -> Self {
        Self { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7 }
    }
}

impl UpdateRule for Adam {
    const CLASS: &'static str = "Adam";
    const LEARNING_RATE: f64 = 1e-3;

    fn arguments(&mut self) -> Vec<(&'static str, RuleArgument<'_>)> {
        vec![
            ("beta_1", RuleArgument::Number(&mut self.beta_1)),
            ("beta_2", RuleArgument::Number(&mut self.beta_2)),
            ("epsilon", RuleArgument::Nullable(&mut self.epsilon)),
        ]
    }

    fn slots(&self) -> Vec<&'static str> {
        vec!["momentum", "velocity"]
    }

    fn kernel(&self) -> (&'static Shader, &'static str) {
        (&SHADER, "adam")
    }

    fn constants(&self) -> RuleConstants {
        let Self { beta_1, beta_2, epsilon } = *self;
        RuleConstants { beta_1, beta_2, epsilon, ..RuleConstants::default() }
    }

    fn step_params(&self, learning_rate: f64, step: u64) -> StepParams {
        let first = bias_correction(self.beta_1, step);
        StepParams::of_rate(learning_rate * bias_correction(self.beta_2, step).sqrt() / first)
    }

    fn change<F: Real>(&self, g: F, step: &StepParams<F>, slots: &mut [F]) -> F {
        // 1 - beta in f64: the kernel's rounding is its own.
        let rest = |beta: f32| F::of(1.0 - f64::from(beta));
        slots[0] = slots[0] + (g - slots[0]) * rest(self.beta_1);
        slots[1] = slots[1] + (g * g - slots[1]) * rest(self.beta_2);
        -step.learning_rate * slots[0] / (slots[1].sqrt() + F::of(self.epsilon.into()))
    }
}
