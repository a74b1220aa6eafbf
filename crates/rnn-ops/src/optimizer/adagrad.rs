use super::rule::{RuleArgument, RuleConstants, UpdateRule, update_shader};
use crate::StepParams;
use rnn_graph::{Real, Shader};

update_shader!("adagrad", ADAGRAD);

/// Adagrad (keras/src/optimizers/adagrad.py): s += g^2, w -= rate g / sqrt(s + epsilon). s is 0.1
/// before the first step. The symbols are those of [`UpdateRule`]. [`Default`]: epsilon 1e-7.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adagrad {
    /// Added to s under the root, so that the quotient stays finite; above 0.
    pub epsilon: f32,
}

impl Default for Adagrad {
    fn default() -> Self {
        Self { epsilon: 1e-7 }
    }
}

impl UpdateRule for Adagrad {
    const CLASS: &'static str = "Adagrad";
    const LEARNING_RATE: f64 = 1e-3;

    fn arguments(&mut self) -> Vec<(&'static str, RuleArgument<'_>)> {
        vec![
            ("initial_accumulator_value", RuleArgument::Fixed(0.1)),
            ("epsilon", RuleArgument::Nullable(&mut self.epsilon)),
        ]
    }

    fn slots(&self) -> Vec<&'static str> {
        vec!["accumulator"]
    }

    fn initial_slot_value(&self) -> f32 {
        0.1
    }

    fn kernel(&self) -> (&'static Shader, &'static str) {
        (&SHADER, "adagrad")
    }

    fn constants(&self) -> RuleConstants {
        RuleConstants { epsilon: self.epsilon, ..RuleConstants::default() }
    }

    fn change<F: Real>(&self, g: F, step: &StepParams<F>, slots: &mut [F]) -> F {
        slots[0] = slots[0] + g * g;
        -step.learning_rate * g / (slots[0] + F::of(self.epsilon.into())).sqrt()
    }
}
