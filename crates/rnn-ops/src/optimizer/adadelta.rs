use super::rule::{RuleArgument, RuleConstants, UpdateRule, moving_average, update_shader};
use crate::StepParams;
use rnn_graph::{Real, Shader};

update_shader!("adadelta", ADADELTA);

/// Adadelta (keras/src/optimizers/adadelta.py). The symbols are those of [`UpdateRule`]. Keras's
/// default learning rate is 0.001; in 2018 it was 1.
///
/// ```text
/// s = rho s + (1 - rho) g^2,  d = -sqrt(t + epsilon) / sqrt(s + epsilon) g
/// t = rho t + (1 - rho) d^2,  w += rate d
/// ```
///
/// [`Default`]: rho 0.95, epsilon 1e-7.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adadelta {
    /// Decay of both moving averages, s and t; at least 0 and below 1.
    pub rho: f32,
    /// Added under both roots, so that the quotient stays finite; above 0.
    pub epsilon: f32,
}

impl Default for Adadelta {
    fn default() -> Self {
        Self { rho: 0.95, epsilon: 1e-7 }
    }
}

impl UpdateRule for Adadelta {
    const CLASS: &'static str = "Adadelta";
    const LEARNING_RATE: f64 = 1e-3;

    fn arguments(&mut self) -> Vec<(&'static str, RuleArgument<'_>)> {
        vec![
            ("rho", RuleArgument::Number(&mut self.rho)),
            ("epsilon", RuleArgument::Nullable(&mut self.epsilon)),
        ]
    }

    fn slots(&self) -> Vec<&'static str> {
        vec!["accumulated_grad", "accumulated_delta_var"]
    }

    fn kernel(&self) -> (&'static Shader, &'static str) {
        (&SHADER, "adadelta")
    }

    fn constants(&self) -> RuleConstants {
        let Self { rho: beta_2, epsilon } = *self;
        RuleConstants { beta_2, epsilon, ..RuleConstants::default() }
    }

    fn change<F: Real>(&self, g: F, step: &StepParams<F>, slots: &mut [F]) -> F {
        let epsilon = F::of(self.epsilon.into());
        slots[0] = moving_average(self.rho, slots[0], g * g);
        let d = -(slots[1] + epsilon).sqrt() / (slots[0] + epsilon).sqrt() * g;
        slots[1] = moving_average(self.rho, slots[1], d * d);
        step.learning_rate * d
    }
}
