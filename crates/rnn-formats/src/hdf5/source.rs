//! The bytes of a file, metered.

use hdf5_pure::{FormatError, Source};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Bytes that may be read only so often. What the format's parsers allocate grows with what they
/// read, and so does their time, so that one meter bounds both, also where a damaged file refers
/// to the same bytes again and again.
pub(super) struct Metered {
    bytes: Vec<u8>,
    meter: Meter,
}

/// The bytes that may still be read of a file.
#[derive(Clone)]
pub(super) struct Meter(Arc<AtomicU64>);

impl Meter {
    /// Returns how many bytes `work` read, and its result.
    pub fn read_by<T>(&self, work: impl FnOnce() -> T) -> (u64, T) {
        let before = self.0.load(Relaxed);
        let result = work();
        (before - self.0.load(Relaxed), result)
    }
}

impl Metered {
    /// Creates a source of these bytes that counts what is read of them, and refuses to read more than
    /// 16 MiB and 16 times their number in all, or 64 times if they are few.
    pub fn new(bytes: Vec<u8>) -> Self {
        // Headers are read several times for each member.
        let count = bytes.len() as u64;
        let left = (16 * (count + (1 << 20))).min(64 * (count + 4096));
        Self { bytes, meter: Meter(Arc::new(left.into())) }
    }

    pub fn meter(&self) -> Meter {
        self.meter.clone()
    }
}

impl Source for Metered {
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), FormatError> {
        let length = buffer.len() as u64;
        let take = |left: u64| left.checked_sub(length + 1);
        if self.meter.0.fetch_update(Relaxed, Relaxed, take).is_err() {
            return Err(FormatError::Source("it refers to the same bytes over and over".into()));
        }
        let start = usize::try_from(offset).ok();
        let range = start.and_then(|start| Some(start..start.checked_add(buffer.len())?));
        match range.and_then(|range| self.bytes.get(range)) {
            Some(bytes) => buffer.copy_from_slice(bytes),
            None => return Err(FormatError::OffsetOverflow { offset, length }),
        }
        Ok(())
    }
}
