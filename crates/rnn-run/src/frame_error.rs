//! Errors of predicted frames.

use serde::Serialize;

/// The error of a predicted frame against the true one, by three measures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FrameError {
    /// Binary cross-entropy in nats, the mean over pixels. Predictions are first clipped to
    /// `[1e-7, 1 - 1e-7]`.
    pub bce: f64,
    /// Mean squared difference of the pixels.
    pub mse: f64,
    /// Structural similarity (SSIM), at most 1, of Wang et al., Image Quality Assessment, 2004
    /// (doi:10.1109/TIP.2003.819861): the mean over all positions of a Gaussian window of 11 x 11
    /// pixels with a standard deviation of 1.5. In smaller frames the window is the frame.
    pub ssim: f64,
}

impl FrameError {
    /// Compares two square frames `[S, S]`, each given row by row, with values from 0 to 1. Both
    /// must have the same number of pixels, at least one.
    ///
    /// # Panics
    /// Panics if `truth` has fewer pixels than the square in `predicted`.
    pub fn new(predicted: &[f32], truth: &[f32]) -> Self {
        let pairs = || predicted.iter().zip(truth).map(|(&p, &y)| (f64::from(p), f64::from(y)));
        let mean = |of: fn((f64, f64)) -> f64| pairs().map(of).sum::<f64>() / truth.len() as f64;
        let bce = mean(|(p, y)| {
            let p = p.clamp(1e-7, 1.0 - 1e-7);
            -y * p.ln() - (1.0 - y) * (1.0 - p).ln()
        });
        Self { bce, mse: mean(|(p, y)| (p - y).powi(2)), ssim: ssim(predicted, truth) }
    }
}

/// The mean over all places of a window of 11 x 11 pixels, weighed by a Gaussian of 1.5 pixels;
/// of frames that are smaller the window is all of them.
fn ssim(a: &[f32], b: &[f32]) -> f64 {
    const SIGMA: f64 = 1.5;
    const C1: f64 = 0.01 * 0.01;
    const C2: f64 = 0.03 * 0.03;
    let side = a.len().isqrt();
    let window = side.min(11);
    let middle = (window as f64 - 1.0) / 2.0;
    let bell = |i: usize| (-(i as f64 - middle).powi(2) / (2.0 * SIGMA * SIGMA)).exp();
    let total: f64 = (0..window).map(bell).sum();
    let weights: Vec<f64> = (0..window).map(|i| bell(i) / total).collect();
    let (mut sum, mut places) = (0.0, 0);
    for (top, left) in (0..=side - window).flat_map(|y| (0..=side - window).map(move |x| (y, x))) {
        // E of a, b, a a, b b, a b.
        let mut mean = [0.0; 5];
        for (y, wy) in weights.iter().enumerate() {
            for (x, wx) in weights.iter().enumerate() {
                let at = (top + y) * side + left + x;
                let (a, b) = (f64::from(a[at]), f64::from(b[at]));
                let terms = [a, b, a * a, b * b, a * b];
                mean.iter_mut().zip(terms).for_each(|(mean, term)| *mean += wy * wx * term);
            }
        }
        let [a, b, aa, bb, ab] = mean;
        let luminance = (2.0 * a * b + C1) / (a * a + b * b + C1);
        let structure = (2.0 * (ab - a * b) + C2) / (aa - a * a + bb - b * b + C2);
        sum += luminance * structure;
        places += 1;
    }
    sum / f64::from(places)
}

#[cfg(test)]
mod tests {
    use super::FrameError;

    #[test]
    fn a_frame_is_like_itself() {
        let frame: Vec<f32> = (0..16 * 16).map(|i| f32::from(u8::from(i % 7 == 0))).collect();
        let error = FrameError::new(&frame, &frame);
        assert!(error.bce < 1e-6 && error.mse == 0.0 && (error.ssim - 1.0).abs() < 1e-12);
    }

    #[test]
    fn figures_match_a_hand_computation() {
        // Constant frames of 0.5 and 1: no structure, luminance (2 0.5 + C1) / (1.25 + C1).
        let error = FrameError::new(&[0.5; 25], &[1.0; 25]);
        assert!((error.bce - 2f64.ln()).abs() < 1e-12 && error.mse == 0.25);
        assert!((error.ssim - 1.0001 / 1.2501).abs() < 1e-9, "{}", error.ssim);
    }
}
