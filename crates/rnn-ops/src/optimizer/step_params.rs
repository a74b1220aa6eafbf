use rnn_shaders::constant;
use rnn_shaders::optimizer::STEP_PARAMS;

const LEARNING_RATE: usize = constant(STEP_PARAMS, "LEARNING_RATE");
const WEIGHT_DECAY: usize = constant(STEP_PARAMS, "WEIGHT_DECAY");
const MOMENT_FACTOR: usize = constant(STEP_PARAMS, "MOMENT_FACTOR");
const GRADIENT_FACTOR: usize = constant(STEP_PARAMS, "GRADIENT_FACTOR");
const VARIANCE_FACTOR: usize = constant(STEP_PARAMS, "VARIANCE_FACTOR");
const ACTIVE: usize = constant(STEP_PARAMS, "ACTIVE");

/// The parameters of one optimizer step. The host computes them and uploads them as a tensor
/// `[LEN]`, in the order of `shaders/optimizer/step_params.wgsl`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepParams<T = f32> {
    /// The learning rate. For [`crate::Adam`] and [`crate::Adamax`] it includes the bias
    /// corrections.
    pub learning_rate: T,
    /// Fraction of itself by which each weight is reduced before the update.
    pub weight_decay: T,
    /// The factor a of the first moment in [`crate::Nadam`].
    pub moment_factor: T,
    /// The factor b of the gradient in [`crate::Nadam`].
    pub gradient_factor: T,
    /// The factor c of the second moment in [`crate::Nadam`].
    pub variance_factor: T,
    /// 1, or 0 to skip the step. [`crate::Unscale`] sets it to 0.
    pub active: T,
}

impl StepParams {
    /// Number of parameters: the length of the tensor `[LEN]`.
    pub const LEN: usize = constant(STEP_PARAMS, "STEP_PARAMS");
    /// Index of [`Self::active`] in the tensor.
    pub(crate) const ACTIVE: usize = ACTIVE;

    /// Returns the parameters of an active step with this learning rate, no weight decay, and 0 for
    /// the factors of Nadam.
    pub fn of_rate(learning_rate: f64) -> Self {
        Self {
            learning_rate: learning_rate as f32,
            weight_decay: 0.0,
            moment_factor: 0.0,
            gradient_factor: 0.0,
            variance_factor: 0.0,
            active: 1.0,
        }
    }

    /// Returns the parameters as the elements of the tensor `[LEN]`.
    pub fn to_array(self) -> [f32; Self::LEN] {
        let mut array = [0.0; Self::LEN];
        array[LEARNING_RATE] = self.learning_rate;
        array[WEIGHT_DECAY] = self.weight_decay;
        array[MOMENT_FACTOR] = self.moment_factor;
        array[GRADIENT_FACTOR] = self.gradient_factor;
        array[VARIANCE_FACTOR] = self.variance_factor;
        array[ACTIVE] = self.active;
        array
    }
}

impl<T: Copy> StepParams<T> {
    /// Returns the parameters in the elements of a tensor `[LEN]`; `None` if `values` does not have
    /// [`StepParams::LEN`] elements.
    pub fn from_slice(values: &[T]) -> Option<Self> {
        (values.len() == StepParams::LEN).then(|| Self {
            learning_rate: values[LEARNING_RATE],
            weight_decay: values[WEIGHT_DECAY],
            moment_factor: values[MOMENT_FACTOR],
            gradient_factor: values[GRADIENT_FACTOR],
            variance_factor: values[VARIANCE_FACTOR],
            active: values[ACTIVE],
        })
    }
}
