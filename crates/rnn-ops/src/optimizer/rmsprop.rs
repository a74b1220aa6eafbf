use super::rule::{
    RuleArgument, RuleConstants, SlotOrder, UpdateRule, moving_average, update_shader,
};
use crate::StepParams;
use rnn_graph::{Real, Shader};

update_shader!("rmsprop", RMSPROP);

/// RMSprop (keras/src/optimizers/rmsprop.py). The symbols are those of [`UpdateRule`].
///
/// ```text
/// s = rho s + (1 - rho) g^2
/// d = rate g / sqrt(s + epsilon)                                     not centered
/// t = rho t + (1 - rho) g,  d = rate g / sqrt(s - t^2 + epsilon)     centered
/// w -= d                                                             without momentum
/// u = momentum u + d,  w -= u                                        with momentum
/// ```
///
/// Slots that are not in use are left out of [`UpdateRule::slots`], so u is the second slot if the
/// rule is not centered. [`Default`]: rho 0.9, no momentum, epsilon 1e-7, not centered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RmsProp {
    /// Decay of the moving averages s and t, at least 0 and below 1.
    pub rho: f32,
    /// The fraction of the last step that is repeated, at least 0; 0 for no momentum.
    pub momentum: f32,
    /// Added under the root, so that the quotient stays finite; above 0.
    pub epsilon: f32,
    /// True to divide by an estimate of the gradient's standard deviation, false to divide by the
    /// root of its mean square.
    pub centered: bool,
}

impl Default for RmsProp {
    fn default() -> Self {
        Self { rho: 0.9, momentum: 0.0, epsilon: 1e-7, centered: false }
    }
}

impl UpdateRule for RmsProp {
    const CLASS: &'static str = "RMSprop";
    const LEARNING_RATE: f64 = 1e-3;

    fn arguments(&mut self) -> Vec<(&'static str, RuleArgument<'_>)> {
        vec![
            ("rho", RuleArgument::Number(&mut self.rho)),
            ("momentum", RuleArgument::Number(&mut self.momentum)),
            ("epsilon", RuleArgument::Nullable(&mut self.epsilon)),
            ("centered", RuleArgument::Flag(&mut self.centered)),
        ]
    }

    fn slots(&self) -> Vec<&'static str> {
        let centered = self.centered.then_some("average_gradient");
        let momentum = (self.momentum != 0.0).then_some("momentum");
        [Some("velocity"), centered, momentum].into_iter().flatten().collect()
    }

    fn slot_order(&self) -> SlotOrder {
        SlotOrder::BySlot(&["velocity", "momentum", "average_gradient"])
    }

    fn kernel(&self) -> (&'static Shader, &'static str) {
        let entry = match (self.centered, self.momentum != 0.0) {
            (false, false) => "rmsprop",
            (false, true) => "rmsprop_momentum",
            (true, false) => "rmsprop_centered",
            (true, true) => "rmsprop_centered_momentum",
        };
        (&SHADER, entry)
    }

    fn constants(&self) -> RuleConstants {
        let Self { rho: beta_2, momentum, epsilon, .. } = *self;
        RuleConstants { momentum, beta_2, epsilon, ..RuleConstants::default() }
    }

    fn change<F: Real>(&self, g: F, step: &StepParams<F>, slots: &mut [F]) -> F {
        slots[0] = moving_average(self.rho, slots[0], g * g);
        let mut variance = slots[0];
        if self.centered {
            slots[1] = moving_average(self.rho, slots[1], g);
            variance = variance - slots[1] * slots[1];
        }
        let down = step.learning_rate * g / (variance + F::of(self.epsilon.into())).sqrt();
        match slots.last_mut().filter(|_| self.momentum != 0.0) {
            Some(last) => {
                *last = F::of(self.momentum.into()) * *last + down;
                -*last
            }
            None => -down,
        }
    }
}
