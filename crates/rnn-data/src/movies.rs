//! Videos of moving squares, as in Keras's example of ConvLSTM2D (examples/conv_lstm.py of Keras 2).

use rnn_core::{Examples, HostTensor, Rng, Shape, TensorError};
use serde::{Deserialize, Serialize};
use std::error::Error;

/// The number, size and seed of videos of moving squares. Other methods than [`Self::check`]
/// require options that pass it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovieOptions {
    /// Number of videos.
    pub count: usize,
    /// T, the number of frames of a video.
    pub frames: usize,
    /// S, the number of pixels along each side of a frame. Squares start within the frame and may
    /// leave it.
    pub size: usize,
    /// The smallest and the largest number of squares of a video, both included.
    pub squares: (u32, u32),
    /// Seed from which all videos are drawn.
    pub seed: u64,
}

impl Default for MovieOptions {
    /// Returns the options of Keras's example: 1,200 videos of 15 frames of 40 x 40 pixels, with 3
    /// to 7 squares. The seed is 1.
    fn default() -> Self {
        Self { count: 1200, frames: 15, size: 40, squares: (3, 7), seed: 1 }
    }
}

/// One video with noise, and the same video without noise and one frame ahead. Values without noise
/// are 0 or 1. Values with noise are at most 1 and can be negative.
#[derive(Clone, Debug, PartialEq)]
pub struct Movie {
    /// The frames with noise, `[T, S, S]`; see [`MovieOptions`].
    pub noisy: Vec<f32>,
    /// The frame that follows each frame of `noisy`, without noise, `[T, S, S]`.
    pub shifted: Vec<f32>,
}

/// A square before the first step: its place is where its middle is, in pixels of the frame.
#[derive(Clone, Copy, Debug)]
struct Square {
    start: [i32; 2],
    direction: [i32; 2],
    half_width: i32,
}

/// The change of the pixels around a square in a frame: 0.1 more or less, or none.
type Noise = Option<f32>;

impl MovieOptions {
    /// Checks that videos with these options can be computed: 1 to 1,000,000 videos of 1 to 10,000
    /// frames of 1 to 1,024 pixels along each side, and at most 1,000 squares, of which the
    /// smallest number does not exceed the largest.
    ///
    /// # Errors
    /// Returns a sentence about the value that is out of range.
    pub fn check(&self) -> Result<(), String> {
        let Self { count, frames, size, squares: (fewest, most), .. } = *self;
        let sizes = [("count", count, 1_000_000), ("frames", frames, 10_000), ("size", size, 1024)];
        if let Some((name, value, most)) = sizes.into_iter().find(|s| !(1..=s.2).contains(&s.1)) {
            return Err(format!("movies: {name} = {value} is not from 1 to {most}"));
        }
        match fewest <= most && most <= 1000 {
            true => Ok(()),
            false => Err(format!("movies: from {fewest} to {most} squares")),
        }
    }

    /// The number of elements of a video.
    fn len(&self) -> usize {
        self.frames * self.size * self.size
    }

    /// Computes the video number `index`, from 0 on. It depends on the seed and `index`, and
    /// `index` may be `count` or more. If `frames` grows, the frames that were there stay the same.
    ///
    /// # Panics
    /// May panic if the options do not pass [`Self::check`].
    pub fn movie(&self, index: usize) -> Movie {
        Movie {
            noisy: self.frames_of(index, Side::Noisy),
            shifted: self.frames_of(index, Side::Shifted),
        }
    }

    fn frames_of(&self, index: usize, side: Side) -> Vec<f32> {
        let (squares, noise) = self.draw(index);
        let mut frames = vec![0.0; self.len()];
        let pixels = self.size * self.size;
        for ((t, frame), noise) in (0..).zip(frames.chunks_exact_mut(pixels)).zip(noise) {
            for (square, noise) in squares.iter().zip(noise) {
                match side {
                    Side::Noisy => {
                        self.paint(frame, square, t, 0, 1.0);
                        if let Some(noise) = noise {
                            self.paint(frame, square, t, 1, noise);
                        }
                    }
                    Side::Shifted => self.paint(frame, square, t + 1, 0, 1.0),
                }
            }
            frame.iter_mut().for_each(|value| *value = value.min(1.0));
        }
        frames
    }

