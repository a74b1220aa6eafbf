//! The checksum of a file that is read in parts, in any order.

use crc32fast::Hasher;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// The most parts that are remembered. Where more lie apart, as when single rows are read in a
/// random order, the others do not count as read.
const MAX_PARTS: usize = 4096;

/// The CRC-32 that a file should have, and of what has been read of it so far.
#[derive(Debug)]
pub struct Checksum {
    expected: u32,
    length: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    /// The parts that have been read, none of which touch: by their first byte, the byte after
    /// their last, and their checksum.
    Reading(BTreeMap<u64, (u64, Hasher)>),
    /// All has been read.
    Whole { sound: bool },
}

impl Checksum {
    /// The checksum that a file of `length` bytes should have.
    pub fn new(expected: u32, length: u64) -> Self {
        Self { expected, length, state: Mutex::new(State::Reading(BTreeMap::new())) }
    }

    /// Takes note of bytes that were read at `start`. Returns false if the whole file has been read
    /// and is not the one that the checksum is of; true if it is, or if that is not known yet.
    pub fn read(&self, start: u64, bytes: &[u8]) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::Reading(parts) = &mut *state {
            for gap in gaps(parts, start..start + bytes.len() as u64) {
                let range = (gap.start - start) as usize..(gap.end - start) as usize;
                add(parts, gap, &bytes[range]);
            }
            match parts.get(&0) {
                Some((end, read)) if *end == self.length => {
                    let sound = read.clone().finalize() == self.expected;
                    *state = State::Whole { sound };
                }
                _ => {}
            }
        }
        !matches!(*state, State::Whole { sound: false })
    }
}

/// The parts of a range that have not been read yet.
fn gaps(parts: &BTreeMap<u64, (u64, Hasher)>, range: Range<u64>) -> Vec<Range<u64>> {
    let mut gaps = Vec::new();
    let mut from = parts.range(..=range.start).next_back().map_or(0, |(_, (end, _))| *end);
    from = from.max(range.start);
    for (&start, &(end, _)) in parts.range(range.start..range.end) {
        if start > from {
            gaps.push(from..start);
        }
        from = from.max(end);
    }
    if from < range.end {
        gaps.push(from..range.end);
    }
    gaps
}

/// Adds a part that none of the others overlaps.
fn add(parts: &mut BTreeMap<u64, (u64, Hasher)>, range: Range<u64>, bytes: &[u8]) {
    let mut read = Hasher::new();
    read.update(bytes);
    let mut end = range.end;
    if let Some((after, more)) = parts.remove(&end) {
        read.combine(&more);
        end = after;
    }
    if let Some((_, (before, earlier))) = parts.range_mut(..range.start).next_back()
        && *before == range.start
    {
        earlier.combine(&read);
        *before = end;
    } else if parts.len() < MAX_PARTS {
        parts.insert(range.start, (end, read));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rnn_core::Rng;

    fn file() -> Vec<u8> {
        (0..10_007_u32).map(|i| ((i * i) >> 3) as u8).collect()
    }

    /// Reads ranges in a random order until all has been read; true if nothing was found wrong.
    fn sound(file: &[u8], expected: u32, seed: u64) -> bool {
        let checksum = Checksum::new(expected, file.len() as u64);
        let mut rng = Rng::new(seed, 0);
        let mut starts: Vec<usize> = (0..file.len()).step_by(100).collect();
        rng.shuffle(&mut starts);
        let mut ok = true;
        for start in starts {
            let end = (start + 100 + rng.below(300) as usize).min(file.len());
            ok &= checksum.read(start as u64, &file[start..end]);
        }
        assert!(matches!(*checksum.state.lock().unwrap(), State::Whole { .. }));
        ok
    }

    #[test]
    fn a_file_that_was_read_as_a_whole_is_judged_whatever_the_order() {
        let (file, crc) = (file(), crc32fast::hash(&file()));
        for seed in 0..20 {
            assert!(sound(&file, crc, seed), "seed {seed}");
            let mut damaged = file.clone();
            damaged[(seed * 499) as usize] ^= 4;
            assert!(!sound(&damaged, crc, seed), "seed {seed}");
        }
    }

    #[test]
    fn parts_that_lie_apart_take_bounded_memory_and_prove_nothing() {
        let file = vec![1; 4 * MAX_PARTS];
        let checksum = Checksum::new(0, file.len() as u64);
        for start in (0..file.len()).step_by(2) {
            assert!(checksum.read(start as u64, &file[start..=start]));
        }
        let State::Reading(parts) = &*checksum.state.lock().unwrap() else { panic!("not yet") };
        assert_eq!(parts.len(), MAX_PARTS);
    }

    #[test]
    fn what_was_found_damaged_stays_damaged() {
        let checksum = Checksum::new(0, 3);
        assert!(!checksum.read(0, b"abc"));
        assert!(!checksum.read(1, b"b"));
        assert!(Checksum::new(crc32fast::hash(b""), 0).read(0, b""));
    }
}
