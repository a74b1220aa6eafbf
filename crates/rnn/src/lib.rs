//! Recurrent networks that are trained and run on any GPU through wgpu, or on the CPU.
//!
//! ```
//! use rnn::prelude::*;
//!
//! // Which of two counters is ahead? Rows of 12 steps, at each of which one of them counts.
//! let mut rng = Rng::new(1, 0);
//! let steps: Vec<f32> = (0..512 * 12).map(|_| rng.below(2) as f32).collect();
//! let ahead = |row: &[f32]| f32::from(u8::from(row.iter().sum::<f32>() > 6.0));
//! let labels = steps.chunks(12).map(ahead).collect();
//! let x = HostTensor::from_f32([512, 12, 1], steps)?;
//! let y = HostTensor::from_f32([512], labels)?;
//!
//! let model = Model::sequential(InputSpec::floats([12, 1]), 1)
//!     .add(Lstm::new(16))?
//!     .add(Dense::new(1, Activation::Sigmoid))?;
//! let (device, why) = device::open("cpu")?;
//! println!("{}: {why}", device.info());
//! let optimizer = Optimizer::adam().learning_rate(0.02);
//! let mut trainer = Trainer::new(model, &*device, optimizer, 1);
//! let (train, test) = Dataset::new([x], [y])?.split(0.8, 1);
//! let options = FitOptions { epochs: 10, batch_size: 32 };
//! trainer.fit(&train, Some(&test), options, &mut [])?;
//! assert!(trainer.evaluate(&test, 32)?.accuracy > 0.8);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`prelude`] brings in what most programs need. The modules are
//!
//! - [`nn`]: layers, a page each with equations, shapes and what differs from Keras; losses,
//!   optimizers, callbacks, `Model`, `Dataset` and `Trainer`;
//! - [`device`]: which GPU, or the CPU, computes;
//! - [`model_file`]: models as runs, Keras and people write them, with their weights;
//! - [`formats`]: safetensors, npy, npz, HDF5, TensorBoard; [`nn::Model::to_onnx`] writes ONNX;
//! - [`datasets`]: reviews, videos of moving squares, text and padding;
//! - [`text_classifier`]: texts of two kinds, and the words that decide;
//! - [`op`]: ops with kernels of one's own, and what verifies them.
//!
//! `examples/` shows
//!
//! - `builder`: models as stacks and as graphs of layers, trained and evaluated;
//! - `training_loop`: batches, rates and ends of one's own;
//! - `custom_op`: a kernel of one's own, verified and trained;
//! - `predict_text`: from reviews in a table to the words that decide;
//! - `weights`: reading, writing and replacing weights.
//!
//! # Crates
//!
//! This crate is the face of several. `rnn-core` has shapes and host tensors, `rnn-graph` graphs of
//! ops and the traits of ops and devices, `rnn-ops` the ops, `rnn-wgpu` and `rnn-cpu` the devices,
//! `rnn-nn` the layers, `rnn-formats` files, `rnn-data` data, `rnn-verify` the checks
//! of kernels. The command `rnn-gpu` stands on this crate, with `rnn-run` for its runs, `rnn-report`
//! for their pages and `rnn-bench` for measurements.

use std::sync::Arc;

pub mod cache;
pub mod device;
pub mod memory;
pub mod model_file;
pub mod op;
pub mod prelude;
pub mod text_classifier;

pub use rnn_core::{HostTensor, Rng, cut, plain, short};
pub use rnn_data as datasets;
pub use rnn_formats as formats;
pub use rnn_graph::Device;
pub use rnn_nn as nn;
pub use rnn_ops::{Activation, Padding};

/// A function that is called with a line for the user of the program, such as a warning. The library
/// prints nothing itself.
pub type Tell = Arc<dyn Fn(&str) + Send + Sync>;
