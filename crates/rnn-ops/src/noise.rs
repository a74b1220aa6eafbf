use crate::common::{arity, ensure};
use crate::dropout::{check_key, each_block, launch};
use crate::{Case, Definition, Sample};
use rnn_graph::{
    Cost, Graph, Io, Limits, Op, OpError, Operands, Real, Shader, Signature, TensorId, TensorType,
    Work,
};
use std::f64::consts::TAU;

/// WGSL module of [`GaussianNoise`] (`shaders/noise.wgsl`).
pub static SHADER: Shader = Shader::new(
    "noise",
    &[
        rnn_shaders::shared::ELEMENTWISE,
        rnn_shaders::shared::BITS,
        rnn_shaders::shared::EXPONENTIAL,
        rnn_shaders::shared::PHILOX,
        rnn_shaders::NOISE,
    ],
);

/// y[t, b, i] = x[t, b, i] + deviation n[t, b, i], or x[t, b, i] (1 + deviation n[t, b, i]), where
/// n is normally distributed with mean 0 and variance 1.
///
/// n is a pure function of (seed, step, layer, t, first + b, i), as what [`Dropout`] drops is, from
/// the Philox block of the same counter. Words w0 and w1 of a block give its first two numbers, w2
/// and w3 the next two, by Box and Muller's transform (1958):
///
/// ```text
/// r = sqrt(-2 log(((w0 >> 8) + 1) / 2^24))
/// n = r cos(2 pi w1 / 2^32),  r sin(2 pi w1 / 2^32)
/// ```
///
/// Therefore no number is stored: the gradient of x is dy where noise is added, and where it
/// multiplies, the same op applied to dy.
///
/// Inputs and output are those of [`Dropout`]: x and a key, y of x's shape.
///
/// [`Dropout`]: crate::Dropout
#[derive(Clone, Debug)]
pub struct GaussianNoise {
    /// Standard deviation of the noise, at least 0.
    pub deviation: f32,
    /// True if x is multiplied by 1 and the noise, false if the noise is added to x.
    pub multiplies: bool,
    /// A number that is different for every op of the model that draws random numbers, so that
    /// these are independent.
    pub layer: u32,
}

/// Returns two normally distributed numbers made of two random words.
fn normal_pair(words: [u32; 2]) -> [f64; 2] {
    let uniform = f64::from((words[0] >> 8) + 1) / f64::from(1u32 << 24);
    let radius = (-2.0 * uniform.ln()).sqrt();
    let (sine, cosine) = (TAU * (f64::from(words[1]) / 4_294_967_296.0)).sin_cos();
    [radius * cosine, radius * sine]
}

impl Definition for GaussianNoise {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        each_block(io, self.layer, |y, x, [w0, w1, w2, w3]| {
            let numbers = [normal_pair([w0, w1]), normal_pair([w2, w3])];
            for ((y, &x), n) in y.iter_mut().zip(x).zip(numbers.into_iter().flatten()) {
                let noise = F::of(f64::from(self.deviation) * n);
                *y = x + if self.multiplies { noise * x } else { noise };
            }
        });
    }
}

impl Op for GaussianNoise {
    fn name(&self) -> &'static str {
        "gaussian_noise"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [x, random] = arity(inputs)?;
        let deviation = self.deviation;
        let fits = deviation >= 0.0 && deviation.is_finite();
        ensure(fits, || format!("deviation {deviation} is not a number from 0 on"))?;
        check_key(random)?;
        Ok(vec![x.clone()])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        Ok(launch(&SHADER, "add_noise", s, self.layer)?
            .param("multiplies", u32::from(self.multiplies))
            .param("deviation", self.deviation)
            .into())
    }

    fn backward(
        &self,
        graph: &mut Graph,
        operands: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let Some(g) = gradients[0] else { return Ok(vec![None, None]) };
        let dx = match self.multiplies {
            true => graph.apply(self.clone(), &[g, operands.inputs[1]])?,
            false => g,
        };
        Ok(vec![Some(dx), None])
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        // Ten rounds of about ten operations per four elements, and some fifty for each pair.
        Cost { flops: 50 * s.outputs[0].len() as u64, bytes: s.bytes() }
    }
}

/// Returns the test cases of [`GaussianNoise`], for [`suite`](crate::suite).
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for multiplies in [false, true] {
        let how = if multiplies { "multiplied" } else { "added" };
        for (shape, deviation) in
            [(vec![1], 0.5), (vec![3, 341], 0.7), (vec![2, 3, 5, 10], 0.1), (vec![300], 0.0)]
        {
            let key = Sample::Exactly(vec![4], vec![0xdead_beef, 17, 3, 40]);
            let inputs = vec![Sample::Normal(shape.clone()), key];
            let op = GaussianNoise { deviation, multiplies, layer: 2 };
            let name = format!("gaussian_noise {how} {shape:?} at {deviation}");
            cases.push(Case::new(name, op, inputs).gradient(&[0]));
        }
    }
    cases
}

#[cfg(test)]
mod tests {
    use super::*;
    use rnn_core::Philox;

    #[test]
    fn the_numbers_have_the_moments_of_a_normal_distribution() {
        let philox = Philox::new([1, 2]);
        let pair = |b| {
            let [w0, w1, w2, w3] = philox.block([b, 0, 0, 0]);
            [normal_pair([w0, w1]), normal_pair([w2, w3])]
        };
        let numbers: Vec<f64> = (0..50_000).flat_map(pair).flatten().collect();
        let mean =
            |power: i32| numbers.iter().map(|n| n.powi(power)).sum::<f64>() / numbers.len() as f64;
        let moments = [1, 2, 3, 4].map(mean);
        for (moment, want) in moments.into_iter().zip([0.0, 1.0, 0.0, 3.0]) {
            assert!((moment - want).abs() < 0.05, "{moments:?}");
        }
        let pairs = numbers.chunks_exact(2);
        let together = pairs.map(|pair| pair[0] * pair[1]).sum::<f64>() / 100_000.0;
        assert!(together.abs() < 0.02, "{together}");
    }
}
