//! Runs: what is trained on what, in which folder, and what it came to.
//!
//! [`train::train`] trains what a [`config::Config`] says into a [`run::RunFolder`] and returns what
//! that came to; [`evaluate::evaluate`], [`predict`] and [`rollout`] use what was trained. What people
//! look at, pages and pictures, is made of these results by `rnn-report`. Nothing here prints or
//! listens to signals: a [`host::Host`] does, which the program passes in.

pub mod arrays;
pub mod checkpoint;
pub mod config;
pub mod distributed;
pub mod error;
pub mod evaluate;
pub mod experiment;
pub mod finite;
pub mod fit;
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
