//! Prefetching: the processor does so by itself along one stream, but not along as many as a
//! register block has rows.
#![allow(unsafe_code, reason = "the instruction takes a pointer; it does not dereference it")]

/// Number of floats per cache line of 64 bytes.
pub const LINE: usize = 64 / size_of::<f32>();

/// Requests the cache line of `data[at]` into the second-level cache. It does nothing if `at` is
/// beyond the end, and on processors other than x86-64.
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

/// Requests all cache lines of `data` into the second-level cache, as [`prefetch`] does.
#[inline(always)]
pub fn prefetch_all(data: &[f32]) {
    for at in (0..data.len()).step_by(LINE) {
        prefetch(data, at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefetches_up_to_the_end_and_beyond_change_nothing() {
        for len in [0, 1, LINE - 1, LINE, LINE + 1, 3 * LINE + 5] {
            let data: Box<[f32]> = (0..len).map(|i| i as f32).collect();
            prefetch_all(&data);
            for at in [0, len.saturating_sub(1), len, len + 1, usize::MAX] {
                prefetch(&data, at);
            }
            assert!(data.iter().zip(0..).all(|(&x, i)| x == i as f32));
        }
    }
}
