//! Train and run recurrent networks on any GPU, or on the CPU: the library behind the `rnn-gpu`
//! command. The layers are in [`nn`], the devices are opened by [`device`].

pub mod bench;
pub mod checkpoint;
pub mod compare;
pub mod data;
pub mod device;
pub mod experiment;
pub mod film_error;
pub mod memory;
pub mod plot;
pub mod predict;
pub mod progress;
pub mod report;
pub mod rollout;
pub mod run;
pub mod train;
pub mod verify;

pub use rnn_core::HostTensor;
pub use rnn_data as datasets;
pub use rnn_graph::Device;
pub use rnn_nn as nn;
pub use rnn_onnx as onnx;
pub use rnn_ops::{Activation, Padding};
