use super::rule::{
    RuleArgument, RuleConstants, UpdateRule, bias_correction, moving_average, update_shader,
};
use crate::StepParams;
use rnn_graph::{Real, Shader};

update_shader!("nadam", NADAM);

/// Adam with Nesterov's momentum (keras/src/optimizers/nadam.py). The symbols are those of
/// [`UpdateRule`].
///
/// ```text
/// s = beta_1 s + (1 - beta_1) g,  t = beta_2 t + (1 - beta_2) g^2
/// w -= rate (a s + b g) / (sqrt(c t) + epsilon)
/// a = u(step + 1) / (1 - U(step + 1)),  b = (1 - u(step)) / (1 - U(step)),
/// c = 1 / (1 - beta_2^step),  u(i) = beta_1 (1 - 0.96^i / 2),  U(i) = u(1) u(2) .. u(i)
/// ```
///
/// [`Default`]: beta_1 0.9, beta_2 0.999, epsilon 1e-7.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nadam {
    /// Decay of the first moment s, at least 0 and below 1.
    pub beta_1: f32,
    /// Decay of the second moment t, at least 0 and below 1.
    pub beta_2: f32,
    /// Added to the denominator, above 0, so that the quotient stays finite.
    pub epsilon: f32,
}

impl Default for Nadam {
    fn default() -> Self {
        Self { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7 }
    }
}

impl Nadam {
    /// u(step).
    fn momentum(&self, step: u64) -> f64 {
        f64::from(self.beta_1) * (1.0 - 0.5 * 0.96f64.powf(step as f64))
    }

    /// U(steps).
    fn momentum_product(&self, steps: u64) -> f64 {
        // 0.96^1000 is lost beside 1: later factors are all beta_1.
        let exact = steps.min(1000);
        let first: f64 = (1..=exact).map(|step| self.momentum(step)).product();
        first * f64::from(self.beta_1).powf((steps - exact) as f64)
    }
}

impl UpdateRule for Nadam {
    const CLASS: &'static str = "Nadam";
    const LEARNING_RATE: f64 = 1e-3;

    fn arguments(&mut self) -> Vec<(&'static str, RuleArgument<'_>)> {
        vec![
            ("beta_1", RuleArgument::Number(&mut self.beta_1)),
            ("beta_2", RuleArgument::Number(&mut self.beta_2)),
            // Keras 2 has it, with the value that Keras 3 fixes in its equations.
            ("schedule_decay", RuleArgument::Fixed(0.004)),
            ("epsilon", RuleArgument::Nullable(&mut self.epsilon)),
        ]
    }

    fn slots(&self) -> Vec<&'static str> {
        vec!["momentum", "velocity"]
    }

    fn kept_number(&self, steps: u64) -> Option<f64> {
        Some(self.momentum_product(steps))
    }

    fn kernel(&self) -> (&'static Shader, &'static str) {
        (&SHADER, "nadam")
    }

    fn constants(&self) -> RuleConstants {
        let Self { beta_1, beta_2, epsilon } = *self;
        RuleConstants { beta_1, beta_2, epsilon, ..RuleConstants::default() }
    }

    fn step_params(&self, learning_rate: f64, step: u64) -> StepParams {
        let product = self.momentum_product(step);
        let next = product * self.momentum(step + 1);
        StepParams {
            moment_factor: (self.momentum(step + 1) / (1.0 - next)) as f32,
            gradient_factor: ((1.0 - self.momentum(step)) / (1.0 - product)) as f32,
            variance_factor: bias_correction(self.beta_2, step).recip() as f32,
            ..StepParams::of_rate(learning_rate)
        }
    }

    fn change<F: Real>(&self, g: F, step: &StepParams<F>, slots: &mut [F]) -> F {
        slots[0] = moving_average(self.beta_1, slots[0], g);
        slots[1] = moving_average(self.beta_2, slots[1], g * g);
        let ahead = step.moment_factor * slots[0] + step.gradient_factor * g;
        let root = (step.variance_factor * slots[1]).sqrt();
        -step.learning_rate * ahead / (root + F::of(self.epsilon.into()))
    }
}
