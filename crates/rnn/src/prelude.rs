//! What most programs need: layers, models and their training, data and devices.
//!
//! ```
//! use rnn::prelude::*;
//!
//! let model = Model::sequential(InputSpec::floats([20, 3]), 1)
//!     .add(Gru::new(8))?
//!     .add(Dense::new(1, Activation::Linear))?;
//! let (device, _) = device::open("cpu")?;
//! let mut trainer =
//!     Trainer::new(model, &*device, Optimizer::adam(), 1).loss(Loss::MeanSquaredError);
//! let x = HostTensor::from_f32([2, 20, 3], vec![0.5; 120])?;
//! assert_eq!(trainer.predict_batch(&[x])?[0].shape().dims(), [2, 1]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub use crate::datasets::{PadOptions, pad_sequences};
pub use crate::device;
pub use crate::nn::*;
pub use crate::{Activation, Device, HostTensor, Padding, Rng};
