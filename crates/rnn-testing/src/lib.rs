//! The one rule for tests that need what not every machine has: an adapter, shared data, a program.
//! A test without it prints `SKIPPED <test>: <reason>` and passes. It fails instead if an
//! environment variable says that the machine has it: `RNN_GPU_REQUIRE_GPU=1` for an adapter, `CI`
//! for everything else.

#[cfg(feature = "devices")]
mod devices;

#[cfg(feature = "devices")]
pub use devices::{TestDevice, adapters, devices, gpu, named_devices, open};

use std::env;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::thread;

/// Prints that the running test, or a part of it, is skipped for this reason. It does not end the
/// test.
pub fn skip(reason: impl Display) {
    println!("SKIPPED {}: {reason}", test());
}

/// Prints that the running test is skipped because no adapter was found. It does not end the test.
///
/// # Panics
/// Panics if `RNN_GPU_REQUIRE_GPU=1`.
pub fn skip_without_adapter() {
    let required = env::var("RNN_GPU_REQUIRE_GPU").as_deref() == Ok("1");
    assert!(!required, "{}: no adapter, and RNN_GPU_REQUIRE_GPU=1", test());
    skip("no adapter");
}

/// Prints that the running test is skipped for this reason: something is missing that every machine
/// of CI has. It does not end the test.
///
/// # Panics
/// Panics if the environment variable `CI` is set.
pub fn skip_outside_ci(reason: impl Display) {
    assert!(env::var_os("CI").is_none(), "{}: {reason}, and CI is set", test());
    skip(reason);
}

/// Returns the path of `file`, a path relative to the folder `shared` beside the checkout or to the
/// folder that `RNN_GPU_SHARED` names. If the file does not exist, prints that the running test is
/// skipped and returns `None`.
///
/// # Panics
/// Panics if `CI` is set and the folder exists without the file.
pub fn shared(file: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let folder = env::var_os("RNN_GPU_SHARED").map_or_else(beside, PathBuf::from);
    let path = folder.join(file);
    if path.exists() {
        return Some(path);
    }
    let reason = format!("there is no {}", path.display());
    if folder.exists() {
        skip_outside_ci(reason)
    } else {
        skip(reason)
    }
    None
}

/// The name of the running test, after which its thread is named.
fn test() -> String {
    thread::current().name().unwrap_or("a test").to_owned()
}
