//! Train and run recurrent networks on any GPU, or on the CPU: the library behind the `rnn-gpu`
//! command.
//!
//! [`prelude`] brings in what most programs need. The layers are in [`nn`], a page each with
//! equations, shapes and what differs from Keras; the devices are opened by [`device`]; [`op`] is
//! for ops with kernels of one's own. `examples/` shows
//!
//! - `builder`: models as stacks and as graphs of layers, trained and evaluated;
//! - `training_loop`: batches, rates and ends of one's own;
//! - `custom_op`: a kernel of one's own, verified and trained;
//! - `predict_text`: from reviews in a table to the words that decide;
//! - `weights`: reading, writing and replacing weights.

#[macro_use]
pub mod console;

pub mod arrays;
pub mod bench;
pub mod cache;
pub mod checkpoint;
pub mod compare;
pub mod device;
pub mod distributed;
pub mod experiment;
pub mod finite;
pub mod fit;
pub mod frame_error;
pub mod interchange;
pub mod interrupt;
pub mod measure;
pub mod memory;
pub mod model_file;
pub mod op;
pub mod outputs;
pub mod plot;
pub mod predict;
pub mod prelude;
pub mod progress;
pub mod report;
pub mod rollout;
pub mod run;
pub mod source;
pub mod splits;
pub mod train;
pub mod training;
pub mod verify;

pub use rnn_core::{HostTensor, Rng};
pub use rnn_data as datasets;
pub use rnn_formats as formats;
pub use rnn_graph::Device;
pub use rnn_nn as nn;
pub use rnn_onnx as onnx;
pub use rnn_ops::{Activation, Padding};
