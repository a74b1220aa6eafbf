use super::rule::{RuleArgument, RuleConstants, UpdateRule, moving_average, update_shader};
use crate::StepParams;
use rnn_graph::{Real, Shader};

update_shader!("lion", LION);

/// Steps of one size in the direction of a mean of the gradients (keras/src/optimizers/lion.py). The
/// symbols are those of [`UpdateRule`].
///
/// ```text
/// w -= rate sign(beta_1 s + (1 - beta_1) g),  s = beta_2 s + (1 - beta_2) g
/// ```
///
/// The s in the sign is that of the step before. sign(x) is 1 above 0, -1 below, 0 for 0, and NaN
/// for NaN. [`Default`]: beta_1 0.9, beta_2 0.99.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lion {
    /// The share of s in the direction of a step, above 0 and at most 1.
    pub beta_1: f32,
    /// Decay of the moment s, at least 0 and below 1.
    pub beta_2: f32,
}

impl Default for Lion {
    fn default() -> Self {
        Self { beta_1: 0.9, beta_2: 0.99 }
    }
}

impl UpdateRule for Lion {
    const CLASS: &'static str = "Lion";
    const LEARNING_RATE: f64 = 1e-3;

    fn arguments(&mut self) -> Vec<(&'static str, RuleArgument<'_>)> {
        vec![
            ("beta_1", RuleArgument::Number(&mut self.beta_1)),
            ("beta_2", RuleArgument::Number(&mut self.beta_2)),
        ]
    }

    fn slots(&self) -> Vec<&'static str> {
        vec!["momentum"]
    }

    fn kernel(&self) -> (&'static Shader, &'static str) {
        (&SHADER, "lion")
    }

    fn constants(&self) -> RuleConstants {
        let Self { beta_1, beta_2 } = *self;
        RuleConstants { beta_1, beta_2, ..RuleConstants::default() }
    }

    fn change<F: Real>(&self, g: F, step: &StepParams<F>, slots: &mut [F]) -> F {
        let ahead = moving_average(self.beta_1, slots[0], g);
        slots[0] = moving_average(self.beta_2, slots[0], g);
        // Rust's sign of 0 is 1; that of NaN is NaN.
        let sign = if ahead == F::zero() { ahead } else { ahead.signum() };
        -step.learning_rate * sign
    }
}
