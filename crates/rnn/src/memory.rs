//! The memory of this machine.

use std::fmt;
use sysinfo::{MemoryRefreshKind, RefreshKind, System};

/// The error that the weights of a model need more memory than is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the model's {} parameters need {} of memory, {} are free",
    Count(*parameters), Bytes(*need), Bytes(*free)
)]
pub struct TooLarge {
    /// Number of the model's parameters.
    pub parameters: usize,
    /// Bytes that the parameters need.
    pub need: u64,
    /// Bytes that are free, as [`available`] returns them.
    pub free: u64,
}

/// Returns the number of bytes of memory that are free on this machine now. If the program runs in
/// a container (a Linux cgroup) in which fewer bytes are free, returns that number; `None` if the
/// system does not tell.
pub fn available() -> Option<u64> {
    let kind = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
    let system = System::new_with_specifics(kind);
    if system.total_memory() == 0 {
        return None;
    }
    // A container may be given less than the machine has.
    let limit = system.cgroup_limits().map_or(u64::MAX, |group| group.free_memory);
    Some(system.available_memory().min(limit))
}

/// Checks that the weights of a model with `parameters` parameters, four bytes each, fit into the
/// memory that is free now, where that is known.
///
/// # Errors
/// Fails with [`TooLarge`] if they do not fit.
pub fn check_weights(parameters: usize) -> Result<(), TooLarge> {
    let need = 4 * parameters as u64;
    match available() {
        Some(free) if free < need => Err(TooLarge { parameters, need, free }),
        _ => Ok(()),
    }
}

/// A number of bytes. It is displayed in binary units with two decimals, as `1.50 GiB`, and below 1
/// KiB as `512 B`.
#[derive(Clone, Copy, Debug)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        let units = self.0.checked_ilog2().unwrap_or(0) as usize / 10;
        match units.checked_sub(1) {
            None => write!(f, "{} B", self.0),
            Some(unit) => {
                let amount = self.0 as f64 / 1024f64.powi(units as i32);
                write!(f, "{amount:.2} {}", UNITS[unit])
            }
        }
    }
}

/// A number, displayed with commas as `1,234,567`.
#[derive(Clone, Copy, Debug)]
pub struct Count(pub usize);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (i, digit) in digits.chars().enumerate() {
            if i > 0 && (digits.len() - i).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_readable() {
        assert_eq!(Bytes(0).to_string(), "0 B");
        assert_eq!(Bytes(1023).to_string(), "1023 B");
        assert_eq!(Bytes(1536).to_string(), "1.50 KiB");
        assert_eq!(Bytes(128 << 20).to_string(), "128.00 MiB");
        assert_eq!(Bytes(u64::MAX).to_string(), "16.00 EiB");
        assert_eq!(Count(999).to_string(), "999");
        assert_eq!(Count(1_234_567).to_string(), "1,234,567");
    }

    #[test]
    fn weights_beyond_all_memory_are_refused() {
        assert!(check_weights(1000).is_ok());
        let error = check_weights(1 << 60).expect_err("too many");
        assert!(error.to_string().starts_with("the model's 1,152,921,504,606,846,976 parameters"));
    }
}
