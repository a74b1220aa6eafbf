//! Asking for memory ahead of its use.
#![allow(unsafe_code, reason = "the instruction takes a pointer, which it never follows visibly")]

/// Floats of a cache line.
const LINE: usize = 64 / size_of::<f32>();

/// Has the caches fetch what will be read soon, where the processor can be told so.
#[inline(always)]
pub fn prefetch(data: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    for line in data.chunks(LINE) {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: a prefetch reads nothing that the program sees, and faults at no address.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = data.chunks(LINE);
}
