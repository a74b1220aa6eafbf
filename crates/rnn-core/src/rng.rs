/// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): a
/// bijection from a 128-bit counter to 128 random bits under a 64-bit key.
///
/// The bits depend only on the key and the counter. So a kernel can compute the random number of
/// any element independently, and the backward pass computes it again instead of storing it.
#[derive(Clone, Copy, Debug)]
pub struct Philox {
    key: [u32; 2],
}

const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

impl Philox {
    /// Creates the generator under a 64-bit key, given as two words, the low one first.
    pub fn new(key: [u32; 2]) -> Self {
        Self { key }
    }

    /// Returns the four random words of the 128-bit `counter`, which is given as four words, the
    /// lowest first.
    pub fn block(&self, counter: [u32; 4]) -> [u32; 4] {
        let mut key = self.key;
        let mut c = counter;
        for round in 0..10 {
            if round > 0 {
                key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
            }
            let p0 = u64::from(MULTIPLIERS[0]) * u64::from(c[0]);
            let p1 = u64::from(MULTIPLIERS[1]) * u64::from(c[2]);
            c = [
                (p1 >> 32) as u32 ^ c[1] ^ key[0],
                p1 as u32,
                (p0 >> 32) as u32 ^ c[3] ^ key[1],
                p0 as u32,
            ];
        }
        c
    }
}

/// A stream of random numbers on the host, for initial weights, shuffles and synthetic data. It
/// reads the blocks of [`Philox`] in order.
#[derive(Clone, Debug)]
pub struct Rng {
    philox: Philox,
    stream: u64,
    block: u64,
    words: [u32; 4],
    used: usize,
}

impl Rng {
    /// Creates the stream number `stream` of a seed. Streams of one seed are independent of each
    /// other. The stream begins at its first number.
    pub fn new(seed: u64, stream: u64) -> Self {
        let philox = Philox::new([seed as u32, (seed >> 32) as u32]);
        Self { philox, stream, block: 0, words: [0; 4], used: 4 }
    }

    /// Returns the next 32 uniform random bits.
    pub fn next_u32(&mut self) -> u32 {
        if self.used == 4 {
            let (b, s) = (self.block, self.stream);
            self.words =
                self.philox.block([b as u32, (b >> 32) as u32, s as u32, (s >> 32) as u32]);
            self.block += 1;
            self.used = 0;
        }
        self.used += 1;
        self.words[self.used - 1]
    }

    /// Returns a uniform number in [0, 1), a multiple of 2^-24, so that every value is exact in
    /// f32.
    pub fn uniform(&mut self) -> f64 {
        f64::from(self.next_u32() >> 8) / f64::from(1u32 << 24)
    }

    /// Returns a uniform number in [low, high), of 24 random bits.
    pub fn uniform_in(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// Returns a number from the standard normal distribution (mean 0, variance 1), by the
    /// Box-Muller transform. Each call takes two numbers from the stream.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Returns a uniform integer in `0..bound` without bias (Lemire's multiply-and-reject,
    /// arXiv:1805.10941).
    ///
    /// # Panics
    /// Panics if `bound` is 0.
    pub fn below(&mut self, bound: u32) -> u32 {
        assert!(bound > 0, "Rng::below needs a bound of at least 1");
        let reject_below = bound.wrapping_neg() % bound;
        loop {
            let product = u64::from(self.next_u32()) * u64::from(bound);
            if product as u32 >= reject_below {
                return (product >> 32) as u32;
            }
        }
    }

    /// Permutes the slice in place, uniformly at random (Fisher-Yates shuffle).
    ///
    /// # Panics
    /// Panics if the slice has 2^32 items or more.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i as u32 + 1) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Known answers published with the Random123 library (kat_vectors, philox4x32 10).
    #[test]
    fn philox_gives_the_published_answers() {
        assert_eq!(
            Philox::new([0, 0]).block([0; 4]),
            [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]
        );
        assert_eq!(
            Philox::new([u32::MAX; 2]).block([u32::MAX; 4]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            Philox::new([0xa409_3822, 0x299f_31d0]).block([
                0x243f_6a88,
                0x85a3_08d3,
                0x1319_8a2e,
                0x0370_7344
            ]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn a_stream_repeats_under_its_seed_and_differs_from_others() {
        let draw = |seed, stream| {
            let mut r = Rng::new(seed, stream);
            [r.next_u32(), r.next_u32(), r.next_u32(), r.next_u32(), r.next_u32()]
        };
        assert_eq!(draw(7, 0), draw(7, 0));
        assert_ne!(draw(7, 0), draw(7, 1));
        assert_ne!(draw(7, 0), draw(8, 0));
    }

    #[test]
    fn normal_has_the_right_moments() {
        let mut r = Rng::new(1, 0);
        let n = 100_000;
        let (sum, squares) = (0..n).fold((0.0, 0.0), |(s, q), _| {
            let x = r.normal();
            (s + x, q + x * x)
        });
        assert!((sum / f64::from(n)).abs() < 0.01);
        assert!((squares / f64::from(n) - 1.0).abs() < 0.02);
    }
}