    /// The squares of a video, and the noise around each in every frame.
    fn draw(&self, index: usize) -> (Vec<Square>, Vec<Vec<Noise>>) {
        let mut rng = Rng::new(self.seed, index as u64);
        let mut below = |bound: u32| rng.below(bound) as i32;
        let (fewest, most) = self.squares;
        let count = fewest as i32 + below(most - fewest + 1);
        let squares: Vec<Square> = (0..count)
            .map(|_| Square {
                start: [below(self.size as u32), below(self.size as u32)],
                direction: [below(3) - 1, below(3) - 1],
                half_width: 2 + below(2),
            })
            .collect();
        let mut noise = || (below(2) == 1).then(|| if below(2) == 0 { 0.1 } else { -0.1 });
        let noise = (0..self.frames).map(|_| squares.iter().map(|_| noise()).collect()).collect();
        (squares, noise)
    }

    /// Adds to the pixels that a square, made larger on every side, covers at a step.
    fn paint(&self, frame: &mut [f32], square: &Square, t: i32, larger: i32, value: f32) {
        let half = square.half_width + larger;
        let covered = |axis: usize| {
            let middle = square.start[axis] + square.direction[axis] * t;
            let inside = |at: i32| at.clamp(0, self.size as i32) as usize;
            inside(middle - half)..inside(middle + half)
        };
        for x in covered(0) {
            let row = &mut frame[x * self.size..(x + 1) * self.size];
            row[covered(1)].iter_mut().for_each(|pixel| *pixel += value);
        }
    }

    /// Computes all videos. Returns the noisy ones, then those without noise and one frame ahead,
    /// each `[N, T, S, S, 1]` with N = `count`.
    ///
    /// # Errors
    /// Fails if the shape does not fit the elements, which does not happen.
    ///
    /// # Panics
    /// May panic if the options do not pass [`Self::check`].
    pub fn all(&self) -> Result<(HostTensor, HostTensor), TensorError> {
        let all: Vec<u32> = (0..self.count as u32).collect();
        Ok((self.noisy().make(&all)?, self.shifted().make(&all)?))
    }

    /// Returns the noisy videos as examples `[N, T, S, S, 1]` with N = `count`. A video is computed
    /// when it is read.
    pub fn noisy(&self) -> Movies {
        Movies::new(self, Side::Noisy)
    }

    /// Returns the videos without noise and one frame ahead as examples `[N, T, S, S, 1]` with N =
    /// `count`. A video is computed when it is read.
    pub fn shifted(&self) -> Movies {
        Movies::new(self, Side::Shifted)
    }
}

#[derive(Clone, Copy, Debug)]
enum Side {
    Noisy,
    Shifted,
}

/// Either the noisy videos or those one frame ahead, as examples `[N, T, S, S, 1]` that are
/// computed when they are read. [`MovieOptions::noisy`] and [`MovieOptions::shifted`] return them.
#[derive(Clone, Debug)]
pub struct Movies {
    options: MovieOptions,
    side: Side,
    shape: Shape,
}

impl Movies {
    fn new(options: &MovieOptions, side: Side) -> Self {
        let &MovieOptions { count, frames, size, .. } = options;
        Self { options: *options, side, shape: [count, frames, size, size, 1].into() }
    }

    fn make(&self, which: &[u32]) -> Result<HostTensor, TensorError> {
        let movies = which.iter().map(|&index| self.options.frames_of(index as usize, self.side));
        let shape = [&[which.len()], &self.shape.dims()[1..]].concat();
        HostTensor::from_f32(shape, movies.flatten().collect())
    }
}

