//! Asking for memory ahead of its use, which the processor does by itself along one stream, not
//! along as many as a register block has rows.
#![allow(unsafe_code, reason = "the instruction takes a pointer; it does not dereference it")]

/// Floats of a cache line.
pub const LINE: usize = 64 / size_of::<f32>();

/// Asks for the cache line of an element, if there is one, to come into the second-level cache.
#[inline(always)]
pub fn prefetch(data: &[f32], at: usize) {
    #[cfg(target_arch = "x86_64")]
    if let Some(element) = data.get(at) {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: a prefetch changes nothing that a program sees, and the address is an element's.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(std::ptr::from_ref(element).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (data, at);
}

/// The same for all of them.
#[inline(always)]
pub fn prefetch_all(data: &[f32]) {
    for at in (0..data.len()).step_by(LINE) {
        prefetch(data, at);
    }
}
