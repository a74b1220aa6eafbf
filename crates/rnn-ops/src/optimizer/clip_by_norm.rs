use crate::common::{LANES, arity, ensure, larger, pairwise_sum, row_iterations};
use crate::{Case, Definition, Sample};
use rnn_graph::{
    Cost, Grid, Io, Launch, Limits, Op, OpError, Operand, Real, Shader, Signature, TensorType, Work,
};

/// WGSL module of [`ClipByNorm`] (`shaders/optimizer/clip_by_norm.wgsl`).
pub static SHADER: Shader = Shader::new(
    "clip_by_norm",
    &[
        rnn_shaders::shared::ROWWISE,
        rnn_shaders::shared::BITS,
        rnn_shaders::optimizer::CLIP_BY_NORM,
    ],
);

/// Maximum number of partial sums.
const PARTS: usize = 256;

/// Scales a gradient g down to a norm of at most `norm`: g *= norm / max(|g|, norm), where |g| is
/// the root of the sum of the squares of all elements (`clipnorm` of
/// keras/src/optimizers/base_optimizer.py). No inputs or outputs. Update: g, of any shape.
#[derive(Clone, Debug)]
pub struct ClipByNorm {
    /// Upper bound on |g|; above 0.
    pub norm: f32,
}

impl Definition for ClipByNorm {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let [g] = io.updates();
        let norm = F::of(self.norm.into());
        let length = pairwise_sum(g.iter().map(|&g| g * g)).sqrt();
        g.iter_mut().for_each(|g| *g = *g * (norm / larger(length, norm)));
    }
}

impl Op for ClipByNorm {
    fn name(&self) -> &'static str {
        "clip_by_norm"
    }

    fn infer(
        &self,
        inputs: &[TensorType],
        updates: &[TensorType],
    ) -> Result<Vec<TensorType>, OpError> {
        let ([], [_]) = (arity(inputs)?, arity(updates)?);
        ensure(self.norm > 0.0, || format!("a norm of {}", self.norm))?;
        Ok(vec![])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let count = s.updates[0].len();
        let parts = count.div_ceil(LANES).min(PARTS);
        let launch = |entry, grid| {
            Launch::new(&SHADER, entry, grid)
                .iterations(row_iterations(count.div_ceil(parts.max(1)).max(parts)))
                .bind("values", Operand::Update(0))
                .param("count", count)
                .param("parts", parts)
                .param("norm", self.norm)
        };
        Ok(Work {
            scratch: vec![parts],
            launches: vec![
                launch("sum_squares", Grid::cover(parts)?).bind("sums", Operand::Scratch(0)),
                launch("scale", Grid::cover(count.div_ceil(LANES))?)
                    .bind("partial", Operand::Scratch(0)),
            ],
        })
    }

    not_differentiable!();

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 3 * s.updates[0].len() as u64, bytes: s.bytes() }
    }
}

/// Returns the test cases of [`ClipByNorm`], for [`suite`](crate::suite).
pub fn cases() -> Vec<Case> {
    [(1, 0.5), (300, 1.0), (300, 100.0), (20_000, 2.0)]
        .map(|(n, norm)| {
            let name = format!("clip_by_norm {n} to {norm}");
            Case::new(name, ClipByNorm { norm }, vec![]).updates(vec![Sample::Normal(vec![n])])
        })
        .into()
}