impl Examples for Movies {
    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn read(&self, which: &[u32]) -> Result<HostTensor, Box<dyn Error + Send + Sync>> {
        if let Some(missing) = which.iter().find(|&&index| index as usize >= self.options.count) {
            return Err(format!("there is no movie {missing} of {}", self.options.count).into());
        }
        Ok(self.make(which)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example's own rules, to the letter: everything is drawn on a field of twice the size,
    /// of which the middle is kept at the end.
    fn naive(options: &MovieOptions, index: usize) -> Movie {
        let (squares, noise) = options.draw(index);
        let (size, field) = (options.size, 2 * options.size);
        let margin = (size / 2) as i32;
        let mut movie = Movie { noisy: vec![], shifted: vec![] };
        for t in 0..options.frames as i32 {
            let mut fields = [vec![0.0f32; field * field], vec![0.0f32; field * field]];
            for (square, noise) in squares.iter().zip(&noise[t as usize]) {
                let start = square.start.map(|at| at + margin);
                let mut add = |which: usize, t: i32, half: i32, value: f32| {
                    let middle = [0, 1].map(|axis| start[axis] + square.direction[axis] * t);
                    for x in middle[0] - half..middle[0] + half {
                        for y in middle[1] - half..middle[1] + half {
                            fields[which][x as usize * field + y as usize] += value;
                        }
                    }
                };
                add(0, t, square.half_width, 1.0);
                if let Some(noise) = *noise {
                    add(0, t, square.half_width + 1, noise);
                }
                add(1, t + 1, square.half_width, 1.0);
            }
            let [noisy, shifted] = fields.map(|all| {
                let rows = all.chunks_exact(field).skip(size / 2).take(size);
                let kept = rows.flat_map(|row| row[size / 2..size / 2 + size].to_vec());
                kept.map(|value| if value >= 1.0 { 1.0 } else { value }).collect::<Vec<f32>>()
            });
            movie.noisy.extend(noisy);
            movie.shifted.extend(shifted);
        }
        movie
    }

    #[test]
    fn movies_follow_the_rules() {
        let options = MovieOptions { count: 40, ..MovieOptions::default() };
        for index in 0..options.count {
            assert_eq!(options.movie(index), naive(&options, index), "movie {index}");
        }
    }

    #[test]
    fn draws_have_the_examples_ranges() {
        let options = MovieOptions::default();
        let drawn: Vec<_> = (0..500).map(|index| options.draw(index)).collect();
        let counts = |count| drawn.iter().filter(|(squares, _)| squares.len() == count).count();
        assert!((3..=7).all(|count| counts(count) > 50));
        let squares: Vec<&Square> = drawn.iter().flat_map(|(squares, _)| squares).collect();
        let all = |of: fn(&Square) -> i32, low, high| {
            let values = || squares.iter().map(|square| of(square));
            assert_eq!((values().min(), values().max()), (Some(low), Some(high)));
        };
        all(|square| square.start[0], 0, 39);
        all(|square| square.start[1], 0, 39);
        all(|square| square.direction[0], -1, 1);
        all(|square| square.half_width, 2, 3);
        let noise: Vec<Noise> = drawn.into_iter().flat_map(|(_, n)| n.concat()).collect();
        let share = |of| noise.iter().filter(|n| **n == of).count() as f64 / noise.len() as f64;
        assert!((share(None) - 0.5).abs() < 0.02 && (share(Some(0.1)) - 0.25).abs() < 0.02);
    }

    #[test]
    fn more_frames_leave_the_first_ones_as_they_are() {
        let short = MovieOptions { count: 3, frames: 5, ..MovieOptions::default() };
        let long = MovieOptions { frames: 9, ..short };
        let (few, many) = (short.movie(2), long.movie(2));
        assert_eq!(few.noisy, many.noisy[..few.noisy.len()]);
        assert_eq!(
            short.all().expect("tensors").1.rows(&[2]).expect("a movie").as_f32(),
            Ok(&few.shifted[..])
        );
        let two = short.shifted().read(&[0, 2]).expect("they exist");
        assert_eq!(two.shape().dims(), [2, 5, 40, 40, 1]);
        assert_eq!(two.as_f32().expect("floats")[few.shifted.len()..], few.shifted);
        assert!(short.noisy().read(&[3]).is_err());
    }
}
