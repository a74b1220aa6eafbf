//! What is made or fetched once and kept.

use crate::Tell;
use etcetera::BaseStrategy as _;
use rnn_graph::DeviceKind;
use rnn_wgpu::{Adapter, OpenError, Options, Prover, VariantChoice, WgpuDevice};
use std::env;
use std::path::PathBuf;

/// The error that the user has no home directory, in which files would be cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no home directory to keep files in; set RNN_GPU_CACHE")]
pub struct NoHome;

/// Returns the folder of cached files: the value of the environment variable `RNN_GPU_CACHE` if it
/// is set, or else `rnn-gpu` in the user's cache directory. The folder need not exist.
///
/// # Errors
/// Fails with [`NoHome`] if the variable is not set and there is no home directory.
pub fn folder() -> Result<PathBuf, NoHome> {
    if let Some(folder) = env::var_os("RNN_GPU_CACHE") {
        return Ok(folder.into());
    }
    let base = etcetera::choose_base_strategy();
    let base = base.map_err(|_| NoHome)?;
    Ok(base.cache_dir().join("rnn-gpu"))
}

/// Returns the folder of compiled kernels and tuning results of GPUs, `pipelines` in [`folder`];
/// `None` if the environment variable `RNN_GPU_NO_CACHE` is set and not empty, or there is no such
/// folder.
pub fn of_devices() -> Option<PathBuf> {
    let unwanted = env::var_os("RNN_GPU_NO_CACHE").is_some_and(|value| !value.is_empty());
    folder().ok().filter(|_| !unwanted).map(|folder| folder.join("pipelines"))
}

/// Whether kernels are tuned: on GPUs, unless `RNN_GPU_AUTOTUNE` is 0; on emulated ones only if it
/// is 1, as measuring takes longer there than small runs.
fn tunes(adapter: &Adapter) -> bool {
    match env::var("RNN_GPU_AUTOTUNE").as_deref() {
        Ok("0") => false,
        Ok("1") => true,
        _ => adapter.info.kind == DeviceKind::Gpu,
    }
}

/// Opens a GPU to compile kernels and to run nothing. What earlier runs have compiled is not used.
///
/// # Errors
/// Fails if the driver does not open it.
pub fn open_to_compile(adapter: &Adapter) -> Result<WgpuDevice, OpenError> {
    WgpuDevice::open(adapter, Options { compile_only: true, ..Options::default() })
}

/// Opens a GPU that keeps its compiled kernels and tuning results in [`of_devices`], or keeps none
/// where that is `None`. Calls `tell` with a line for the user when it does not use its matrix
/// units because they failed their test.
///
/// # Errors
/// Fails if the driver does not open it.
pub fn open(adapter: &Adapter, tell: Tell) -> Result<WgpuDevice, OpenError> {
    let variants = if tunes(adapter) { VariantChoice::Fastest } else { VariantChoice::First };
    let prover = Some(Prover { test: rnn_ops::prove_matrix_units, tell });
    let options = Options { variants, prover, ..Options::default() };
    match of_devices() {
        Some(folder) => WgpuDevice::open_cached(adapter, options, &folder),
        None => WgpuDevice::open(adapter, options),
    }
}
