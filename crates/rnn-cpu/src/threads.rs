//! The threads that compute.

use std::error::Error;
use std::io;
use std::sync::OnceLock;

/// Starts the threads of rayon's global pool, unless they run already. Otherwise their first use would
/// start them, and panic where the system has no room for them.
///
/// # Errors
/// Fails if a thread cannot be started. The pool is then of no use to this process.
pub fn start() -> io::Result<()> {
    // A pool that could not be built is said to be there when it is asked for again.
    static FAILURE: OnceLock<Option<String>> = OnceLock::new();
    let failure = FAILURE.get_or_init(|| match rayon::ThreadPoolBuilder::new().build_global() {
        // Without a cause, it says that the pool is there.
        Err(error) if error.source().is_some() => Some(error.to_string()),
        _ => None,
    });
    failure.as_ref().map_or(Ok(()), |failure| Err(io::Error::other(failure.clone())))
}
