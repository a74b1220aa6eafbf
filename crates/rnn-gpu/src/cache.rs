//! What is made or fetched once and kept.

use anyhow::{Context, Result};
use etcetera::BaseStrategy as _;
use rnn_wgpu::{Adapter, OpenError, Options, WgpuDevice};
use std::env;
use std::path::PathBuf;

/// `RNN_GPU_CACHE`, else `rnn-gpu` in the user's cache directory. It need not exist.
///
/// # Errors
/// If there is no home directory.
pub fn folder() -> Result<PathBuf> {
    if let Some(folder) = env::var_os("RNN_GPU_CACHE") {
        return Ok(folder.into());
    }
    let base = etcetera::choose_base_strategy();
    let base = base.context("there is no home directory to keep files in; set RNN_GPU_CACHE")?;
    Ok(base.cache_dir().join("rnn-gpu"))
}

/// Opens a GPU; what its driver compiles is kept, unless `RNN_GPU_NO_CACHE` is set.
///
/// # Errors
/// If the driver does not hand it out.
pub fn open(adapter: &Adapter) -> Result<WgpuDevice, OpenError> {
    let unwanted = env::var_os("RNN_GPU_NO_CACHE").is_some_and(|value| !value.is_empty());
    match folder() {
        Ok(folder) if !unwanted => {
            WgpuDevice::open_cached(adapter, Options::default(), &folder.join("pipelines"))
        }
        _ => WgpuDevice::open(adapter, Options::default()),
    }
}
