//! Training runs: what is trained on which data, in which folder, and with which results.
//!
//! [`train::train`] trains the model of a [`config::Config`] into a [`run::RunFolder`] and returns
//! the results; [`evaluate::evaluate`], [`predict`] and [`rollout`] use the trained model. The
//! crate `rnn-report` makes pages and pictures of the results. This crate neither prints nor
//! handles signals: the program does, through the [`host::Host`] that it passes in.

pub mod arrays;
pub mod checkpoint;
pub mod config;
pub mod distributed;
pub mod error;
pub mod evaluate;
pub mod experiment;
pub mod finite;
pub mod fit;
pub mod forecast;
pub mod frame_error;
pub mod host;
pub mod measure;
pub mod memory;
pub mod outputs;
pub mod predict;
pub mod rollout;
pub mod run;
pub mod source;
pub mod splits;
pub mod train;
pub mod world;
