use super::rule::{RuleArgument, RuleConstants, UpdateRule, update_shader};
use crate::StepParams;
use rnn_graph::{Real, Shader};

update_shader!("sgd", SGD);

/// Gradient descent (keras/src/optimizers/sgd.py). The symbols are those of [`UpdateRule`].
///
/// ```text
/// w -= rate g                                                 without momentum
/// s = momentum s - rate g,  w += s                            with momentum
/// s = momentum s - rate g,  w += momentum s - rate g          with Nesterov's momentum
/// ```
///
/// [`Default`]: no momentum.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sgd {
    /// The fraction of the last step that is repeated, at least 0; 0 for no momentum.
    pub momentum: f32,
    /// True for Nesterov's momentum, false for plain momentum. Without momentum it has no effect.
    pub nesterov: bool,
}

impl UpdateRule for Sgd {
    const CLASS: &'static str = "SGD";
    const LEARNING_RATE: f64 = 0.01;

    fn arguments(&mut self) -> Vec<(&'static str, RuleArgument<'_>)> {
        vec![
            ("momentum", RuleArgument::Number(&mut self.momentum)),
            ("nesterov", RuleArgument::Flag(&mut self.nesterov)),
        ]
    }

    fn slots(&self) -> Vec<&'static str> {
        if self.momentum == 0.0 { vec![] } else { vec!["momentum"] }
    }

    fn kernel(&self) -> (&'static Shader, &'static str) {
        (&SHADER, if self.momentum == 0.0 { "sgd" } else { "sgd_momentum" })
    }

    fn constants(&self) -> RuleConstants {
        RuleConstants { momentum: self.momentum, ..RuleConstants::default() }
    }

    fn overrides(&self) -> Vec<(&'static str, f64)> {
        vec![("NESTEROV", f64::from(u8::from(self.nesterov)))]
    }

    fn change<F: Real>(&self, g: F, step: &StepParams<F>, slots: &mut [F]) -> F {
        let rate = step.learning_rate;
        let [velocity] = slots else { return -rate * g };
        let momentum = F::of(self.momentum.into());
        *velocity = momentum * *velocity - rate * g;
        if self.nesterov { momentum * *velocity - rate * g } else { *velocity }
    }
}
