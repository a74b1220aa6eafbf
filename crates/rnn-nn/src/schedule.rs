use std::f64::consts::PI;
use std::fmt;

/// The learning rate as a function of the number of the step, counted from 0
/// (keras/src/optimizers/schedules/learning_rate_schedule.py).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Schedule {
    /// The same rate at every step.
    Constant(f64),
    /// `rate = initial decay_rate^(step / decay_steps)`.
    ExponentialDecay {
        /// The rate at step 0.
        initial: f64,
        /// The number of steps in which the rate is multiplied by `decay_rate` once, above 0.
        decay_steps: f64,
        /// The factor by which the rate is multiplied.
        decay_rate: f64,
        /// True to round the exponent down, so that the rate changes once in `decay_steps` steps;
        /// false to change it a little at each step.
        staircase: bool,
    },
    /// `rate = initial ((1 - alpha) (1 + cos(pi step / decay_steps)) / 2 + alpha)`, and `alpha
    /// initial` after `decay_steps` steps. With a warm-up the rate first climbs from `initial`; then
    /// the target takes its place, and steps count from there.
    CosineDecay {
        /// The rate at step 0.
        initial: f64,
        /// The number of steps after which the rate stays the same, above 0.
        decay_steps: f64,
        /// The fraction of `initial` that is the last rate.
        alpha: f64,
        /// The climb before the decay; Keras's default is none.
        warmup: Option<WarmUp>,
    },
    /// [`Schedule::CosineDecay`] that starts again when it is over. Decay number i, from 0 on, takes
    /// `first_decay_steps t_mul^i` steps, in which the half cosine is multiplied by `m_mul^i`.
    CosineDecayRestarts {
        /// The rate at step 0.
        initial: f64,
        /// The number of steps until the first restart, above 0.
        first_decay_steps: f64,
        /// The factor by which each decay is longer than the one before, from 1 on; Keras's default
        /// is 2.
        t_mul: f64,
        /// The factor by which each decay starts higher; Keras's default is 1.
        m_mul: f64,
        /// The fraction of `initial` that is the lowest rate; Keras's default is 0.
        alpha: f64,
    },
    /// `rate = (initial - end) (1 - step / decay_steps)^power + end`, and `end` after `decay_steps`
    /// steps.
    PolynomialDecay {
        /// The rate at step 0.
        initial: f64,
        /// The number of steps after which the rate stays the same, above 0.
        decay_steps: f64,
        /// The last rate; Keras's default is 0.0001.
        end: f64,
        /// The exponent; Keras's default is 1.
        power: f64,
        /// True to replace `decay_steps` by its next multiple when it is passed, so that the rate
        /// rises again; Keras's default is false.
        cycle: bool,
    },
    /// `rate = initial / (1 + decay_rate step / decay_steps)`.
    InverseTimeDecay {
        /// The rate at step 0.
        initial: f64,
        /// The number of steps in which the divisor grows by `decay_rate`, above 0.
        decay_steps: f64,
        /// The growth of the divisor.
        decay_rate: f64,
        /// True to round `step / decay_steps` down.
        staircase: bool,
    },
}

/// A linear climb of the learning rate before a decay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WarmUp {
    /// The rate at the end of the climb.
    pub target: f64,
    /// The number of steps of the climb.
    pub steps: f64,
}

/// Half a cosine from 1, where nothing of a decay is done, to 0, where all is.
fn half_cosine(done: f64) -> f64 {
    0.5 * (1.0 + (PI * done).cos())
}

impl Schedule {
    /// Returns the learning rate of the step number `step`, counted from 0.
    pub fn rate(&self, step: u64) -> f64 {
        let step = step as f64;
        let stairs = |done: f64, staircase: bool| if staircase { done.floor() } else { done };
        match *self {
            Self::Constant(rate) => rate,
            Self::ExponentialDecay { initial, decay_steps, decay_rate, staircase } => {
                initial * decay_rate.powf(stairs(step / decay_steps, staircase))
            }
            Self::CosineDecay { initial, warmup: Some(WarmUp { target, steps }), .. }
                if step < steps =>
            {
                initial + (target - initial) * (step / steps)
            }
            Self::CosineDecay { initial, decay_steps, alpha, warmup } => {
                let (from, before) =
                    warmup.map_or((initial, 0.0), |warm| (warm.target, warm.steps));
                let done = ((step - before) / decay_steps).min(1.0);
                from * ((1.0 - alpha) * half_cosine(done) + alpha)
            }
            Self::CosineDecayRestarts { initial, first_decay_steps, t_mul, m_mul, alpha } => {
                let done = step / first_decay_steps;
                // Rounding must not delay a restart.
                let restarts = match t_mul {
                    1.0 => done,
                    _ => (done * (t_mul - 1.0)).ln_1p() / t_mul.ln() + 1e-6,
                }
                .floor();
                let before = match t_mul {
                    1.0 => restarts,
                    _ => (t_mul.powf(restarts) - 1.0) / (t_mul - 1.0),
                };
                let done = ((done - before) / t_mul.powf(restarts)).max(0.0);
                initial * ((1.0 - alpha) * m_mul.powf(restarts) * half_cosine(done) + alpha)
            }
            Self::PolynomialDecay { initial, decay_steps, end, power, cycle } => {
                let cycles = if cycle { (step / decay_steps).ceil().max(1.0) } else { 1.0 };
                let done = (step / (decay_steps * cycles)).min(1.0);
                (initial - end) * (1.0 - done).powf(power) + end
            }
            Self::InverseTimeDecay { initial, decay_steps, decay_rate, staircase } => {
                initial / (1.0 + decay_rate * stairs(step / decay_steps, staircase))
            }
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant(rate) => write!(f, "{rate}"),
            Self::ExponentialDecay { initial, decay_steps, decay_rate, .. } => {
                write!(f, "{initial} x {decay_rate}^(step / {decay_steps})")
            }
            Self::CosineDecay { initial, decay_steps, warmup, .. } => {
                write!(f, "{initial}, ")?;
                if let Some(WarmUp { target, steps }) = warmup {
                    write!(f, "up to {target} in {steps} steps, ")?;
                }
                write!(f, "by half a cosine over {decay_steps} steps")
            }
            Self::CosineDecayRestarts { initial, first_decay_steps, .. } => {
                write!(f, "{initial}, by half cosines, the first over {first_decay_steps} steps")
            }
            Self::PolynomialDecay { initial, decay_steps, end, .. } => {
                write!(f, "{initial} to {end} in {decay_steps} steps")
            }
            Self::InverseTimeDecay { initial, decay_steps, decay_rate, .. } => {
                write!(f, "{initial} / (1 + {decay_rate} step / {decay_steps})")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Schedule;

    #[test]
    fn schedules_pass_through_their_ends() {
        let (initial, decay_steps) = (0.1, 100.0);
        let exponential = |staircase| Schedule::ExponentialDecay {
            initial,
            decay_steps,
            decay_rate: 0.5,
            staircase,
        };
        assert!((exponential(false).rate(150) - 0.1 * 0.5f64.powf(1.5)).abs() < 1e-12);
        assert!((exponential(true).rate(150) - 0.05).abs() < 1e-12);
        let cosine = Schedule::CosineDecay { initial, decay_steps, alpha: 0.1, warmup: None };
        for (step, rate) in [(0, 0.1), (50, 0.055), (100, 0.01), (1000, 0.01)] {
            assert!((cosine.rate(step) - rate).abs() < 1e-12, "{step}");
        }
    }
}
