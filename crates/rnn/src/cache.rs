//! The folder of files that are fetched or compiled once and kept, and GPUs that keep their kernels
//! there.

use crate::{Tell, device};
use etcetera::BaseStrategy as _;
use rnn_graph::DeviceKind;
use rnn_wgpu::{Adapter, OpenError, Options, Prover, VariantChoice, WgpuDevice};
use std::env;
use std::path::PathBuf;

/// The error that there is no folder for cached files: the environment variable `RNN_GPU_CACHE` is
/// not set, and the user has no home directory.
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

/// Returns the folder for compiled kernels and tuning results of GPUs: `pipelines` in [`folder`].
/// It need not exist. Returns `None` if [`folder`] fails, or if the environment variable
/// `RNN_GPU_NO_CACHE` is set and not empty.
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

/// Opens a GPU only to compile kernels; none may be run on the device. Kernels that earlier
/// programs compiled are not used, and none is stored.
///
/// # Errors
/// Fails if the driver does not open the GPU.
pub fn open_to_compile(adapter: &Adapter) -> Result<WgpuDevice, OpenError> {
    WgpuDevice::open(adapter, Options { compile_only: true, ..Options::default() })
}

/// Opens a GPU. Compiled kernels and tuning results are read from the folder [`of_devices`] and
/// stored there; if that is `None`, they are neither read nor stored.
///
/// The variants of a kernel are timed and the fastest is used on a hardware GPU, unless the
/// environment variable `RNN_GPU_AUTOTUNE` is `0`, and on a software GPU only if it is `1`. If the
/// matrix units fail their test, which runs before their first use, the device does without them
/// and calls `tell` with a line of text for the user. If `falls_back` is true, a variant that the
/// driver refuses is replaced by one that it compiles; otherwise that is an error.
///
/// # Errors
/// Fails if the driver does not open the GPU.
pub fn open(adapter: &Adapter, tell: Tell, falls_back: bool) -> Result<WgpuDevice, OpenError> {
    let variants = if tunes(adapter) { VariantChoice::Fastest } else { VariantChoice::First };
    let prover = Some(Prover { test: rnn_ops::prove_matrix_units, tell });
    let submission = device::submission();
    let options = Options { variants, prover, falls_back, submission, ..Options::default() };
    match of_devices() {
        Some(folder) => WgpuDevice::open_cached(adapter, options, &folder),
        None => WgpuDevice::open(adapter, options),
    }
}
