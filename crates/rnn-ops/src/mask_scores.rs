use crate::common::{arity, dims, ensure, threads};
use crate::{Case, Definition, Sample};
use rnn_core::DType;
use rnn_graph::{
    Cost, Graph, Io, Launch, Limits, Op, OpError, Operand, Operands, Real, Shader, Signature,
    TensorId, TensorType, Work,
};

/// WGSL module of [`MaskScores`] (`shaders/mask_scores.wgsl`).
pub static SHADER: Shader =
    Shader::new("mask_scores", &[rnn_shaders::shared::ELEMENTWISE, rnn_shaders::MASK_SCORES]);

/// What becomes of a score that a mask hides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Hidden {
    /// The number is subtracted from it.
    Lowered(f32),
    /// The number takes its place.
    Replaced(f32),
}

/// Hides scores of an attention: y(i, q, k) = x(i, q, k) where query q of item i sees key k, else
/// what [`Hidden`] makes of x(i, q, k).
///
/// Inputs: x `[I, Q, K]`; if `queries` is true the mask of the queries, u32 `[Q, B]`; if `keys` is
/// true that of the keys, u32 `[K, B]`. I is a multiple of B: the items of one row of the batch are
/// neighbours and share its masks. A query sees the keys that are unmasked, but none if it is masked
/// itself, and those after its own place only if `causal` is false. Output: y `[I, Q, K]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MaskScores {
    /// What becomes of a hidden score.
    pub hidden: Hidden,
    /// True if query q sees the keys 0 to q alone.
    pub causal: bool,
    /// True if the queries have a mask.
    pub queries: bool,
    /// True if the keys have a mask.
    pub keys: bool,
}

impl MaskScores {
    /// The mask of the queries and that of the keys, by their places among the inputs.
    fn masks(self) -> [Option<usize>; 2] {
        let keys = 1 + usize::from(self.queries);
        [self.queries.then_some(1), self.keys.then_some(keys)]
    }

    /// The extents of x and the number of rows of the batch, which is 1 without masks.
    fn extents(self, inputs: &[TensorType]) -> Result<([usize; 3], usize), OpError> {
        let extents @ [items, queries, keys] = dims(&inputs[0])?;
        let mut batch = None;
        for (mask, steps) in self.masks().into_iter().zip([queries, keys]) {
            let Some(mask) = mask.map(|mask| &inputs[mask]) else { continue };
            let [of, rows] = dims(mask)?;
            let fits = mask.dtype == DType::U32 && of == steps && rows > 0 && items % rows == 0;
            ensure(fits && batch.is_none_or(|batch| batch == rows), || {
                format!("{mask} does not mask {}", inputs[0])
            })?;
            batch = Some(rows);
        }
        Ok((extents, batch.unwrap_or(1)))
    }
}

impl Definition for MaskScores {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let Ok(([items, queries, keys], batch)) = self.extents(&io.signature.inputs) else {
            return;
        };
        let masks = self.masks().map(|mask| mask.map(|mask| io.uints(mask)));
        let x = io.input(0);
        for (i, y) in io.output().iter_mut().enumerate() {
            let (item, query, key) = (i / (queries * keys), i / keys % queries, i % keys);
            let row = item / (items / batch);
            let unmasked = masks
                .iter()
                .zip([query, key])
                .all(|(mask, step)| mask.is_none_or(|mask| mask[step * batch + row] != 0));
            *y = match self.hidden {
                _ if unmasked && (!self.causal || key <= query) => x[i],
                Hidden::Lowered(by) => x[i] - F::of(by.into()),
                Hidden::Replaced(value) => F::of(value.into()),
            };
        }
    }
}

impl Op for MaskScores {
    fn name(&self) -> &'static str {
        "mask_scores"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        match (self.queries, self.keys) {
            (false, false) => drop(arity::<1>(inputs)?),
            (true, true) => drop(arity::<3>(inputs)?),
            _ => drop(arity::<2>(inputs)?),
        }
        self.extents(inputs)?;
        Ok(vec![inputs[0].clone()])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let ([items, queries, keys], batch) = self.extents(&s.inputs)?;
        let (replaces, value) = match self.hidden {
            Hidden::Lowered(by) => (false, by),
            Hidden::Replaced(value) => (true, value),
        };
        let [of_queries, of_keys] = self.masks().map(|mask| Operand::Input(mask.unwrap_or(0)));
        let count = s.outputs[0].len();
        Ok(Launch::new(&SHADER, "mask_scores", threads(count)?)
            .constant("CAUSAL", u8::from(self.causal))
            .constant("QUERY_MASK", u8::from(self.queries))
            .constant("KEY_MASK", u8::from(self.keys))
            .constant("REPLACES", u8::from(replaces))
            .bind("x", Operand::Input(0))
            .bind("query_mask", of_queries)
            .bind("key_mask", of_keys)
            .bind("out", Operand::Output(0))
            .param("count", count)
            .param("queries", queries)
            .param("keys", keys)
            .param("heads", items / batch)
            .param("batch", batch)
            .param("value", value)
            .into())
    }

    /// dx = dy where a score is seen or lowered, 0 where it is replaced.
    fn backward(
        &self,
        graph: &mut Graph,
        operands: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let mut all = vec![None; operands.inputs.len()];
        let Some(g) = gradients[0] else { return Ok(all) };
        all[0] = Some(match self.hidden {
            Hidden::Lowered(_) => g,
            Hidden::Replaced(_) => {
                let inputs = [&[g], &operands.inputs[1..]].concat();
                graph.apply(Self { hidden: Hidden::Replaced(0.0), ..*self }, &inputs)?
            }
        });
        Ok(all)
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 0, bytes: s.bytes() }
    }
}

/// Returns the test cases of [`MaskScores`], for [`suite`](crate::suite).
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, hidden) in [("lowered", Hidden::Lowered(9.0)), ("replaced", Hidden::Replaced(-7.5))]
    {
        for (causal, queries, keys) in
            [(true, false, false), (false, true, false), (false, false, true), (true, true, true)]
        {
            let op = MaskScores { hidden, causal, queries, keys };
            let mut inputs = vec![Sample::Normal(vec![6, 5, 7])];
            inputs.extend(queries.then(|| Sample::Below(vec![5, 3], 2)));
            inputs.extend(keys.then(|| Sample::Below(vec![7, 3], 2)));
            let by = [(causal, "causal"), (queries, "queries"), (keys, "keys")];
            let by: Vec<&str> =
                by.into_iter().filter_map(|(is, name)| is.then_some(name)).collect();
            let name = format!("mask_scores {name} by {}", by.join(", "));
            cases.push(Case::new(name, op, inputs).gradient(&[0]));
        }
    }
    cases
}
