//! Damage, by a seeded generator.

use rnn_core::Rng;

/// Integers at which parsers go wrong.
const EDGES: [u64; 12] = [
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    u64::MAX / 2,
    u64::MAX,
];

/// One to eight changes to a file: bits, bytes, integers, ranges lost, doubled or taken from
/// elsewhere.
pub fn mutate(bytes: &mut Vec<u8>, other: &[u8], rng: &mut Rng) {
    for _ in 0..=rng.below(8) {
        let at = rng.below(bytes.len().max(1) as u32) as usize;
        let longest = if rng.below(4) == 0 { 256 } else { 8 };
        let length = 1 + rng.below(longest) as usize;
        let end = bytes.len().min(at + length);
        match rng.below(8) {
            _ if bytes.is_empty() => bytes.push(rng.next_u32() as u8),
            0 => bytes[at] ^= 1 << rng.below(8),
            1 => bytes[at] = rng.next_u32() as u8,
            2 | 3 => {
                let edge = EDGES[rng.below(EDGES.len() as u32) as usize];
                let near = edge.wrapping_add(u64::from(rng.below(3))).wrapping_sub(1);
                let width = [1, 2, 4, 8][rng.below(4) as usize].min(bytes.len() - at);
                bytes[at..at + width].copy_from_slice(&near.to_le_bytes()[..width]);
            }
            4 => drop(bytes.drain(at..end)),
            5 => {
                let copied = bytes[at..end].to_vec();
                let to = rng.below(bytes.len() as u32) as usize;
                drop(bytes.splice(to..to, copied));
            }
            6 if !other.is_empty() => {
                let from = rng.below(other.len() as u32) as usize;
                let taken = &other[from..other.len().min(from + length)];
                let end = bytes.len().min(at + taken.len());
                drop(bytes.splice(at..end, taken.iter().copied()));
            }
            _ if rng.below(8) == 0 => bytes.truncate(at),
            _ => bytes[at] = bytes[at].wrapping_add(1),
        }
    }
}

/// Words and numbers at which readers of text go wrong.
const WORDS: [&str; 20] = [
    "0",
    "1",
    "2",
    "3",
    "7",
    "-1",
    "0.5",
    "-0.0",
    "1e-320",
    "1e308",
    "1e999",
    "65536",
    "2147483647",
    "4294967296",
    "1000000000000",
    "18446744073709551615",
    "null",
    "true",
    "[]",
    "{}",
];

/// One to four words of a text replaced by words of it or by such.
pub fn mutate_words(bytes: &mut Vec<u8>, rng: &mut Rng) {
    for _ in 0..=rng.below(4) {
        let inside = |byte: u8| byte.is_ascii_alphanumeric() || b"_.+-".contains(&byte);
        let words: Vec<&[u8]> =
            bytes.split(|&byte| !inside(byte)).filter(|word| !word.is_empty()).collect();
        let Some(last) = words.len().checked_sub(1) else { return };
        let mut pick = || words[rng.below(last as u32 + 1) as usize];
        let (old, other) = (pick(), pick().to_vec());
        let at = old.as_ptr().addr() - bytes.as_ptr().addr();
        let end = at + old.len();
        let new = match rng.below(3) {
            0 => other,
            _ => WORDS[rng.below(WORDS.len() as u32) as usize].into(),
        };
        drop(bytes.splice(at..end, new));
    }
}
