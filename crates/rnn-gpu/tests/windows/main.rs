//! What Windows does otherwise with files, paths and processes than Unix. `cargo xtask dx12` runs these
//! tests under Wine.
#![cfg(windows)]

#[path = "../common/mod.rs"]
mod common;

mod files;
mod paths;
mod processes;
