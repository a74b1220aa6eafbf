use crate::common::{arity, ensure, threads};
use crate::{Case, Definition, Sample};
use rnn_core::{DType, Philox};
use rnn_graph::{
    Cost, Graph, Io, Launch, Limits, Op, OpError, Operand, Operands, Real, Shader, Signature,
    TensorId, TensorType, Work, iterations,
};

/// WGSL module of [`Dropout`] (`shaders/dropout.wgsl`).
pub static SHADER: Shader = Shader::new(
    "dropout",
    &[rnn_shaders::shared::ELEMENTWISE, rnn_shaders::shared::PHILOX, rnn_shaders::DROPOUT],
);

/// y[t, b, i] = x[t, b, i] keep[t, b, i] / (1 - rate), where keep is 1 with probability 1 - rate,
/// else 0.
///
/// keep is a pure function of (seed, step, layer, t, first + b, i). Therefore no mask is stored,
/// the gradient is the same op applied to dy, and the dropped elements of an example do not depend
/// on how a batch is divided among ranks. keep is 0 if word i % 4 of a Philox block (Salmon et al.
/// 2011) is below [`drop_threshold`]; the block's counter is (t ceil(I / 4) + i / 4, step, layer,
/// first + b).
///
/// Inputs: x and a key. x is `[B, ..]` with up to two axes, else `[T, B, ..]`; I is the number of
/// elements of a row at one step. The key is u32 `[4]`: the low and the high half of the seed, the
/// step, and first, the index of the first row of x among the rows of all ranks. Output: y, of x's
/// shape.
#[derive(Clone, Debug)]
pub struct Dropout {
    /// Probability with which an element is set to zero, at least 0 and below 1.
    pub rate: f32,
    /// A number that is different for every dropout op of the model, so that their dropped elements
    /// are independent.
    pub layer: u32,
}

/// Returns `rate` times 2^32, rounded down, for a `rate` in 0..1. An element is dropped if its
/// random 32-bit word is below this number.
pub fn drop_threshold(rate: f32) -> u32 {
    (f64::from(rate) * 4_294_967_296.0) as u32
}

/// Returns B and the number of elements that a row has in one step.
pub(crate) fn extents(x: &TensorType) -> (usize, usize) {
    let axes = if x.dims().len() > 2 { &x.dims()[1..] } else { x.dims() };
    axes.split_first().map_or((1, 1), |(&rows, row)| (rows, row.iter().product()))
}

/// Calls `compute` for every four elements of a row of y and x with their random words.
pub(crate) fn each_block<F: Real>(
    io: &mut Io<'_, F>,
    layer: u32,
    compute: impl Fn(&mut [F], &[F], [u32; 4]),
) {
    let (x, random) = (io.input(0), io.uints(1));
    let (rows, width) = extents(&io.signature.inputs[0]);
    let (width, blocks) = (width.max(1), width.div_ceil(4));
    let philox = Philox::new([random[0], random[1]]);
    for (at, (y, x)) in io.output().chunks_mut(width).zip(x.chunks(width)).enumerate() {
        let (t, b) = (at / rows, at % rows);
        for (block, (y, x)) in y.chunks_mut(4).zip(x.chunks(4)).enumerate() {
            let (block, row) = (t * blocks + block, random[3].wrapping_add(b as u32));
            compute(y, x, philox.block([block as u32, random[2], layer, row]));
        }
    }
}

/// Checks that `random` is a key.
pub(crate) fn check_key(random: &TensorType) -> Result<(), OpError> {
    ensure(random.dtype == DType::U32 && random.len() == 4, || format!("the key is {random}"))
}

/// The launch of a kernel in which a thread computes the four elements of a block.
pub(crate) fn launch(
    shader: &'static Shader,
    entry: &'static str,
    s: &Signature,
    layer: u32,
) -> Result<Launch, OpError> {
    let (rows, width) = extents(&s.inputs[0]);
    let blocks = s.outputs[0].len() / width.max(1) * width.div_ceil(4);
    Ok(Launch::new(shader, entry, threads(blocks)?)
        // Rounds of Philox, and elements of a block of four.
        .iterations(iterations(10, 0) + iterations(4, 0))
        .bind("x", Operand::Input(0))
        .bind("random", Operand::Input(1))
        .bind("out", Operand::Output(0))
        .param("blocks", blocks)
        .param("rows", rows)
        .param("width", width)
        .param("layer", layer))
}

impl Definition for Dropout {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let scale = F::of(1.0 / (1.0 - f64::from(self.rate)));
        each_block(io, self.layer, |y, x, words| {
            for ((y, &x), word) in y.iter_mut().zip(x).zip(words) {
                *y = if word >= drop_threshold(self.rate) { x * scale } else { F::zero() };
            }
        });
    }
}

impl Op for Dropout {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [x, random] = arity(inputs)?;
        ensure((0.0..1.0).contains(&self.rate), || format!("rate {} is not in 0..1", self.rate))?;
        check_key(random)?;
        Ok(vec![x.clone()])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        Ok(launch(&SHADER, "drop_elements", s, self.layer)?
            .param("threshold", drop_threshold(self.rate))
            .param("scale", (1.0 / (1.0 - f64::from(self.rate))) as f32)
            .into())
    }

    fn backward(
        &self,
        graph: &mut Graph,
        operands: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let Some(g) = gradients[0] else { return Ok(vec![None, None]) };
        let dx = graph.apply(self.clone(), &[g, operands.inputs[1]])?;
        Ok(vec![Some(dx), None])
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        // Ten rounds of about ten operations per four elements.
        Cost { flops: 25 * s.outputs[0].len() as u64, bytes: s.bytes() }
    }
}

/// Returns the test cases of [`Dropout`], for [`suite`](crate::suite).
pub fn cases() -> Vec<Case> {
    let shapes = [(vec![1], 0.5), (vec![3, 341], 0.4), (vec![2, 3, 5, 10], 0.3), (vec![300], 0.0)];
    shapes
        .map(|(shape, rate)| {
            let key = Sample::Exactly(vec![4], vec![0xdead_beef, 17, 3, 40]);
            let inputs = vec![Sample::Normal(shape.clone()), key];
            Case::new(format!("dropout {shape:?} at {rate}"), Dropout { rate, layer: 2 }, inputs)
                .gradient(&[0])
        })
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fraction_dropped_is_the_rate() {
        let philox = Philox::new([1, 2]);
        let dropped = (0..25_000)
            .flat_map(|b| philox.block([b, 0, 0, 0]))
            .filter(|&w| w < drop_threshold(0.4))
            .count();
        assert!((dropped as f64 / 100_000.0 - 0.4).abs() < 0.005, "{dropped}");
    }
}
