//! The threads that compute.

use std::error::Error;
use std::io;

/// Starts the threads of rayon's global pool, unless they run already. Otherwise their first use would
/// start them, and panic where the system has no room for them.
///
/// # Errors
/// Fails if a thread cannot be started. The pool is then of no use to this process.
pub fn start() -> io::Result<()> {
    match rayon::ThreadPoolBuilder::new().build_global() {
        // Without a cause, it says that the pool is there.
        Err(error) if error.source().is_some() => Err(io::Error::other(error)),
        _ => Ok(()),
    }
}
