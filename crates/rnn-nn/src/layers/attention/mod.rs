//! Layers in which each query looks at all keys.

mod dot_product;
mod multi_head;

pub use dot_product::{AdditiveAttention, Attention};
pub use multi_head::MultiHeadAttention;

use super::axes::swap_leading;
use crate::ConfigError;
use crate::layer::{Arguments, ForwardContext, Value};
use crate::onnx::{ExportError, OnnxContext};
use rnn_formats::onnx::{Attribute::Int, ValueName};
use rnn_graph::{GraphError, TensorId};
use rnn_ops::{BatchMatmul, Hidden, MaskScores, Softmax, TransposeLeading};

/// What hides a key behind which nothing may follow but a share of 0: e^-1e9 is 0.
const FAR_BELOW: f32 = 1e9;

/// What Keras's calls of an attention say, and its rate of dropout.
#[derive(Clone, Copy, Debug, Default)]
struct Calls {
    use_causal_mask: bool,
    return_attention_scores: bool,
}

impl Calls {
    fn switches(self) -> Vec<&'static str> {
        let all = [
            ("use_causal_mask", self.use_causal_mask),
            ("return_attention_scores", self.return_attention_scores),
        ];
        all.into_iter().filter_map(|(name, on)| on.then_some(name)).collect()
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.switch("use_causal_mask", &mut self.use_causal_mask)?;
        a.switch("return_attention_scores", &mut self.return_attention_scores)
    }
}

/// The query, value and key among the inputs of an attention, the key being the value if there is
/// none; `None` for another number of inputs.
fn roles<T: Copy>(inputs: &[T]) -> Option<[T; 3]> {
    match *inputs {
        [query, value] => Some([query, value, value]),
        [query, value, key] => Some([query, value, key]),
        _ => None,
    }
}

/// x `[T, B, N K]` as an item `[T, K]` for each of N heads of each row: `[B N, T, K]`.
fn items(cx: &mut ForwardContext<'_>, x: TensorId, heads: usize) -> Result<TensorId, GraphError> {
    let (steps, rows) = (cx.graph.shape(x).dims()[0], cx.graph.shape(x).dims()[1] * heads);
    let width = cx.graph.shape(x).len() / (steps * rows);
    let x = cx.graph.reshape(x, [steps, rows, width])?;
    cx.graph.apply(TransposeLeading, &[x])
}

/// Items `[B N, T, K]` as a sequence `[T, B, N K]`.
fn sequence(
    cx: &mut ForwardContext<'_>,
    x: TensorId,
    heads: usize,
) -> Result<TensorId, GraphError> {
    let x = cx.graph.apply(TransposeLeading, &[x])?;
    let [steps, rows, width] = [0, 1, 2].map(|axis| cx.graph.shape(x).dims()[axis]);
    cx.graph.reshape(x, [steps, rows / heads, heads * width])
}

/// The masks of the queries and of the keys, of which a call may have two.
struct Masks {
    causal: bool,
    queries: Option<TensorId>,
    keys: Vec<TensorId>,
}

impl Masks {
    /// Adds scores `[I, Q, K]` without what is masked to the graph, and returns them.
    fn hide(
        &self,
        cx: &mut ForwardContext<'_>,
        scores: TensorId,
        hidden: Hidden,
    ) -> Result<TensorId, GraphError> {
        let (first, others) = match self.keys.split_first() {
            Some((first, others)) => (Some(*first), others),
            None => (None, &[][..]),
        };
        let mut result = scores;
        let op = MaskScores {
            hidden,
            causal: self.causal,
            queries: self.queries.is_some(),
            keys: first.is_some(),
        };
        if op.causal || op.queries || op.keys {
            let masks = self.queries.into_iter().chain(first);
            let operands: Vec<TensorId> = [result].into_iter().chain(masks).collect();
            result = cx.graph.apply(op, &operands)?;
        }
        for &mask in others {
            let op = MaskScores { hidden, causal: false, queries: false, keys: true };
            result = cx.graph.apply(op, &[result, mask])?;
        }
        Ok(result)
    }
}

/// The shares `[I, Q, K]` of values `[I, K, V]`, put together: `[I, Q, V]`.
fn combined(
    cx: &mut ForwardContext<'_>,
    shares: TensorId,
    values: TensorId,
) -> Result<TensorId, GraphError> {
    cx.graph.apply(BatchMatmul::default(), &[shares, values])
}

/// The softmax of scores.
fn shares(cx: &mut ForwardContext<'_>, scores: TensorId) -> Result<TensorId, GraphError> {
    cx.graph.apply(Softmax, &[scores])
}

/// Shares `[B N, Q, K]` as an output: `[N, B, Q, K]`, or `[Q, B, K]` without heads.
fn shares_output(
    cx: &mut ForwardContext<'_>,
    shares: TensorId,
    heads: Option<usize>,
) -> Result<Value, GraphError> {
    let mut extents = cx.graph.shape(shares).dims().to_vec();
    if let Some(heads) = heads {
        extents.splice(..1, [extents[0] / heads, heads]);
    }
    let shares = cx.graph.reshape(shares, extents)?;
    Ok(swap_leading(cx, shares)?.into())
}

/// Adds the softmax of scores whose last axes are `[Q, K]` to an ONNX graph, with or without later
/// keys.
fn onnx_shares(
    cx: &mut OnnxContext<'_>,
    mut scores: ValueName,
    [queries, keys]: [usize; 2],
    causal: bool,
) -> Result<ValueName, ExportError> {
    if causal {
        let places = (0..queries * keys).map(|i| (i / keys, i % keys));
        let later = places.map(|(query, key)| if key > query { -FAR_BELOW } else { 0.0 }).collect();
        let later = cx.tensor([queries, keys], later)?;
        let later = cx.graph.tensor("later_keys", &later);
        scores = cx.node("Add", &[&scores, &later], &[]);
    }
    Ok(cx.node("Softmax", &[&scores], &[("axis", Int(-1))]))
}
