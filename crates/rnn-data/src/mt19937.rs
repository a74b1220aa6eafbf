//! The Mersenne Twister (Matsumoto and Nishimura, 1998) as NumPy's legacy `RandomState` uses it:
//! Keras shuffles its datasets with it.

const N: usize = 624;
const M: usize = 397;

/// The Mersenne Twister MT19937 (Matsumoto and Nishimura, 1998), seeded and used as by NumPy's
/// legacy `RandomState`.
#[derive(Clone)]
pub struct Mt19937 {
    state: [u32; N],
    used: usize,
}

impl Mt19937 {
    /// Creates the generator of NumPy's `RandomState(seed)`.
    pub fn new(seed: u32) -> Self {
        let mut state = [seed; N];
        for i in 1..N {
            let before = state[i - 1];
            state[i] =
                1_812_433_253u32.wrapping_mul(before ^ (before >> 30)).wrapping_add(i as u32);
        }
        Self { state, used: N }
    }

    fn next_u32(&mut self) -> u32 {
        if self.used == N {
            for i in 0..N {
                let y = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % N] & 0x7fff_ffff);
                let twist = if y & 1 == 1 { 0x9908_b0df } else { 0 };
                self.state[i] = self.state[(i + M) % N] ^ (y >> 1) ^ twist;
            }
            self.used = 0;
        }
        let mut y = self.state[self.used];
        self.used += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    /// Uniform in `0..=max` by masking and rejecting (`random_interval` in NumPy).
    fn up_to(&mut self, max: u32) -> u32 {
        let mask = u32::MAX.checked_shr(max.leading_zeros()).unwrap_or(0);
        loop {
            let value = self.next_u32() & mask;
            if value <= max {
                return value;
            }
        }
    }

    /// Shuffles the slice in place, with the same result as NumPy's `RandomState.shuffle`. The
    /// slice must have at most 2^32 items.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.up_to(i as u32) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // numpy 2.4: RandomState(113).shuffle(arange(10)), then the same stream again.
    #[test]
    fn shuffles_as_numpy_does() {
        let mut rng = Mt19937::new(113);
        let mut draw = || {
            let mut items: Vec<u32> = (0..10).collect();
            rng.shuffle(&mut items);
            items
        };
        assert_eq!(draw(), EXPECTED[0]);
        assert_eq!(draw(), EXPECTED[1]);
    }

    const EXPECTED: [[u32; 10]; 2] =
        [[9, 3, 6, 1, 0, 7, 4, 8, 2, 5], [6, 9, 5, 0, 1, 4, 8, 3, 7, 2]];
}
